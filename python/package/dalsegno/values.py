"""What the registry answers: frozen values, with the fields that the command line's JSON has.

Times are aware ``datetime`` objects in UTC, sizes are bytes, paths are absolute unless said. A
number of bytes or files goes with ``uncounted``: the number of arrays without a count, so that the
sum is "at least", and ``None`` if no array was counted.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Optional, TypeVar, Union, cast

from ._native import Artifact, LocalArrayIdentifier, LocalContainerIdentifier
from ._showing import Rows

__all__ = [
    "Artifact",
    "BackupFailure",
    "Broken",
    "Chain",
    "DiskUse",
    "EmptiedTrash",
    "Fate",
    "Follows",
    "GcReport",
    "Image",
    "Iteration",
    "LocalArrayIdentifier",
    "LocalContainerIdentifier",
    "Noted",
    "Notice",
    "OlderRemoved",
    "Operation",
    "Pin",
    "PinChange",
    "PinScope",
    "PlanLine",
    "Published",
    "Purge",
    "Rebuilt",
    "Refreshed",
    "Removal",
    "Removed",
    "Renamed",
    "Repaired",
    "Restored",
    "Run",
    "Scanned",
    "Score",
    "Skipped",
    "StaleList",
    "Sum",
    "Undone",
    "UnknownName",
    "Verified",
    "VerifyFinding",
    "VerifyPart",
]


@dataclass(frozen=True)
class Iteration:
    """What one iteration of a run has, counting what is present."""

    run: str
    iteration: int
    datasets: tuple[str, ...]
    """Datasets that were validated on and have anything."""
    datasets_of_run: int
    """Number of the run's datasets, of any iteration and state."""
    complete: Optional[bool]
    """Whether it has each prediction and output that any iteration of the run has; None if it has
    nothing that could be complete, such as a checkpoint alone."""
    missing: tuple[str, ...]
    """The predictions and outputs that it lacks, such as ``crop7/output/threshold_127``."""
    outputs: int
    predictions: int
    others: int
    damaged: int
    """Arrays whose metadata cannot be read."""
    chunks_there: int
    """Chunks, or shards, that are there, of the arrays whose chunks were counted."""
    chunks_expected: int
    """Chunks, or shards, of these arrays if all were there."""
    last_written_at: datetime
    sealed: int
    """Arrays with data that are sealed."""
    pinned: int
    """Arrays with data that a pin binds."""
    bytes: Optional[int]
    files: Optional[int]
    uncounted: int


@dataclass(frozen=True)
class Run:
    """What a run has."""

    run: str
    iterations: int
    last_iteration: Optional[int]
    present: int
    reserved: int
    missing: int
    damaged: int
    last_written_at: datetime
    sealed: int
    """Arrays with data that are sealed."""
    pinned: int
    """Arrays with data that a pin binds."""
    bytes: Optional[int]
    files: Optional[int]
    uncounted: int


@dataclass(frozen=True)
class DiskUse:
    """One line of disk use; what it is not summed by is ``None``."""

    run: Optional[str]
    kind: Optional[str]
    iteration: Optional[int]
    dataset: Optional[str]
    owner: Optional[int]
    arrays: int
    damaged: int
    """Of these arrays, those whose metadata cannot be read."""
    reserved: int
    disk_bytes: Optional[int]
    """Bytes on disk, as far as they were counted."""
    bytes: Optional[int]
    files: Optional[int]
    uncounted: int


@dataclass(frozen=True)
class Notice:
    """What a walk noticed on disk, or sealed data that is not as it was sealed."""

    kind: str
    """Its class: `unreadable`, `damaged-metadata`, `unnameable`, `outside-container`,
    `outside-run`, `symlink`, `changed-files`, `changed-size`,
    `rewritten` or `levels`."""
    path: str
    """Relative to the base directory; what is not printable is escaped."""
    detail: str


@dataclass(frozen=True)
class Refreshed:
    """What a refresh saw."""

    looked_at: int
    present: int
    changed: int
    gone: int
    """Recorded arrays and checkpoints of the selection whose data is gone."""
    notices: tuple[Notice, ...]


