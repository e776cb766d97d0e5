"""Taking in the validation scores that DaCapo stored.

DaCapo stores numbers without names: ``[dataset][parameters][criterion]``. The names come from
DaCapo itself if it is installed, else from the arrays on disk. A name is never guessed: what does
not follow from either is refused.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import logging
import os
import stat
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from numbers import Real
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from . import _arguments as arguments
from . import _native, _order, _pickle, _run_config, _targets
from ._arguments import Text
from ._native import Artifact
from ._renames import Renames
from .errors import Error, ScoresInvalidError
from .registry import Key, Registry

__all__ = ["Imported", "import_scores", "main"]

logger = logging.getLogger("dalsegno.dacapo")

Entry = Tuple[int, List[List[List[float]]]]
"""An iteration, and its numbers: ``[dataset][parameters][criterion]``."""

_MOST_SCORES = 10_000_000
"""Numbers that one run may have: a small file can name one list very often."""

# The criteria of DaCapo's evaluators, in its order; from its modules below
# dacapo/experiments/tasks/evaluators.
INSTANCE = ("voi_split", "voi_merge", "voi")
DUMMY = ("frizz_level", "blipp_score")
BINARY = (
    "dice",
    "jaccard",
    "hausdorff",
    "false_negative_rate",
    "false_negative_rate_with_tolerance",
    "false_positive_rate",
    "false_discovery_rate",
    "false_positive_rate_with_tolerance",
    "voi",
    "mean_false_distance",
    "mean_false_negative_distance",
    "mean_false_positive_distance",
    "mean_false_distance_clipped",
    "mean_false_negative_distance_clipped",
    "mean_false_positive_distance_clipped",
    "precision_with_tolerance",
    "recall_with_tolerance",
    "f1_score_with_tolerance",
    "precision",
    "recall",
    "f1_score",
)


@dataclass(frozen=True)
class Imported:
    """What :func:`dalsegno.dacapo.import_scores` took in."""

    scores: Dict[str, int] = field(default_factory=dict)
    """Number of scores of each run."""

    refused: Dict[str, str] = field(default_factory=dict)
    """Runs whose scores were not taken in, and why."""

    renamed: Dict[str, str] = field(default_factory=dict)
    """Runs that had another name when DaCapo stored their scores: the old name, and the one now."""

    noted: Optional[str] = None
    """The host that has the catalog, if the scores are only noted for it."""


@dataclass(frozen=True)
class Names:
    """Names of what the numbers of a run are of, each in DaCapo's order. ``None``: to be found."""

    datasets: Optional[Tuple[str, ...]] = None
    parameters: Optional[Tuple[str, ...]] = None
    criteria: Optional[Tuple[str, ...]] = None


def import_scores(
    base: Text,
    run: Optional[Text] = None,
    *,
    datasets: Optional[Iterable[Text]] = None,
    parameters: Optional[Iterable[Text]] = None,
    criteria: Optional[Iterable[str]] = None,
) -> Imported:
    """Take in the validation scores that DaCapo stored; twice is as once.

    Reads ``stats/validation_scores`` of the base directory, without running anything that the files
    name, or the database if DaCapo is installed and its options say so. An iteration that was
    validated again has the scores of the last time.

    The names are those that DaCapo gives the run, if it is installed; else those of the arrays on
    disk, which are taken in first. If the order of datasets or parameters does not follow from
    either, give it.

    On a host without the catalog the scores are noted for the host that has it, and the arrays are
    those of its published copy.

    Args:
        base: The base directory; its registry is made if there is none.
        run: One run; all runs that have scores if it is not given.
        datasets: Names of the run's validation datasets, in DaCapo's order.
        parameters: Names of the parameter sets, in DaCapo's order.
        criteria: Names of the evaluator's criteria, in its order.

    Returns:
        The number of scores of each run, and with ``run=None`` also what was refused, and why.

    Raises:
        ScoresInvalidError: The scores of the run that is named cannot be read, or their names do
            not follow from anything.
        ValueError: Names are given and no run.
    """
    given = Names(_given(datasets), _given(parameters), _given(criteria))
    if run is None and given != Names():
        raise ValueError("names are of one run: name it too")
    path = (
        os.path.expanduser(arguments.text(base, what="a base directory", numbers=False))
        or os.curdir
    )
    with Registry(path, create=True) as registry:
        source = _source(registry)
        tree = _Tree(registry)
        wanted = None if run is None else arguments.text(run, what="a run", numbers=False)
        done: Dict[str, int] = {}
        refused: Dict[str, str] = {}
        renamed: Dict[str, str] = {}
        for name, now in _runs(source, tree, wanted):
            try:
                scores = _scores_of(source, tree, (name, now), given)
                registry._score(scores, warn=False)
                done[now] = done.get(now, 0) + len(scores)
                if now != name:
                    renamed[name] = now
            except (Error, ValueError) as error:
                if run is not None:
                    raise
                refused[name] = str(error)
        return Imported(done, refused, renamed, registry._native.keeper)


