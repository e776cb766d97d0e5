"""Listings: artifacts or operations, read as they are needed, or all of them as a table."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Callable, Dict, List, Optional, SupportsIndex, Union, overload

from ._error import Error
from ._native import Artifact
from ._opening import imported
from ._showing import MOST, Rows, Table, counted, of_artifacts, of_values
from .values import Operation, build

COLUMNS = (
    "id",
    "run",
    "kind",
    "iteration",
    "dataset",
    "parameters",
    "container",
    "array",
    "path",
    "state",
    "bytes",
    "files",
    "disk_bytes",
    "recorded_at",
    "written_at",
    "sealed_at",
    "content_hash",
    "levels",
    "iterations",
    "pins",
    "shape",
    "chunks",
    "shards",
    "dtype",
    "fill_value",
    "compressor",
    "chunks_there",
    "chunks_expected",
)
_NUMBERS = ("id", "iteration", "bytes", "files", "disk_bytes", "chunks_there", "chunks_expected")
_TEXTS = ("levels", "pins")
_LISTS = ("shape", "chunks", "shards", "iterations", *_TEXTS)
_TIMES = ("recorded_at", "written_at", "sealed_at")

KEPT = 100_000
"""Rows that a listing keeps."""


class Listing(Sequence[Artifact]):
    """The artifacts of a selection, in the order run, iteration, kind, dataset, parameters, or in
    one that was asked for.

    A sequence: it can be gone through again, has a length, items and slices, and shows itself as a
    table. Rows are read run by run when they are needed, and between two runs nothing is locked:
    the body of a loop may remove what it is given. In an order that was asked for, all are read at
    once. The length is counted in the catalog. Up to 100,000 rows are kept once they were read,
    and stay as they were; of a larger listing, the rest is read again whenever it is used, and is
    then as it is recorded by then.
    """

    def __init__(
        self,
        runs: List[str],
        select: Callable[[str, Optional[int]], List[Artifact]],
        count: Optional[Callable[[], Dict[str, int]]] = None,
        limit: Optional[int] = None,
    ) -> None:
        self._runs = runs
        self._select = select
        self._count = count
        self._limit = limit
        self._before = [0]
        self._kept: Dict[int, List[Artifact]] = {}
        self._lengths: Dict[int, int] = {}
        self._room = KEPT

    def _rows(self, at: int) -> List[Artifact]:
        """The rows of a run, by its place among the runs."""
        known = self._kept.get(at)
        if known is not None:
            return known
        left = self._left(at)
        rows = [] if left == 0 else self._select(self._runs[at], left)
        self._lengths[at] = len(rows)
        if len(rows) <= self._room:
            self._room -= len(rows)
            self._kept[at] = rows
        return rows

    def _left(self, at: int) -> Optional[int]:
        """How many rows of a run are within the limit; ``None`` without one."""
        if self._limit is None:
            return None
        while len(self._before) <= at:
            last = len(self._before) - 1
            self._before.append(self._before[last] + self._length(last))
        return max(0, self._limit - self._before[at])

    def _length(self, at: int) -> int:
        if at not in self._lengths:
            self._rows(at)
        return self._lengths[at]

    def __iter__(self) -> Iterator[Artifact]:
        for at in range(len(self._runs)):
            if self._left(at) == 0:
                return
            yield from self._rows(at)

    def __reversed__(self) -> Iterator[Artifact]:
        for at in reversed(range(len(self._runs))):
            yield from reversed(self._rows(at))

    def __len__(self) -> int:
        if self._count is not None and len(self._lengths) < len(self._runs):
            # Counted in the catalog, so that a large listing is not read to be counted.
            counts = self._count()
            for at, run in enumerate(self._runs):
                number, left = counts.get(run, 0), self._left(at)
                self._lengths.setdefault(at, number if left is None else min(number, left))
        return sum(self._length(at) for at in range(len(self._runs)))

    def __bool__(self) -> bool:
        return any(self._length(at) > 0 for at in range(len(self._runs)))

    @overload
    def __getitem__(self, at: SupportsIndex, /) -> Artifact: ...
    @overload
    def __getitem__(self, at: slice, /) -> Listing: ...
    def __getitem__(self, at: Union[SupportsIndex, slice], /) -> Union[Artifact, Listing]:
        if isinstance(at, slice):
            rows = self._slice(at)
            return Listing([""], lambda _, left: rows)
        number = operator.index(at)
        left = number + len(self) if number < 0 else number
        for run in range(len(self._runs) if left >= 0 else 0):
            if left < self._length(run):
                return self._rows(run)[left]
            left -= self._length(run)
        raise IndexError(f"the listing has {len(self):,} artifacts, and none at {number}")

    def _slice(self, at: slice) -> List[Artifact]:
        start, stop, step = at.start or 0, at.stop, at.step or 1
        if start < 0 or step < 0 or (stop is not None and stop < 0):
            start, stop, step = at.indices(len(self))
            if step < 0:
                return list(self)[at]
        return list(islice(self, start, stop, step))

    def _table(self) -> Table:
        shown = self._slice(slice(MOST))
        number = len(self)
        says = counted(number, "artifact", "artifacts")
        if number > len(shown):
            says = f"{says}, of which the first {len(shown)} are shown"
        return of_artifacts(shown, says)

    def __repr__(self) -> str:
        try:
            return self._table().text()
        except (Error, ValueError) as error:
            # A debugger shows what it finds, whether the registry is open or not.
            return f"<Listing: {error}>"

    def _repr_html_(self) -> str:
        return self._table().html()

    def to_dicts(self) -> List[Dict[str, Any]]:
        """Give them as dictionaries, as ``dalsegno list --json`` has them."""
        return [artifact.to_dict() for artifact in self]

    def to_arrow(self) -> Any:
        """Give them as a ``pyarrow.Table``; times in UTC, to the millisecond.

        Raises:
            ImportError: pyarrow is not installed.
        """
        arrow = imported("pyarrow", "an Arrow table")
        fields = []
        for name in COLUMNS:
            kind = arrow.string()
            if name in _NUMBERS:
                kind = arrow.int64()
            elif name in _TIMES:
                kind = arrow.timestamp("ms", tz="UTC")
            elif name in _LISTS:
                kind = arrow.list_(arrow.string() if name in _TEXTS else arrow.int64())
            fields.append(arrow.field(name, kind))
        columns = [[] for _ in COLUMNS]  # type: List[List[Any]]
        for row in self._values():
            for column, value in zip(columns, row):
                column.append(value)
        arrays = [arrow.array(values, field.type) for values, field in zip(columns, fields)]
        return arrow.Table.from_arrays(arrays, schema=arrow.schema(fields))

    def __arrow_c_stream__(self, requested_schema: Optional[object] = None) -> object:
        """Give them through the Arrow C interface, to polars, DuckDB, pandas or pyarrow.

        Raises:
            ImportError: pyarrow is not installed.
        """
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_pandas(self) -> Any:
        """Give them as a ``pandas.DataFrame``; numbers that may be unknown are ``Int64``.

        Raises:
            ImportError: pandas is not installed.
        """
        pandas = imported("pandas", "a data frame")
        frame = pandas.DataFrame(list(self._values()), columns=list(COLUMNS))
        kinds = {name: "string" for name in COLUMNS if name not in _LISTS}
        kinds.update({name: "Int64" for name in _NUMBERS})
        kinds.update({name: "datetime64[ms, UTC]" for name in _TIMES})
        return frame.astype(kinds)

    def _values(self) -> Iterator[List[Any]]:
        for artifact in self:
            row = artifact.to_dict()
            row.update({name: getattr(artifact, name) for name in _TIMES})
            if row["fill_value"] is not None:
                # A column has values of one type.
                row["fill_value"] = json.dumps(row["fill_value"])
            yield [row[name] for name in COLUMNS]


PAGE = 500

Page = Callable[[Optional[int], int], List[Dict[str, Any]]]
"""Reads a page: operations before this one, at most so many."""


class History(Sequence[Operation]):
    """Operations, the newest first.

    A sequence: it can be gone through again, has a length, items and slices, and shows itself as a
    table. Operations are read page by page when they are needed, so memory holds a page at a time,
    and between two pages nothing is locked. What is done meanwhile is not among them.
    """

    def __init__(self, read: Page, limit: Optional[int]) -> None:
        if limit is not None and limit < 0:
            raise ValueError(f"a limit is at least 0, not {limit}")
        # Reads the first page at once, so that a wrong argument raises in this call, and every
        # pass begins with the same operation.
        self._read = read
        self._limit = limit
        self._page = PAGE
        most = PAGE if limit is None else min(PAGE, limit)
        self._first = read(None, most)
        self._length: Optional[int] = None

    def _rows(self) -> Iterator[Dict[str, Any]]:
        return _paged(self._read, self._first, self._limit, self._page)

    def __iter__(self) -> Iterator[Operation]:
        return (build(Operation, row) for row in self._rows())

    def __len__(self) -> int:
        if self._length is None:
            # Operations are never changed and never removed, so that they are counted once.
            self._length = sum(1 for _ in self._rows())
        return self._length

    def __bool__(self) -> bool:
        return bool(self._first)

    @overload
    def __getitem__(self, at: SupportsIndex, /) -> Operation: ...
    @overload
    def __getitem__(self, at: slice, /) -> Rows[Operation]: ...
    def __getitem__(self, at: Union[SupportsIndex, slice], /) -> Union[Operation, Rows[Operation]]:
        if isinstance(at, slice):
            start, stop, step = at.start or 0, at.stop, at.step or 1
            if start < 0 or step < 0 or (stop is not None and stop < 0):
                return Rows("Operation", list(self)[at])
            return Rows("Operation", islice(self, start, stop, step))
        number = operator.index(at)
        left = number + len(self) if number < 0 else number
        for row in islice(self._rows(), left, None) if left >= 0 else ():
            return build(Operation, row)
        raise IndexError(f"the history has {len(self):,} operations, and none at {number}")

    def to_dicts(self) -> List[Dict[str, Any]]:
        """Give them as dictionaries, as ``dalsegno history --json`` has them."""
        return [_without_words(row) for row in self._rows()]

    def _table(self) -> Table:
        shown = self[:MOST]
        says = counted(len(shown), "operation", "operations")
        if self[MOST : MOST + 1]:
            says = f"the newest {says}; there are more"
        return of_values("Operation", shown, says)

    def __repr__(self) -> str:
        try:
            return self._table().text()
        except (Error, ValueError) as error:
            return f"<History: {error}>"

    def _repr_html_(self) -> str:
        return self._table().html()


def _without_words(row: Dict[str, Any]) -> Dict[str, Any]:
    """An operation without what only tables have."""
    fields = {name: value for name, value in row.items() if name != "what"}
    if fields["now"] is not None:
        fields["now"] = {name: value for name, value in fields["now"].items() if name != "words"}
    return fields


def _paged(
    read: Page, page: List[Dict[str, Any]], limit: Optional[int], size: int
) -> Iterator[Dict[str, Any]]:
    left = limit
    while page:
        yield from page
        if left is not None:
            left -= len(page)
        most = size if left is None else min(size, left)
        page = read(page[-1]["id"], most) if len(page) == size and most > 0 else []
