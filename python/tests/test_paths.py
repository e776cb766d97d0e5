"""Paths that name runs and folders."""

from __future__ import annotations

from pathlib import Path

import dalsegno
import pytest
from conftest import write_array
from dalsegno import errors

Registry = dalsegno.Registry


def test_a_path_names_a_run_or_a_folder(registry: Registry, base: Path) -> None:
    for number in range(3):
        write_array(registry.record_output("r", 1000, "d", f"p{number}").path)
    write_array(registry.record_prediction("r", 2000, "d").path)
    write_array(registry.record_prediction("other", 1000, "d").path)
    registry.refresh()
    folder = "r/validation.zarr/1000"
    for below in (folder, base / folder, [folder, "r/validation.zarr/1000/d"]):
        assert [row.iteration for row in registry.list(below=below)] == [1000] * 3
    assert [row.run for row in registry.list(below="r")] == ["r"] * 4
    assert [row.iteration for row in registry.iterations(below=[base / "r"])] == [1000, 2000]
    assert len(list(registry.list(below="r", kind="prediction"))) == 1
    with pytest.warns(errors.NothingSelectedWarning, match='did you mean "r/validation.zarr/'):
        assert list(registry.list(below="r/validation.zarr/1000/dd")) == []
    with pytest.raises(errors.OutsideBaseError, match="/etc is outside the base directory"):
        registry.list(below="/etc")
    pinned = registry.pin("figure-3", "r/validation.zarr/2000", reason="plots")
    assert pinned.artifacts == 1
    with pytest.raises(errors.PinnedError):
        registry.remove("r")
    # An identifier is that of an array.
    container = dalsegno.LocalContainerIdentifier(base / "r/validation.zarr")
    with pytest.raises(errors.NotRecordedError):
        registry.remove(container.array_identifier("1000/d"))
    removed = registry.remove([base / folder, "other"])
    assert len(removed.artifacts) == 4
    with pytest.raises(errors.NotRecordedError):
        registry.remove(folder)
    assert [row.iteration for row in registry.list()] == [2000]


@pytest.mark.parametrize("form", ["text", "completed", "absolute", "path", "absolute path"])
def test_the_path_of_a_run_pins_the_run(registry: Registry, base: Path, form: str) -> None:
    for run in ("r", "other"):
        write_array(registry.record_prediction(run, 1, "d").path)
    registry.refresh()
    forms: dict[str, str | Path] = {
        "text": "r",
        "completed": "./r/",
        "absolute": str(base / "r"),
        "path": Path("r"),
        "absolute path": base / "r",
    }
    named = forms[form]
    change = registry.pin("figure-3", named, reason="plots")
    assert [(scope.run, scope.first, scope.last) for scope in change.scopes] == [("r", None, None)]
    assert [row.run for row in registry.list(below=named)] == ["r"]
    # Also what is recorded there later.
    later = registry.record_prediction("r", 2, "d")
    write_array(later.path)
    with pytest.raises(errors.PinnedError):
        registry.remove(later)
    registry.remove("other")
    assert registry.unpin("figure-3", named).scopes
    registry.remove(named)
    assert list(registry.list()) == []


def test_a_container_pins_what_is_in_it(registry: Registry, base: Path) -> None:
    container = registry.validation_container("r")
    artifact = registry.record_prediction("r", 1, "d")
    write_array(artifact.path)
    registry.refresh()
    for named in (container, "r/validation.zarr", registry.get(container)):
        assert named is not None
        assert registry.pin("figure-3", named, reason="plots").artifacts == 2
        with pytest.raises(errors.PinnedError):
            registry.remove(artifact)
        registry.unpin("figure-3")
    with pytest.raises(errors.NotRecordedError):
        registry.pin("figure-3", "q", reason="plots")
    # An identifier is that of an array.
    with pytest.raises(errors.NotRecordedError):
        registry.pin("figure-3", container.array_identifier("1"), reason="plots")
    with pytest.raises(errors.PinBindsNothingError):
        registry.pin("figure-3", [], reason="plots")


def test_what_a_walk_left_alone_is_a_notice(registry: Registry, base: Path) -> None:
    write_array(base / "stray.zarr" / "a")
    with pytest.warns(UserWarning, match="lie outside runs"):
        (found,) = registry.scan().notices
    assert isinstance(found, dalsegno.values.Notice)
    assert (found.kind, found.path) == ("outside-run", "stray.zarr/a")
    assert registry.verify().notices == (found,) and registry.verify().findings == ()
    array = write_array(registry.record_prediction("r", 1, "d").path)
    (array / ".zarray").write_text("{")
    assert [one.kind for one in registry.refresh().notices] == ["damaged-metadata"]
    registry.close()
    rebuilt = dalsegno.rebuild(base, force=True)
    assert {one.kind for one in rebuilt.scan.notices} == {"outside-run", "damaged-metadata"}


def test_a_listing_names_its_artifacts(registry: Registry) -> None:
    for number in range(3):
        write_array(registry.record_output("r", number, "d", "p").path)
    registry.refresh()
    assert registry.pin("figure-3", registry.list(iteration=0), reason="plots").artifacts == 1
    assert len(registry.seal(registry.list())) == 3
    going = registry.list(sort="iteration", reverse=True, limit=2)
    assert len(registry.remove(going).artifacts) == 2
    assert [row.iteration for row in registry.list()] == [0]


def test_a_scan_of_what_lies_outside_runs_names_the_folder_that_holds_them(base: Path) -> None:
    write_array(base / "r/validation.zarr/1000/d/prediction")
    with (
        Registry(base / "r", create=True) as registry,
        pytest.warns(UserWarning, match="lie outside runs.*create=True"),
    ):
        assert registry.scan().likely_base == base
    (base / "r/.dalsegno").rename(base / ".away")
    with Registry(base, create=True) as registry:
        assert registry.scan().likely_base is None
        with pytest.raises(errors.NotRecordedError, match="iterations near 1100: 1000"):
            registry.seal("r/validation.zarr/1100")
        with pytest.raises(errors.NotRecordedError, match="did you mean"):
            registry.seal("rr/validation.zarr/1000/d")
