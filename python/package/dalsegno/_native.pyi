"""The native half: plain arguments in, objects and dictionaries out."""

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, final

__all__ = [
    "__version__",
    "Registry",
    "Plan",
    "Inbox",
    "base_path",
    "identifier",
    "Artifact",
    "LocalArrayIdentifier",
    "LocalContainerIdentifier",
    "_artifact",
    "_plan_gc",
    "_apply",
    "_metric",
    "_main",
    "_rebuild",
    "parse_duration",
    "parse_time",
    "parse_size",
    "error_codes",
    "hint_names",
    "_before_fork",
    "_after_fork_in_parent",
    "_after_fork_in_child",
]

__version__: str

_Report = Callable[[str, int | None, int, int, int], object]
_Columns = tuple[str, str, str | None, str | None, str | None, str | None]
_Measured = tuple[str, str, str | None, str | None, str, float]

@final
class LocalArrayIdentifier:
    """An array: a container and the dataset in it. ``str()`` gives ``{container}/{dataset}``."""

    def __new__(cls, container: str | os.PathLike[str], dataset: str) -> LocalArrayIdentifier: ...
    @property
    def container(self) -> Path:
        """Path of the zarr or N5 container."""
    @property
    def dataset(self) -> str:
        """Path of the array in the container, components joined by ``/``."""
    @property
    def path(self) -> Path:
        """Path of the array's folder."""
    def __fspath__(self) -> str: ...
    def __hash__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __lt__(self, other: LocalArrayIdentifier, /) -> bool: ...
    def __le__(self, other: LocalArrayIdentifier, /) -> bool: ...
    def __gt__(self, other: LocalArrayIdentifier, /) -> bool: ...
    def __ge__(self, other: LocalArrayIdentifier, /) -> bool: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class LocalContainerIdentifier:
    """A container: a zarr or N5 folder that holds arrays. ``str()`` gives its path."""

    def __new__(cls, container: str | os.PathLike[str]) -> LocalContainerIdentifier: ...
    @property
    def container(self) -> Path:
        """Path of the container."""
    @property
    def path(self) -> Path:
        """The same."""
    def array_identifier(self, dataset: str) -> LocalArrayIdentifier:
        """Give the identifier of an array in this container. Nothing is checked or recorded."""
    def __fspath__(self) -> str: ...
    def __hash__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __lt__(self, other: LocalContainerIdentifier, /) -> bool: ...
    def __le__(self, other: LocalContainerIdentifier, /) -> bool: ...
    def __gt__(self, other: LocalContainerIdentifier, /) -> bool: ...
    def __ge__(self, other: LocalContainerIdentifier, /) -> bool: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Artifact:
    """An artifact: an array or a container that the catalog has a row for. A value: it says what
    was known when it was asked for."""

    @property
    def id(self) -> int | None:
        """Number in the catalog; never given out twice. ``None`` if the artifact is only noted, for
        a catalog on another host."""
    @property
    def run(self) -> str:
        """Name of the run."""
    @property
    def kind(self) -> str:
        """Kind, such as ``output``."""
    @property
    def iteration(self) -> int | None:
        """Iteration, if the kind has one."""
    @property
    def dataset(self) -> str | None:
        """Dataset, or index of inputs and best arrays."""
    @property
    def parameters(self) -> str | None:
        """Parameters, or criterion of a best array."""
    @property
    def container(self) -> LocalContainerIdentifier:
        """Its container, or itself."""
    @property
    def identifier(self) -> LocalArrayIdentifier | None:
        """Identifier of the array; ``None`` if it is a container."""
    @property
    def path(self) -> Path:
        """Absolute path of its folder."""
    @property
    def state(self) -> str:
        """``reserved``, ``present``, ``missing`` or ``damaged``."""
    @property
    def origin(self) -> str:
        """``recorded``: a caller said its key; ``scanned``: its path did."""
    @property
    def bytes(self) -> int | None:
        """Bytes as last counted; ``None`` if they were never counted."""
    @property
    def files(self) -> int | None:
        """Files as last counted; ``None`` if they were never counted."""
    @property
    def disk_bytes(self) -> int | None:
        """Bytes that it takes on disk; ``None`` if they were never counted."""
    @property
    def levels(self) -> tuple[str, ...]:
        """Paths of the levels in its folder if it is a pyramid; else empty."""
    @property
    def iterations(self) -> tuple[int, ...]:
        """Iterations that the array says it holds, as snapshots do; else empty."""
    @property
    def recorded_at(self) -> datetime:
        """When the catalog first had it; UTC."""
    @property
    def written_at(self) -> datetime | None:
        """When its metadata was last seen to be written; UTC."""
    @property
    def sealed_at(self) -> datetime | None:
        """When its writer said that it is whole; UTC."""
    @property
    def content_hash(self) -> str | None:
        """Hash of its contents; ``None`` if it was not sealed with one."""
    @property
    def owner(self) -> int | None:
        """uid that owns the data; ``None`` if it was never looked up."""
    @property
    def shape(self) -> tuple[int, ...] | None:
        """Lengths along the axes, as its metadata says; ``None`` if that is unknown."""
    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Lengths of a chunk, within a shard if there are shards."""
    @property
    def shards(self) -> tuple[int, ...] | None:
        """Lengths of a shard; ``None`` without shards."""
    @property
    def dtype(self) -> str | None:
        """Data type, in the words of its format."""
    @property
    def fill_value(self) -> Any:
        """Fill value; what JSON has no number for is a text, such as ``"NaN"``."""
    @property
    def compressor(self) -> str | None:
        """Names of its compressors; empty for none, ``None`` if that is unknown."""
    @property
    def chunks_there(self) -> int | None:
        """Chunks, or shards, that were there when its files were last counted."""
    @property
    def chunks_expected(self) -> int | None:
        """Chunks, or shards, by its metadata. zarr leaves out chunks of the fill value."""
    @property
    def pins(self) -> tuple[str, ...]:
        """Names of the pins that bind it."""
    def to_dict(self) -> dict[str, Any]:
        """Give the fields that ``dalsegno list --json`` has."""
    @property
    def url(self) -> str:
        """Its path for fsspec: ``file://`` and the path as it is spelled."""
    def open(self, mode: str = "r", *, level: int | None = None) -> Any:
        """Open its zarr array, by the zarr that is installed (2 or 3); of a container or a pyramid
        the zarr group.

        Args:
            mode: ``r`` to read, ``r+`` to change what is there.
            level: One level of a pyramid, the finest is 0.

        Raises:
            ImportError: zarr is not installed, or cannot read N5; ``path`` and ``url`` are for
                other programs.
            NothingWrittenError: There is no data.
        """
    def to_dask(self, level: int = 0) -> Any:
        """Give it as a dask array, with the chunks that it has on disk; of a pyramid a level.

        Raises:
            ImportError: zarr or dask is not installed.
        """
    def to_xarray(self, level: int = 0) -> Any:
        """Give it as an ``xarray.DataArray``: lazily if dask is installed, else read as a whole;
        of a pyramid a level. Axes are named as the array names them, by zarr's
        ``dimension_names``, xarray's ``_ARRAY_DIMENSIONS`` or funlib's ``axis_names``.

        Raises:
            ImportError: zarr or xarray is not installed.
        """
    def _repr_html_(self) -> str:
        """Give its fields as a table, for notebooks."""
    def __fspath__(self) -> str: ...
    def __hash__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