def _runs(source: _Source, tree: _Tree, wanted: Optional[str]) -> List[Tuple[str, str]]:
    """The runs to take scores of: their names in what DaCapo stored, and their names now."""
    try:
        stored = source.runs()
    except ScoresInvalidError:
        if wanted is None:
            raise
        stored = []
    found = []
    for name in stored:
        now = name
        if tree.renames:
            now = tree.renames.now(name, source.stored(name), bool(tree.of(name)))
        if wanted in (None, name, now):
            found.append((name, now))
    if not found and wanted is not None:
        found.append((wanted, wanted))
    # Scores that DaCapo stored under the name that a run has now are the later ones.
    return sorted(found, key=lambda names: names[0] == names[1])


def _given(names: Optional[Iterable[Text]]) -> Optional[Tuple[str, ...]]:
    if names is None:
        return None
    return tuple(arguments.text(name) for name in names)


Measured = Tuple[str, str, Optional[str], Optional[str], str, float]
"""A score as the native half takes it."""


def _scores_of(
    source: _Source, tree: _Tree, names_of_run: Tuple[str, str], given: Names
) -> List[Measured]:
    """The scores of a run, with their names; DaCapo knows it by the first of its two."""
    stored_as, run = names_of_run
    stored = source.entries(stored_as)
    entries = latest(stored)
    if not entries:
        raise ScoresInvalidError(f"DaCapo has no validation scores of run {stored_as!r}")
    theirs = _of_dacapo(source, stored_as) if given == Names() else None
    known = tree.of(run)
    if theirs is None and not known and (given.datasets is None or given.parameters is None):
        raise ScoresInvalidError(
            f"run {run!r} has no predictions and outputs on disk whose names its scores could have",
            hint=f"if its folder was renamed, type: dalsegno verify --repair; else {_order.HINT}",
        )
    config = _config(tree.base, stored_as)
    arrays = _order.Arrays(known, _validated(stored), _run_config.validation_datasets(config))
    scores: List[Measured] = []
    for iteration, numbers in entries:
        names = (
            theirs if theirs is not None and _fit(theirs, known.get(iteration), numbers) else given
        )
        scores += _named(run, iteration, numbers, names, arrays, config)
    return scores


def latest(entries: Sequence[Entry]) -> List[Entry]:
    """The last entry of each iteration, by iteration."""
    return sorted(dict(entries).items())


def _validated(entries: Sequence[Entry]) -> List[int]:
    """The iterations in the order in which each was validated last."""
    found: Dict[int, None] = {}
    for iteration, _ in entries:
        found.pop(iteration, None)
        found[iteration] = None
    return list(found)


def measured(
    run: str,
    iteration: int,
    numbers: List[List[List[float]]],
    places: Sequence[Tuple[str, Sequence[str]]],
    criteria: Sequence[str],
) -> List[Measured]:
    """Numbers with their names: datasets with their parameters, and criteria."""
    return [
        (run, str(iteration), dataset, parameters, criterion, float(value))
        for (dataset, sets), of_dataset in zip(places, numbers)
        for parameters, of_set in zip(sets, of_dataset)
        for criterion, value in zip(criteria, of_set)
    ]


# What DaCapo stored.


