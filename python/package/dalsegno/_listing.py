"""Listings: artifacts or operations one by one, or all of them as a table."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from typing import Any, Callable, Dict, List, Optional

from ._native import Artifact
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


class Listing(Iterator[Artifact]):
    """The artifacts of a selection, in the order run, iteration, kind, dataset, parameters.

    An iterator: it goes through the artifacts once. Rows come run by run, so memory holds one run
    at a time, and between two of them nothing is locked: the body of a loop may remove what it is
    given.
    """

    def __init__(self, runs: List[str], select: Callable[[str], List[Artifact]]) -> None:
        self._runs = iter(runs)
        self._select = select
        self._rows: Iterator[Artifact] = iter(())

    def __iter__(self) -> Listing:
        return self

    def __next__(self) -> Artifact:
        while True:
            found = next(self._rows, None)
            if found is not None:
                return found
            self._rows = iter(self._select(next(self._runs)))

    def to_dicts(self) -> List[Dict[str, Any]]:
        """Give the rest as dictionaries, as ``dalsegno list --json`` has them."""
        return [artifact.to_dict() for artifact in self]

    def to_arrow(self) -> Any:
        """Give the rest as a ``pyarrow.Table``; times in UTC, to the millisecond.

        Raises:
            ImportError: pyarrow is not installed.
        """
        arrow = _imported("pyarrow", "an Arrow table")
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
        """Give the rest through the Arrow C interface, to polars, DuckDB, pandas or pyarrow.

        Raises:
            ImportError: pyarrow is not installed.
        """
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_pandas(self) -> Any:
        """Give the rest as a ``pandas.DataFrame``; numbers that may be unknown are ``Int64``.

        Raises:
            ImportError: pandas is not installed.
        """
        pandas = _imported("pandas", "a data frame")
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


class History(Iterator[Operation]):
    """Operations, the newest first.

    An iterator: it goes through the operations once. They are read page by page, so memory holds a
    page at a time, and between two pages nothing is locked. What is done meanwhile is not among
    them.
    """

    def __init__(self, read: Page, limit: Optional[int]) -> None:
        if limit is not None and limit < 0:
            raise ValueError(f"a limit is at least 0, not {limit}")
        # Reads the first page at once, so that a wrong argument raises in this call.
        most = PAGE if limit is None else min(PAGE, limit)
        self._rows = _paged(read, read(None, most), limit)

    def __iter__(self) -> History:
        return self

    def __next__(self) -> Operation:
        return build(Operation, next(self._rows))

    def to_dicts(self) -> List[Dict[str, Any]]:
        """Give the rest as dictionaries, as ``dalsegno history --json`` has them."""
        return list(self._rows)


def _paged(
    read: Page, page: List[Dict[str, Any]], limit: Optional[int]
) -> Iterator[Dict[str, Any]]:
    left = limit
    while page:
        yield from page
        if left is not None:
            left -= len(page)
        most = PAGE if left is None else min(PAGE, left)
        page = read(page[-1]["id"], most) if len(page) == PAGE and most > 0 else []


def _imported(name: str, what: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(f"{what} takes {name}: pip install {name}") from None
