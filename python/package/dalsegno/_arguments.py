"""Arguments as DaCapo's users give them: texts, paths, and whatever has a text of its own."""

from __future__ import annotations

import inspect
import math
import operator
import os
import pwd
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from datetime import date, datetime, timedelta, timezone
from numbers import Number
from pathlib import PurePosixPath
from typing import Any, Optional, Protocol, TypedDict, TypeVar, Union

from . import _native

Many = (list, tuple, set, frozenset, range, Iterator)


class HasText(Protocol):
    """Whatever ``str()`` makes a name of: a ``Dataset``, parameters, a path."""

    def __str__(self) -> str: ...


Text = Union[str, "os.PathLike[str]", HasText]
"""A name: a text, a path, or an object whose ``str()`` is meant."""

AnyPath = Text
"""A path, absolute or relative to the base directory; or an artifact, an identifier or a key, each
of which has one."""

Iterations = Union[int, str, range, "Iterable[int | str]"]
"""Iterations: a number, ``"1000..2000"``, ``"1000.."``, ``"..2000"``, a range, or several of
these."""

Age = Union[timedelta, date, str, float]
"""An age: a timedelta, a text such as ``"14d"``, seconds; or the day or time since when it counts,
as a ``datetime``, a ``date`` or a text such as ``"2026-05-18"``. Days begin in UTC."""

Keep = Union[bool, timedelta, str, float, None]
"""How long removed data can be restored: ``True`` until the trash is emptied, ``False`` not at all,
a length of time, or ``None`` for what ``config.toml`` says."""


class Selection(TypedDict, total=False):
    """What a call is about. The parts are anded, the values of one part ored; left out is any.

    Names of runs, datasets and parameters may be patterns with ``*``, ``?`` and ``[...]``; if the
    registry knows the name that a pattern spells, that name is meant. ``None`` is as left out.
    """

    run: Text | Iterable[Text] | None
    """Runs."""
    below: AnyPath | Iterable[AnyPath] | None
    """What is at these paths or below them, absolute or relative to the base directory: runs,
    containers, folders of iterations or datasets, arrays, checkpoints. Artifacts, identifiers and
    keys name their paths."""
    kind: str | Iterable[str] | None
    """Kinds; checkpoints are selected only if they are named."""
    iteration: Iterations | None
    """Iterations; both ends of ``"1000..2000"`` are included."""
    dataset: Text | Iterable[Text] | None
    """Datasets and indices."""
    parameters: Text | Iterable[Text] | None
    """Parameters and criteria."""
    state: str | Iterable[str] | None
    """``reserved``, ``present``, ``missing`` or ``damaged``."""
    older_than: Age | None
    """Written longer ago than this; recorded longer ago, if no data was seen."""
    before: Age | None
    """Written before this time, or recorded before it if no data was seen."""
    since: Age | None
    """Written at this time or later, or recorded then if no data was seen."""
    exclude_run: Text | Iterable[Text] | None
    """Runs to leave out."""
    exclude_kind: str | Iterable[str] | None
    """Kinds to leave out."""
    exclude_dataset: Text | Iterable[Text] | None
    """Datasets and indices to leave out."""
    exclude_parameters: Text | Iterable[Text] | None
    """Parameters and criteria to leave out."""
    pinned: bool | None
    """Only what a pin binds."""
    owner: int | str | Iterable[int | str] | None
    """The users whose the data is: names on this machine, or numbers."""
    min_size: int | str | None
    """At least this large: bytes, or as in ``"500MB"``; what was not counted is left out."""


