"""The registry: recording, asking, removing, bringing back."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import re
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dalsegno
import pytest
from conftest import unpack, write_array
from dalsegno import errors
from dalsegno.values import Score

Registry = dalsegno.Registry


def outputs(registry: Registry, count: int = 3) -> list[dalsegno.Artifact]:
    """Write that many outputs of one iteration."""
    made = [registry.record_output("r", 1000, "d", f"p{number}") for number in range(count)]
    for artifact in made:
        write_array(artifact.path)
    return made


def test_a_shared_registry_is_the_groups(base: Path) -> None:
    with Registry(base, create=True, shared=True) as registry:
        registry.record_output("r", 1000, "d", "p")
    assert (base / ".dalsegno").stat().st_mode & 0o7070 == 0o2070
    assert (base / ".dalsegno/catalog.sqlite3").stat().st_mode & 0o060 == 0o060


def test_a_registry_is_made_opened_and_closed(base: Path) -> None:
    with Registry(str(base), create=True) as registry:
        assert registry.was_made
        assert registry.base == base
        assert registry.catalog_path == base / ".dalsegno" / "catalog.sqlite3"
        ident = registry.id
    assert registry.closed
    with pytest.raises(ValueError, match="closed"):
        registry.pins()
    registry.close()
    with Registry(base) as again:
        assert not again.was_made
        assert again.id == ident


def test_a_base_directory_may_be_relative_or_begin_with_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in ("runs", "~/runs", Path("runs")):
        with Registry(given, create=True) as registry:
            assert registry.base == tmp_path / "runs"
            monkeypatch.chdir("/")
            assert registry.record_output("r", 1, "d", "p").path.is_relative_to(tmp_path)
            monkeypatch.chdir(tmp_path)


def test_a_read_only_registry_answers_and_refuses(registry: Registry) -> None:
    outputs(registry)
    registry.refresh()
    with Registry(registry.base, read_only=True) as reader:
        assert reader.is_read_only
        assert len(list(reader.list())) == 3
        with pytest.raises(PermissionError) as caught:
            reader.remove(run="r")
        assert isinstance(caught.value, errors.ReadOnlyError)


class Dataset:
    def __str__(self) -> str:
        return "val/crop 7"


class Parameters:
    def __repr__(self) -> str:
        return "Parameters(id=1)"


def test_arguments_are_texts_paths_and_whatever_has_a_text(registry: Registry) -> None:
    artifact = registry.record_output(Path("a/run"), "1000", Dataset(), Parameters())
    assert (artifact.run, artifact.iteration) == ("a/run", 1000)
    assert (artifact.dataset, artifact.parameters) == ("val/crop 7", "Parameters(id=1)")
    assert registry.record_output("a/run", 1000, "val/crop 7", "Parameters(id=1)") == artifact
    assert registry.record_prediction("r", 1, 5).dataset == "5"


@pytest.mark.parametrize("bad", [None, True, b"x", 5, object()])
def test_what_is_no_name_is_refused(registry: Registry, bad: Any) -> None:
    with pytest.raises(TypeError):
        registry.snapshot_container(bad)
    assert list(registry.list()) == []


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", errors.NameEmptyError),
        ("..", errors.NameDotDotError),
        ("a/../b", errors.NameDotDotError),
        (".", errors.NameDotError),
        ("/abs", errors.NameAbsoluteError),
        ("nul\0x", errors.NameNulError),
        ("tab\tx", errors.NameControlError),
        ("n" * 300, errors.NameComponentTooLongError),
        (".dalsegno", errors.NameReservedError),
    ],
)
def test_a_bad_name_has_its_own_error(
    registry: Registry, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        registry.snapshot_container(name)


def test_a_kind_takes_its_parts_and_no_more(registry: Registry) -> None:
    with pytest.raises(ValueError, match="takes no parameters; it takes run, iteration, dataset"):
        registry.record("prediction", "r", 1, "d", parameters="p")
    with pytest.raises(ValueError, match="there is no kind"):
        registry.record("predictions", "r", 1, "d")
    with pytest.raises(errors.NameIterationError):
        registry.record_prediction("r", True, "d")


def test_every_kind_is_recorded_and_found_again(registry: Registry) -> None:
    made = [
        registry.record_prediction("r", 1, "d"),
        registry.record_output("r", 1, "d", "p"),
        *registry.record_inputs("r", "7"),
        registry.record_best("r", "voi", "7"),
        registry.record_snapshot("r", "volumes/raw", 3),
        registry.record("snapshot-container", "r"),
        registry.record("validation-container", "r"),
        registry.record_array("r", "extra.zarr", "a"),
        registry.record_checkpoint("r", 1),
    ]
    assert len({artifact.id for artifact in made}) == 10
    assert {artifact.kind for artifact in made} == {
        "prediction", "output", "input-raw", "input-gt", "best", "snapshot",
        "snapshot-container", "validation-container", "array", "checkpoint",
    }  # fmt: skip
    for artifact in made:
        assert registry.get(artifact) == artifact
        assert registry.get(artifact.id) == artifact
        assert registry.get(artifact.path) == artifact
        assert registry.get(artifact.identifier or artifact.container) == artifact
    assert registry.get("r/validation.zarr/none") is None


def test_many_keys_are_recorded_all_or_none(registry: Registry) -> None:
    keys = [dalsegno.Key("prediction", "r", number, "d") for number in range(100)]
    made = registry.record_many(keys)
    assert [artifact.iteration for artifact in made] == list(range(100))
    with pytest.raises(errors.NameDotDotError):
        registry.record_many([dalsegno.Key("prediction", "s", 1, "d"), keys[0]._replace(run="..")])
    with pytest.warns(errors.NothingSelectedWarning):
        assert list(registry.list(run="s")) == []


def test_values_are_frozen_and_pickle(registry: Registry) -> None:
    artifact = registry.record_output("r", 1, "d", "p")
    identifier = artifact.identifier
    assert identifier is not None
    for value in (artifact, identifier, artifact.container):
        again = pickle.loads(pickle.dumps(value))
        assert again == value == copy.deepcopy(value)
        assert hash(again) == hash(value)
        assert os.fspath(value) == str(value.path) == str(value)
        with pytest.raises(AttributeError):
            value.path = Path("/")  # type: ignore[misc]
    assert identifier.path == identifier.container / identifier.dataset
    assert identifier < artifact.container.array_identifier("2")
    assert artifact != "text"
    write_array(artifact.path)
    registry.seal(artifact, hash=True)
    sealed = registry.get(artifact)
    assert sealed is not None and sealed.content_hash is not None
    assert (sealed.shape, sealed.chunks, sealed.shards) == ((2,), (2,), None)
    assert (sealed.dtype, sealed.fill_value, sealed.compressor) == ("|u1", 0, "")
    assert sealed.chunks_expected == 1 and sealed.chunks_there is not None
    assert pickle.loads(pickle.dumps(sealed)) == sealed


def test_listing_looks_on_disk_first_by_default(registry: Registry) -> None:
    made = outputs(registry)
    assert [row.state for row in registry.list(refresh=False)] == ["reserved"] * 3
    assert registry.iterations(refresh=False) == []
    assert [row.path for row in registry.list(state="present")] == [row.path for row in made]
    (row,) = registry.iterations()
    assert (row.run, row.iteration, row.outputs, row.complete) == ("r", 1000, 3, True)


def test_a_selection_is_anded_and_its_values_ored(registry: Registry) -> None:
    for run in ("a", "b", "c"):
        for iteration in (1, 2, 10, 20):
            registry.record_prediction(run, iteration, "d")
    found = [(row.run, row.iteration) for row in registry.list(run=["a", "c"], iteration="2..10")]
    assert found == [("a", 2), ("a", 10), ("c", 2), ("c", 10)]
    numbers = [row.iteration for row in registry.list(run="b", iteration=range(2, 11))]
    assert numbers == [2, 10]
    numbers = [row.iteration for row in registry.list(run="b", iteration=(1, "20.."))]
    assert numbers == [1, 20]
    with pytest.warns(dalsegno.errors.NothingSelectedWarning, match="matches the selection"):
        assert len(list(registry.list(older_than=timedelta(days=1)))) == 0
    assert len(list(registry.list(older_than=datetime.now(timezone.utc) + timedelta(1)))) == 12
    day = datetime.now(timezone.utc).date() + timedelta(1)
    assert len(list(registry.list(older_than=f"{day + timedelta(1)}"))) == 12
    assert len(list(registry.list(before=day + timedelta(1), since="1d"))) == 12
    with pytest.warns(dalsegno.errors.NothingSelectedWarning, match="matches the selection"):
        assert len(list(registry.list(before="2020-01-01"))) == 0
    runs = [row.run for row in registry.list(iteration=1, exclude_run="[!b]")]
    assert runs == ["b"]
    with pytest.warns(dalsegno.errors.NothingSelectedWarning, match="matches the selection"):
        assert list(registry.list(exclude_dataset=["d"])) == []
    with pytest.warns(dalsegno.errors.NothingSelectedWarning, match="matches the selection"):
        assert list(registry.list(exclude_kind="prediction")) == []
    with pytest.raises(TypeError, match="a selection has no iterations"):
        registry.list(iterations=5)  # type: ignore[call-arg]
    with pytest.raises(ValueError):
        registry.list(iteration="5..1")
    with pytest.raises(ValueError, match="not a length of time"):
        registry.list(older_than="soon")


def test_a_selection_that_matches_nothing_is_warned_of_with_the_nearest_name(
    registry: Registry,
) -> None:
    registry.record("prediction", run="affinities", iteration=1, dataset="crop1")
    Nothing = dalsegno.errors.NothingSelectedWarning
    meant = 'no run "affinites"; did you mean "affinities"?'
    calls: list[Callable[[], object]] = [
        lambda: registry.list(run="affinites"),
        lambda: registry.iterations(run="affinites"),
        lambda: registry.runs(run="affinites", refresh=False),
        lambda: registry.du(run="affinites"),
        lambda: registry.refresh(run="affinites"),
        lambda: registry.verify(run="affinites"),
        lambda: registry.remove(run="affinites"),
        lambda: registry.plan_gc(run="affinites", keep_last=1),
        lambda: registry.list(run=["affinities", "affinites"]),
    ]
    for call in calls:
        with pytest.warns(Nothing, match=re.escape(meant)) as said:
            call()
        assert said[0].filename == __file__
    with pytest.warns(Nothing, match='no dataset "corp1"; did you mean "crop1"'):
        registry.list(run="affinities", dataset="corp1")
    with pytest.warns(Nothing, match="no iteration 2; iterations near 2: 1"):
        registry.list(run="affinities", iteration=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(registry.list(run="affinities", state="missing")) == []
        assert len(list(registry.list(run="affin*"))) == 1
    with pytest.raises(dalsegno.errors.NotRecordedError, match='did you mean "affinities"'):
        registry.remove_run("affinites")
    with pytest.raises(dalsegno.errors.NotRecordedError, match="crop1/prediction"):
        registry.remove("affinities/validation.zarr/1/corp1/prediction")
    with pytest.raises(dalsegno.errors.NotRecordedError, match="crop1/prediction"):
        registry.seal("affinities/validation.zarr/1/corp1/prediction")


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"state": "gone"}, ValueError),
        ({"kind": "outputs"}, ValueError),
        ({"min_size": -1}, ValueError),
        ({"min_size": 2**70}, ValueError),
        ({"owner": -1}, ValueError),
        ({"owner": True}, TypeError),
        ({"older_than": float("inf")}, ValueError),
        ({"older_than": float("nan")}, ValueError),
        ({"run": "not utf-8: \udcff"}, ValueError),
        ({"iteration": []}, ValueError),
    ],
)
def test_what_cannot_be_selected_is_refused_at_once(
    registry: Registry, asked: dict[str, Any], error: type[Exception]
) -> None:
    for call in (registry.list, registry.iterations, registry.remove):
        with pytest.raises(error):
            call(**asked)


def test_numbers_that_cannot_be_are_refused(registry: Registry) -> None:
    for rules in ({"keep_last": -1}, {"max_files": 2**70}, {"keep_best": -1, "metric": "voi"}):
        with pytest.raises(ValueError, match="at least 0"):
            registry.plan_gc(**rules)
    with pytest.raises(ValueError, match="threads"):
        registry.scan(threads=-1)
    with pytest.raises(errors.NotRecordedError):
        registry.remove(2**70)
    with pytest.raises(ValueError, match="UTF-8"):
        registry.record_prediction("\udcff", 1, "d")
    registry.close()
    with pytest.raises(ValueError, match="closed"):
        with registry:
            pass


@pytest.mark.parametrize("seconds", [-1.0, -1e9, 0.0, 1e10, 1e12])
def test_a_file_may_be_of_any_time(registry: Registry, seconds: float) -> None:
    (artifact,) = outputs(registry, 1)
    os.utime(artifact.path / ".zarray", (seconds, seconds))
    registry.refresh(all=True)
    (row,) = registry.list()
    kept = (row.path / ".zarray").stat().st_mtime
    assert row.written_at is not None
    last = datetime.max.replace(tzinfo=timezone.utc)
    if kept < 253402300800:
        assert row.written_at == datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=kept)
    else:
        assert last - row.written_at < timedelta(seconds=1)
    (run,) = registry.runs()
    assert run.last_written_at - row.written_at < timedelta(seconds=1)
    assert pickle.loads(pickle.dumps(row)) == row


def test_a_loop_may_remove_what_it_lists(registry: Registry) -> None:
    outputs(registry)
    for artifact in registry.list():
        registry.remove(artifact)
    assert list(registry.list()) == []


def test_sizes_are_counted_or_unknown(registry: Registry) -> None:
    outputs(registry)
    (use,) = registry.du(measure=False)
    assert (use.run, use.arrays, use.bytes, use.uncounted) == ("r", 3, None, 3)
    (use,) = registry.du(by="iteration")
    assert (use.iteration, use.files, use.uncounted) == (1000, 9, 0)
    with pytest.raises(ValueError, match="not by"):
        registry.du(by="colour")


def test_what_is_removed_comes_back_whole(registry: Registry) -> None:
    made = outputs(registry)
    registry.refresh(measure=True)
    before = list(registry.list())
    removed = registry.remove(made[:2], keep=True, reason="superseded")
    assert not made[0].path.exists()
    assert len(removed.artifacts) == 2 and removed.purge is None
    (in_trash,) = registry.trash()
    assert (in_trash.id, in_trash.reason, in_trash.artifacts) == (removed.removal, "superseded", 2)
    registry.restore(removed)
    assert list(registry.list()) == before
    assert (made[0].path / "0/0/0").read_text() == "xx"
    removed = registry.remove(made[0].identifier, keep="72h")
    (in_trash,) = registry.trash()
    assert in_trash.purge_after is not None
    registry.restore(path=made[0])
    for place in (made[0], made[0].identifier, made[0].path):
        registry.remove(made[0], keep=True)
        assert [one.path for one in registry.restore(place).artifacts] == [made[0].path]
    registry.remove(run="r", keep=True)
    foreseen = registry.restore(run="r", dry_run=True)
    assert not list(registry.list())
    assert registry.restore(run="r") == foreseen
    assert list(registry.list()) == before


def test_a_removal_is_for_good_unless_kept(registry: Registry) -> None:
    made = outputs(registry)
    removed = registry.remove(made)
    assert removed.purge is not None and removed.purge.is_done and removed.purge.files == 9
    with pytest.raises(errors.NotRestorableError):
        registry.restore(removed)
    registry.record_output("r", 1, "d", "q")
    kept = registry.remove(run="r", keep=True)
    assert kept.removal is not None
    emptied = registry.empty_trash()
    assert emptied.purge.is_done
    assert registry.trash() == []


def test_nothing_removes_everything_by_accident(registry: Registry) -> None:
    outputs(registry)
    for call in (registry.remove, registry.restore, lambda: registry.pin("x", reason="y")):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(TypeError):
        registry.remove("r/validation.zarr", run="r")
    with pytest.raises(errors.NotRecordedError):
        registry.remove("r/validation.zarr/none")
    with pytest.raises(errors.OutsideBaseError):
        registry.remove("/etc/passwd")
    assert len(list(registry.list())) == 3


def test_pins_bind_until_they_are_taken_away(registry: Registry) -> None:
    made = outputs(registry)
    with pytest.raises(errors.PinWithoutReasonError):
        registry.pin("figure-3", run="r")
    registry.pin("figure-3", made[0], reason="the paper")
    (pin,) = registry.pins()
    assert (pin.name, pin.reason, pin.artifacts) == ("figure-3", "the paper", 1)
    with pytest.raises(PermissionError) as caught:
        registry.remove(run="r")
    assert isinstance(caught.value, errors.PinnedError)
    assert caught.value.path == made[0].path
    write_array(registry.base / "r/validation.zarr/1/d/prediction")
    removed = registry.remove(run="r", keep_going=True)
    assert len(removed.artifacts) == 2
    assert [skipped.code for skipped in removed.skipped] == ["pinned"]
    registry.unpin("figure-3")
    assert len(registry.remove(run="r").artifacts) == 1
    with pytest.raises(errors.PinNameError):
        registry.pin("a b", run="r", reason="x")


def test_scores_are_noted_asked_for_and_taken_away(registry: Registry) -> None:
    outputs(registry)
    assert registry.score("r", 1000, {"voi": 0.4, "f1": float("nan")}, dataset="d")
    assert not registry.score("r", 2000, {"voi": 0.3})
    assert [(score.iteration, score.value) for score in registry.scores("voi")] == [
        (1000, 0.4),
        (2000, 0.3),
    ]
    one = Score("r", 2000, None, None, "voi", 0.0)
    assert registry.unscore(one) == 1
    assert registry.score_many([one]) == [False]


def age(registry: Registry, days: int = 30) -> None:
    """Make what is on disk old."""
    import time

    then = time.time() - days * 86400
    for marker in registry.base.rglob(".zarray"):
        for path in [marker.parent, *marker.parent.rglob("*")]:
            os.utime(path, (then, then))


def test_a_plan_says_why_and_goes_only_where_it_is_applied(registry: Registry) -> None:
    for iteration in (9000, 9900, 10000):
        write_array(registry.base / f"r/validation.zarr/{iteration}/d/output/p")
    age(registry)
    registry.scan()
    plan = registry.plan_gc(kind="output", keep_last=1)
    assert [line.artifact.iteration for line in plan.removed] == [9000, 9900]
    assert [line.artifact.iteration for line in plan.kept] == [10000]
    assert plan.kept[0].reasons[0].startswith("keep-last 1")
    assert plan.total_removed.artifacts == 2 and plan.total_removed.files == 6
    assert len(list(registry.list())) == 3
    assert "keep-last 1" in plan.policy and "kind output" in plan.policy
    write_array(registry.base / "r/validation.zarr/9000/d/output/q")
    done = registry.apply(plan.to_json(), keep=True)
    assert (done.plan, done.artifacts, done.skipped) == (plan.id, 2, ())
    assert [row.iteration for row in registry.list()] == [10000]
    assert "keep-last" in (registry.history(action="remove")[0].reason or "")
    foreseen = registry.restore(done, dry_run=True)
    assert len(foreseen.artifacts) == 2 and not (registry.base / "r/validation.zarr/9900").exists()
    assert registry.restore(done).removals == done.removals
    assert [row.iteration for row in registry.list()] == [9000, 9900, 10000]
    for iteration in (9000, 9900):
        registry.remove(run="r", iteration=iteration, keep=True)
    newest = registry.restore(run="r", last=True)
    assert [row.iteration for row in newest.artifacts] == [9900] and newest.older == ()
    registry.remove(run="r", iteration=9900)
    for bad, message in (
        ({}, "no rule"),
        ({"keep_last": 0}, "keep-last 0"),
        ({"policy": "none"}, "there is no policy"),
        ({"policy": "none", "keep_last": 1}, "brings its own rules"),
        ({"whole_runs": True, "keep_first": 1}, "not about whole runs"),
        ({"keep_best": 1}, "go together"),
        ({"max_size": "much"}, "not a size"),
        ({"min_free": "much"}, "not a size"),
        ({"min_free": "ten%"}, "is not a percentage; write 10%"),
        ({"min_free": "0%"}, "write more than 0%"),
        ({"min_free": "101%"}, "write at most 100%"),
        ({"min_free": -1}, "at least 0"),
    ):
        with pytest.raises(ValueError, match=message):
            registry.plan_gc(**bad)


def test_a_plan_says_that_the_trash_frees_nothing(registry: Registry) -> None:
    for iteration in (9000, 10000):
        write_array(registry.base / f"r/validation.zarr/{iteration}/d/output/p")
    age(registry)
    registry.scan()

    def notices(keep: Any) -> list[str]:
        plan = registry.plan_gc(kind="output", keep_last=1, min_free=1 << 62, keep=keep)
        assert [line.artifact.iteration for line in plan.removed] == [9000]
        return [text for text in plan.notices if "frees nothing" in text]

    assert notices(None) == notices(False) == []
    [text] = notices(True)
    assert "until the trash is emptied" in text
    [text] = notices("72h")
    assert "until it has been there for 3d" in text


def test_min_free_is_a_part_of_the_file_system(registry: Registry) -> None:
    for iteration in (9000, 10000):
        write_array(registry.base / f"r/validation.zarr/{iteration}/d/output/p")
    age(registry)
    registry.scan()
    disk = os.statvfs(registry.base)
    plan = registry.plan_gc(kind="output", keep_last=1, min_free="100%")
    assert plan.min_free == disk.f_blocks * disk.f_frsize
    assert plan.policy.startswith("keep-last 1, min-free 100%")
    assert any(text.startswith("min-free 100 % of ") for text in plan.unmet)
    assert registry.plan_gc(kind="output", keep_last=1, min_free="1TB").min_free == 10**12
    assert registry.plan_gc(kind="output", keep_last=1).min_free is None


def test_what_changed_since_the_plan_is_skipped(registry: Registry) -> None:
    for iteration in (1, 2, 3):
        write_array(registry.base / f"r/validation.zarr/{iteration}/d/output/p")
    age(registry)
    registry.scan()
    plan = registry.plan_gc(kind="output", keep_last=1)
    registry.pin("x", run="r", iteration=1, reason="y")
    done = registry.apply(plan)
    assert (done.artifacts, [skipped.code for skipped in done.skipped]) == (1, ["pinned"])


def test_history_knows_who_did_what_and_undoes_it(registry: Registry) -> None:
    made = outputs(registry)
    registry.refresh()
    registry.remove(made[0], keep=True, reason="by mistake")
    (last,) = registry.history(limit=1)
    assert (last.action, last.reason, last.pid) == ("remove", "by mistake", os.getpid())
    assert last.at.tzinfo is timezone.utc
    operation, images = registry.operation(last.id)
    assert operation == last
    assert [(image.side, image.artifact.id) for image in images] == [("before", made[0].id)]
    undone = registry.undo(last)
    assert [row.id for row in undone.artifacts] == [made[0].id]
    with pytest.raises(errors.UndoneAlreadyError):
        registry.undo(last.id)
    assert [found.action for found in registry.history(path=made[0])] == [
        "restore", "remove", "refresh", "record",
    ]  # fmt: skip
    with pytest.warns(errors.NothingSelectedWarning, match="nothing is not recorded"):
        assert list(registry.history(path="r/validation.zarr/nothing")) == []
    assert list(registry.history(since=timedelta(hours=1), action=["pin"])) == []
    chain = registry.check_history()
    assert chain.is_whole and registry.check_history(chain.head).is_whole
    assert not registry.check_history("0" * 63 + "1").is_whole
    with pytest.raises(errors.NoOperationError):
        registry.operation(10_000)


def test_verify_finds_and_mends_what_does_not_agree(registry: Registry) -> None:
    made = outputs(registry)
    registry.seal(made)
    assert registry.verify().agrees
    (made[0].path / "0/0/0").unlink()
    write_array(registry.base / "r/validation.zarr/7/d/prediction")
    found = registry.verify()
    assert sorted(finding.kind for finding in found.findings) == [
        "changed-files",
        "data-without-row",
    ]
    assert found.findings[0].artifact in (None, made[0].id)
    mended = registry.verify(repair=True).repaired
    assert mended is not None and "data-without-row" in [one.kind for one in mended.repaired]
    assert registry.get("r/validation.zarr/7/d/prediction") is not None


def test_writing_seals_on_success_and_marks_on_failure(
    registry: Registry, warnings_of: pytest.LogCaptureFixture
) -> None:
    identifier = registry.validation_prediction_array("r", 1, "d")
    with registry.writing(identifier) as path:
        write_array(path)
    artifact = registry.get(identifier)
    assert artifact is not None and artifact.sealed_at is not None and artifact.files == 3
    with pytest.raises(ZeroDivisionError):
        with registry.writing(identifier):
            unsealed = registry.get(identifier)
            assert unsealed is not None and unsealed.sealed_at is None
            1 / 0  # noqa: B018
    artifact = registry.get(identifier)
    assert artifact is not None and artifact.state == "present" and artifact.sealed_at is None
    assert "it is not sealed" in warnings_of.text
    with pytest.raises(errors.NothingWrittenError):
        with registry.writing(registry.record_prediction("r", 2, "d")):
            pass
    with pytest.raises(errors.NotRecordedError):
        with registry.writing("r/validation.zarr/3/d/prediction"):
            pytest.fail("nothing is written to what is not recorded")
    new = registry.snapshot_container("r").array_identifier("volumes/raw")
    with registry.writing(new, hash=True) as path:
        write_array(path)
    assert registry.get(new).content_hash is not None  # type: ignore[union-attr]


def test_all_outputs_but_the_best_go(registry: Registry) -> None:
    made = outputs(registry)
    other = registry.record_output("r", 1000, "e", "q")
    write_array(other.path)
    removed = registry.remove_outputs_but_best("r", 1000, "p1", keep=True)
    assert {row.parameters for row in removed.artifacts} == {"p0", "p2"}
    assert other.path.exists(), "no best is known there"
    registry.restore(removed)
    registry.score("r", 1000, {"voi": 0.5}, dataset="d", parameters="p0")
    registry.score("r", 1000, {"voi": 0.4}, dataset="d", parameters="p1")
    removed = registry.remove_outputs_but_best("r", 1000, metric="voi:min", keep=True)
    assert {row.parameters for row in removed.artifacts} == {"p0"}, "p2 has no score and stays"
    registry.restore(removed)
    registry.score("r", 1000, {"f1": 0.9}, parameters="p2")
    registry.score("r", 1000, {"f1": 0.1}, parameters="p1")
    removed = registry.remove_outputs_but_best("r", 1000, metric="f1:max", dataset="d", keep=True)
    assert {row.parameters for row in removed.artifacts} == {"p1"}, "scores are of every dataset"
    registry.restore(removed)
    removed = registry.remove_outputs_but_best("r", 1000, made[2].identifier, dataset="d")
    assert {row.parameters for row in removed.artifacts} == {"p0", "p1"}
    for best, metric in (("nope", None), (None, "iou:max")):
        with pytest.raises(LookupError):
            registry.remove_outputs_but_best("r", 1000, best, metric=metric)
    with pytest.raises(dalsegno.errors.PolicyMetricError, match="iou:min"):
        registry.remove_outputs_but_best("r", 1000, metric="iou")
    with pytest.raises(dalsegno.errors.PolicyMetricError, match='did you mean "voi"'):
        registry.plan_gc(keep_best=1, metric="void:min")
    with pytest.raises(TypeError):
        registry.remove_outputs_but_best("r", 1000)
    assert made[2].path.exists() and other.path.exists()


def test_progress_is_reported_to_a_callable(registry: Registry) -> None:
    outputs(registry)
    reported: list[dalsegno.Progress] = []
    registry.scan(progress=reported.append)
    assert reported[-1].phase == "scanning" and reported[-1].items == 3
    pytest.importorskip("tqdm")
    registry.scan(progress=True)

    def fail(progress: dalsegno.Progress) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        registry.scan(progress=fail)


@pytest.mark.parametrize("tree", ["head_zarr2", "pypi035_zarr2"])
def test_a_tree_of_dacapo_is_taken_in(tree: str, tmp_path: Path) -> None:
    import json

    from conftest import DATA

    base = unpack(tree, tmp_path)
    lines = (DATA / f"{tree}.manifest.jsonl").read_text().splitlines()
    manifest = [json.loads(line) for line in lines]
    with Registry(base, create=True) as registry:
        found = registry.scan(measure=True)
        rows = {str(row.path.relative_to(base)): row for row in registry.list()}
        assert found.arrays == len(manifest) == len(rows)
        for line in manifest:
            row = rows[line["path"]]
            assert (row.run, row.kind) == (line["run"], line["kind"].replace("_", "-"))
            assert row.iteration == line["iteration"]
            assert (row.bytes, row.files) == (line["bytes"], line["files"])
        assert registry.verify().agrees


def test_logging_says_nothing_where_all_is_well(
    registry: Registry, warnings_of: pytest.LogCaptureFixture
) -> None:
    registry.remove(outputs(registry), keep=True)
    assert warnings_of.records == []
    assert logging.getLogger("dalsegno").handlers == []


def test_a_damaged_catalog_is_rebuilt_from_the_disk(base: Path) -> None:
    with Registry(base, create=True) as registry:
        outputs(registry)
        registry.refresh()
        before = [(row.path, row.state) for row in registry.list()]
    with pytest.raises(errors.CatalogSoundError):
        dalsegno.rebuild(base)
    catalog = base / ".dalsegno" / "catalog.sqlite3"
    catalog.write_bytes(b"no database" * 100)
    with pytest.raises(errors.CatalogDamagedError) as caught:
        Registry(base)
    assert caught.value.path == catalog
    rebuilt = dalsegno.rebuild(base)
    assert (rebuilt.artifacts, rebuilt.present, rebuilt.missing) == (3, 3, 0)
    assert rebuilt.set_aside is not None and rebuilt.set_aside.exists()
    with Registry(base) as registry:
        assert [(row.path, row.state) for row in registry.list()] == before


def test_a_whole_run_is_removed_and_restored(registry: Registry, base: Path) -> None:
    outputs(registry)
    registry.refresh()
    (base / "r" / "log.txt").write_text("x")
    registry.pin("p", run="r", reason="x")
    with pytest.raises(errors.PinnedError):
        registry.remove_run("r")
    removed = registry.remove_run("r", force_pinned=True, keep=True)
    assert len(removed.artifacts) == 3 and not (base / "r").exists()
    assert (removed.other_files or 0) >= 1 and (removed.other_bytes or 0) >= 1
    [in_trash] = registry.trash()
    assert (removed.other_files, removed.other_bytes) == (
        in_trash.other_files,
        in_trash.other_bytes,
    )
    registry.restore(removed)
    assert (base / "r" / "log.txt").read_text() == "x"
    with pytest.raises(errors.NotRecordedError):
        registry.remove_run("q")


def test_a_run_is_renamed_with_its_pins_and_scores(registry: Registry, base: Path) -> None:
    outputs(registry)
    registry.refresh(all=True)
    registry.score("r", 1000, {"voi": 0.5})
    registry.pin("p", run="r", reason="x")
    with pytest.raises(errors.RunActiveError):
        registry.rename_run("r", "new")
    plan = registry.rename_run("r", "new", dry_run=True)
    assert (base / "r").exists() and plan.active_at is not None
    done = registry.rename_run("r", "new", active=True, reason="shorter")
    assert (done.run, done.to, done.artifacts, done.scores, done.scopes) == ("r", "new", 3, 1, 1)
    assert {row.pins for row in registry.list(run="new")} == {("p",)}
    assert [score.run for score in registry.scores()] == ["new"]
    with pytest.raises(errors.NotRecordedError):
        registry.rename_run("r", "other")
    with pytest.raises(errors.RunTakenError):
        registry.rename_run("new", "new")


def test_a_score_for_a_name_that_the_run_has_not_is_a_warning(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.record_output("r", 1, "ds_crop7", "p")
    with caplog.at_level(logging.WARNING):
        assert registry.score("r", 1, {"voi": 0.5}, dataset="crop7")
        assert registry.score("r", 1, {"voi": 0.5}, dataset="ds_crop7", parameters="p")
    (said,) = caplog.records
    assert said.getMessage() == "run r has no dataset 'crop7'; did you mean 'ds_crop7'?"
    (unknown,) = registry.unknown_names(Score("r", 1, "crop7", None, "voi", 0.5))
    assert (unknown.part, unknown.name, unknown.nearest) == ("dataset", "crop7", "ds_crop7")


def test_a_plan_takes_damaged_arrays_alone_if_it_is_asked_to(tmp_path: Path) -> None:
    for iteration in (1, 2):
        array = tmp_path / f"a/validation.zarr/{iteration}/v/prediction"
        array.mkdir(parents=True)
        (array / ".zarray").write_text("{}" if iteration == 1 else "cut")
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    with Registry(tmp_path, create=True) as registry:
        scanned = registry.scan()
        assert (scanned.arrays, scanned.damaged, scanned.gone) == (1, 1, 0)
        kept = registry.plan_gc(keep_last=1)
        assert [line.removed for line in kept.lines] == [False, False]
        plan = registry.plan_gc(damaged=True)
        assert [line.artifact.iteration for line in plan.removed] == [2]
        assert (plan.total_removed.disk_bytes or 0) > 0
        with pytest.raises(errors.PolicyUselessRuleError, match="leave out the rules"):
            registry.plan_gc(damaged=True, keep_last=1)
        with pytest.raises(ValueError, match="damaged"):
            registry.plan_gc(damaged=True, whole_runs=True)


def test_a_single_removal_is_given_up(registry: dalsegno.Registry) -> None:
    for iteration in (1, 2):
        write_array(registry.record_prediction("r", iteration, "d").path)
        registry.refresh(all=True)
        registry.remove(run="r", iteration=iteration, keep=True)
    first, second = registry.trash()
    write_array(registry.record_prediction("r", 1, "d").path)
    registry.refresh(all=True)
    (found,) = registry.verify().findings
    assert found.kind == "trash-occupied"
    assert found.next is not None and f"empty_trash(removals='{first.id}')" in found.next
    assert registry.empty_trash(removals=first).purged == (first.id,)
    assert [removal.id for removal in registry.trash()] == [second.id]
    with pytest.raises(errors.NoRemovalError):
        registry.empty_trash(removals=[second.id, first.id])
    with pytest.raises(ValueError):
        registry.empty_trash("1h", removals=second)
    with pytest.raises(ValueError):
        registry.empty_trash(removals="none")
    assert len(registry.trash()) == 1
