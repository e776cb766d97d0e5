"""Notes validation scores when DaCapo stores them.

DaCapo's stores of statistics get one method more to do: what they stored is also scored in the
registry, under the names that the array store was asked for. Nothing that fails here stops a
training.
"""

from __future__ import annotations

import logging
import os
import time
from types import ModuleType
from typing import Any, Dict, List, Optional, Set, Tuple

from . import _attempts, _native, _scores
from .errors import CatalogElsewhereError, NotPublishedError

logger = logging.getLogger("dalsegno.dacapo")

STORES = ("FileStatsStore", "MongoStatsStore")
"""Names in the seam of DaCapo's stores of statistics."""

_REPLACED = "_dalsegno_replaced_stats"
_MOST_RUNS = 1000


class _Seen:
    """The outputs that DaCapo asked for in the validation of an iteration, in order."""

    def __init__(self, base: str, iteration: str) -> None:
        self.base = base
        self.iteration = iteration
        self.places: Dict[str, Dict[str, None]] = {}


_seen: Dict[str, _Seen] = {}
_said: Set[str] = set()


def remember(base: str, run: str, iteration: str, dataset: str, parameters: str) -> None:
    """Remember that DaCapo asked for an output: its scores are of this name."""
    seen = _seen.get(run)
    if seen is None or (seen.base, seen.iteration) != (base, iteration):
        while len(_seen) >= _MOST_RUNS:
            _seen.pop(next(iter(_seen)), None)
        seen = _seen[run] = _Seen(base, iteration)
    seen.places.setdefault(dataset, {})[parameters] = None


def plug(seam: ModuleType, settings: Any) -> None:
    """Put stores that note scores into the seam; remembers what was there."""
    if hasattr(seam, _REPLACED):
        return
    replaced = {name: getattr(seam, name) for name in STORES if hasattr(seam, name)}
    setattr(seam, _REPLACED, replaced)
    for name, theirs in replaced.items():
        setattr(seam, name, _noting(theirs, seam, settings))


def unplug(seam: ModuleType) -> None:
    """Give DaCapo its own stores back."""
    for name, theirs in getattr(seam, _REPLACED, {}).items():
        setattr(seam, name, theirs)
    if hasattr(seam, _REPLACED):
        delattr(seam, _REPLACED)


def _noting(theirs: Any, seam: ModuleType, settings: Any) -> Any:
    def store(self: Any, *args: Any, **kwargs: Any) -> Any:
        done = theirs.store_validation_iteration_scores(self, *args, **kwargs)
        try:
            given = [*args, *(kwargs[name] for name in _ARGUMENTS if name in kwargs)]
            _note(self, seam, str(given[0]), given[1], settings)
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # noqa: B902 - a panic of the native half is one
            if settings.strict:
                raise
            _say(error)
        return done

    members = {
        "__module__": theirs.__module__,
        "__qualname__": theirs.__qualname__,
        "__doc__": theirs.__doc__,
        "store_validation_iteration_scores": store,
    }
    return type(theirs)(theirs.__name__, (theirs,), members)


_ARGUMENTS = ("run_name", "scores", "validation_scores")


def _note(store: Any, seam: ModuleType, run: str, scores: Any, settings: Any) -> None:
    """Note the scores of the validation that was just done: the last."""
    entries = list(scores.scores)[-1:]
    entries = _scores.entries_of(
        [{"iteration": one.iteration, "scores": one.scores} for one in entries]
    )
    if not entries:
        return
    ((iteration, numbers),) = entries
    base, places = _named(store, seam, run, str(iteration), numbers, scores)
    criteria = [str(criterion) for criterion in scores.criteria]
    if any(len(values) != len(criteria) for sets in numbers for values in sets):
        raise ValueError(f"the scores of run {run} are not of {len(criteria)} criteria")
    found = _scores.measured(run, iteration, numbers, places, criteria)
    if settings.strict:
        _score(base, found)
    elif found:
        _attempts.of(base).score(found, settings.wait)


def _score(base: str, found: List[Any]) -> None:
    """Note scores, or raise. Where another host has the catalog, a note in the inbox is no
    failure."""
    from .registry import Registry

    try:
        with Registry(base, create=True) as registry:
            registry._native.score(found)
    except (CatalogElsewhereError, NotPublishedError):
        inbox, now = _native.Inbox(base), int(time.time() * 1000)
        for score in found:
            inbox.score(score, now)


def _named(
    store: Any,
    seam: ModuleType,
    run: str,
    iteration: str,
    numbers: List[List[List[float]]],
    scores: Any,
) -> Tuple[str, List[Tuple[str, List[str]]]]:
    """The base directory, and the datasets with their parameters."""
    seen = _seen.get(run)
    names = _scores.names_of(scores)
    assert names.datasets is not None and names.parameters is not None
    places = [(dataset, list(names.parameters)) for dataset in names.datasets]
    if seen is not None and seen.iteration == iteration:
        asked = [(dataset, list(sets)) for dataset, sets in seen.places.items()]
        # The order of DaCapo's own names counts; others may ask for outputs in any order.
        is_same = _fits(places, numbers) and _sets(asked) == _sets(places)
        if _fits(asked, numbers) and not is_same:
            return seen.base, asked
    if not _fits(places, numbers):
        raise ValueError(
            f"the scores of run {run}, iteration {iteration}, are of other datasets or parameters "
            "than the run has"
        )
    return seen.base if seen is not None else _base(store, seam), places


def _sets(places: List[Tuple[str, List[str]]]) -> Dict[str, Set[str]]:
    return {dataset: set(sets) for dataset, sets in places}


def _fits(places: List[Tuple[str, List[str]]], numbers: List[List[List[float]]]) -> bool:
    return len(places) == len(numbers) and all(
        len(values) in (0, len(sets)) for (_, sets), values in zip(places, numbers)
    )


def _base(store: Any, seam: ModuleType) -> str:
    """The base directory whose statistics a store has."""
    path: Optional[str] = None
    if type(store).__name__ == "FileStatsStore":
        path = os.path.dirname(str(store.path))
    else:
        path = str(seam.Options.instance().runs_base_dir)
    return os.path.abspath(os.path.expanduser(path))


def _say(error: BaseException) -> None:
    kind = getattr(error, "code", None) or type(error).__name__
    if kind in _said:
        return
    _said.add(kind)
    try:
        logger.warning(
            "scores that DaCapo stored are not noted (%s): %s; take them in later with: "
            "python -m dalsegno.dacapo scores",
            kind,
            error,
        )
    except Exception:  # whatever handlers of others raise
        pass
