"""A catalog on one host, and Python on another one: the host is read from ``config.toml``."""

from __future__ import annotations

import json
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import unpack

import dalsegno
from dalsegno import errors


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A base directory whose catalog is in another folder, with one array that is recorded."""
    base = tmp_path / "base"
    base.mkdir()
    (tmp_path / "disk").mkdir()
    catalog = tmp_path / "disk" / "c.sqlite3"
    with dalsegno.Registry(base, create=True, catalog=catalog) as registry:
        registry.record("prediction", run="mito", iteration=1, dataset="crop1")
        assert registry.published is None
        assert registry.publish() is not None
    return base


def leave_host(base: Path) -> None:
    config = base / ".dalsegno" / "config.toml"
    host = f'host = "{os.uname().nodename}"'
    text = config.read_text()
    assert host in text
    config.write_text(text.replace(host, 'host = "node1"'))


def test_another_host_answers_from_the_copy_and_changes_nothing(
    base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    leave_host(base)
    with caplog.at_level(logging.WARNING, "dalsegno"):
        registry = dalsegno.Registry(base)
    assert "on host node1" in caplog.text
    with registry:
        assert registry.is_read_only
        published = registry.published
        assert published is not None and published.host == "node1"
        assert published.path == base / ".dalsegno" / "published.sqlite3"
        assert published.age is not None
        assert timedelta(0) <= published.age < timedelta(minutes=5)
        assert [artifact.run for artifact in registry.list()] == ["mito"]
        for change in (lambda: registry.remove(run="mito"), lambda: registry.publish()):
            with pytest.raises(errors.CatalogElsewhereError) as refused:
                change()
            assert "node1" in str(refused.value)
            assert refused.value.hint is not None and "that host" in refused.value.hint
        again = pickle.loads(pickle.dumps(registry))
        assert len(list(again.list())) == 1
    with pytest.raises(errors.CatalogElsewhereError):
        dalsegno.rebuild(base)


def written(base: Path, iteration: int, dataset: str = "crop1") -> Path:
    """A small array on disk, that of a prediction."""
    folder = base / f"mito/validation.zarr/{iteration}/{dataset}/prediction"
    folder.mkdir(parents=True)
    (folder / ".zarray").write_text('{"zarr_format":2,"shape":[2],"chunks":[2],"dtype":"|u1"}')
    (folder / "0").write_bytes(b"ab")
    return folder


def return_to_host(base: Path) -> None:
    config = base / ".dalsegno" / "config.toml"
    config.write_text(config.read_text().replace("node1", os.uname().nodename))


def test_what_is_sealed_and_scored_elsewhere_is_noted_for_the_keeper(
    base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for iteration in range(1, 4):
        written(base, iteration)
    leave_host(base)
    with dalsegno.Registry(base) as registry, caplog.at_level(logging.WARNING, "dalsegno"):
        (known,) = registry.list(refresh=False)
        assert registry.seal(known, hash=True) == [known]
        # Not in the copy yet: named by its path, as an identifier would.
        assert registry.seal(base / "mito/validation.zarr/2/crop1/prediction") == []
        assert registry.score("mito", 1, {"voi": 0.5, "f1": float("nan")})
        with pytest.raises(errors.NothingWrittenError):
            registry.seal(base / "mito/validation.zarr/7/crop1/prediction")
        with pytest.raises(RuntimeError):
            with registry.writing(base / "mito/validation.zarr/3/crop1/prediction"):
                raise RuntimeError
        with registry.writing(base / "mito/validation.zarr/4/crop1/prediction") as path:
            assert written(base, 4) == path
    said = [line for line in caplog.messages if "node1 takes them into the catalog" in line]
    assert len(said) == 2
    with dalsegno.Registry(base, read_only=True) as registry:
        with pytest.raises(errors.CatalogElsewhereError):
            registry.seal(known)
        with pytest.raises(errors.CatalogElsewhereError):
            registry.score("mito", 1, {"voi": 0.5})
    return_to_host(base)
    with dalsegno.Registry(base) as registry:
        rows = {row.iteration: row for row in registry.list(refresh=False)}
        assert [at for at, row in rows.items() if row.sealed_at is not None] == [1, 2, 4]
        assert set(rows) == {1, 2, 3, 4}
        assert rows[1].content_hash is not None and rows[2].content_hash is None
        assert sorted(score.metric for score in registry.scores()) == ["f1", "voi"]


def test_identifiers_are_given_elsewhere_and_noted_for_the_keeper(
    base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    leave_host(base)
    with dalsegno.Registry(base) as registry:
        known = registry.record("prediction", run="mito", iteration=1, dataset="crop1")
        assert known.id == 1
        new = registry.record("prediction", run="mito", iteration=2, dataset="crop1")
        assert new.id is None and new.state == "reserved" and new.to_dict()["id"] is None
        assert repr(new) == "<Artifact: prediction of mito, iteration 2, dataset crop1, noted>"
        assert pickle.loads(pickle.dumps(new)) == new
        assert new.path == base / "mito/validation.zarr/2/crop1/prediction"
        output = registry.validation_output_array("mito", 2, "t=1", "crop1")
        assert output.path == base / "mito/validation.zarr/2/crop1/output/t=1"
        raw, gt = registry.validation_input_arrays("mito", "crop1")
        assert (raw.dataset, gt.dataset) == ("inputs/crop1/raw", "inputs/crop1/gt")
        registry.best_validation_array("mito", "voi")
        registry.snapshot_container("mito")
        mesh = dalsegno.LocalArrayIdentifier(base / "mito" / "extra.zarr", "mesh")
        assert registry.record_identifier(mesh).identifier == mesh
        keys = [dalsegno.Key("prediction", "mito", number, "crop1") for number in (4, 5)]
        assert [one.iteration for one in registry.record_many(keys)] == [4, 5]
        with pytest.raises(errors.NameDotDotError):
            registry.record("prediction", run="a/../b", iteration=2, dataset="crop1")
        other = dalsegno.LocalArrayIdentifier(base.parent / "other.zarr", "mesh")
        with pytest.raises(errors.OutsideBaseError):
            registry.record_identifier(other)
        # What is only noted has no number: its key says what is sealed.
        written(base, 2)
        assert registry.seal(new) == []
    assert not [line for line in caplog.messages if "could not" in line]
    return_to_host(base)
    with dalsegno.Registry(base) as registry:
        rows = {(row.kind, row.iteration): row for row in registry.list(refresh=False)}
        assert set(rows) == {
            ("prediction", 1),
            ("prediction", 2),
            ("prediction", 4),
            ("prediction", 5),
            ("output", 2),
            ("input-raw", None),
            ("input-gt", None),
            ("best", None),
            ("snapshot-container", None),
            ("array", None),
        }
        assert rows["prediction", 2].sealed_at is not None


def test_identifiers_are_given_even_if_they_cannot_be_noted(
    base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    leave_host(base)
    (base / ".dalsegno" / "inbox").write_text("in the way")
    with dalsegno.Registry(base) as registry:
        for iteration in (2, 3):
            found = registry.validation_prediction_array("mito", iteration, "crop1")
            assert found.path == base / f"mito/validation.zarr/{iteration}/crop1/prediction"
    (said,) = [line for line in caplog.messages if "could not note" in line]
    assert "on host node1 with: dalsegno scan" in said


def test_the_error_of_a_writer_comes_out_even_if_it_cannot_be_noted(
    base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    leave_host(base)
    folder = base / "mito/validation.zarr/3/crop1/prediction"
    with dalsegno.Registry(base) as registry:
        with pytest.raises(RuntimeError, match="of the writer"):
            with registry.writing(folder):
                (base / ".dalsegno" / "inbox").write_text("in the way")
                raise RuntimeError("of the writer")
    assert any("could not note that writing failed" in line for line in caplog.messages)
    assert any("it is not sealed" in line for line in caplog.messages)


def test_the_store_of_dacapo_removes_nothing_elsewhere_and_goes_on(
    base: Path, dacapo: None, caplog: pytest.LogCaptureFixture
) -> None:
    import dalsegno.dacapo

    folders = [written(base, iteration) for iteration in (1, 2)]
    leave_host(base)
    store = dalsegno.dacapo.ArrayStore(base)
    strict = dalsegno.dacapo.ArrayStore(base, strict=True)
    for copy in (True, False):
        if not copy:
            (base / ".dalsegno" / "published.sqlite3").unlink()
            store = dalsegno.dacapo.ArrayStore(base)
            strict = dalsegno.dacapo.ArrayStore(base, strict=True)
        caplog.clear()
        arrays = [store.validation_prediction_array("mito", number, "crop1") for number in (1, 2)]
        for array in arrays:
            store.remove(array)
        store.remove(store.validation_prediction_array("mito", 3, "crop1"))
        store.refresh()
        store.refresh("mito")
        said = [line for line in caplog.messages if "Asked to remove" in line]
        assert len(said) == 2, said
        assert "on host node1" in said[0] and "removes nothing" in said[0]
        assert said[1].endswith("but it doesn't exist.")
        with pytest.raises((errors.CatalogElsewhereError, errors.NotPublishedError)):
            strict.remove(arrays[0])
        assert all((folder / "0").exists() for folder in folders)


def test_what_a_strict_store_gives_elsewhere_is_noted(base: Path, dacapo: None) -> None:
    import dalsegno.dacapo

    inbox = base / ".dalsegno" / "inbox"
    leave_host(base)
    for copy in (True, False):
        if not copy:
            (base / ".dalsegno" / "published.sqlite3").unlink()
        store = dalsegno.dacapo.ArrayStore(base, strict=True)
        number = 5 if copy else 6
        store.validation_prediction_array("mito", number, "crop1")
        store.validation_input_arrays("mito", f"crop{number}")
    for file in inbox.iterdir():
        file.unlink()
    inbox.rmdir()
    inbox.write_text("in the way")
    store = dalsegno.dacapo.ArrayStore(base, strict=True)
    with pytest.raises(errors.Error, match="inbox"):
        store.validation_prediction_array("mito", 7, "crop1")


def test_a_strict_store_notes_for_the_keeper(base: Path, dacapo: None) -> None:
    import dalsegno.dacapo

    # Open before another host becomes the keeper.
    store = dalsegno.dacapo.ArrayStore(base, strict=True)
    store.validation_prediction_array("mito", 4, "crop1")
    leave_host(base)
    store.validation_prediction_array("mito", 5, "crop1")
    return_to_host(base)
    with dalsegno.Registry(base) as registry:
        assert {row.iteration for row in registry.list(refresh=False)} == {1, 4, 5}


@pytest.mark.skipif(
    os.environ.get("DALSEGNO_TESTS_DACAPO") == "real", reason="DaCapo would name the scores"
)
def test_scores_of_dacapo_are_noted_elsewhere(tmp_path: Path) -> None:
    base = unpack("scores_affs", tmp_path)
    with dalsegno.Registry(base, create=True, catalog=tmp_path / "c.sqlite3") as registry:
        registry.scan()

    def take_in(*arguments: str) -> subprocess.CompletedProcess[str]:
        call = [sys.executable, "-m", "dalsegno.dacapo", "scores", "--base", str(base), *arguments]
        return subprocess.run(call, capture_output=True, text=True)

    leave_host(base)
    done = take_in()
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("noted 30 scores of 1 run for host node1\n")
    again = json.loads(take_in("--json").stdout)
    assert again["noted"] == {"host": "node1"} and again["runs"] == {"affs_run": 30}
    return_to_host(base)
    assert json.loads(take_in("--json").stdout)["runs"] == {"affs_run": 30}
    with dalsegno.Registry(base) as registry:
        assert len(registry.scores()) == 30


def test_a_seal_is_taken_back_before_an_array_is_written_again_elsewhere(base: Path) -> None:
    folder = written(base, 1)
    with dalsegno.Registry(base) as registry:
        registry.seal(folder)
    leave_host(base)
    with dalsegno.Registry(base) as registry:
        with pytest.raises(KeyboardInterrupt):
            with registry.writing(folder):
                raise KeyboardInterrupt
    return_to_host(base)
    with dalsegno.Registry(base) as registry:
        (row,) = registry.list(refresh=False)
        assert row.sealed_at is None and row.state == "present"


def no_copy(copy: Path) -> None:
    copy.unlink()


def damaged_copy(copy: Path) -> None:
    copy.write_text("damaged")


def damaged_page(copy: Path) -> None:
    """It opens, and its tables cannot be read."""
    content = copy.read_bytes()
    copy.write_bytes(content[:4096] + b"x" * (len(content) - 4096))


def folder_as_copy(copy: Path) -> None:
    copy.unlink()
    copy.mkdir()


def fifo_as_copy(copy: Path) -> None:
    copy.unlink()
    os.mkfifo(copy)


BAD_COPIES = [no_copy, damaged_copy, damaged_page, folder_as_copy, fifo_as_copy]


@pytest.mark.parametrize("spoil", BAD_COPIES)
@pytest.mark.parametrize("is_open", [False, True])
def test_without_a_copy_all_that_is_noted_works_and_questions_say_what_to_type(
    base: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None], is_open: bool
) -> None:
    for iteration in (1, 2, 6):
        written(base, iteration)
    leave_host(base)
    copy = base / ".dalsegno" / "published.sqlite3"
    before = copy.read_bytes()
    if not is_open:
        spoil(copy)
    with caplog.at_level(logging.WARNING, "dalsegno"):
        registry = dalsegno.Registry(base)
    if not is_open and spoil is not damaged_page:
        assert "publish a copy on host node1 with: dalsegno publish" in caplog.text
    with registry:
        (known,) = registry.list() if is_open else (None,)
        if is_open:
            spoil(copy)
        assert registry.is_read_only and registry.base == base
        first = registry.record("prediction", run="mito", iteration=1, dataset="crop1")
        assert first.path == base / "mito/validation.zarr/1/crop1/prediction"
        found = registry.validation_prediction_array("mito", 2, "crop1")
        assert found.path == base / "mito/validation.zarr/2/crop1/prediction"
        raw, _ = registry.validation_input_arrays("mito", "crop1")
        assert raw.path == base / "mito/validation.zarr/inputs/crop1/raw"
        mesh = dalsegno.LocalArrayIdentifier(base / "mito" / "extra.zarr", "mesh")
        assert registry.record_identifier(mesh).identifier == mesh
        with pytest.raises(errors.NameDotDotError):
            registry.record("prediction", run="a/../b", iteration=2, dataset="crop1")
        registry.seal(known if known is not None else found.path)
        registry.seal(found)
        registry.seal(base / "mito/validation.zarr/6/crop1/prediction", hash=True)
        assert registry.score("mito", 1, voi=0.5)
        with registry.writing(base / "mito/validation.zarr/4/crop1/prediction") as path:
            assert written(base, 4) == path
        with pytest.raises(RuntimeError):
            with registry.writing(base / "mito/validation.zarr/5/crop1/prediction") as path:
                raise RuntimeError
        asked: list[Callable[[], object]] = [
            lambda: registry.id,
            lambda: list(registry.list()),
            lambda: registry.get(found),
            lambda: registry.scores(),
            lambda: registry.seal(run="mito"),
            lambda: registry.seal(1),
        ]
        # Of an open copy, the pages that were read before may still answer.
        for ask in [] if is_open else asked:
            with pytest.raises(errors.Error) as refused:
                ask()
            assert refused.value.hint is not None, refused.value
            assert "publish()" in refused.value.hint
            if spoil in (no_copy, damaged_copy):
                assert "node1" in str(refused.value)
        with pytest.raises(errors.Error):
            registry.remove(run="mito")
        if not is_open:
            # Answers as soon as there is a copy.
            if copy.is_dir():
                copy.rmdir()
            else:
                copy.unlink(missing_ok=True)
            copy.write_bytes(before)
            assert [row.iteration for row in registry.list()] == [1]
            published = registry.published
            assert published is not None and published.host == "node1"
    assert not [line for line in caplog.messages if "could not note" in line]
    if copy.is_dir():
        copy.rmdir()
    else:
        copy.unlink(missing_ok=True)
    return_to_host(base)
    with dalsegno.Registry(base) as registry:
        rows = {(row.kind, row.iteration): row for row in registry.list(refresh=False)}
        assert {iteration for kind, iteration in rows if kind == "prediction"} == {1, 2, 4, 5, 6}
        sealed = {row.iteration for row in rows.values() if row.sealed_at is not None}
        assert sealed == ({1, 2, 4, 6} if is_open else {2, 4, 6})
        assert {("input-raw", None), ("input-gt", None), ("array", None)} < set(rows)
        assert len(registry.scores()) == 1


@pytest.mark.parametrize("spoil", BAD_COPIES)
def test_a_registry_without_a_copy_goes_through_fork_and_pickle(
    base: Path, spoil: Callable[[Path], None]
) -> None:
    leave_host(base)
    spoil(base / ".dalsegno" / "published.sqlite3")
    with dalsegno.Registry(base) as registry:
        again = pickle.loads(pickle.dumps(registry))
        again.record_prediction("mito", 2, "crop1")
        again.close()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                registry.record_prediction("mito", 3, "crop1")
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        registry.record_prediction("mito", 4, "crop1")
    with pytest.raises(ValueError, match="closed"):
        registry.record_prediction("mito", 5, "crop1")
    return_to_host(base)
    with dalsegno.Registry(base) as registry:
        assert {row.iteration for row in registry.list(refresh=False)} == {1, 2, 3, 4}


@pytest.mark.parametrize("spoil", BAD_COPIES)
def test_a_training_without_a_copy_notes_without_a_warning(
    base: Path, dacapo: None, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None]
) -> None:
    import dalsegno.dacapo

    leave_host(base)
    spoil(base / ".dalsegno" / "published.sqlite3")
    for strict, iteration in ((False, 2), (True, 3)):
        store = dalsegno.dacapo.ArrayStore(base, strict=strict)
        store.validation_prediction_array("mito", iteration, "crop1")
        store.validation_input_arrays("mito", "crop1")
        store.refresh()
    assert not [line for line in caplog.messages if "record" in line and "is noted" not in line]
    return_to_host(base)
    with dalsegno.Registry(base) as registry:
        rows = registry.list(refresh=False, kind="prediction")
        assert {row.iteration for row in rows} == {1, 2, 3}


def test_without_a_copy_a_registry_that_may_only_read_says_where_to_publish(base: Path) -> None:
    leave_host(base)
    copy = base / ".dalsegno" / "published.sqlite3"
    damaged_copy(copy)
    with pytest.raises(errors.CatalogDamagedError, match="node1") as damaged:
        dalsegno.Registry(base, read_only=True)
    copy.unlink()
    with pytest.raises(errors.NotPublishedError, match="node1") as missing:
        dalsegno.Registry(base, read_only=True)
    for refused in (damaged, missing):
        assert refused.value.hint is not None and "publish()" in refused.value.hint


def test_a_catalog_in_the_base_directory_is_not_published(tmp_path: Path) -> None:
    with dalsegno.Registry(tmp_path, create=True) as registry:
        with pytest.raises(errors.CatalogInBaseError):
            registry.publish()


def test_a_copy_that_cannot_be_made_is_logged(base: Path, caplog: pytest.LogCaptureFixture) -> None:
    (base / ".dalsegno" / "published.sqlite3").unlink()
    # Where the copy is made before it is put into its place.
    (base.parent / "disk" / "c.sqlite3.publishing.sqlite3").mkdir()
    with caplog.at_level(logging.WARNING, "dalsegno"):
        with dalsegno.Registry(base) as registry:
            registry.record("prediction", run="mito", iteration=2, dataset="crop1")
    assert "could not be published" in caplog.text


def test_this_host_becomes_the_keeper(base: Path, tmp_path: Path) -> None:
    leave_host(base)
    config = base / ".dalsegno" / "config.toml"
    with pytest.raises(ValueError):
        dalsegno.Registry(base, keeper=True, read_only=True)
    with pytest.raises(errors.NoRegistryError):
        dalsegno.Registry(tmp_path, keeper=True)
    assert not (tmp_path / ".dalsegno").exists()
    with dalsegno.Registry(base, keeper=True) as registry:
        assert not registry.is_read_only and registry.published is None
        registry.record("prediction", run="mito", iteration=2, dataset="crop1")
    assert f'host = "{os.uname().nodename}"' in config.read_text()
    # The catalog was copied to another disk of this host, the new keeper.
    leave_host(base)
    moved = tmp_path / "moved.sqlite3"
    (tmp_path / "disk" / "c.sqlite3").rename(moved)
    with dalsegno.Registry(base, keeper=True, catalog=moved) as registry:
        assert registry.catalog_path == moved
        assert [artifact.iteration for artifact in registry.list()] == [1, 2]
    with dalsegno.Registry(base) as registry:
        assert registry.catalog_path == moved


def test_what_a_program_did_is_in_the_copy_when_it_ends(base: Path) -> None:
    code = (
        "import dalsegno, sys\n"
        "registry = dalsegno.Registry(sys.argv[1])\n"
        "for iteration in (2, 3):\n"
        "    registry.record('prediction', run='mito', iteration=iteration, dataset='crop1')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(base)], check=True)
    leave_host(base)
    with dalsegno.Registry(base) as registry:
        assert [artifact.iteration for artifact in registry.list()] == [1, 2, 3]


def test_an_open_registry_notes_once_another_host_has_the_catalog(base: Path) -> None:
    folder = written(base, 1)
    with dalsegno.Registry(base) as registry:
        leave_host(base)
        with pytest.raises(errors.CatalogElsewhereError):
            registry.remove(run="mito")
        assert (folder / "0").exists()
        new = registry.record("prediction", run="mito", iteration=2, dataset="crop1")
        assert new.id is None
        assert registry.score("mito", 1, {"voi": 0.5})
    return_to_host(base)
    with dalsegno.Registry(base) as registry:
        assert [row.iteration for row in registry.list(refresh=False)] == [1, 2]
        assert [score.metric for score in registry.scores()] == ["voi"]


def test_no_change_goes_on_once_another_host_has_the_catalog(base: Path) -> None:
    for iteration in range(1, 6):
        written(base, iteration)
    # Cleaning up spares what was written just now.
    for path in (base / "mito").rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    first, second = dalsegno.Registry(base), dalsegno.Registry(base)
    with first, second:
        first.scan()
        first.remove(run="mito", iteration=4, keep=True)
        first.pin("paper", run="mito", iteration=2, reason="figure 3")
        plan = first.plan_gc(keep_last=1)
        assert plan.removed, plan.kept
        before = sorted(path for path in base.rglob("*") if ".dalsegno" not in path.parts)
        trash = sorted((base / ".dalsegno" / "trash").rglob("*"))
        leave_host(base)
        for registry in (first, second):
            rows, pins = list(registry.list(refresh=False)), registry.pins()
            for change in (
                lambda: registry.pin("more", run="mito", iteration=1, reason="a"),
                lambda: registry.unpin("paper"),
                lambda: registry.restore(run="mito", iteration=4),
                lambda: registry.rename_run("mito", "other"),
                lambda: registry.apply(plan),
                lambda: registry.empty_trash(),
                lambda: registry.remove(run="mito", iteration=3),
            ):
                with pytest.raises(errors.CatalogElsewhereError):
                    change()
            assert list(registry.list(refresh=False)) == rows and registry.pins() == pins
            # A run that was renamed by hand is something to repair.
            (base / "mito").rename(base / "moved")
            with pytest.raises(errors.CatalogElsewhereError):
                registry.verify(repair=True)
            (base / "moved").rename(base / "mito")
            # What is recorded goes to the inbox, through each handle.
            new = registry.record("prediction", "mito", 10, "crop1" if registry is first else "b")
            assert new.id is None
    assert sorted(path for path in base.rglob("*") if ".dalsegno" not in path.parts) == before
    assert sorted((base / ".dalsegno" / "trash").rglob("*")) == trash
    return_to_host(base)
    with dalsegno.Registry(base) as registry:
        noted = [row.dataset for row in registry.list(refresh=False, iteration=10)]
        assert sorted(name for name in noted if name is not None) == ["b", "crop1"]


def changes(registry: dalsegno.Registry) -> list[Callable[[], object]]:
    """Calls that change the catalog, and that no note stands for."""
    path = registry.base / "mito" / "validation.zarr"
    return [
        lambda: registry.pin("kept", path, reason="test"),
        lambda: registry.pin("kept", run="mito", reason="test"),
        lambda: registry.unpin("kept"),
        lambda: registry.remove(path),
        lambda: registry.remove(run="mito"),
        lambda: registry.remove_run("mito"),
        lambda: registry.rename_run("mito", "other"),
        lambda: registry.restore(path=path),
        lambda: registry.empty_trash(),
        lambda: registry.undo(1),
        lambda: registry.scan(),
        lambda: registry.refresh(),
        lambda: registry.verify(repair=True),
    ]


@pytest.mark.parametrize("spoil", BAD_COPIES)
def test_without_a_copy_a_change_names_the_host_to_do_it_on(
    base: Path, spoil: Callable[[Path], None]
) -> None:
    leave_host(base)
    spoil(base / ".dalsegno" / "published.sqlite3")
    with dalsegno.Registry(base) as registry:
        for change in changes(registry):
            with pytest.raises(errors.CatalogElsewhereError, match="on host node1"):
                change()


@pytest.mark.skipif(os.geteuid() != 0, reason="a user of another number needs root")
def test_writing_over_data_of_another_user_notes_nothing(base: Path) -> None:
    path = written(base, 1)
    leave_host(base)
    inbox = base / ".dalsegno" / "inbox"
    inbox.mkdir(exist_ok=True)
    for folder in (*list(base.parents)[:3], base / ".dalsegno", inbox):
        folder.chmod(0o777)
    before = sorted(inbox.iterdir())
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with dalsegno.Registry(base) as registry:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                try:
                    with registry.writing(path):
                        status = 2
                except errors.OfAnotherUserError as error:
                    # What to type, and where.
                    hint = str(error.hint)
                    known = f"seal({str(path)!r})" in hint and "which has the catalog" in hint
                    status = 0 if known else 3
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    notes = [path for path in inbox.rglob("*.jsonl") if path not in before]
    assert not any('"failed"' in path.read_text() for path in notes)


def test_a_lost_section_is_named_and_what_is_recorded_is_noted(
    base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (base / ".dalsegno" / "config.toml").write_text("")
    with caplog.at_level(logging.WARNING, "dalsegno"):
        registry = dalsegno.Registry(base)
    assert "config.toml has lost its [catalog] section" in caplog.text
    assert "Registry(base, create=True, catalog=PATH)" in caplog.text
    with registry:
        registry.record("prediction", run="mito", iteration=2, dataset="crop1")
        with pytest.raises(errors.CatalogElsewhereError):
            list(registry.list())
        with pytest.raises(errors.CatalogElsewhereError):
            registry.remove(run="mito")
    with pytest.raises(errors.CatalogElsewhereError):
        dalsegno.rebuild(base)
    assert not (base / ".dalsegno" / "catalog.sqlite3").exists()
    catalog = base.parent / "disk" / "c.sqlite3"
    with dalsegno.Registry(base, create=True, catalog=catalog) as registry:
        assert len(list(registry.list())) == 2
