"""DaCapo's own answers, through Python: every vector, and the store at the seam.

DaCapo is too large to be installed for these tests: ``standin/`` has its store classes, written
from what was observed. ``python/README.md`` says how to run the store against the real one.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import dalsegno
import dalsegno.dacapo
import pytest
from conftest import DATA, write_array
from dalsegno import errors

VECTORS = json.loads((DATA / "vectors.json").read_text())
PATHS = VECTORS["path_cases"]
REMOVALS = {case["id"]: case for case in VECTORS["remove_cases"]}

REAL = os.environ.get("DALSEGNO_TESTS_DACAPO") == "real"

# What gives no identifier, and why: the same table that the library's own tests hold.
_TABLE = (DATA.parent / "dacapo" / "paths.rs").read_text()
REFUSED = dict(re.findall(r'\("(p\d+)", "([a-z-]+)"\)', _TABLE))


class Named:
    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


def decoded(value: Any) -> Any:
    if isinstance(value, dict):
        return bool(value["$bool"]) if "$bool" in value else Named(value["str"])
    return value


def place_of(basedir: str, root: Path) -> tuple[str, str]:
    """The base directory of a case below ``root``, and what is in front of DaCapo's paths."""
    if "://" in basedir:
        return basedir, ""
    return (f"{root}{basedir}", str(root)) if basedir.startswith("/") else (basedir, f"{root}/")


def call(store: Any, case: dict[str, Any]) -> list[Any]:
    args = [decoded(arg) for arg in case["args"]]
    kwargs = {name: decoded(value) for name, value in case["kwargs"].items()}
    method = case["method"]
    if method.startswith("ci:"):
        container = getattr(store, method[3:])(args[0])
        dataset = kwargs.get("dataset", args[1] if len(args) > 1 else None)
        if not isinstance(dataset, str):
            raise TypeError(dataset)
        identifier = container.array_identifier(dataset)
        getattr(store, "registry", store).record_identifier(identifier)
        return [identifier]
    found = getattr(store, method)(*args, **kwargs)
    return list(found) if isinstance(found, tuple) else [found]


def check(case: dict[str, Any], store_of: Any, root: Path, is_drop_in: bool) -> None:
    base, at = place_of(case["basedir"], root)
    if "://" not in base:
        os.makedirs((base.split("..")[0] or "."), exist_ok=True)
        os.makedirs(os.path.expanduser(base) or ".", exist_ok=True)
    refused = REFUSED.get(case["id"])
    if refused is not None:
        with pytest.raises((errors.Error, TypeError)) as caught:
            call(store_of(base), case)
        code = getattr(caught.value, "code", "argument")
        assert code == refused
        return
    ok = case["expect"]["ok"]
    expected = ok["tuple"] if "tuple" in ok else [ok]
    for _ in range(2):
        found = call(store_of(base), case)
        assert len(found) == len(expected)
        for identifier, one in zip(found, expected):
            # The tilde is the user's home here, as it is where DaCapo makes its store.
            container = at + one["container"]
            if base.startswith("~/"):
                container = container.replace("/~/", "/", 1)
            assert str(identifier.container) == container
            assert type(identifier).__name__ == one["type"]
            if is_drop_in:
                assert type(identifier).__module__ == "dacapo.store.array_store"
                assert type(identifier.container).__name__ == one["container_type"]
                assert identifier.container.path == container
                assert identifier.container.suffix == one["container_suffix"]
            if "dataset" in one:
                assert Path(container, one["dataset"]) == Path(container, identifier.dataset)
                is_plain = one["joined"] == one["truediv"]
                assert (identifier.dataset == one["dataset"]) or not is_plain


