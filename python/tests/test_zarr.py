"""Real arrays, by the zarr that is installed: version 2 or 3."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import dalsegno
import dalsegno.dacapo
import numpy
import pytest
import zarr


def write(path: Path, data: Any) -> None:
    if zarr.__version__.startswith("2."):
        zarr.save_array(str(path), data)
    else:
        array: Any = zarr.create_array(str(path), shape=data.shape, chunks=(4, 4), dtype=data.dtype)
        array[:] = data


def read(path: Path) -> Any:
    array: Any = zarr.open(str(path), mode="r")
    return array[:]


@pytest.mark.parametrize("drop_in", [False, True], ids=["registry", "store of DaCapo"])
def test_arrays_are_written_read_removed_and_restored(
    base: Path, drop_in: bool, dacapo: None
) -> None:
    store: Any = dalsegno.dacapo.ArrayStore(base) if drop_in else None
    registry = store.registry if drop_in else dalsegno.Registry(base, create=True)
    calls = store if drop_in else registry
    arrays = [
        calls.validation_prediction_array("my run", 1000, "val/crop 7"),
        calls.validation_output_array("my run", 1000, "Parameters(id=1, bias=0.5)", "val/crop 7"),
        *calls.validation_input_arrays("my run", "crop 7"),
        calls.best_validation_array("my run", "voi", "crop 7"),
        calls.snapshot_container("my run").array_identifier("volumes/raw"),
    ]
    data = {}
    for number, identifier in enumerate(arrays):
        path = Path(identifier.container) / identifier.dataset
        data[path] = numpy.arange(64, dtype="uint8").reshape(8, 8) + number
        with registry.writing(identifier, hash=True):
            write(path, data[path])
    rows = [row for row in registry.list() if row.identifier is not None]
    assert {row.path for row in rows} == set(data)
    assert all(row.sealed_at is not None and (row.files or 0) >= 2 for row in rows)
    (iteration,) = registry.iterations(kind=["output", "prediction"])
    assert (iteration.outputs, iteration.predictions, iteration.complete) == (1, 1, True)
    removed = registry.remove(arrays[1], keep=True)
    gone = Path(arrays[1].container) / arrays[1].dataset
    assert not gone.exists() and len(removed.artifacts) == 1
    registry.restore(removed)
    registry.remove(run="my run", keep=True)
    assert not any(path.exists() for path in data)
    registry.restore(run="my run")
    for path, expected in data.items():
        assert numpy.array_equal(read(path), expected)
    assert registry.verify(read_data=True, kind=[row.kind for row in rows]).agrees


def group(path: Path, names: list[str]) -> None:
    """Writes a consolidated group with an array of each name; attributes and fills are NaN."""
    root: Any = zarr.open_group(str(path), mode="w")
    root.attrs["voi"] = float("nan")
    for name in names:
        if zarr.__version__.startswith("2."):
            array: Any = root.create_dataset(
                name, shape=(4,), chunks=(4,), dtype="f4", fill_value=float("nan")
            )
        else:
            array = root.create_array(
                name, shape=(4,), chunks=(4,), dtype="f4", fill_value=float("nan")
            )
        array[:] = 1.0
        array.attrs["of"] = name
    with warnings.catch_warnings():
        # zarr 3 warns that other programs may not read it.
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(str(path))


def listed(path: Path) -> dict[str, float]:
    """The arrays that the consolidated metadata lists, each with its first value."""
    root: Any = zarr.open_consolidated(str(path), mode="r")
    found = {}
    if zarr.__version__.startswith("2."):
        root.visititems(lambda name, node: found.update({name: node}))
    else:
        found.update(root.members(max_depth=None))
    arrays = {name: node for name, node in found.items() if hasattr(node, "shape")}
    return {name: float(node[0]) for name, node in arrays.items()}


def test_consolidated_metadata_lists_what_is_there(base: Path) -> None:
    container = base / "r" / "validation.zarr"
    one, two = "1/v/prediction", "2/v/prediction"
    group(container, [one, two])
    registry = dalsegno.Registry(base, create=True)
    registry.scan()
    assert listed(container) == {one: 1.0, two: 1.0}
    removed = registry.remove(container / one, keep=True)
    assert removed.stale_lists == ()
    assert listed(container) == {two: 1.0}
    root: Any = zarr.open_consolidated(str(container), mode="r")
    assert numpy.isnan(root.attrs["voi"]) and numpy.isnan(root[two].fill_value)
    restored = registry.restore(removed)
    assert (restored.stale_lists, restored.skipped) == ((), ())
    assert listed(container) == {one: 1.0, two: 1.0}
    again: Any = zarr.open_consolidated(str(container), mode="r")
    assert again[one].attrs["of"] == one and numpy.isnan(again[one].fill_value)


def test_an_iteration_that_is_back_can_be_read_by_the_list(base: Path) -> None:
    container = base / "r" / "validation.zarr"
    names = [f"{n}/{d}/{of}" for n in "12" for d in "vw" for of in ("prediction", "output/t1")]
    group(container, names)
    registry = dalsegno.Registry(base, create=True)
    registry.scan()
    before = listed(container)
    registry.restore(registry.remove(run="r", iteration=1, keep=True))
    assert listed(container) == before
    assert registry.verify().findings == ()


def test_verify_names_what_is_listed_and_gone(base: Path) -> None:
    container = base / "r" / "validation.zarr"
    group(container, ["1/v/prediction", "2/v/prediction"])
    registry = dalsegno.Registry(base, create=True)
    registry.scan()
    shutil.rmtree(container / "1/v/prediction")
    stale = [found for found in registry.verify().findings if found.kind == "stale-list"]
    assert [found.path for found in stale] == ["r/validation.zarr"]
    registry.verify(repair=True)
    assert listed(container) == {"2/v/prediction": 1.0}
    assert not [found for found in registry.verify().findings if found.kind == "stale-list"]