_Target = Artifact | int | str | os.PathLike[str]

@final
class Plan:
    """A plan: what stays, what goes, and why."""

    @property
    def id(self) -> str: ...
    @property
    def policy(self) -> str: ...
    @property
    def min_free(self) -> int | None: ...
    @property
    def unmet(self) -> list[str]: ...
    @property
    def notices(self) -> list[str]: ...
    def lines(self, most: int | None = None) -> list[dict[str, Any]]: ...
    def totals(self) -> dict[str, Any]: ...
    def text(self) -> str: ...

@final
class Inbox:
    """The inbox of a base directory: notes of processes that could not write the catalog."""

    def __new__(cls, base: str | os.PathLike[str]) -> Inbox: ...
    def record(self, key: _Columns, at: int) -> None:
        """Leave a note that a key was recorded, at this many milliseconds since 1970."""
    def score(self, score: _Measured, at: int) -> None:
        """Leave a note of a score, at this many milliseconds since 1970."""
    def state(self) -> dict[str, Any]:
        """Give what is in the inbox: ``waiting``, ``refused``, ``strangers``."""

def base_path(base: str | os.PathLike[str]) -> Path:
    """Give the absolute path of a base directory, whether it exists or not."""

def identifier(
    base: str | os.PathLike[str], key: _Columns
) -> LocalArrayIdentifier | LocalContainerIdentifier:
    """Give the identifier of a key below a base directory that is absolute."""

