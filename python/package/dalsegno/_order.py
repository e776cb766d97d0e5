"""The order of a run's datasets and parameter sets, by what DaCapo left on disk.

DaCapo stores scores without names, in the order of the run's datasets and parameter sets. The order
follows from the numbers in the names of parameter sets, from the run's config, or from the times at
which the arrays were written: DaCapo validates one dataset after the other, each with its
prediction first, and then one parameter set after the other. A copy of a tree may have lost these
times, and then its times tell another order. So times count only if all of them are as DaCapo
writes them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from .errors import ScoresInvalidError

__all__ = ["HINT", "Arrays", "Places", "check"]

Places = Dict[str, Dict[Optional[str], Path]]
"""Datasets of an iteration, with the arrays of their parameters; ``None`` is the prediction."""

Span = Tuple[int, int]
"""When the first and the last of some arrays were written, in nanoseconds."""

_CLOSE = 5_000_000_000
"""Arrays that were all written within this time tell no order: a copy writes them so."""

HINT = (
    "give the names in DaCapo's order: import_scores(base, run, datasets=[…], parameters=[…], "
    "criteria=[…]), or --dataset, --parameters and --criterion for each; where DaCapo is installed "
    "it gives them"
)

_HINT_OF_TIMES = (
    f"{HINT}; or copy the tree again with its times, such as with cp -a or rsync -a, and with "
    "DaCapo's folder configs"
)


class _NoOrderError(Exception):
    """Why times tell no order."""


class Arrays:
    """The arrays of a run, and the order that follows from them."""

    def __init__(
        self, known: Dict[int, Places], validated: Sequence[int], configured: Sequence[str] = ()
    ) -> None:
        """Take the arrays of each iteration.

        Args:
            known: The arrays.
            validated: The iterations with scores, in the order in which they were validated.
            configured: The validation datasets of the run's config, in order.
        """
        self._known = known
        self._validated = validated
        self._configured = configured
        self._times: Dict[Path, Optional[int]] = {}
        self._doubt: Optional[str] = None
        self._is_checked = False

    def datasets(self, iteration: int, numbers: Sequence[Any], where: str) -> Tuple[str, ...]:
        """The datasets of an iteration in DaCapo's order."""
        names = sorted(self._of(iteration))
        if len(names) != len(numbers):
            names = sorted(self._together())
        check(where, "datasets", names, len(numbers))
        for path_of in (str, _dataset_class):
            made = tuple(path_of(name) for name in self._configured)
            if sorted(made) == names:
                return made
        spans = {
            one: {name: self._span(arrays.values()) for name, arrays in places.items()}
            for one, places in self._known.items()
        }
        return self._ordered(where, "datasets", names, spans, numbers)

    def parameters(
        self, iteration: int, dataset: str, numbers: Sequence[Any], where: str
    ) -> Tuple[str, ...]:
        """The parameter sets of an iteration's dataset in DaCapo's order."""
        names = _sets(self._of(iteration).get(dataset, {}))
        if len(names) != len(numbers):
            names = _sets(self._together().get(dataset, {}))
        check(where, "parameter sets", names, len(numbers))
        ids = [re.search(r"\(id=(\d+)[,)]", name) for name in names]
        numbered = {int(found.group(1)): name for found, name in zip(ids, names) if found}
        if len(numbered) == len(names) > 0:
            # DaCapo numbers parameter sets in their order.
            return tuple(numbered[id] for id in sorted(numbered))
        spans = {
            one: {
                name: self._span([path])
                for name, path in places.get(dataset, {}).items()
                if name is not None
            }
            for one, places in self._known.items()
        }
        return self._ordered(where, "parameter sets", names, spans, numbers)

    def _of(self, iteration: int) -> Places:
        # An iteration whose arrays were removed had those of the others.
        return self._known.get(iteration) or self._together()

    def _together(self) -> Places:
        """The datasets and parameters of all iterations."""
        found: Places = {}
        for places in self._known.values():
            for dataset, arrays in places.items():
                found.setdefault(dataset, {}).update(arrays)
        return found

    def _ordered(
        self,
        where: str,
        what: str,
        names: List[str],
        spans: Mapping[int, Mapping[str, Optional[Span]]],
        numbers: Sequence[Any],
    ) -> Tuple[str, ...]:
        """The names in the order of their times; those of equal numbers have any."""
        if len(names) == 1 or all(_alike(numbers[0], other) for other in numbers[1:]):
            return tuple(names)
        try:
            return self._by_time(names, spans)
        except _NoOrderError as why:
            raise ScoresInvalidError(
                f"{where}: the order of its {what} does not follow from the times of the arrays on "
                f"disk: {why}; the {what} are {', '.join(names)}",
                hint=_HINT_OF_TIMES,
            ) from None

    def _by_time(
        self, names: List[str], spans: Mapping[int, Mapping[str, Optional[Span]]]
    ) -> Tuple[str, ...]:
        if not self._is_checked:
            self._doubt = self._why_not()
            self._is_checked = True
        if self._doubt is not None:
            raise _NoOrderError(self._doubt)
        told: Dict[Tuple[str, ...], int] = {}
        for iteration, of_names in sorted(spans.items()):
            known = [(of_names[name], name) for name in names if of_names.get(name)]
            # One whose arrays are partly gone tells nothing.
            if len(known) == len(names):
                told.setdefault(_in_order(iteration, known), iteration)
        if not told:
            raise _NoOrderError("no iteration has arrays of all of them")
        if len(told) > 1:
            first, second = list(told.values())[:2]
            raise _NoOrderError(f"iterations {first} and {second} tell different orders")
        return next(iter(told))

    def _why_not(self) -> Optional[str]:
        """Why the times are not those at which DaCapo wrote; ``None`` if they may be."""
        every = []
        for iteration, places in sorted(self._known.items()):
            for dataset, arrays in places.items():
                every += [time for time in map(self._time, arrays.values()) if time is not None]
                outputs = self._span(path for name, path in arrays.items() if name is not None)
                prediction = self._span(path for name, path in arrays.items() if name is None)
                if prediction is not None and outputs is not None and prediction[1] > outputs[0]:
                    return (
                        f"an output of iteration {iteration}, dataset {dataset!r}, is older than "
                        "the prediction that it was made of, as in a copy without its times"
                    )
        if not every:
            return "there are no arrays"
        if max(every) - min(every) < _CLOSE:
            return "all arrays were written within 5 seconds, as in a copy without its times"
        before: Optional[Tuple[int, Span]] = None
        for iteration in self._validated:
            paths = [path for of in self._known.get(iteration, {}).values() for path in of.values()]
            span = self._span(paths)
            if span is None:
                continue
            if before is not None and before[1][1] > span[0]:
                return (
                    f"iteration {before[0]} was validated before iteration {iteration} and has "
                    "newer arrays, as in a copy without its times"
                )
            before = (iteration, span)
        return None

    def _span(self, paths: Iterable[Path]) -> Optional[Span]:
        """When arrays were written, first and last."""
        found = [time for time in map(self._time, paths) if time is not None]
        return (min(found), max(found)) if found else None

    def _time(self, path: Path) -> Optional[int]:
        if path not in self._times:
            self._times[path] = _written(path)
        return self._times[path]


