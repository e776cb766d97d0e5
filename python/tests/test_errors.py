"""Errors cross the border whole: message, code, path, hint, and a class for each code."""

from __future__ import annotations

import builtins
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dalsegno
import pytest
from conftest import write_array
from dalsegno import _error, _hints, _native, errors
from dalsegno._hints import in_python


def test_every_code_of_the_library_has_a_class_and_every_class_a_code() -> None:
    classes = {
        known.code: known for known in errors.Error.__subclasses__() if known.__name__ != "Error"
    }
    assert sorted(classes) == sorted(_native.error_codes())
    for code, known in classes.items():
        words = "".join(word.capitalize() for word in code.split("-"))
        assert known.__name__ == f"{words}Error"
        assert getattr(errors, known.__name__) is known
        assert known.__doc__


def test_the_hint_to_seal_elsewhere_has_path_and_host() -> None:
    hint = _hints.filled("seal-at-keeper", Path("/b/r/a 1"), "node1")
    assert "on host node1, which has the catalog," in hint and "seal('/b/r/a 1')" in hint
    hint = _hints.filled("seal-at-keeper", None, None)
    assert hint == _hints.WORDS["seal-at-keeper"]


def test_every_hint_has_words_of_python() -> None:
    assert sorted(_hints.WORDS) == sorted(_native.hint_names())
    assert len(set(_hints.WORDS.values())) == len(_hints.WORDS)
    for name, words in _hints.WORDS.items():
        for call in re.findall(r"(?<![\w.])([a-z_]+)\(", words):
            found = [getattr(owner, call, None) for owner in (dalsegno.Registry, dalsegno.Plan)]
            assert any(map(callable, found)), name
        for call in re.findall(r"dalsegno\.([A-Za-z_]+)\(", words):
            assert callable(getattr(dalsegno, call, None)), name
        # A report of what is wrong with the machine, and a rebuild without a backup, are what only
        # the shell has.
        of_shell = name == "report" or "on the command line: dalsegno rebuild --from" in words
        assert not re.search(r"\bdalsegno [a-z]", words) or of_shell, name
        assert " --" not in words or of_shell, name


@pytest.mark.parametrize("code", _native.error_codes())
def test_an_error_pickles_whole(code: str) -> None:
    error = _error.make(code, "what happened", Path("/a/b"), "do this")
    again = pickle.loads(pickle.dumps(error))
    for one in (error, again):
        assert type(one) is type(error)
        assert str(one) == "what happened"
        assert (one.code, one.path, one.hint) == (code, Path("/a/b"), "do this")


def test_a_code_that_has_no_class_is_an_error_all_the_same() -> None:
    error = _error.make("from-the-future", "new", None, None)
    assert isinstance(error, dalsegno.Error)
    assert error.code == "from-the-future"
    assert pickle.loads(pickle.dumps(error)).code == "from-the-future"


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("NoRegistryError", FileNotFoundError),
        ("BaseNotFoundError", FileNotFoundError),
        ("NameDotDotError", ValueError),
        ("PolicyEmptyError", ValueError),
        ("ReadOnlyError", PermissionError),
        ("PinnedError", PermissionError),
        ("OfAnotherRunError", PermissionError),
        ("BelowRunError", ValueError),
        ("RenamedByHandError", PermissionError),
        ("LockTimeoutError", TimeoutError),
        ("NotRecordedError", LookupError),
        ("InterruptedError", builtins.InterruptedError),
    ],
)
def test_errors_have_the_bases_that_python_has_for_them(name: str, base: type) -> None:
    known = getattr(errors, name)
    assert issubclass(known, base)
    assert issubclass(known, dalsegno.Error)


def test_an_error_of_the_library_says_what_where_and_what_next(tmp_path: Path) -> None:
    with pytest.raises(errors.NoRegistryError) as caught:
        dalsegno.Registry(tmp_path)
    error = caught.value
    assert str(error) == f"{tmp_path} has no registry"
    assert error.path == tmp_path
    assert error.hint is not None and "dalsegno" in error.hint


def test_a_missing_base_directory_is_no_file_that_was_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        dalsegno.Registry(tmp_path / "none", create=True)
    assert list(tmp_path.iterdir()) == []