def text(value: Text, *, what: str = "a name", numbers: bool = True) -> str:
    """Give the text of a name.

    Raises:
        TypeError: It is ``None``, a truth value, bytes or an object without a text of its own; or a
            number instead of a path.
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(os.fspath(value))
    is_number = isinstance(value, Number)
    if value is None or isinstance(value, (bool, bytes)) or (is_number and not numbers):
        raise TypeError(f"{what} is a text or a path, not {value!r}")
    kind = type(value)
    if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        raise TypeError(f"{what} is a text; {kind.__name__} objects have none of their own")
    return str(value)


def name(value: Text, *, what: str = "a name", numbers: bool = True) -> str:
    """Give the text of a name that goes to the registry: it is in UTF-8 there.

    Raises:
        TypeError: As :func:`text`.
        ValueError: It holds a lone surrogate, which Python makes of names on disk that are not
            UTF-8.
    """
    given = text(value, what=what, numbers=numbers)
    try:
        given.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} is in UTF-8, and {given!r} cannot be") from None
    return given


def tidy(path: str) -> str:
    """Give a path without ``./`` and a slash at its end, as shells complete folders."""
    return str(PurePosixPath(path)) if path.startswith("./") or path.endswith("/") else path


def optional(value: Optional[Text], *, what: str = "a name") -> Optional[str]:
    """Give the text of a name, or ``None``."""
    return None if value is None else name(value, what=what)


def iteration(value: object) -> str:
    """Give an iteration as text; whether it is one, the library says."""
    if isinstance(value, (bool, float)):
        return str(value)
    try:
        return str(operator.index(value))  # type: ignore[arg-type]
    except TypeError:
        return name(value, what="an iteration")


def _texts(values: Any, what: str) -> list[str]:
    if values is None:
        return []
    if isinstance(values, Many):
        return [name(value, what=what) for value in values]
    return [name(values, what=what)]


def _names(given: Mapping[str, Any], part: str, what: str) -> list[str]:
    """The names of a part of a selection. An empty list would be any, which is never meant."""
    values = given.get(part)
    found = _texts(values, what)
    if values is not None and not found:
        raise ValueError(f"no {part} is named; leave {part} out for any")
    return found


def _iterations(values: Any) -> list[str]:
    if values is None:
        return []
    if isinstance(values, range) and values.step == 1 and len(values) > 0:
        return [f"{values.start}..{values.stop - 1}"]
    if isinstance(values, Many):
        found = [found for value in values for found in _iterations(value)]
        if not found:
            raise ValueError("no iteration is named; leave iteration out for any")
        return found
    return [iteration(values)]


def seconds(length: Age, *, what: str = "a length of time") -> float:
    """Give a length of time in seconds; of a day or time, the time since then.

    Raises:
        ValueError: It is negative, in the future, not finite, or a text that cannot be read.
        TypeError: It is of another type.
    """
    if isinstance(length, timedelta):
        return length.total_seconds()
    at = _moment(length)
    if at is not None:
        age = time.time() - at / 1000
        if age < 0:
            raise ValueError(f"{what} is a time that has passed, not {length}")
        return age
    if isinstance(length, str):
        return _native.parse_duration(length)
    if isinstance(length, bool) or not isinstance(length, (int, float)):
        raise TypeError(f"{what} is a timedelta, a text such as '14d', or seconds, not {length!r}")
    if not math.isfinite(length):
        raise ValueError(f"{what} is finite, not {length!r}")
    return float(length)


def _moment(value: Age) -> Optional[int]:
    """Give a day or a time in milliseconds since 1970; ``None`` for a length of time."""
    if isinstance(value, str):
        try:
            return _native.parse_time(value)
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
    if not isinstance(value, datetime):
        return None
    if value.tzinfo is None:
        value = value.astimezone()
    since = value - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return since // timedelta(milliseconds=1)


def moment(value: Age) -> int:
    """Give a moment, or one that long ago, in milliseconds since 1970."""
    at = _moment(value)
    return int((time.time() - seconds(value)) * 1000) if at is None else at


def size(value: Optional[int | str]) -> Optional[int]:
    """Give a number of bytes."""
    if isinstance(value, str):
        return _native.parse_size(value)
    return count(value, what="a number of bytes")


def free(value: Optional[int | str]) -> Optional[int | str]:
    """Give a number of bytes, or a text that the native half reads."""
    if isinstance(value, str):
        return value
    return count(value, what="a number of bytes")


def count(value: Optional[int], *, what: str) -> Optional[int]:
    """Give a number of things, or ``None``.

    Raises:
        ValueError: It is less than 0, or more than there can be.
        TypeError: It is not an integer.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        raise TypeError(f"{what} is an integer, not {value!r}")
    number = operator.index(value)
    if not 0 <= number < 2**63:
        raise ValueError(f"{what} is at least 0 and below 2**63, not {number}")
    return number