class _Source:
    """Scores in files below the base directory."""

    def __init__(self, base: Path) -> None:
        self._base = base

    def runs(self) -> List[str]:
        top = self._base / "stats" / "validation_scores"
        found = []
        for folder, _, names in os.walk(top):
            found += [os.path.relpath(os.path.join(folder, name), top) for name in names]
        if not found:
            raise ScoresInvalidError(f"DaCapo has no validation scores below {top}", path=top)
        return sorted(found)

    def entries(self, run: str) -> List[Entry]:
        # The rules of names hold before a path is made of one.
        _native.identifier(self._base, _targets.columns(Key("validation-container", run)))
        path = self._base / "stats" / "validation_scores" / run
        try:
            return entries_of(_pickle.read(_content(path)))
        except ValueError as error:
            raise ScoresInvalidError(
                f"the validation scores in {path} cannot be read: {error}", path=path
            ) from None

    def stored(self, run: str) -> Optional[datetime]:
        """When the scores of a run were stored last, if that is known."""
        path = self._base / "stats" / "validation_scores" / run
        try:
            return datetime.fromtimestamp(os.lstat(path).st_mtime, timezone.utc)
        except (OSError, OverflowError, ValueError):
            return None

    def config(self, run: str) -> Any:
        folder = self._base / "configs"
        if not (folder / "runs" / f"{run}.yaml").is_file():
            return None
        store = importlib.import_module("dacapo.store.file_config_store").FileConfigStore
        upath = importlib.import_module("upath").UPath
        return store(upath(str(folder))).retrieve_run_config(run)


class _Database(_Source):
    """Scores in the database that DaCapo's options name."""

    def runs(self) -> List[str]:
        return sorted(
            str(name) for name in _seam().create_config_store().retrieve_run_config_names()
        )

    def entries(self, run: str) -> List[Entry]:
        found = _seam().create_stats_store().retrieve_validation_iteration_scores(run)
        try:
            return entries_of([{"iteration": one.iteration, "scores": one.scores} for one in found])
        except ValueError as error:
            raise ScoresInvalidError(
                f"the validation scores of run {run!r} in the database cannot be read: {error}"
            ) from None

    def stored(self, run: str) -> Optional[datetime]:
        return None

    def config(self, run: str) -> Any:
        return _seam().create_config_store().retrieve_run_config(run)


def _seam() -> Any:
    return importlib.import_module("dacapo.store.create_store")


def _source(registry: Registry) -> _Source:
    """Where the scores of a base directory are: as DaCapo's options say, if it is installed."""
    base = registry.base
    if _is_installed() and not (base / "stats" / "validation_scores").is_dir():
        try:
            options = importlib.import_module("dacapo").Options.instance()
        except Exception as error:  # whatever DaCapo and its libraries raise
            logger.warning("DaCapo's options cannot be read: %s", error)
            return _Source(base)
        if getattr(options, "type", "files") == "mongo":
            theirs = os.path.realpath(os.path.expanduser(str(options.runs_base_dir)))
            if theirs != os.path.realpath(base):
                raise ScoresInvalidError(
                    f"the database that DaCapo's options name is of {theirs}, not of {base}",
                    path=base,
                )
            return _Database(base)
    return _Source(base)


def _is_installed() -> bool:
    return importlib.util.find_spec("dacapo") is not None


def _content(path: Path) -> bytes:
    """The content of a file that others may have put there."""
    try:
        # A FIFO would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ValueError(error.strerror or "it cannot be opened") from None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no file")
        return file.read(_pickle.MOST_BYTES + 1)


def entries_of(found: Any) -> List[Entry]:
    """Check what was stored: a list of iterations with three lists of numbers in each other.

    Raises:
        ValueError: It is something else.
    """
    count = 0

    def checked(values: Any, depth: int) -> Any:
        nonlocal count
        if depth == 0:
            if isinstance(values, bool) or not isinstance(values, Real):
                raise ValueError("a score is not a number")
            return float(values)
        if not isinstance(values, (list, tuple)):
            raise ValueError("scores are not lists of datasets, parameters and criteria")
        count += len(values) + 1
        if count > _MOST_SCORES:
            raise ValueError("it has too many scores")
        return [checked(value, depth - 1) for value in values]

    if not isinstance(found, list):
        raise ValueError("it is not a list of iterations")
    entries = []
    for entry in found:
        if not isinstance(entry, dict) or "iteration" not in entry or "scores" not in entry:
            raise ValueError("an entry is not an iteration with scores")
        iteration = entry["iteration"]
        if (
            isinstance(iteration, bool)
            or not isinstance(iteration, int)
            or not 0 <= iteration < 2**63
        ):
            raise ValueError("an iteration is not a number")
        try:
            entries.append((iteration, checked(entry["scores"], 3)))
        except OverflowError:
            raise ValueError("a score is too large") from None
    return entries


