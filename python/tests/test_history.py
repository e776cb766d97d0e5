"""History: what became of a removal, what was done at a path, and undoing the last."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dalsegno
import pytest
from conftest import write_array
from dalsegno import errors
from dalsegno.values import Fate, Operation

Registry = dalsegno.Registry


def written(registry: Registry, run: str = "r", number: int = 2) -> list[dalsegno.Artifact]:
    """Predictions that are on disk, an iteration each."""
    made = [registry.record_prediction(run, at, "d") for at in range(1, number + 1)]
    for artifact in made:
        write_array(artifact.path)
    registry.refresh()
    return made


def newest(registry: Registry, action: str = "remove") -> Operation:
    return registry.history(action=action)[0]


def fate(registry: Registry) -> Fate:
    """What has become of the newest removal."""
    found = newest(registry).now
    assert found is not None
    return found


def test_what_is_kept_is_kept_until_it_is_restored(registry: Registry) -> None:
    first, _ = written(registry)
    removed = registry.remove(run="r", keep=True)
    found = fate(registry)
    assert (found.state, found.restored, found.left, found.ended_at) == ("kept", 0, 2, None)
    registry.restore(path=first)
    found = fate(registry)
    assert (found.state, found.restored, found.left, found.ended_at) == ("kept", 1, 1, None)
    registry.restore(removed)
    found = fate(registry)
    assert (found.state, found.restored, found.left) == ("restored", 2, 0)
    assert found.ended_at is not None
    assert abs(found.ended_at - datetime.now(timezone.utc)) < timedelta(minutes=5)
    # Only a removal has something that may have become of it.
    others = [done for done in registry.history() if done.action != "remove"]
    assert others and all(done.now is None for done in others)


def test_what_is_unlinked_is_purged(registry: Registry) -> None:
    first, second = written(registry)
    registry.remove(first)
    found = fate(registry)
    assert (found.state, found.restored, found.left) == ("purged", 0, 1)
    assert found.ended_at is not None and found.ended_at.tzinfo is not None
    registry.remove(second, keep=True)
    assert fate(registry).state == "kept"
    registry.empty_trash()
    assert fate(registry).state == "purged"
    # The same from the operation itself, and as JSON has it.
    done, _ = registry.operation(newest(registry).id)
    assert done.now == fate(registry)
    row = registry.history(action="remove").to_dicts()[0]
    assert set(row["now"]) == {"state", "restored", "left", "ended_at"}
    assert row["now"]["state"] == "purged"


def test_the_last_that_can_be_undone_is_undone(registry: Registry) -> None:
    with pytest.raises(errors.NothingToUndoError):
        registry.undo("last")
    written(registry)
    with pytest.raises(errors.NothingToUndoError):
        registry.undo("last")
    registry.score("r", 1, voi=0.5)
    registry.pin("figure-3", "r", reason="plots")
    registry.remove(run="r", keep=True, force_pinned=True)
    undone = []
    for action in ("remove", "pin", "score"):
        of = newest(registry, action)
        done = registry.undo("last")
        assert (done.operation, done.action) == (of.id, action)
        undone.append(done)
    assert [row.iteration for row in undone[0].artifacts] == [1, 2]
    assert undone[1].pin is not None and undone[2].scores == 1
    assert len(registry.list(state="present")) == 2
    assert list(registry.pins()) == [] and list(registry.scores()) == []
    with pytest.raises(errors.NothingToUndoError):
        registry.undo("last")
    registry.pin("figure-4", "r", reason="plots")
    registry.unpin("figure-4")
    assert registry.undo("last").action == "unpin"
    assert [pin.name for pin in registry.pins()] == ["figure-4"]


def test_the_last_is_refused_if_it_cannot_be_undone(registry: Registry) -> None:
    first, second = written(registry)
    registry.remove(first, keep=True)
    registry.remove(second)
    # Not the one before it, which was not meant.
    with pytest.raises(errors.UndoTooLateError):
        registry.undo("last")
    assert [row.id for row in registry.list()] == []
    written(registry, "s", 1)
    registry.rename_run("s", "t", active=True)
    with pytest.raises(errors.NotUndoableError, match=r"rename_run\(run, to\)"):
        registry.undo("last")
    assert [row.run for row in registry.list()] == ["t"]


def test_history_is_asked_for_by_path(registry: Registry, base: Path) -> None:
    first, second = written(registry)
    written(registry, "other", 1)
    registry.seal(first)
    registry.remove(second)

    def actions(path: object) -> list[str]:
        return [done.action for done in registry.history(path=path)]

    assert actions(first) == ["seal", "refresh", "record"]
    # What is gone is still asked for by its path.
    assert actions(second) == ["remove", "refresh", "record"]
    for run in ("r", "./r/", base / "r", "r/validation.zarr", str(base / "r" / "validation.zarr")):
        assert actions(run)[:2] == ["remove", "seal"]
        assert len(actions(run)) == len(actions("r"))
    assert actions("r/validation.zarr/1/d/prediction") == actions(first)
    assert actions("r/validation.zarr/1") == actions(first)
    assert "seal" not in actions("other") and "remove" not in actions(base / "other")
    with pytest.warns(errors.NothingSelectedWarning, match="iterations near 9: 1"):
        assert list(registry.history(path="r/validation.zarr/9")) == []
    assert len(registry.history(path="r", limit=1)) == 1
    assert [done.action for done in registry.history(path="r", action="seal")] == ["seal"]
    with pytest.raises(errors.OutsideBaseError):
        registry.history(path="/etc/passwd")
    with pytest.raises(TypeError, match="a number says no path"):
        registry.history(path=first.id)


def test_a_pin_shows_how_many_artifacts_it_was_put_on(registry: Registry) -> None:
    first, _ = written(registry)
    registry.pin("one", first, reason="plots")
    registry.pin("whole", run="r", reason="plots")
    registry.score("r", 1, voi=0.5)

    def cells(action: str) -> list[str]:
        table = repr(registry.history(action=action)).splitlines()
        split = [re.split(r"\s{2,}", line.strip()) for line in table]
        at = next(row for row in split if "artifacts" in row).index("artifacts")
        return [row[at] for row in split if action in row]

    assert cells("pin") == ["-", "1"]
    assert cells("score") == ["-"]
    assert [done.artifacts for done in registry.history(action="pin")] == [0, 0]