def check(where: str, what: str, names: Sequence[str], count: int) -> None:
    """Refuse names that are not as many as the numbers."""
    if len(names) != count:
        raise ScoresInvalidError(
            f"{where}: DaCapo stored scores of {count} {what}, and the names are of {len(names)}: "
            f"{', '.join(names) or 'none'}",
            hint=HINT,
        )


def _dataset_class(name: str) -> str:
    """The name of a dataset as DaCapo's class ``Dataset`` shows it in paths."""
    return f"ds_{name.replace('/', '_')}"


def _sets(arrays: Dict[Optional[str], Path]) -> List[str]:
    return sorted(name for name in arrays if name is not None)


def _written(path: Path) -> Optional[int]:
    """When the metadata of an array was written, in nanoseconds."""
    for name in (".zarray", "zarr.json", "attributes.json", ".zgroup"):
        try:
            return os.lstat(path / name).st_mtime_ns
        except OSError:
            continue
    return None


def _in_order(iteration: int, spans: Sequence[Tuple[Optional[Span], str]]) -> Tuple[str, ...]:
    """Names by the times of their arrays, which must be one after the other."""
    known = sorted((*span, name) for span, name in spans if span is not None)
    for one, other in zip(known, known[1:]):
        if one[1] >= other[0]:
            raise _NoOrderError(
                f"in iteration {iteration} those of {one[2]!r} and {other[2]!r} were written at "
                "the same time"
            )
    return tuple(name for _, _, name in known)


def _alike(one: Any, other: Any) -> bool:
    """Whether numbers are equal; nan is equal to nan."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other) or (one != one and other != other)