# Names, by DaCapo.


def names_of(scores: Any) -> Names:
    """The names of DaCapo's ``ValidationScores``, as it makes paths of them."""
    return Names(
        tuple(str(dataset) for dataset in scores.datasets),
        tuple(str(parameters) for parameters in scores.parameters),
        tuple(str(criterion) for criterion in scores.criteria),
    )


def _of_dacapo(source: _Source, run: str) -> Optional[Names]:
    """The names that DaCapo gives a run; ``None`` if it is not installed or cannot say."""
    if not _is_installed():
        return None
    try:
        config = source.config(run)
        if config is None:
            return None
        # Newer versions have one class for a run and its config.
        if not hasattr(config, "get_validation_scores"):
            config_of = importlib.import_module("dacapo.experiments").Run.get_validation_scores
        else:
            config_of = type(config).get_validation_scores
        return names_of(config_of(config))
    except Exception as error:  # whatever DaCapo and its libraries raise
        logger.warning("DaCapo cannot name the scores of run %s, so its arrays do: %s", run, error)
        return None


def _fit(names: Names, known: Optional[_order.Places], numbers: List[List[List[float]]]) -> bool:
    """Whether DaCapo's names are those of an iteration: validations may be of other datasets."""
    assert (
        names.datasets is not None and names.parameters is not None and names.criteria is not None
    )
    if known and not set(known) <= set(names.datasets):
        return False
    return len(numbers) == len(names.datasets) and all(
        len(sets) in (0, len(names.parameters))
        and all(len(values) == len(names.criteria) for values in sets)
        for sets in numbers
    )


# Names, by the arrays on disk.


class _Tree:
    """The arrays of a base directory, as the catalog has them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._is_scanned = False
        self._renames: Optional[Renames] = None

    @property
    def base(self) -> Path:
        return self._registry.base

    @property
    def renames(self) -> Renames:
        if self._renames is None:
            done = self._registry.history(action="rename")
            self._renames = Renames((one.at, one.detail) for one in done)
        return self._renames

    def of(self, run: str) -> Dict[int, _order.Places]:
        """The arrays of each iteration of a run."""
        if not self._is_scanned:
            # Only the host that has the catalog can take arrays in.
            if self._registry._native.keeper is None:
                self._registry.scan()
            self._is_scanned = True
        found: Dict[int, _order.Places] = {}
        for row in self._rows(run):
            if row.iteration is not None and row.dataset is not None:
                places = found.setdefault(row.iteration, {})
                places.setdefault(row.dataset, {})[row.parameters] = row.path
        return found

    def _rows(self, run: str) -> Iterable[Artifact]:
        wanted = arguments.selection({"run": run, "kind": ["prediction", "output"]})
        rows = self._registry._native.select(wanted)
        return (row for row in rows if row.run == run and row.state in ("present", "damaged"))


def _named(
    run: str,
    iteration: int,
    numbers: List[List[List[float]]],
    names: Names,
    arrays: _order.Arrays,
    config: Sequence[str],
) -> List[Measured]:
    """The scores of an iteration, with names that are given or those of its arrays."""
    where = f"run {run!r}, iteration {iteration}"
    if not any(numbers):
        return []
    datasets = names.datasets
    if datasets is None:
        datasets = arrays.datasets(iteration, numbers, where)
    _order.check(where, "datasets", datasets, len(numbers))
    places: List[Tuple[str, Tuple[str, ...]]] = []
    for at, dataset in enumerate(datasets):
        wanted = numbers[at]
        if not wanted:
            places.append((dataset, ()))
            continue
        sets = names.parameters
        if sets is None:
            sets = arrays.parameters(iteration, dataset, wanted, f"{where}, dataset {dataset!r}")
        _order.check(f"{where}, dataset {dataset!r}", "parameter sets", sets, len(wanted))
        places.append((dataset, sets))
    count = next(len(values) for sets in numbers for values in sets)
    if any(len(values) != count for sets in numbers for values in sets):
        raise ScoresInvalidError(f"{where}: parameter sets differ in their number of criteria")
    criteria = names.criteria
    if criteria is None:
        criteria = _criteria(config, run, count)
    _order.check(where, "criteria", criteria, count)
    return measured(run, iteration, numbers, places, criteria)


def _criteria(config: Sequence[str], run: str, count: int) -> Tuple[str, ...]:
    """The criteria of DaCapo's evaluators that are so many."""
    for criteria in (INSTANCE, DUMMY):
        if count == len(criteria):
            return criteria
    channels = _run_config.channels(config)
    if channels and count == len(channels) * len(BINARY):
        return tuple(f"{channel}__{criterion}" for channel in channels for criterion in BINARY)
    raise ScoresInvalidError(
        f"run {run!r}: {count} criteria are those of no evaluator whose names are known here",
        hint=_order.HINT,
    )