@dataclass(frozen=True)
class Scanned:
    """What a scan found and took in."""

    arrays: int
    damaged: int
    """Arrays whose metadata cannot be read, and that have a row."""
    checkpoints: int
    adopted: int
    updated: int
    gone: int
    """Recorded arrays and checkpoints whose data is gone."""
    bytes: Optional[int]
    files: Optional[int]
    uncounted: int
    likely_base: Optional[Path]
    """If nothing is recorded and all arrays lie outside runs, the folder that most likely holds the
    runs; ``scan`` warns of that."""
    notices: tuple[Notice, ...]


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild of the catalog did."""

    catalog: Path
    cause: str
    """What was wrong with the old one."""
    set_aside: Optional[Path]
    """Where the old one is now."""
    backup: Optional[dict[str, Any]]
    """The backup or published copy that it began with; the old catalog if only its header was
    damaged; ``None`` for the disk alone."""
    copy_set_aside: Optional[Path]
    """Where a published copy is now that has operations which the new catalog lacks."""
    salvaged: Optional[dict[str, Any]]
    """What was read of the damaged catalog that the backup lacked: numbers of ``artifacts``, of
    rows that got a seal or a name (``updated``), of ``pins`` and ``scores``; how many rows could
    not be read, at most (``unread``), and whether reading ended early (``is_cut``). ``None`` if
    nothing was read."""
    removals: tuple[str, ...]
    """Removals in the trash that the backup did not know: restorable, or being purged."""
    problems: tuple[str, ...]
    artifacts: int
    present: int
    missing: int
    scan: Scanned


@dataclass(frozen=True)
class Published:
    """The published copy that answers are from, on a host without the catalog."""

    host: str
    """The host that has the catalog."""
    path: Path
    """The copy."""
    at: Optional[datetime]
    """When it was made, by the clock of that host. ``None`` if it does not say."""

    @property
    def age(self) -> Optional[timedelta]:
        """How old the copy is, by the clock of this host."""
        return None if self.at is None else datetime.now(timezone.utc) - self.at


@dataclass(frozen=True)
class VerifyPart:
    """What a finding about a folder explains at a path in it; no finding of its own."""

    kind: str
    path: str
    artifact: Optional[int]
    detail: str


@dataclass(frozen=True)
class Follows:
    """Where the data of a run or container is that was renamed by hand, and what follows it."""

    to: str
    """The new path, relative to the base directory."""
    arrays: int
    pins: int
    """Pins that bind the run or any of its artifacts."""
    scores: int
    passed: tuple[str, ...]
    """Folders in which a scan saw the data on its way. Their rows bind nothing, and go."""
    findings: tuple[VerifyPart, ...]
    """What is found at both paths only because of the rename."""


@dataclass(frozen=True)
class VerifyFinding:
    """One thing in which catalog and disk do not agree."""

    kind: str
    """Which kind of thing, such as ``row-without-data``."""
    path: str
    artifact: Optional[int]
    detail: str
    repair: Optional[str]
    """What a repair does about it; ``None`` if it needs manual action."""
    next: Optional[str]
    """What to do about it, if a repair cannot."""
    follows: Optional[Follows]
    """For a run or container that was renamed by hand: what follows it."""


@dataclass(frozen=True)
class Repaired:
    """What a repair mended in the catalog, and what takes a person."""

    repaired: tuple[VerifyFinding, ...]
    left: tuple[VerifyFinding, ...]


@dataclass(frozen=True)
class Verified:
    """What a verification looked at and found."""

    rows: int
    measured: int
    read: int
    """Rows whose data was read, to compare its contents."""
    unhashed: int
    arrays: int
    checkpoints: int
    noted: int
    """Arrays and checkpoints without a row whose keys wait in the inbox."""
    newer: int
    """Arrays and checkpoints without a row that are newer than the published copy that was
    compared."""
    operations: Optional[int]
    is_complete: bool
    """Whether everything could be read. What was not read was not judged."""
    findings: tuple[VerifyFinding, ...]
    notices: tuple[Notice, ...]
    repaired: Optional[Repaired]

    @property
    def agrees(self) -> bool:
        """Whether catalog and disk agree, as far as was looked."""
        return self.is_complete and not self.findings


@dataclass(frozen=True)
class Purge:
    """What unlinking did."""

    files: int
    folders: int
    failures: tuple[tuple[str, str], ...]
    failed: int
    is_done: bool


@dataclass(frozen=True)
class Skipped:
    """An artifact that was left out."""

    path: Path
    code: str
    reason: str


@dataclass(frozen=True)
class StaleList:
    """Consolidated metadata that could not be written."""

    path: Path
    reason: str


@dataclass(frozen=True)
class BackupFailure:
    """Why the catalog could not be backed up before a removal, which went on."""

    code: str
    reason: str


@dataclass(frozen=True)
class Removed:
    """What a removal did."""

    removal: Optional[str]
    """Its id, for ``restore``; ``None`` if nothing was removed."""
    artifacts: tuple[Artifact, ...]
    """The rows that are gone."""
    missing: tuple[Path, ...]
    """Artifacts whose data was gone already."""
    skipped: tuple[Skipped, ...]
    moved: int
    bytes: Optional[int]
    files: Optional[int]
    uncounted: int
    other_bytes: Optional[int]
    """Bytes of what went and has no row, such as checkpoints and logs of a whole run, with the
    metadata of groups; ``None`` if something of it cannot be read."""
    other_files: Optional[int]
    purge: Optional[Purge]
    """``None`` if the data is kept in the trash."""
    stale_lists: tuple[StaleList, ...]
    """Consolidated metadata that could not be written, and still lists what is gone."""
    backup_failed: Optional[BackupFailure]


@dataclass(frozen=True)
class OlderRemoved:
    """An artifact that stays in the trash because a newer removal took one from the same path."""

    path: str
    """Relative to the base directory."""
    removal: str


@dataclass(frozen=True)
class Restored:
    """What a restore brought back, or would."""

    removals: tuple[str, ...]
    artifacts: tuple[Artifact, ...]
    moved: int
    skipped: tuple[Skipped, ...]
    """What stays in the trash because something is at its place, because this user may not move it,
    or because its removal cannot be read, and why; and what was deleted in the trash by hand
    (``lost-in-trash``), whose rows are back as missing."""
    older: tuple[OlderRemoved, ...]
    """What stays in the trash because a newer removal took something from the same path."""
    stale_lists: tuple[StaleList, ...]
    """Consolidated metadata that could not be written, and does not list what is back."""


@dataclass(frozen=True)
class Renamed:
    """What a rename of a run did, or would do."""

    run: str
    to: str
    artifacts: int
    scores: int
    scopes: int
    """Runs and iterations that pins bind and that went along."""

    in_trash: int
    """Items in the trash that keep the old name."""

    removals: tuple[str, ...]
    """The removals that they are of, which bind the old name."""

    links: int
    """DaCapo's links to checkpoints that name the old path."""

    left: tuple[Path, ...]
    """DaCapo's own files of the run, which keep the old name."""

    active_at: Optional[datetime]
    """When data was last written, if that was within the last hour."""

    stale_lists: tuple[StaleList, ...]
    """Consolidated metadata that could not be written, and still lists the old name."""


