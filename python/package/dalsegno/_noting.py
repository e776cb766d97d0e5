"""Pins and scores."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple, Union

from . import _arguments as arguments
from . import _targets
from ._arguments import Iterations, Selection, Text
from ._core import Core
from ._showing import Rows
from ._targets import Named, Target
from .errors import CatalogElsewhereError, PinBindsNothingError
from .values import Pin, PinChange, Score, UnknownName, build, rows

if TYPE_CHECKING:
    from typing_extensions import Unpack


logger = logging.getLogger("dalsegno")


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
            return build(PinChange, self._native.pin(name, reason, wanted, named))
        except PinBindsNothingError:
            self._matched(wanted, stacklevel=3)
            raise

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
        if change.artifacts == 0:
            self._matched(wanted, stacklevel=3)
        return change

    def _asked(
        self, targets: Any, selection: Mapping[str, Any]
    ) -> Tuple[Optional[Dict[str, Any]], Optional[List[Named]]]:
        """The selection, or each target and whether it is a path."""
        if targets is not None:
            return None, _targets.named(targets)
        given = arguments.given(selection)
        return (self._selection(given) if given else None), None

    def pins(self) -> Rows[Pin]:
        """Give every pin, by name."""
        return rows(Pin, self._native.pins())

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

        A dataset or parameters that the run does not have are a warning in the log, with the most
        similar name; see :meth:`unknown_names`.

        On a host without the catalog the scores are noted for the host that has it.

        Returns:
            Whether anything is recorded at this run and iteration: if not, check their spelling.
            ``True`` for what is noted: only the host with the catalog knows.
        """
        name, number = self._run(run), arguments.iteration(iteration)
        what = (arguments.optional(dataset), arguments.optional(parameters))
        measured = _measured(values, metrics)
        scores = [(name, number, *what, metric, value) for metric, value in measured.items()]
        return all(self._score(scores))

    def score_many(self, scores: Iterable[Score]) -> List[bool]:
        """Note many scores in one transaction, all or none; says of each what :meth:`score`
        does."""
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
            known = self._native.score(scores)
        except CatalogElsewhereError as error:
            self._go_elsewhere(error)
            return self._score(scores, warn=warn)
        if warn:
            self._warn(scores)
        return known

    def unknown_names(self, scores: Union[Score, Iterable[Score]]) -> List[UnknownName]:
        """Give the datasets and parameters of scores that their runs do not have, each once."""
        chosen = [scores] if isinstance(scores, Score) else scores
        found = self._native.unknown_names([_score(score) for score in chosen])
        return [UnknownName(*name) for name in found]

    def _warn(
        self, scores: List[Tuple[str, str, Optional[str], Optional[str], str, float]]
    ) -> None:
        for run, part, name, nearest in self._native.unknown_names(scores):
            meant = f"; did you mean {nearest!r}?" if nearest is not None else ""
            logger.warning("run %s has no %s %r%s", run, part, name, meant)

    def unscore(self, scores: Union[Score, Iterable[Score]]) -> int:
        """Take scores away, whatever their values; gives the number of those that were there."""
        chosen = [scores] if isinstance(scores, Score) else scores
        return self._native.unscore([_score(score) for score in chosen])

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
        found = self._native.scores(wanted, arguments.texts(metric, "a metric"))
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
