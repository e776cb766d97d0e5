"""Real arrays, by the zarr that is installed: version 2 or 3."""

from __future__ import annotations

import importlib.util
import shutil
import sys
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


def made(registry: dalsegno.Registry, **attributes: Any) -> tuple[dalsegno.Artifact, Any]:
    data = numpy.arange(64, dtype="uint8").reshape(8, 8)
    identifier = registry.validation_prediction_array("my run", 1000, "d")
    with registry.writing(identifier) as path:
        write(path, data)
        array: Any = zarr.open(str(path), mode="r+")
        array.attrs.update(attributes)
    (artifact,) = registry.list(kind="prediction")
    return artifact, data


def test_an_artifact_opens_as_the_array_that_it_is(base: Path) -> None:
    registry = dalsegno.Registry(base, create=True)
    artifact, data = made(registry)
    array = artifact.open()
    assert isinstance(array, zarr.Array) and numpy.array_equal(array[:], data)
    with pytest.raises(Exception, match="(?i)read.?only"):
        array[0, 0] = 1
    artifact.open("r+")[0, 0] = 99
    assert artifact.open()[0, 0] == 99
    for mode in ("w", "a", "w-"):
        with pytest.raises(ValueError, match="writing"):
            artifact.open(mode)
    assert artifact.open()[0, 0] == 99
    with pytest.raises(ValueError, match="no levels"):
        artifact.open(level=0)
    group(base / "my run" / "snapshot.zarr", ["volumes/raw"])
    registry.snapshot_container("my run")
    (container,) = registry.list(kind="snapshot-container")
    assert float(container.open()["volumes/raw"][0]) == 1.0
    with pytest.raises(ValueError, match="container"):
        container.to_dask()
    removed = registry.remove(artifact, keep=True)
    with pytest.raises(dalsegno.errors.NothingWrittenError, match="my run"):
        artifact.open()
    registry.restore(removed)
    assert artifact.open()[0, 0] == 99


def test_other_programs_take_a_path_or_an_url(base: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    artifact, _ = made(dalsegno.Registry(base, create=True))
    assert artifact.url == f"file://{artifact.path}"
    system, path = fsspec.core.url_to_fs(artifact.url)
    assert Path(path) == artifact.path and system.isdir(path)
    assert fsspec.utils.stringify_path(artifact) == str(artifact.path)


def test_a_checkpoint_is_not_opened(base: Path) -> None:
    registry = dalsegno.Registry(base, create=True)
    with pytest.raises(ValueError, match="checkpoint"):
        registry.record_checkpoint("r", 1).open()


def test_an_array_of_n5_opens_by_the_zarr_that_reads_it(base: Path) -> None:
    path = base / "r" / "validation.n5" / "1" / "d" / "prediction"
    path.mkdir(parents=True)
    (base / "r" / "validation.n5" / "attributes.json").write_text('{"n5": "2.0.0"}')
    (path / "attributes.json").write_text(
        '{"dimensions": [4], "blockSize": [2], "dataType": "uint8", "compression": {"type": "raw"}}'
    )
    registry = dalsegno.Registry(base, create=True)
    registry.scan()
    (artifact,) = registry.list()
    if zarr.__version__.startswith("2."):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert artifact.open().shape == (4,)
    else:
        with pytest.raises(ImportError, match="does not read N5"):
            artifact.open()


def test_an_artifact_is_a_dask_array_and_a_data_array(base: Path) -> None:
    dask = pytest.importorskip("dask")
    pytest.importorskip("xarray")
    artifact, data = made(dalsegno.Registry(base, create=True), axis_names=["z", "y"], voxel=4)
    lazy = artifact.to_dask()
    assert lazy.chunks == ((4, 4), (4, 4)) and numpy.array_equal(lazy.compute(), data)
    named = artifact.to_xarray()
    assert named.dims == ("z", "y") and named.name == "d" and named.attrs["voxel"] == 4
    assert dask.is_dask_collection(named.data) and numpy.array_equal(named.values, data)
    artifact.open("r+").attrs["axis_names"] = ["z"]
    assert artifact.to_xarray().dims == ("dim_0", "dim_1"), "one name for two axes names none"


def test_a_pyramid_opens_as_its_group_or_one_level(base: Path) -> None:
    path = base / "r" / "validation.zarr" / "1" / "d" / "prediction"
    root: Any = zarr.open_group(str(path), mode="w")
    for level in range(2):
        write(path / f"s{level}", numpy.full((8 >> level, 8 >> level), level, dtype="uint8"))
    datasets = [{"path": f"s{level}", "coordinateTransformations": []} for level in range(2)]
    root.attrs["multiscales"] = [{"version": "0.4", "axes": [], "datasets": datasets}]
    registry = dalsegno.Registry(base, create=True)
    registry.scan()
    (artifact,) = registry.list()
    assert artifact.levels == ("s0", "s1")
    assert artifact.open()["s1"].shape == (4, 4)
    assert artifact.open(level=1).shape == (4, 4) and artifact.open(level=0).shape == (8, 8)
    with pytest.raises(ValueError, match="levels 0 to 1"):
        artifact.open(level=2)
    pytest.importorskip("dask")
    assert artifact.to_dask().shape == (8, 8) and artifact.to_dask(1).shape == (4, 4)


def test_what_is_not_installed_is_named_with_what_else_to_type(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact, data = made(dalsegno.Registry(base, create=True))
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "xarray", None)
        with pytest.raises(ImportError, match="pip install xarray"):
            artifact.to_xarray()
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "dask.array", None)
        without.setitem(sys.modules, "dask", None)
        with pytest.raises(ImportError, match=r"pip install 'dask\[array\]'"):
            artifact.to_dask()
        if importlib.util.find_spec("xarray") is not None:
            assert numpy.array_equal(artifact.to_xarray().values, data), "read as a whole"
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "zarr", None)
        for call in (artifact.open, artifact.to_dask, artifact.to_xarray):
            with pytest.raises(ImportError, match="pip install zarr; or give artifact.path"):
                call()