@dataclass(frozen=True)
class Removal:
    """A removal whose data is or was in the trash."""

    id: str
    removed_at: datetime
    user: str
    host: str
    pid: int
    reason: Optional[str]
    state: str
    """``kept``, ``purging``, ``purged`` or ``restored``."""
    purge_after: Optional[datetime]
    artifacts: int
    bytes: Optional[int]
    files: Optional[int]
    uncounted: int
    other_bytes: Optional[int]
    """Bytes of what else lies in its trash, such as checkpoints and logs of a whole run; ``None``
    if they were not counted, as by :meth:`dalsegno.Registry.removal`."""
    other_files: Optional[int]


@dataclass(frozen=True)
class EmptiedTrash:
    """What emptying the trash did."""

    purged: tuple[str, ...]
    left: tuple[str, ...]
    purge: Purge


@dataclass(frozen=True)
class PinScope:
    """Iterations of a run, with whatever is recorded there later; without ends, the whole run."""

    run: str
    first: Optional[int]
    last: Optional[int]


@dataclass(frozen=True)
class Pin:
    """A pin: what it binds is kept until it is taken away."""

    name: str
    reason: str
    pinned_at: datetime
    user: str
    host: str
    pid: int
    scopes: tuple[PinScope, ...]
    artifacts: int


@dataclass(frozen=True)
class PinChange:
    """What a pin binds from now on, or does not bind any more."""

    whole: bool
    scopes: tuple[PinScope, ...]
    artifacts: int


@dataclass(frozen=True)
class Score:
    """What was measured of an iteration, or of one dataset or parameter set of it."""

    run: str
    iteration: int
    dataset: Optional[str]
    parameters: Optional[str]
    metric: str
    value: float


@dataclass(frozen=True)
class UnknownName:
    """A name in a score of which nothing is recorded."""

    run: str
    part: str
    """``run``, ``iteration``, ``dataset`` or ``parameters``."""

    name: str
    nearest: Optional[str]
    """The most similar name that the run has, if one is similar; of a run another run; of an
    iteration those next to it, such as ``14000, 16000``."""


@dataclass(frozen=True)
class Sum:
    """How many artifacts, and what they take."""

    artifacts: int
    bytes: Optional[int]
    files: Optional[int]
    disk_bytes: Optional[int]
    """Bytes on disk, or lengths if these were never counted: what removing it frees. ``None`` if
    nothing of it was counted."""
    uncounted: int


@dataclass(frozen=True)
class PlanLine:
    """An artifact of a plan."""

    artifact: Artifact
    removed: bool
    reasons: tuple[str, ...]
    """Why: at least one, and for what stays all of them."""
    age_seconds: Optional[float]