def _user(value: int | str) -> Optional[int]:
    """Give the number of a user, who may be given by name; a number needs no look-up.

    Raises:
        ValueError: This machine has no such user.
    """
    if not isinstance(value, str):
        return count(value, what="an owner")
    if value.isascii() and value.isdigit():
        return count(int(value), what="an owner")
    try:
        return pwd.getpwnam(value).pw_uid
    except (KeyError, ValueError):
        raise ValueError(
            f"this machine has no user {value!r}; give the number of the user"
        ) from None


def keep(value: Keep) -> Optional[bool | float]:
    """Give how long removed data is kept, as the native half takes it."""
    if value is None or isinstance(value, bool):
        return value
    return seconds(value, what="keep")


_Call = TypeVar("_Call", bound=Callable[..., Any])


def selecting(call: _Call) -> _Call:
    """Shows each part of a selection in the signature of a call, for ``help()`` and completion."""
    signature = inspect.signature(call)
    own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    parts = []
    for part, hint in Selection.__annotations__.items():
        words = getattr(hint, "__forward_arg__", hint)
        only = inspect.Parameter.KEYWORD_ONLY
        parts.append(inspect.Parameter(part, only, default=None, annotation=words))
    shown = signature.replace(parameters=[*own, *parts])
    call.__signature__ = shown  # type: ignore[attr-defined]
    return call


def given(selection: Mapping[str, Any]) -> dict[str, Any]:
    """Give the parts that select anything: ``None`` is as left out, and so is ``pinned=False``."""
    return {
        part: value
        for part, value in selection.items()
        if not (value is None or (part == "pinned" and value is False))
        and not (part.startswith("exclude_") and isinstance(value, Sized) and len(value) == 0)
    }


def selection(given: Mapping[str, Any]) -> dict[str, Any]:
    """Give a selection as the native half takes it.

    Raises:
        TypeError: A part is unknown, or of a wrong type.
    """
    unknown = set(given) - set(Selection.__annotations__)
    if unknown:
        known = ", ".join(Selection.__annotations__)
        raise TypeError(f"a selection has no {', '.join(sorted(unknown))}; it has {known}")
    older_than = given.get("older_than")
    # An age counts back from the moment of the query, which follows a look at the disk.
    before, age = [], None
    if older_than is not None:
        at = _moment(older_than)
        if at is None:
            age = seconds(older_than)
        else:
            before.append(at)
    if given.get("before") is not None:
        before.append(moment(given["before"]))
    since = given.get("since")
    owner = given.get("owner")
    owners = [] if owner is None else (list(owner) if isinstance(owner, Many) else [owner])
    if owner is not None and not owners:
        raise ValueError("no owner is named; leave owner out for any")
    return {
        "run": _names(given, "run", "a run"),
        "below": [tidy(path) for path in _names(given, "below", "a path")],
        "kind": _names(given, "kind", "a kind"),
        "iteration": _iterations(given.get("iteration")),
        "dataset": _names(given, "dataset", "a dataset"),
        "parameters": _names(given, "parameters", "parameters"),
        "state": _names(given, "state", "a state"),
        "older_than": age,
        "written_before": min(before, default=None),
        "written_since": None if since is None else moment(since),
        "exclude_run": _texts(given.get("exclude_run"), "a run"),
        "exclude_kind": _texts(given.get("exclude_kind"), "a kind"),
        "exclude_dataset": _texts(given.get("exclude_dataset"), "a dataset"),
        "exclude_parameters": _texts(given.get("exclude_parameters"), "parameters"),
        "pinned": bool(given.get("pinned", False)),
        "owner": [_user(owner) for owner in owners],
        "min_bytes": size(given.get("min_size")),
    }


def selects(wanted: Mapping[str, Any]) -> bool:
    """Whether a selection as the native half takes it leaves anything out."""
    return any(
        value is not None and value is not False and value != [] for value in wanted.values()
    )


def texts(values: Any, what: str = "a name") -> list[str]:
    """Give the texts of one name or several."""
    return _texts(values, what)
