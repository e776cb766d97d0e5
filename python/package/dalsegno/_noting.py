"""Pins and scores."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple, Union

from . import _arguments as arguments
from . import _targets
from ._arguments import Iterations, Selection, Text
from ._core import Core
from ._showing import Rows, counted
from ._targets import Named, Target
from .errors import CatalogElsewhereError, PinBindsNothingError
from .values import Pin, PinChange, Score, UnknownName, build, rows

if TYPE_CHECKING:
    from typing_extensions import Unpack


logger = logging.getLogger("dalsegno")

_MOST_NAMES = 5
"""Names in scores that are warned of one by one."""


class Noting(Core):
    """Pins and scores."""

    @arguments.selecting
    def pin(
        self,
        name: str,
        targets: Union[Target, Iterable[Target], None] = None,
        *,
        reason: Optional[str] = None,
        **selection: Unpack[Selection],
    ) -> PinChange:
        """Make a pin, or let it bind more. What a pin binds is removed by nothing.

        Paths of runs, and a selection of runs and iterations and nothing else, bind also what is
        recorded there later. The path of a container or folder binds what is in it now.

        Args:
            targets: Artifacts, identifiers, numbers, keys or paths; or nothing, and a selection.
            reason: Why; a new pin needs one.

        Raises:
            PinWithoutReasonError, PinTakenError, PinBindsNothingError, PinNameError
            NotRecordedError: A target is not recorded.
        """
        if (targets is None) == (not arguments.given(selection)):
            raise TypeError("name what is to be pinned, either by targets or by a selection")
        # Before the question what is named: without a published copy that has no answer.
        self._native.require_here()
        wanted, named = self._asked(targets, selection)
        try:
            change = build(PinChange, self._native.pin(name, reason, wanted, named))
        except PinBindsNothingError:
            # The error says that nothing matches.
            self._warn_nothing(
                [] if wanted is None else self._native.unmatched(wanted), stacklevel=3
            )
            raise
        if change.artifacts == 0 and all(scope.last is not None for scope in change.scopes):
            # A range without an end is of what is to come; other iterations may be mistyped.
            self._matched(wanted)
        return change

    @arguments.selecting
    def unpin(
        self,
        name: str,
        targets: Union[Target, Iterable[Target], None] = None,
        **selection: Unpack[Selection],
    ) -> PinChange:
        """Take a pin away, or let it bind less.

        Args:
            targets: As for :meth:`pin`; without targets and a selection, the whole pin.

        Raises:
            NoPinError: There is no such pin.
        """
        self._native.require_here()
        wanted, named = self._asked(targets, selection)
        change = build(PinChange, self._native.unpin(name, wanted, named))
        if change.artifacts == 0 and not (change.scopes or change.whole):
            words = self._native.unmatched(wanted) if wanted is not None else []
            self._warn_nothing(words or [f"the pin {name} binds nothing of that"], stacklevel=3)
        return change

    def _asked(
        self, targets: Any, selection: Mapping[str, Any]
    ) -> Tuple[Optional[Dict[str, Any]], Optional[List[Named]]]:
        """The selection, or each target and whether it is a path."""
        if targets is not None:
            return None, _targets.named(targets)
        given = arguments.given(selection)
        if not given:
            return None, None
        wanted = self._selection(given)
        self._warn_nothing(self._native.unmatched_exclusions(wanted))
        return wanted, None

    def pins(self, **selection: Unpack[Selection]) -> Rows[Pin]:
        """Give every pin, by name; of a selection, those that bind anything of it.

        Args:
            **selection: See :class:`Selection`.
        """
        given = arguments.given(selection)
        wanted = self._selection(given) if given else None
        pins = rows(Pin, self._native.pins(wanted))
        self._matched(wanted)
        return pins

    def score(
        self,
        run: Text,
        iteration: Union[int, str],
        values: Optional[Mapping[str, float]] = None,
        *,
        dataset: Optional[Text] = None,
        parameters: Optional[Text] = None,
        **metrics: float,
    ) -> bool:
        """Note what was measured: of an iteration, or of one dataset or parameter set of it.

        Args:
            values: Metrics and their values, such as ``{"voi": 0.4}``.
            metrics: The same as arguments: ``score("r", 1000, voi=0.4)``.

        An iteration, dataset or parameters of which nothing is recorded are a warning in the log,
        with the most similar ones; see :meth:`unknown_names`. The score is recorded all the same:
        arrays may be recorded after their scores.

        On a host without the catalog the scores are noted for the host that has it.

        Returns:
            Whether anything is recorded at this run and iteration: if not, check their spelling.
            ``True`` for what is noted: only the host with the catalog knows.

        Raises:
            NotRecordedError: Nothing is recorded of the run; no score is recorded.
        """
        name, number = self._run(run), arguments.iteration(iteration)
        what = (arguments.optional(dataset), arguments.optional(parameters))
        measured = _measured(values, metrics)
        scores = [(name, number, *what, metric, value) for metric, value in measured.items()]
        return all(self._score(scores))

    def score_many(self, scores: Iterable[Score]) -> List[bool]:
        """Note many scores in one transaction, all or none; says of each what :meth:`score`
        does.

        Raises:
            NotRecordedError: Nothing is recorded of any of their runs; no score is recorded.
        """
        return self._score([_score(score) for score in scores])

    def _score(
        self,
        scores: List[Tuple[str, str, Optional[str], Optional[str], str, float]],
        *,
        warn: bool = True,
    ) -> List[bool]:
        inbox = self._noting()
        if inbox is not None:
            self._native.note_scores(inbox, scores)
            self._say_noted("scores are")
            return [True] * len(scores)
        try:
            if warn:
                self._native.require_scored_run(scores)
            known = self._native.score(scores)
        except CatalogElsewhereError as error:
            self._go_elsewhere(error)
            return self._score(scores, warn=warn)
        if warn:
            self._warn(scores)
        return known

    def unknown_names(self, scores: Union[Score, Iterable[Score]]) -> List[UnknownName]:
        """Give the names in scores of which nothing is recorded, each once: runs, iterations, and
        the datasets and parameters that their runs do not have."""
        chosen = [scores] if isinstance(scores, Score) else scores
        found = self._native.unknown_names([_score(score) for score in chosen])
        return [UnknownName(*name) for name in found]

    def _warn(
        self, scores: List[Tuple[str, str, Optional[str], Optional[str], str, float]]
    ) -> None:
        unknown = self._native.unknown_names(scores)
        for run, part, name, nearest in unknown[:_MOST_NAMES]:
            meant = f"; did you mean {nearest!r}?" if nearest is not None else ""
            if part == "run":
                logger.warning("nothing is recorded of run %s%s", run, meant)
            elif part == "iteration":
                near = f"; iterations near {name}: {nearest}" if nearest is not None else ""
                logger.warning("nothing is recorded of run %s, iteration %s%s", run, name, near)
            else:
                logger.warning("run %s has no %s %r%s", run, part, name, meant)
        if len(unknown) > _MOST_NAMES:
            more = len(unknown) - _MOST_NAMES
            logger.warning(
                "nor of %s in these scores; see unknown_names()",
                counted(more, "other name", "other names"),
            )

    def unscore(self, scores: Union[Score, Iterable[Score]]) -> int:
        """Take scores away, whatever their values; gives the number of those that were there, and
        warns if that is not all of them.

        Raises:
            NotRecordedError: None was there, and nothing is recorded of any of their runs.
        """
        chosen = [scores] if isinstance(scores, Score) else scores
        given = [_score(score) for score in chosen]
        gone = self._native.unscore(given)
        if gone == 0:
            self._native.require_scored_run(given)
        if gone < len(given):
            missing = counted(len(given) - gone, "of these scores is", "of these scores are")
            words = [f"{missing} not recorded"]
            words += self._native.unmatched(
                self._selection({}), list(dict.fromkeys(one[4] for one in given))
            )
            self._warn_nothing(words, stacklevel=3)
        return gone

    def scores(
        self,
        metric: Union[str, Iterable[str], None] = None,
        *,
        run: Union[Text, Iterable[Text], None] = None,
        iteration: Optional[Iterations] = None,
        dataset: Union[Text, Iterable[Text], None] = None,
        parameters: Union[Text, Iterable[Text], None] = None,
    ) -> Rows[Score]:
        """Give scores, in the order run, iteration, dataset, parameters, metric."""
        asked = {"run": run, "iteration": iteration, "dataset": dataset, "parameters": parameters}
        wanted = self._selection(asked)
        metrics = arguments.texts(metric, "a metric")
        found = self._native.scores(wanted, metrics)
        if metrics or arguments.given(asked):
            words = self._native.unmatched_scores(wanted, metrics)
            if not (words or found):
                words = ["no recorded score matches the selection"]
            self._warn_nothing(words, stacklevel=3)
        return Rows("Score", (Score(*values) for values in found))


def _measured(
    values: Optional[Mapping[str, float]], metrics: Mapping[str, float]
) -> Dict[str, float]:
    """Metrics and their values, from a mapping and from arguments."""
    if values is None and not metrics:
        raise TypeError("name what was measured, as in score(run, iteration, voi=0.4)")
    given = dict(values or {})
    for metric, value in metrics.items():
        if metric in given:
            raise TypeError(f"the metric {metric} is given twice")
        # An argument that is misspelled, such as datset="crop7", would be a metric.
        if isinstance(value, str):
            raise TypeError(f"score() has no argument {metric}; a metric is a number: {value!r}")
        given[metric] = value
    return {metric: float(value) for metric, value in given.items()}


def _score(score: Score) -> Tuple[str, str, Optional[str], Optional[str], str, float]:
    number = arguments.iteration(score.iteration)
    return score.run, number, score.dataset, score.parameters, score.metric, score.value