def test_the_cause_stands_in_the_message(registry: dalsegno.Registry) -> None:
    (registry.base / "file").write_text("")
    with pytest.raises(NotADirectoryError) as caught:
        dalsegno.Registry(registry.base / "file")
    assert isinstance(caught.value, dalsegno.Error)


needs_stumble = pytest.mark.skipif(
    not hasattr(_native, "_stumble"),
    reason="only what is built for development can be made to panic",
)


@needs_stumble
@pytest.mark.parametrize("place", ["short", "long", "answer"])
def test_a_panic_is_an_error_and_the_registry_goes_on(
    registry: dalsegno.Registry, place: str, capfd: pytest.CaptureFixture[str]
) -> None:
    stumble = getattr(_native, "_stumble")
    artifact = registry.record_prediction("r", 1, "d")
    calls: list[Callable[[], object]] = [lambda: registry.get(artifact)]
    if place != "short":
        calls = [
            lambda: registry.record_prediction("r", 2, "d"),
            lambda: registry.list().to_dicts(),
            registry.iterations,
            registry.scan,
            registry.verify,
            lambda: registry.remove(artifact),
            lambda: registry.pin("x", artifact, reason="y"),
            lambda: registry.score("r", 1, {"voi": 1}),
            registry.history,
            registry.check_history,
            lambda: registry.plan_gc(keep_last=1),
            lambda: dalsegno.rebuild(registry.base),
            lambda: dalsegno.Registry(registry.base),
        ]
    for call in calls:
        stumble(place, 0)
        with pytest.raises(errors.InternalError, match=f"stumbled at {place}") as caught:
            call()
        assert isinstance(caught.value, RuntimeError) and caught.value.code == "internal"
        assert caught.value.hint is not None and "dalsegno doctor" in caught.value.hint
        assert [row.iteration for row in registry.list()] == [1]
    assert "stumbled" in capfd.readouterr().err, "where it happened is said, for the report"
    assert registry.verify().agrees and registry.check_history().is_whole


@needs_stumble
def test_a_panic_in_the_middle_of_a_removal_leaves_all_of_it_or_nothing(
    registry: dalsegno.Registry,
) -> None:
    made = [
        registry.record_prediction("r", number, dataset) for number in range(3) for dataset in "de"
    ]
    for artifact in made:
        write_array(artifact.path)
    registry.refresh()
    before = list(registry.list())
    done = registry.check_history().operations
    after = committed = 0
    while True:
        getattr(_native, "_stumble")("monitor", after)
        try:
            removed = registry.remove(dataset="d", keep=True)
        except errors.InternalError:
            after += 1
        else:
            break
        if registry.trash():
            # Past its commit it is done: all that is left is to take empty folders away.
            assert [artifact.dataset for artifact in registry.list(refresh=False)] == ["e"] * 3
            registry.restore(registry.trash()[0].id)
            committed += 1
        # The next call that changes anything finds the disk as it was, and so does a reader.
        assert list(registry.list(refresh=False)) == before
        assert all(artifact.path.exists() for artifact in made)
        assert registry.trash() == []
    getattr(_native, "_stumble")("nowhere", 0)
    assert after - committed >= 9, "each array is looked at, noted and moved"
    assert committed > 0, "it is asked after the commit, too"
    assert len(removed.artifacts) == 3
    actions = [one.action for one in registry.history()]
    assert actions.count("remove") == 1 + committed and len(actions) > done
    assert registry.verify().agrees


