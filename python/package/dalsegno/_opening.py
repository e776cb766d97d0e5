"""Opening the data of an artifact, by what is installed: zarr, dask, xarray."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Optional

from ._native import Artifact
from .errors import NothingWrittenError

__all__ = ["imported", "open", "to_dask", "to_xarray"]


def imported(name: str, what: str, *, package: Optional[str] = None, instead: str = "") -> Any:
    """Import what is not installed with dalsegno.

    Raises:
        ImportError: It is not installed; the message says what to type.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        top = name.split(".")[0]
        if isinstance(error, ModuleNotFoundError) and error.name not in (None, top, name):
            # It is installed, and lacks something itself.
            raise
        words = f"{what} takes {top}: pip install {package or top}"
        raise ImportError(f"{words}{instead and f'; or {instead}'}", name=top) from None


def open(artifact: Artifact, mode: str, level: Optional[int]) -> Any:
    """Give the zarr array of an artifact; of a container or a pyramid the zarr group."""
    if mode not in ("r", "r+"):
        raise ValueError(f"mode is 'r' or 'r+', not {mode!r}; new data goes to registry.writing()")
    path = _path(artifact, level)
    instead = "give artifact.path to another program"
    zarr = imported("zarr", "opening an array", instead=instead)
    if _is_n5(path):
        return _open_n5(zarr, artifact, path, mode)
    is_group = artifact.identifier is None or (bool(artifact.levels) and level is None)
    return (zarr.open_group if is_group else zarr.open_array)(str(path), mode=mode)


def to_dask(artifact: Artifact, level: int) -> Any:
    """Give an artifact as a dask array, with the chunks that it has on disk."""
    array = _array(artifact, level, "a dask array")
    dask = imported("dask.array", "a dask array", package="'dask[array]'")
    return dask.from_array(array, chunks=getattr(array, "shards", None) or array.chunks)


def to_xarray(artifact: Artifact, level: int) -> Any:
    """Give an artifact as a ``DataArray``: lazily if dask is installed, else read as a whole."""
    array = _array(artifact, level, "a DataArray")
    xarray = imported("xarray", "a DataArray")
    try:
        data = to_dask(artifact, level)
    except ImportError:
        data = array[...]
    attributes = dict(array.attrs)
    return xarray.DataArray(
        data, dims=_axes(array, attributes), name=artifact.dataset, attrs=attributes
    )


def _array(artifact: Artifact, level: int, what: str) -> Any:
    if artifact.identifier is None:
        raise ValueError(f"{what} is of an array, and this is a container; list what is in it")
    return open(artifact, "r", level if artifact.levels else None)


def _axes(array: Any, attributes: dict[str, Any]) -> Optional[list[str]]:
    """The names of the axes, by zarr 3, by xarray, or by funlib's ``axis_names``."""
    named = [
        getattr(getattr(array, "metadata", None), "dimension_names", None),
        attributes.pop("_ARRAY_DIMENSIONS", None),
        attributes.get("axis_names"),
    ]
    for names in named:
        if (
            isinstance(names, (list, tuple))
            and len(names) == array.ndim == len(set(names))
            and all(isinstance(name, str) for name in names)
        ):
            return list(names)
    return None


def _path(artifact: Artifact, level: Optional[int]) -> Path:
    """Where the array or group is."""
    path = artifact.path
    if artifact.kind == "checkpoint":
        raise ValueError(f"a checkpoint is a file for the program that trained: {path}")
    if level is not None:
        if not artifact.levels:
            raise ValueError(f"it has no levels, so leave level out: {path}")
        if not 0 <= level < len(artifact.levels):
            raise ValueError(f"it has levels 0 to {len(artifact.levels) - 1}, not {level}: {path}")
        path = path / artifact.levels[level]
    if not path.is_dir():
        raise NothingWrittenError(
            f"there is no data at {path}",
            path=path,
            hint="it may be in the trash: restore(artifact); else see get(artifact).state",
        )
    return path


def _is_n5(path: Path) -> bool:
    def has(name: str) -> bool:
        return (path / name).is_file()

    zarr = (".zarray", ".zgroup", "zarr.json")
    return not any(map(has, zarr)) and (has("attributes.json") or path.suffix == ".n5")


def _open_n5(zarr: Any, artifact: Artifact, path: Path, mode: str) -> Any:
    store = getattr(zarr, "N5FSStore", None) or getattr(zarr, "N5Store", None)
    if store is None:
        raise ImportError(
            f"zarr {zarr.__version__} does not read N5: pip install 'zarr<3', or give "
            "artifact.path to another program",
            name="zarr",
        )
    container = artifact.container.path
    return zarr.open(store(str(container)), path=str(path.relative_to(container)), mode=mode)
