"""Tables for those who look: text for a prompt, HTML for a notebook."""

from __future__ import annotations

import html
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Optional, SupportsIndex, TypeVar, Union, overload

from ._folding import cut, shortened

__all__ = ["Rows", "Table", "of_artifact", "of_artifacts", "of_values"]

MOST = 20
"""Rows that a table shows."""
WIDEST = 40
"""Characters that a column of text shows."""
WIDEST_LAST = 80
"""Characters of what an operation did, which is the last column."""


@dataclass(frozen=True)
class Table:
    """Cells as text, under their names."""

    head: tuple[str, ...]
    cells: Sequence[Sequence[str]]
    says: str
    """What the table is of, in a line."""

    def text(self) -> str:
        """Give the table as lines: what is long is folded, or cut in its middle."""
        rows = self._rows()
        if not rows:
            return self.says
        widths = [max(map(len, column)) for column in zip(self.head, *rows)]
        lines = []
        for row in (self.head, *rows):
            cells = [
                cell.rjust(width) if name in NUMBERS else cell.ljust(width)
                for name, cell, width in zip(self.head, row, widths)
            ]
            lines.append("  ".join(cells).rstrip())
        return "\n".join([*lines, self.says])

    def html(self) -> str:
        """Give the table as HTML; every text in it is escaped."""
        says = f"<p>{_escaped(self.says)}</p>"
        if not self.cells:
            return f"<div>{says}</div>"
        head = "".join(_cell("th", name, name, "") for name in self.head)
        body = []
        # A browser wraps sentences by itself.
        for whole, row in zip(self.cells, self._rows(left_whole=SENTENCES)):
            cells = (_cell("td", *cell) for cell in zip(self.head, row, whole))
            body.append(f"<tr>{''.join(cells)}</tr>")
        return (
            f"<div><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join(body)}</tbody></table>{says}</div>"
        )

    def _rows(self, left_whole: Collection[str] = ()) -> list[tuple[str, ...]]:
        """The rows as they are shown."""
        columns: list[list[str]] = []
        for name, column in zip(self.head, zip(*self.cells)):
            cells = [printable(cell) for cell in column]
            if name in FOLDED:
                cells = shortened(cells, WIDEST)
            elif name not in left_whole:
                most = WIDEST_LAST if name == "what" else WIDEST
                cells = [cut(cell, most) for cell in cells]
            columns.append(cells)
        return list(zip(*columns))


def _cell(tag: str, name: str, shown: str, whole: str) -> str:
    align = "right" if name in NUMBERS else "left"
    title = f' title="{_escaped(whole)}"' if whole not in ("", shown) else ""
    return f'<{tag} style="text-align: {align}"{title}>{_escaped(shown)}</{tag}>'


def _escaped(words: str) -> str:
    return html.escape(printable(words))


def printable(words: str) -> str:
    """Names may hold what turns the direction of a line, or what has no width."""
    if words.isprintable():
        return words
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in words)


def size(count: Optional[int], uncounted: int = 0) -> str:
    """Give a number of bytes in words; ``?`` if nothing was counted."""
    if count is None:
        return "?"
    least = "≥ " if uncounted else ""
    if count < 1024:
        return f"{least}{count} B"
    amount, unit = float(count), "B"
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        amount /= 1024
        # Below what would be rounded to 1024.0.
        if amount < 1023.95:
            break
    return f"{least}{amount:.1f} {unit}"


def _number(count: Optional[int], uncounted: int = 0) -> str:
    return "?" if count is None else f"{'≥ ' if uncounted else ''}{count:,}"


def _or_dash(value: Any) -> str:
    return "-" if value is None else str(value)


def _time(at: Optional[datetime]) -> str:
    return "-" if at is None else at.strftime("%Y-%m-%d %H:%M")


def _axes(lengths: Optional[Iterable[int]]) -> str:
    return "?" if lengths is None else " × ".join(map(str, lengths))


def _yes(value: Optional[bool]) -> str:
    return "-" if value is None else "yes" if value else "no"


def _bound(pin: Any) -> Iterable[str]:
    """What a pin binds, in words."""
    for scope in pin.scopes:
        if scope.first is None and scope.last is None:
            yield f"run {scope.run}"
        elif scope.first == scope.last:
            yield f"run {scope.run}, iteration {scope.first}"
        else:
            ends = ("" if end is None else str(end) for end in (scope.first, scope.last))
            yield f"run {scope.run}, iterations {'..'.join(ends)}"
    if pin.artifacts or not pin.scopes:
        yield counted(pin.artifacts, "artifact", "artifacts")


