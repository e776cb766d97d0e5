"""The layout, against DaCapo's own formulas, with any names."""

from __future__ import annotations

import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import dalsegno
import pytest
from conftest import write_array
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

characters = st.characters(codec="utf-8")
anything = st.text(characters | st.sampled_from("/.()= ,*?[]~"), max_size=40)
iterations = st.integers(-(2**63), 2**63 - 1)


def refusal(name: str) -> Optional[str]:
    """The rules for names, written down a second time; gives the code of the first one broken."""
    if name.startswith("/"):
        return "name-absolute"
    parts = [part for part in name.split("/") if part]
    if not parts:
        return "name-empty"
    for part in parts:
        if part == ".":
            return "name-dot"
        if part == "..":
            return "name-dot-dot"
        if "\0" in part:
            return "name-nul"
        if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in part):
            return "name-control"
        if len(part.encode()) > 255:
            return "name-component-too-long"
    return None


@pytest.fixture(scope="module")
def shared() -> Iterator[dalsegno.Registry]:
    with tempfile.TemporaryDirectory() as folder:
        with dalsegno.Registry(folder, create=True) as registry:
            yield registry


def plain(name: str) -> str:
    return "/".join(part for part in name.split("/") if part)


slow = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@slow
@given(run=anything, iteration=iterations, dataset=anything, parameters=anything)
def test_outputs_lie_where_dacapo_puts_them(
    shared: dalsegno.Registry, run: str, iteration: int, dataset: str, parameters: str
) -> None:
    refused = next(filter(None, map(refusal, (run, dataset, parameters))), None)
    try:
        found = shared.validation_output_array(run, iteration, parameters, dataset)
    except dalsegno.errors.PathTakenError:
        return
    except dalsegno.Error as error:
        # A run may not be called as what lies beside the runs, either.
        assert refused is not None or error.code.startswith("name-"), (run, dataset, parameters)
        return
    assert refused is None, (run, dataset, parameters)
    expected = (
        f"{plain(run)}/validation.zarr/{iteration}/{plain(dataset)}/output/{plain(parameters)}"
    )
    assert str(found) == f"{shared.base}/{expected}"
    artifact = shared.get(found)
    assert artifact is not None and artifact.iteration == iteration
    assert shared.get(Path(expected)) == artifact


segments = st.text(
    characters.filter(lambda c: unicodedata.category(c) != "Cc" and c != "/"),
    min_size=1,
    max_size=20,
).filter(lambda text: text not in (".", "..") and not text.endswith((".zarr", ".n5")))
words = segments.filter(
    lambda text: (
        text not in ("output", "prediction", "inputs", ".dalsegno")
        and not text.startswith(".dalsegno")
        and not text.lstrip("-").isdigit()
    )
)


@settings(slow, max_examples=40)
@given(run=words, iteration=iterations, dataset=words, parameters=words)
def test_a_scan_reads_what_was_recorded(
    run: str, iteration: int, dataset: str, parameters: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        with dalsegno.Registry(base, create=True) as registry:
            made = [
                registry.record_prediction(run, iteration, dataset),
                registry.record_output(run, iteration, dataset, parameters),
                *registry.record_inputs(run, dataset),
                registry.record_snapshot(run, "volumes/raw"),
            ]
            for artifact in made:
                write_array(artifact.path)
        (base / ".dalsegno").rename(base / "aside.zarr.old")
        with dalsegno.Registry(base, create=True) as registry:
            registry.scan()
            scanned = {row.path: row for row in registry.list()}
            assert set(scanned) == {row.path for row in made}
            for artifact in made:
                found = scanned[artifact.path]
                columns = ("run", "kind", "iteration", "dataset", "parameters")
                for column in columns:
                    assert getattr(found, column) == getattr(artifact, column)
