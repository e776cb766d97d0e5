"""Paths of what is in a run, given as names of runs; and what the trash has of a run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Callable

import pytest

import dalsegno
from dalsegno import errors


def write(path: Path) -> None:
    path.mkdir(parents=True)
    metadata = '{"zarr_format":2,"shape":[2,2],"chunks":[2,2],"dtype":"|u1"}'
    (path / ".zarray").write_text(metadata)
    (path / "0.0").write_bytes(b"1234")


CALLS: dict[str, Callable[[dalsegno.Registry, Any], Any]] = {
    "list": lambda registry, run: registry.list(run=run),
    "runs": lambda registry, run: registry.runs(run=run),
    "iterations": lambda registry, run: registry.iterations(run=run),
    "du": lambda registry, run: registry.du(run=run),
    "refresh": lambda registry, run: registry.refresh(run=run),
    "verify": lambda registry, run: registry.verify(run=run),
    "scan": lambda registry, run: registry.scan(run=run),
    "history": lambda registry, run: registry.history(run=run),
    "restore": lambda registry, run: registry.restore(run=run),
    "remove": lambda registry, run: registry.remove(run=run),
    "exclude": lambda registry, run: registry.remove(kind="output", exclude_run=run),
    "remove_run": lambda registry, run: registry.remove_run(run),
    "rename_run": lambda registry, run: registry.rename_run(run, "other"),
    "pin": lambda registry, run: registry.pin("p", run=run, reason="why"),
    "plan_gc": lambda registry, run: registry.plan_gc(run=run, keep_last=1),
    "score": lambda registry, run: registry.score(run, 1, voi=0.5),
    "scores": lambda registry, run: registry.scores(run=run),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_path_below_a_run_is_not_the_run(tmp_path: Path, call: str) -> None:
    array = tmp_path / "r" / "validation.zarr" / "1" / "v" / "prediction"
    write(array)
    with dalsegno.Registry(tmp_path, create=True) as registry:
        registry.scan()
        for run in ("r/validation.zarr", "./r/validation.zarr/1/", f"{tmp_path}/r/validation.zarr"):
            with pytest.raises(
                errors.BelowRunError, match="is a folder of run r, not a run"
            ) as caught:
                CALLS[call](registry, run)
            assert caught.value.hint is not None
            assert "without run: remove(path), or below=path" in caught.value.hint
        assert len(registry.list(run=f"{tmp_path}/r/")) == 1
    assert array.exists()


def test_the_way_back_of_a_removed_run_comes_before_a_scan(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "r" / "validation.zarr" / "1" / "v" / "prediction")
    checkpoint = tmp_path / "r" / "checkpoints" / "iterations" / "1"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"x")
    with dalsegno.Registry(tmp_path, create=True) as registry:
        registry.scan()
        registry.remove(run="r", keep=True)
        with caplog.at_level(logging.WARNING):
            with pytest.warns(UserWarning) as warned:
                assert len(registry.list(run="r")) == 0
        words = " ".join([*(str(one.message) for one in warned), caplog.text])
        assert (
            'nothing is recorded of run "r"; 1 artifact of it is in the trash; restore it with '
            'restore(run="r"); checkpoints in its folder are not recorded; take them in with '
            "scan(kind='checkpoint')"
        ) in words


def test_an_unrecorded_folder_of_checkpoints_leads_to_a_scan_for_them(tmp_path: Path) -> None:
    checkpoint = tmp_path / "r" / "checkpoints" / "iterations" / "1"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"x")
    with dalsegno.Registry(tmp_path, create=True) as registry:
        with pytest.raises(errors.NotRecordedError) as caught:
            registry.remove(tmp_path / "r" / "checkpoints")
    assert caught.value.hint is not None
    assert "scan(kind='checkpoint')" in caught.value.hint


def test_pins_of_a_selection_are_those_that_bind_anything_of_it(tmp_path: Path) -> None:
    for run in ("r", "s"):
        write(tmp_path / run / "validation.zarr" / "1" / "v" / "prediction")
    with dalsegno.Registry(tmp_path, create=True) as registry:
        registry.scan()
        registry.pin("one", run="r", reason="why")
        registry.pin("two", run="s", iteration=1, reason="why")
        assert [pin.name for pin in registry.pins()] == ["one", "two"]
        assert [pin.name for pin in registry.pins(run="s")] == ["two"]
        with pytest.warns(errors.NothingSelectedWarning, match='no run "t"'):
            assert not registry.pins(run="t")


def test_below_takes_all_that_names_a_path(tmp_path: Path) -> None:
    for dataset in ("v", "w"):
        write(tmp_path / "r" / "validation.zarr" / "1" / dataset / "prediction")
    with dalsegno.Registry(tmp_path, create=True) as registry:
        registry.scan()
        one = registry.list(dataset="v")[0]
        key = dalsegno.Key("prediction", "r", 1, "v")
        for below in (one, key, one.path, Path(one.path), [key], {one.path}):
            assert [found.dataset for found in registry.list(below=below)] == ["v"], below
        with pytest.raises(TypeError, match="a number says no path"):
            registry.list(below=62)