def _changed(operation: Any) -> str:
    """The number of artifacts that an operation changed, or that a pin is about; ``-`` if it is
    about runs or iterations."""
    detail = operation.detail
    entries = detail if isinstance(detail, list) else [detail]
    # Of what other versions did, the form of the detail is not known.
    entries = [entry for entry in entries if isinstance(entry, dict)]
    pinned = [entry["artifacts"] for entry in entries if "pin" in entry and "artifacts" in entry]
    numbers = [len(some) for some in pinned if isinstance(some, list)]
    numbers += [0 for entry in entries if "metric" in entry]
    number = max(operation.artifacts, sum(numbers))
    return f"{number:,}" if number or not numbers else "-"


def _container(artifact: Any) -> str:
    """Name of the container in the run; ``-`` if the kind says it, as for most."""
    if artifact.identifier is None or artifact.kind == "checkpoint":
        return "-"
    name = str(artifact.container).rpartition(f"/{artifact.run}/")[2]
    usual = {"snapshot": "snapshot.zarr", "array": ""}.get(artifact.kind, "validation.zarr")
    return "-" if name == usual else name


Columns = dict[str, Callable[[Any], str]]
"""The columns of a kind of value, and how each is read."""

ARTIFACT: Columns = {
    "id": lambda it: _or_dash(it.id),
    "run": lambda it: it.run,
    "iteration": lambda it: _or_dash(it.iteration),
    "kind": lambda it: it.kind,
    "container": _container,
    "dataset": lambda it: _or_dash(it.dataset),
    "parameters": lambda it: _or_dash(it.parameters),
    "state": lambda it: it.state,
    "shape": lambda it: "-" if it.shape is None else _axes(it.shape),
    "dtype": lambda it: _or_dash(it.dtype),
    "size": lambda it: size(it.bytes),
    "files": lambda it: _number(it.files),
    "pins": lambda it: ", ".join(it.pins) or "-",
}

VALUES: dict[str, Columns] = {
    "Iteration": {
        "run": lambda it: it.run,
        "iteration": lambda it: str(it.iteration),
        "datasets": lambda it: f"{len(it.datasets)}/{it.datasets_of_run}",
        "outputs": lambda it: f"{it.outputs:,}",
        "predictions": lambda it: f"{it.predictions:,}",
        "complete": lambda it: _yes(it.complete),
        "damaged": lambda it: f"{it.damaged:,}",
        "size": lambda it: size(it.bytes, it.uncounted),
        "files": lambda it: _number(it.files, it.uncounted),
    },
    "Run": {
        "run": lambda it: it.run,
        "iterations": lambda it: f"{it.iterations:,}",
        "last iteration": lambda it: _or_dash(it.last_iteration),
        "present": lambda it: f"{it.present:,}",
        "reserved": lambda it: f"{it.reserved:,}",
        "missing": lambda it: f"{it.missing:,}",
        "damaged": lambda it: f"{it.damaged:,}",
        "last written": lambda it: _time(it.last_written_at),
        "size": lambda it: size(it.bytes, it.uncounted),
        "files": lambda it: _number(it.files, it.uncounted),
    },
    "DiskUse": {
        "run": lambda it: _or_dash(it.run),
        "kind": lambda it: _or_dash(it.kind),
        "iteration": lambda it: _or_dash(it.iteration),
        "dataset": lambda it: _or_dash(it.dataset),
        "owner": lambda it: _or_dash(it.owner),
        "arrays": lambda it: f"{it.arrays:,}",
        "size": lambda it: size(it.bytes, it.uncounted),
        "on disk": lambda it: size(it.disk_bytes, it.uncounted),
        "files": lambda it: _number(it.files, it.uncounted),
    },
    "Score": {
        "run": lambda it: it.run,
        "iteration": lambda it: str(it.iteration),
        "dataset": lambda it: _or_dash(it.dataset),
        "parameters": lambda it: _or_dash(it.parameters),
        "metric": lambda it: it.metric,
        "value": lambda it: f"{it.value:g}",
    },
    "Pin": {
        "name": lambda it: it.name,
        "binds": lambda it: "; ".join(_bound(it)),
        "reason": lambda it: it.reason,
        "user": lambda it: it.user,
        "pinned at": lambda it: _time(it.pinned_at),
    },
    "Removal": {
        "removal": lambda it: it.id,
        "removed at": lambda it: _time(it.removed_at),
        "artifacts": lambda it: f"{it.artifacts:,}",
        "size": lambda it: size(it.bytes, it.uncounted),
        "files": lambda it: _number(it.files, it.uncounted),
        "user": lambda it: it.user,
        "reason": lambda it: _or_dash(it.reason),
        "state": lambda it: it.state,
        "unlinked after": lambda it: _time(it.purge_after),
    },
    "Operation": {
        "id": lambda it: str(it.id),
        "at": lambda it: _time(it.at),
        "who": lambda it: f"{it.user}@{it.host}",
        "action": lambda it: it.action,
        "artifacts": _changed,
        "now": lambda it: "-" if it.now is None else it.now.words,
        "what": lambda it: it.what,
    },
    "PlanLine": {
        "": lambda it: "goes" if it.removed else "stays",
        "run": lambda it: it.artifact.run,
        "iteration": lambda it: _or_dash(it.artifact.iteration),
        "kind": lambda it: it.artifact.kind,
        "container": lambda it: _container(it.artifact),
        "dataset": lambda it: _or_dash(it.artifact.dataset),
        "parameters": lambda it: _or_dash(it.artifact.parameters),
        "size": lambda it: size(it.artifact.bytes),
        "why": lambda it: "; ".join(it.reasons),
    },
}
"""The columns of each class of values that come as rows, by its name."""