def _config(base: Path, run: str) -> List[str]:
    """The lines of a run's config; none if there is none."""
    try:
        text = _content(base / "configs" / "runs" / f"{run}.yaml").decode("utf-8")
    except ValueError:
        return []
    return text.splitlines()


# The command line.


def main(given: Sequence[str]) -> int:
    """``python -m dalsegno.dacapo scores``; gives the exit code, as the program's table says."""
    parser = argparse.ArgumentParser(
        prog="python -m dalsegno.dacapo scores",
        description="Take in the validation scores that DaCapo stored. Names are DaCapo's own if "
        "it is installed, else those of the arrays on disk.",
    )
    parser.add_argument(
        "--base", help="the base directory; else DALSEGNO_BASE, else the nearest parent"
    )
    parser.add_argument("--run", help="one run; all that have scores if it is not given")
    for name, what in (
        ("dataset", "a validation dataset"),
        ("parameters", "a parameter set"),
        ("criterion", "a criterion of the evaluator"),
    ):
        parser.add_argument(
            f"--{name}", action="append", help=f"name of {what}, once for each in DaCapo's order"
        )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args(given)
    base = asked.base or os.environ.get("DALSEGNO_BASE") or _nearest()
    if base is None:
        return _fail(
            10,
            "no-registry",
            "there is no registry here or above",
            "give --base DIR, or make one with: dalsegno init --base DIR",
        )
    names = (asked.dataset, asked.parameters, asked.criterion)
    if asked.run is None and any(names):
        return _fail(2, None, "names are of one run", "give --run RUN too")
    try:
        done = import_scores(
            base, asked.run, datasets=names[0], parameters=names[1], criteria=names[2]
        )
    except Error as error:
        return _fail(1, error.code, str(error), error.hint)
    for run, now in done.renamed.items():
        sys.stderr.write(f"{_shown(f'run {run} is {now} now: the scores go there')}\n")
    for run, why in done.refused.items():
        sys.stderr.write(f"warning: {_shown(f'the scores of run {run} are not taken in: {why}')}\n")
    if asked.json:
        noted = {} if done.noted is None else {"noted": {"host": done.noted}}
        document = {"schema_version": 1, **noted, "runs": done.scores, "refused": done.refused}
        document["renamed"] = done.renamed
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        total = sum(done.scores.values())
        did = "took in" if done.noted is None else "noted"
        where = "" if done.noted is None else f" for host {_shown(done.noted)}"
        what = f"{_count(total, 'score')} of {_count(len(done.scores), 'run')}"
        sys.stderr.write(f"{did} {what}{where}\n")
    if not done.refused:
        return 0
    return 3 if done.scores else 1


def _nearest() -> Optional[str]:
    here = Path.cwd()
    found = next((path for path in (here, *here.parents) if (path / ".dalsegno").is_dir()), None)
    return None if found is None else str(found)


def _shown(text: str) -> str:
    """A text without what a terminal would obey."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _fail(code: int, name: Optional[str], what: str, hint: Optional[str]) -> int:
    sys.stderr.write(f"error{f'[{name}]' if name else ''}: {_shown(what)}\n")
    if hint:
        sys.stderr.write(f"  next: {hint}\n")
    return code