@pytest.mark.parametrize("case", PATHS, ids=lambda case: case["id"])
def test_the_registry_gives_dacapo_s_paths(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    check(case, lambda base: dalsegno.Registry(base, create=True), tmp_path, False)


@pytest.mark.parametrize("case", PATHS, ids=lambda case: case["id"])
def test_the_store_gives_dacapo_s_identifiers(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dacapo: None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    check(case, dalsegno.dacapo.ArrayStore, tmp_path, True)


def set_up(case: dict[str, Any], root: Path) -> None:
    for kind, name, *rest in case["setup"]:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "array":
            write_array(path)
        elif kind == "dir":
            path.mkdir(parents=True, exist_ok=True)
        elif kind == "file":
            path.write_text(rest[0] if rest else "")
        elif kind == "symlink":
            path.symlink_to(rest[0].replace("$ROOT", str(root)))
        elif kind == "hardlink":
            os.link(root / rest[0], path)
        else:
            assert kind == "fifo"
            os.mkfifo(path)


def files(root: Path) -> set[str]:
    found = set()
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != ".dalsegno"]
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        found |= {os.path.relpath(os.path.join(folder, name), root) for name in [*names, *links]}
    return found


def named(paths: list[str]) -> set[str]:
    return {path.split(" -> ")[0] for path in paths if not path.endswith("/")}


# Cases in which the store does not do what DaCapo does: the code of the error. Nothing is deleted
# then.
KEPT = {
    "r010": "not-recorded",  # a chunk folder
    "r011": "not-recorded",  # a group
    "r014": "not-recorded",  # a plain folder
    "r024": "name-dot",
    "r029": "name-dot-dot",
    "r030": "name-dot-dot",
    "r032": "name-dot-dot",
    "r034": "name-dot-dot",
    "r036": "symlink",
    "r037": "not-recorded",  # a link to a folder that is no array
    "r040": "not-recorded",
    "r041": "not-recorded",  # DaCapo deletes behind the link
    "r043": "symlink",
    "r049": "layout-no-container",
    "r050": "layout-no-container",
    "r052": "layout-no-container",
    "r055": "name-dot-dot",
}


@pytest.mark.parametrize("scanned", [False, True], ids=["recorded by nobody", "scanned"])
@pytest.mark.parametrize("name", sorted(REMOVALS))
def test_remove_does_what_dacapo_does_where_that_is_safe(
    name: str,
    scanned: bool,
    tmp_path: Path,
    dacapo: None,
    warnings_of: pytest.LogCaptureFixture,
) -> None:
    from dacapo.store.array_store import LocalArrayIdentifier  # type: ignore[import-not-found]
    from upath import UPath  # type: ignore[import-not-found,unused-ignore]

    case = REMOVALS[name]
    set_up(case, tmp_path)
    before = files(tmp_path)
    store = dalsegno.dacapo.ArrayStore(tmp_path / "base")
    if scanned:
        store.registry.scan()
    known = len(list(store.registry.list()))
    container = UPath(case["container"].replace("$ROOT", str(tmp_path)))
    identifier = LocalArrayIdentifier(container, case["dataset"])
    expect = case["expect"]
    if name == "r048":  # DaCapo keeps an N5 container only as long as assertions are on
        expect = VECTORS["remove_under_python_dash_O"]["expect"]
    if not isinstance(case["dataset"], str):
        with pytest.raises(TypeError):
            store.remove(identifier)
        return
    if name in KEPT:
        with pytest.raises(errors.Error) as caught:
            store.remove(identifier)
        assert caught.value.code == KEPT[name]
        assert files(tmp_path) == before
        assert len(list(store.registry.list())) == known
        return
    assert not case["danger"], "what is dangerous is refused"
    for _ in range(case.get("times", 1)):
        store.remove(identifier)
    assert before - files(tmp_path) == named(expect["deleted"])
    assert files(tmp_path) == named(expect["left"])
    said = [
        text.replace("$ROOT", str(tmp_path)) for level, text in expect["log"] if level == "WARNING"
    ]
    assert [record.message for record in warnings_of.records] == said


def test_a_store_is_dacapo_s_and_several_are_alive_at_once(base: Path, dacapo: None) -> None:
    from dacapo.store import array_store  # type: ignore[import-not-found]

    one, two = dalsegno.dacapo.ArrayStore(base), dalsegno.dacapo.ArrayStore(str(base))
    for store in (one, two, pickle.loads(pickle.dumps(one))):
        assert isinstance(store, array_store.ArrayStore)
        assert isinstance(store, dalsegno.dacapo.ArrayStore)
        if not REAL:
            made = store.concrete()  # type: ignore[attr-defined]
            assert made == str(base / "run" / "snapshot.zarr")
        assert store.basedir == base
    assert one.validation_prediction_array("r", 1, "d") == two.validation_prediction_array(
        "r", 1, "d"
    )
    assert type(one) is type(two)
    assert repr(one) == f"ArrayStore({str(base)!r})"


def test_a_subclass_of_the_store_is_its_own(base: Path, dacapo: None) -> None:
    store = Mine(base)
    assert store.mine() and type(store).__name__ == "Mine"
    assert pickle.loads(pickle.dumps(store)).mine()


class Mine(dalsegno.dacapo.ArrayStore):
    def mine(self) -> bool:
        return True


def test_refresh_is_one_call_after_a_validation(base: Path, dacapo: None) -> None:
    store = dalsegno.dacapo.ArrayStore(base)
    identifier = store.validation_output_array("r", 1, Named("p(id=1)"), Named("val/crop 7"))
    write_array(Path(identifier.container) / identifier.dataset)
    (row,) = store.registry.list(refresh=False)
    assert row.state == "reserved"
    store.refresh("r")
    (row,) = store.registry.list(refresh=False)
    assert (row.state, row.parameters, row.dataset) == ("present", "p(id=1)", "val/crop 7")
    store.refresh()


def test_the_seam_takes_the_store_and_gives_it_back(
    base: Path, dacapo: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNS_BASE_DIR", str(base))
    seam = importlib.import_module("dacapo.store.create_store")
    theirs = type(seam.create_array_store())
    for _ in range(2):
        dalsegno.dacapo.install()
        assert isinstance(seam.create_array_store(), dalsegno.dacapo.ArrayStore)
    dalsegno.dacapo.uninstall()
    assert type(seam.create_array_store()) is theirs
    dalsegno.dacapo.uninstall()
    assert "DALSEGNO_DACAPO" not in os.environ


ASK = """
from dacapo.store import create_store
print(type(create_store.create_array_store()).__module__)
"""


def asked(**extra: str) -> str:
    environment = {**os.environ, **extra}
    run = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def ask_in_child(queue: Any) -> None:
    seam = importlib.import_module("dacapo.store.create_store")
    queue.put(type(seam.create_array_store()).__module__)


def test_child_processes_take_the_store_too_where_that_is_asked(
    base: Path, dacapo: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUNS_BASE_DIR", str(base))
    # The sitecustomize of another program still runs.
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import os; os.environ['SEEN'] = 'yes'\n")
    paths = filter(None, [os.environ.get("PYTHONPATH"), str(tmp_path / "site")])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    before = os.environ["PYTHONPATH"]
    theirs = "dacapo.store.local_array_store"
    dalsegno.dacapo.install()
    assert asked() == theirs
    dalsegno.dacapo.install(everywhere=True)
    dalsegno.dacapo.install(everywhere=True)
    assert asked() == "dalsegno.dacapo"
    # Some programs look whether a module is there before they import it.
    look = "import importlib.util; importlib.util.find_spec('dacapo.store.create_store')\n"
    looked = [sys.executable, "-c", look * 2 + ASK]
    run = subprocess.run(looked, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "dalsegno.dacapo", run.stderr
    for wait in (1234567, 0.00001):
        dalsegno.dacapo.install(everywhere=True, wait=wait)
        code = "from dalsegno.dacapo import _settings; print(_settings.wait)"
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert (float(run.stdout), run.stderr) == (wait, "")
    dalsegno.dacapo.install(everywhere=True, wait=5)
    seen = subprocess.run(
        [sys.executable, "-c", "import os; print(os.environ['SEEN'])"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert seen.stdout == "yes\n"
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=ask_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=60) == "dalsegno.dacapo"
    child.join()
    dalsegno.dacapo.uninstall()
    assert os.environ["PYTHONPATH"] == before
    assert asked() == theirs


@pytest.mark.skipif(REAL, reason="DaCapo is installed")
def test_without_dacapo_the_module_says_so_when_it_is_used(base: Path) -> None:
    for use in (lambda: dalsegno.dacapo.ArrayStore(base), dalsegno.dacapo.install):
        with pytest.raises(ImportError, match="for use with DaCapo"):
            use()
    assert list(base.iterdir()) == []