NOUNS = {
    "Iteration": ("iteration", "iterations"),
    "Run": ("run", "runs"),
    "DiskUse": ("line", "lines"),
    "Score": ("score", "scores"),
    "Pin": ("pin", "pins"),
    "Removal": ("removal", "removals"),
    "Operation": ("operation", "operations"),
    "PlanLine": ("artifact", "artifacts"),
}

NUMBERS = frozenset(
    "id iteration iterations datasets outputs predictions damaged size files present reserved "
    "missing arrays artifacts value owner".split()
) | {"last iteration", "on disk"}
"""Columns of numbers."""

FOLDED = frozenset(("parameters", "path", "run", "dataset", "container"))
"""Columns whose long names are folded."""
SENTENCES = frozenset(("why", "reason", "binds", "what"))
"""Columns that a browser shows whole."""

_RARE = ("container", "now")
"""Columns that are left out if no row has a value in them."""

_SUMMED = ("run", "kind", "iteration", "dataset", "owner")
"""Columns of disk use that are left out unless it is summed by them."""


def counted(number: int, one: str, many: str) -> str:
    """Give a number of things in words."""
    return f"1 {one}" if number == 1 else f"{number:,} {many}"


def of_values(name: str, values: Sequence[Any], says: str) -> Table:
    """Give the table of values of the class with this name."""
    columns = dict(VALUES[name])
    if name == "DiskUse":
        for left_out in _SUMMED:
            if all(getattr(value, left_out) is None for value in values):
                del columns[left_out]
    return _table(columns, values, says)


def of_artifacts(artifacts: Sequence[Any], says: str) -> Table:
    """Give the table of artifacts."""
    return _table(ARTIFACT, artifacts, says)


def _table(columns: Columns, values: Sequence[Any], says: str) -> Table:
    for rare in _RARE:
        if rare in columns and all(columns[rare](it) == "-" for it in values):
            columns = {name: read for name, read in columns.items() if name != rare}
    return Table(tuple(columns), [[read(it) for read in columns.values()] for it in values], says)


def of_artifact(artifact: Any) -> str:
    """Give an artifact as HTML: its fields, one under the other."""
    fields = {name: read(artifact) for name, read in ARTIFACT.items()}
    fields["chunks"] = "-" if artifact.chunks is None else _axes(artifact.chunks)
    if artifact.chunks_there is not None:
        fields["chunks there"] = f"{artifact.chunks_there:,} of {_number(artifact.chunks_expected)}"
    fields["written"] = _time(artifact.written_at)
    fields["sealed"] = _time(artifact.sealed_at)
    fields["path"] = str(artifact.path)
    rows = (
        f'<tr><th style="text-align: left">{_escaped(name)}</th>'
        f'<td style="text-align: left">{_escaped(value)}</td></tr>'
        for name, value in fields.items()
    )
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


T = TypeVar("T")


class Rows(list[T]):
    """A list that shows itself as a table, as text and in notebooks."""

    def __init__(self, name: str, values: Iterable[T] = ()) -> None:
        super().__init__(values)
        self._name = name

    @overload
    def __getitem__(self, at: SupportsIndex, /) -> T: ...
    @overload
    def __getitem__(self, at: slice, /) -> Rows[T]: ...
    def __getitem__(self, at: Union[SupportsIndex, slice], /) -> Union[T, Rows[T]]:
        if isinstance(at, slice):
            return Rows(self._name, super().__getitem__(at))
        return super().__getitem__(at)

    def __reduce__(self) -> tuple[Any, ...]:
        return Rows, (self._name, list(self))

    def _table(self) -> Table:
        says = counted(len(self), *NOUNS[self._name])
        if len(self) > MOST:
            says = f"{says}, of which the first {MOST} are shown"
        return of_values(self._name, self[:MOST], says)

    def __repr__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()
