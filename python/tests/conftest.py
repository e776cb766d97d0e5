"""What the tests share."""

from __future__ import annotations

import logging
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import dalsegno
import pytest

DATA = Path(__file__).parents[2] / "tests" / "data"
STANDIN = Path(__file__).parent / "standin"

ARRAY = (
    '{"chunks":[2],"compressor":null,"dtype":"|u1","fill_value":0,"filters":null,'
    '"order":"C","shape":[2],"zarr_format":2}'
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="slow tests at their full length")


def write_array(path: Path, text: str = "xx") -> Path:
    """Write a zarr array whose chunk folders are called like iterations."""
    (path / "0" / "0").mkdir(parents=True)
    (path / ".zarray").write_text(ARRAY)
    (path / ".zattrs").write_text("{}")
    (path / "0" / "0" / "0").write_text(text)
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base"
    path.mkdir()
    return path


@pytest.fixture
def registry(base: Path) -> Iterator[dalsegno.Registry]:
    with dalsegno.Registry(base, create=True) as registry:
        yield registry


@pytest.fixture
def dacapo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """DaCapo's stand-in, importable here and in child processes."""
    import sys

    if os.environ.get("DALSEGNO_TESTS_DACAPO") == "real":
        yield
        return
    paths = [str(STANDIN), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.syspath_prepend(str(STANDIN))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "dacapo"]:
        del sys.modules[name]


@pytest.fixture
def warnings_of(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING):
        yield caplog


def unpack(tree: str, into: Path) -> Path:
    """Unpack a base directory that DaCapo wrote; gives its place."""
    with tarfile.open(DATA / f"{tree}.tar.gz") as archive:
        archive.extractall(into, filter="fully_trusted")
    return into / "base" if (into / "base").is_dir() else into