@dataclass(frozen=True)
class GcReport:
    """What carrying out a plan did."""

    plan: str
    removals: tuple[str, ...]
    artifacts: int
    bytes: Optional[int]
    files: Optional[int]
    uncounted: int
    missing: int
    skipped: tuple[Skipped, ...]
    stale_lists: tuple[StaleList, ...]
    """Consolidated metadata that could not be written, and still lists what is gone."""
    purge: Optional[Purge]
    backup_failed: Optional[BackupFailure]


@dataclass(frozen=True)
class Fate:
    """What has become of a removal by now."""

    state: str
    """``kept`` (in the trash), ``purging``, ``purged`` or ``restored``."""
    restored: int
    """Number of its artifacts that were restored."""
    left: int
    """Number of its artifacts that were not."""
    ended_at: Optional[datetime]
    """When its data was unlinked, or the last of it came back."""
    words: str
    """All of this, in the words of the command line."""


@dataclass(frozen=True)
class Operation:
    """One change of the catalog, as the history has it."""

    id: int
    at: datetime
    action: str
    user: str
    host: str
    pid: int
    command: Optional[str]
    job: Optional[str]
    version: str
    reason: Optional[str]
    detail: Any
    image_count: int
    hash: str
    artifacts: int
    path: Optional[str]
    """Path of the first artifact, relative to the base directory."""
    now: Optional[Fate]
    """What has become by now of the removal that it made."""
    what: str
    """What it did and why, in the words of the command line."""


@dataclass(frozen=True)
class Image:
    """An artifact as it was before or after an operation."""

    side: str
    """``before`` or ``after``."""
    artifact: Artifact


@dataclass(frozen=True)
class Broken:
    """An operation that does not fit the chain of hashes."""

    operation: int
    detail: str


@dataclass(frozen=True)
class Noted:
    """A hash that was given, and the operation that has it; ``None`` if no operation has it."""

    hash: str
    operation: Optional[int]


@dataclass(frozen=True)
class Chain:
    """What a check of the history's hashes found."""

    operations: int
    head: str
    broken: Optional[Broken]
    noted: Optional[Noted]

    @property
    def is_whole(self) -> bool:
        """Whether every operation fits, and the hash that was asked for is one of theirs."""
        return self.broken is None and (self.noted is None or self.noted.operation is not None)


@dataclass(frozen=True)
class Undone:
    """What an undo did."""

    operation: int
    action: str
    artifacts: tuple[Artifact, ...]
    skipped: tuple[Skipped, ...]
    """What could not be restored, and why, as in :class:`Restored`."""
    pin: Optional[PinChange]
    scores: int


T = TypeVar("T")

# JSON's name of a field is a word of Python's, or says less.
_RENAMED = {"kind": "class"}


def build(cls: type[T], fields: dict[str, Any]) -> T:
    """Make a value of the fields that the native half gave."""
    values = {}
    for name, hint in _hints(cast(Any, cls)).items():
        key = _RENAMED.get(name, name)
        value = fields[key] if key in fields else fields.get(name)
        values[name] = _read(hint, value)
    return cls(**values)


def build_all(cls: type[T], rows: list[dict[str, Any]]) -> list[T]:
    """Make values of many rows."""
    return [build(cls, row) for row in rows]


def rows(cls: type[T], found: list[dict[str, Any]]) -> Rows[T]:
    """Make values of many rows, which show themselves as a table."""
    return Rows(cls.__name__, build_all(cls, found))


_known_hints: dict[type[Any], dict[str, Any]] = {}


def _hints(cls: type[Any]) -> dict[str, Any]:
    known = _known_hints.get(cls)
    if known is None:
        hints = typing.get_type_hints(cls, vars(sys.modules[__name__]))
        known = {field.name: hints[field.name] for field in dataclasses.fields(cls)}
        _known_hints[cls] = known
    return known


def _read(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return _read(next(one for one in arguments if one is not type(None)), value)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return tuple(_read(arguments[0], item) for item in value)
        return tuple(_read(one, item) for one, item in zip(arguments, value))
    if hint is datetime:
        return _moment(value)
    if hint is Path:
        return Path(value)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return build(hint, value)
    return value


def moment(text: Optional[str]) -> Optional[datetime]:
    """A moment that the native half gave, if any."""
    return None if text is None else _moment(text)


def _moment(text: str) -> datetime:
    """A moment; one outside the range of ``datetime`` becomes the nearest in it."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        nearest = datetime.min if text.startswith("-") else datetime.max
        return nearest.replace(tzinfo=timezone.utc)