@final
class Registry:
    """One base directory and its catalog; :class:`dalsegno.Registry` is its face."""

    def __new__(
        cls,
        base: str | os.PathLike[str],
        create: bool,
        read_only: bool,
        catalog: str | os.PathLike[str] | None,
        single_host: bool,
        shared: bool,
        keeper: bool,
        lock_timeout: float,
    ) -> Registry: ...
    @property
    def base(self) -> Path: ...
    @property
    def catalog_path(self) -> Path: ...
    @property
    def is_read_only(self) -> bool: ...
    @property
    def keeper(self) -> str | None: ...
    def require_here(self) -> None: ...
    @property
    def notice(self) -> str | None: ...
    @property
    def was_made(self) -> bool: ...
    @property
    def closed(self) -> bool: ...
    @property
    def recovery(self) -> tuple[list[str], list[str], list[str]]: ...
    def published(self) -> dict[str, Any] | None: ...
    def publish(self) -> str | None: ...
    def close(self) -> None: ...
    def id(self) -> str: ...
    def policies(self) -> list[str]: ...
    def record(self, key: _Columns) -> Artifact: ...
    def record_many(self, keys: Sequence[_Columns]) -> list[Artifact]: ...
    def record_identifier(self, container: str | os.PathLike[str], dataset: str) -> Artifact: ...
    def at(self, path: str | os.PathLike[str]) -> list[Artifact]: ...
    def get(self, target: _Target) -> Artifact | None: ...
    def check(self, selection: dict[str, Any], sort: str | None = None) -> None: ...
    def unmatched(
        self, selection: Mapping[str, Any], metrics: Sequence[str] = ...
    ) -> list[str]: ...
    def unmatched_exclusions(self, selection: Mapping[str, Any]) -> list[str]: ...
    def not_recorded(self, target: Artifact | int | str) -> Exception: ...
    def run_names(self, selection: dict[str, Any]) -> list[str]: ...
    def select(
        self,
        selection: dict[str, Any],
        sort: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[Artifact]: ...
    def counts(self, selection: dict[str, Any]) -> dict[str, int]: ...
    def iterations(
        self, selection: dict[str, Any], sort: str | None, reverse: bool, limit: int | None
    ) -> list[dict[str, Any]]: ...
    def runs(
        self, selection: dict[str, Any], sort: str | None, reverse: bool, limit: int | None
    ) -> list[dict[str, Any]]: ...
    def du(self, selection: dict[str, Any], by: str) -> list[dict[str, Any]]: ...
    def refresh(
        self, selection: dict[str, Any], all: bool, measure: bool, progress: _Report | None
    ) -> dict[str, Any]: ...
    def refresh_for(
        self, selection: dict[str, Any], measure: bool, progress: _Report | None
    ) -> int: ...
    def seal(
        self, chosen: Sequence[Artifact], hash: bool, complete: bool, progress: _Report | None
    ) -> list[Artifact]: ...
    def unseal(self, chosen: Sequence[Artifact]) -> int: ...
    def scan(
        self,
        selection: dict[str, Any],
        measure: bool,
        threads: int | None,
        progress: _Report | None,
    ) -> dict[str, Any]: ...
    def verify(
        self, selection: dict[str, Any], how: dict[str, Any], progress: _Report | None
    ) -> tuple[dict[str, Any], dict[str, Any] | None]: ...
    def remove(
        self,
        targets: Sequence[tuple[_Target, bool]] | None,
        selection: dict[str, Any] | None,
        whole_run: str | None,
        how: dict[str, Any],
        progress: _Report | None,
    ) -> dict[str, Any]: ...
    def restore(
        self,
        removal: str | None,
        path: str | os.PathLike[str] | None,
        selection: dict[str, Any] | None,
        last: bool,
        dry_run: bool,
    ) -> dict[str, Any]: ...
    def rename_run(
        self, run: str, to: str, dry_run: bool, active: bool, reason: str | None
    ) -> dict[str, Any]: ...
    def trash(self) -> list[dict[str, Any]]: ...
    def removal(self, id: str) -> dict[str, Any] | None: ...
    def empty_trash(
        self,
        removals: Sequence[str] | None,
        older_than: float | None,
        progress: _Report | None,
    ) -> dict[str, Any]: ...
    def pin(
        self,
        name: str,
        reason: str | None,
        selection: dict[str, Any] | None,
        targets: Sequence[tuple[_Target, bool]] | None,
    ) -> dict[str, Any]: ...
    def unpin(
        self,
        name: str,
        selection: dict[str, Any] | None,
        targets: Sequence[tuple[_Target, bool]] | None,
    ) -> dict[str, Any]: ...
    def pins(self, selection: Mapping[str, Any] | None) -> list[dict[str, Any]]: ...
    def score(self, scores: Sequence[_Measured]) -> list[bool]: ...
    def noted(self, keys: Sequence[_Columns]) -> list[Artifact]:
        """Give the artifacts of keys as the copy has them, else without a number."""
    def noted_identifier(
        self, inbox: Inbox, container: str | os.PathLike[str], dataset: str
    ) -> Artifact:
        """Give the artifact of an identifier as the copy has it, else without a number."""
    def note_records(self, inbox: Inbox, artifacts: Sequence[Artifact]) -> None:
        """Leave notes that artifacts were recorded."""
    def note_scores(self, inbox: Inbox, scores: Sequence[_Measured]) -> None:
        """Leave notes of scores."""
    def note_seals(
        self,
        inbox: Inbox,
        targets: Sequence[_Target],
        hash: bool,
        complete: bool,
        progress: _Report | None,
    ) -> list[Artifact]:
        """Look at data, and leave notes that it is whole; give the artifacts of the copy."""
    def note_failed(self, inbox: Inbox, target: _Target, if_written: bool) -> Path:
        """Leave a note that data is not whole; give its path."""
    def require_scored_run(self, scores: Sequence[_Measured]) -> None: ...
    def unknown_names(
        self, scores: Sequence[_Measured]
    ) -> list[tuple[str, str, str, str | None]]: ...
    def unscore(self, scores: Sequence[_Measured]) -> int: ...
    def scores(
        self, selection: dict[str, Any], metric: Sequence[str]
    ) -> list[tuple[str, int, str | None, str | None, str, float]]: ...
    def unmatched_scores(self, selection: dict[str, Any], metric: Sequence[str]) -> list[str]: ...
    def history(self, which: dict[str, Any]) -> list[dict[str, Any]]: ...
    def unmatched_history(self, which: dict[str, Any]) -> list[str]: ...
    def operation(self, id: int) -> tuple[dict[str, Any], list[tuple[str, Artifact]]]: ...
    def check_history(self, noted: str | None) -> dict[str, Any]: ...
    def undo(self, id: int | None) -> dict[str, Any]: ...

def error_codes() -> list[str]:
    """Give every code that an error can have."""

def hint_names() -> list[str]:
    """Give the name of every hint that an error can have."""

def parse_time(text: str) -> int: ...
def parse_duration(text: str) -> float:
    """Read a length of time such as ``14d``; gives seconds."""

def parse_size(text: str) -> int:
    """Read a number of bytes such as ``500GB``."""

def _artifact(parts: tuple[Any, ...]) -> Artifact: ...
def _plan_gc(
    registry: Registry,
    rules: dict[str, Any],
    selection: dict[str, Any],
    refresh: bool,
    progress: _Report | None,
) -> Plan: ...
def _metric(text: str) -> tuple[str, str]: ...
def _apply(
    registry: Registry,
    plan: str,
    reason: str | None,
    keep: bool | float | None,
    progress: _Report | None,
) -> dict[str, Any]: ...
def _rebuild(
    base: str | os.PathLike[str],
    catalog: str | os.PathLike[str] | None,
    force: bool,
    lock_timeout: float,
    progress: _Report | None,
) -> dict[str, Any]: ...
def _main(arguments: Sequence[str]) -> int: ...
def _before_fork() -> None: ...
def _after_fork_in_parent() -> None: ...
def _after_fork_in_child() -> None: ...
