"""Arguments as DaCapo's users give them: texts, paths, and whatever has a text of its own."""

from __future__ import annotations

import math
import operator
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from numbers import Number
from typing import Any, Optional, Protocol, TypedDict, Union

from . import _native

Many = (list, tuple, set, frozenset, range, Iterator)


class HasText(Protocol):
    """Whatever ``str()`` makes a name of: a ``Dataset``, parameters, a path."""

    def __str__(self) -> str: ...


Text = Union[str, "os.PathLike[str]", HasText]
"""A name: a text, a path, or an object whose ``str()`` is meant."""

Iterations = Union[int, str, range, "Iterable[int | str]"]
"""Iterations: a number, ``"1000..2000"``, ``"1000.."``, ``"..2000"``, a range, or several of these."""

Age = Union[timedelta, str, float]
"""A length of time: a timedelta, a text such as ``"14d"``, or seconds."""

Keep = Union[bool, timedelta, str, float, None]
"""How long removed data can be restored: ``True`` until the trash is emptied, ``False`` not at all, a
length of time, or ``None`` for what ``config.toml`` says."""


class Selection(TypedDict, total=False):
    """What a call is about. The parts are anded, the values of one part ored; left out is any.

    Names of runs, datasets and parameters may be patterns with ``*``, ``?`` and ``[...]``; where the
    registry knows the name that a pattern spells, that name is meant.
    """

    run: Text | Iterable[Text]
    """Runs."""
    kind: str | Iterable[str]
    """Kinds; checkpoints are selected only where they are named."""
    iteration: Iterations
    """Iterations; both ends of ``"1000..2000"`` are included."""
    dataset: Text | Iterable[Text]
    """Datasets and indices."""
    parameters: Text | Iterable[Text]
    """Parameters and criteria."""
    state: str | Iterable[str]
    """``reserved``, ``present`` or ``missing``."""
    older_than: Age | datetime
    """Written before, or recorded before where no data was seen."""
    pinned: bool
    """Only what a pin binds."""
    owner: int | Iterable[int]
    """Numbers of the users whose the data is."""
    min_bytes: int | str
    """At least this large; artifacts without a size are not selected."""


def text(value: Text, *, what: str = "a name", numbers: bool = True) -> str:
    """Give the text of a name.

    Raises:
        TypeError: It is ``None``, a truth value, bytes or an object without a text of its own; or a
            number where a path is meant.
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
        ValueError: It holds a lone surrogate, as what is no UTF-8 on disk becomes in Python.
    """
    given = text(value, what=what, numbers=numbers)
    try:
        given.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} is in UTF-8, and {given!r} cannot be") from None
    return given


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
    """Give a length of time in seconds."""
    if isinstance(length, timedelta):
        return length.total_seconds()
    if isinstance(length, str):
        return _native.parse_duration(length)
    if isinstance(length, bool) or not isinstance(length, (int, float)):
        raise TypeError(f"{what} is a timedelta, a text such as '14d', or seconds, not {length!r}")
    if not math.isfinite(length):
        raise ValueError(f"{what} is finite, not {length!r}")
    return float(length)


def moment(value: Age | datetime) -> int:
    """Give a moment, or one that long ago, in milliseconds since 1970."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            value = value.astimezone()
        since = value - datetime(1970, 1, 1, tzinfo=timezone.utc)
        return since // timedelta(milliseconds=1)
    return int((time.time() - seconds(value)) * 1000)


def size(value: Optional[int | str]) -> Optional[int]:
    """Give a number of bytes."""
    if isinstance(value, str):
        return _native.parse_size(value)
    return count(value, what="a number of bytes")


def count(value: Optional[int], *, what: str) -> Optional[int]:
    """Give a number of things, or ``None``.

    Raises:
        ValueError: It is less than 0, or more than there can be.
        TypeError: It is no integer.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        raise TypeError(f"{what} is an integer, not {value!r}")
    number = operator.index(value)
    if not 0 <= number < 2**63:
        raise ValueError(f"{what} is no less than 0 and below 2**63, not {number}")
    return number


def keep(value: Keep) -> Optional[bool | float]:
    """Give how long removed data is kept, as the native half takes it."""
    if value is None or isinstance(value, bool):
        return value
    return seconds(value, what="keep")


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
    before, age = None, None
    if isinstance(older_than, datetime):
        before = moment(older_than)
    elif older_than is not None:
        age = seconds(older_than)
    owner = given.get("owner")
    owners = [] if owner is None else (list(owner) if isinstance(owner, Many) else [owner])
    return {
        "run": _texts(given.get("run"), "a run"),
        "kind": _texts(given.get("kind"), "a kind"),
        "iteration": _iterations(given.get("iteration")),
        "dataset": _texts(given.get("dataset"), "a dataset"),
        "parameters": _texts(given.get("parameters"), "parameters"),
        "state": _texts(given.get("state"), "a state"),
        "older_than": age,
        "written_before": before,
        "pinned": bool(given.get("pinned", False)),
        "owner": [count(owner, what="an owner") for owner in owners],
        "min_bytes": size(given.get("min_bytes")),
    }


def texts(values: Any, what: str = "a name") -> list[str]:
    """Give the texts of one name or several."""
    return _texts(values, what)