@needs_stumble
def test_a_panic_of_the_command_line_is_an_error(base: Path) -> None:
    code = (
        "import dalsegno._native as n; n._stumble('short', 0); n._main(['dalsegno', '--version'])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1
    assert "InternalError" in run.stderr and "PanicException" not in run.stderr


def test_data_of_another_run_is_not_sealed_pinned_or_scored(registry: dalsegno.Registry) -> None:
    paths = [registry.base / run / "validation.zarr/1/v/prediction" for run in ("a", "b")]
    for path, seconds in zip(paths, (100, 200)):
        write_array(path)
        for name in (".zarray", ".zattrs"):
            os.utime(path / name, (seconds, seconds))
    registry.scan()
    (row,) = registry.list(run="a")
    # As by hand.
    (registry.base / "a").rename(registry.base / "t")
    (registry.base / "b").rename(registry.base / "a")
    (registry.base / "t").rename(registry.base / "b")
    for call in (
        lambda: registry.seal(row),
        lambda: registry.pin("x", row, reason="y"),
        lambda: registry.pin("x", run="a", reason="y"),
        lambda: registry.score("a", 1, {"voi": 1}),
    ):
        with pytest.raises(errors.OfAnotherRunError) as caught:
            call()
        assert "verify" in str(caught.value.hint)
    assert registry.pins() == [] and list(registry.scores()) == []


def test_the_row_of_data_that_was_renamed_by_hand_is_not_removed(
    registry: dalsegno.Registry,
) -> None:
    path = registry.base / "a/validation.zarr/1/v/prediction"
    write_array(path)
    registry.scan()
    (row,) = registry.list(run="a")
    (registry.base / "a/validation.zarr/1").rename(registry.base / "a/validation.zarr/1_old")
    with pytest.raises(errors.RenamedByHandError) as caught:
        registry.remove(row)
    assert "1_old" in str(caught.value) and "force_pinned" in str(caught.value.hint)
    done = registry.remove(row, keep_going=True)
    assert [skipped.code for skipped in done.skipped] == ["renamed-by-hand"]
    registry.remove(row, force_pinned=True)
    with pytest.warns(errors.NothingSelectedWarning, match="not scanned"):
        assert list(registry.list(run="a")) == []


def test_what_was_deleted_in_the_trash_is_named_and_the_rest_comes_back(
    registry: dalsegno.Registry,
) -> None:
    for name in ("v", "w"):
        write_array(registry.base / f"a/validation.zarr/1/{name}/prediction")
    registry.scan()
    for undo in (False, True):
        removed = registry.remove(run="a", keep=True)
        trash = registry.base / ".dalsegno/trash" / str(removed.removal)
        shutil.rmtree(trash / "0")
        done = registry.undo("last") if undo else registry.restore(removed)
        assert len(done.artifacts) == 1
        assert [skipped.code for skipped in done.skipped] == ["lost-in-trash"]
        assert [row.state for row in registry.list(run="a")] == ["missing", "present"]
        write_array(registry.base / "a/validation.zarr/1/v/prediction")
        registry.refresh(run="a")
    removed = registry.remove(run="a", keep=True)
    shutil.rmtree(registry.base / ".dalsegno/trash" / str(removed.removal))
    with pytest.raises(errors.LostInTrashError) as caught:
        registry.restore(removed)
    assert "empty_trash" in str(caught.value.hint)


def test_the_library_speaks_of_calls_where_the_caller_is_python() -> None:
    """No sentence outside the command line names a command that Python is not given as a call."""
    source = Path(__file__).parents[2] / "src"
    commands = {path.stem for path in (source / "cli").glob("*.rs")} | {"rm", "mv", "trash"}
    command = re.compile(r"dalsegno (\w+)")
    seen = 0
    for path in source.rglob("*.rs"):
        if "cli" in path.relative_to(source).parts[0] or path.name in (
            "lib.rs",
            "main.rs",
            "testing.rs",
        ):
            continue
        code = re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.MULTILINE)
        code = code.partition("#[cfg(test)]")[0]
        for literal in re.findall(r'"((?:[^"\\]|\\.)*)"', code, flags=re.DOTALL):
            words = re.sub(r"\\\n\s*", "", literal).replace("REMOVAL", "20260101-000000-abc123")
            if not any(found[1] in commands for found in command.finditer(words)):
                continue
            seen += 1
            left = [it[1] for it in command.finditer(in_python(words)) if it[1] in commands]
            assert not left, f"{path}: {words} -> {in_python(words)}"
    assert seen > 10


def test_errors_are_put_in_the_words_of_python(registry: dalsegno.Registry) -> None:
    write_array(registry.base / "r/validation.zarr/2/d/prediction")
    registry.scan()
    scan = registry.history(action="scan")
    with pytest.raises(dalsegno.errors.NotUndoableError, match=r"remove it with remove\(...\)"):
        registry.undo(scan[0])
    assert in_python("give it up with: dalsegno trash empty 20260101-1-a; or") == (
        "give it up with: empty_trash(removals='20260101-1-a'); or"
    )
    assert in_python("dalsegno unpin a; dalsegno unpin 'b c', then") == (
        "unpin('a'); unpin('b c'), then"
    )
    assert in_python("no command: dalsegno verifying") == "no command: dalsegno verifying"
