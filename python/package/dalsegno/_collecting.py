"""Garbage collection: plans, and carrying them out."""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

from . import _arguments as arguments
from . import _native
from ._arguments import Age, AnyPath, Iterations, Keep, Text
from ._core import Core
from ._hints import in_python
from ._progress import Wanted, reporting
from ._showing import MOST, Rows, counted, of_values, printable, size
from .values import GcReport, PlanLine, Sum, build, rows


class Plan:
    """A plan: what goes, what stays, and why. A plan by itself removes nothing."""

    def __init__(self, native: _native.Plan) -> None:
        self._native = native
        self._text: Optional[str] = None

    @property
    def id(self) -> str:
        """Its id; the history remembers it with each removal."""
        return self._native.id

    @property
    def policy(self) -> str:
        """Its rules in words."""
        return self._native.policy

    @property
    def lines(self) -> Rows[PlanLine]:
        """A line for each artifact, ordered by run, kind, dataset, iteration, parameters."""
        return _lines(self._native.lines())

    @property
    def removed(self) -> Rows[PlanLine]:
        """The lines of what goes."""
        return Rows("PlanLine", (line for line in self.lines if line.removed))

    @property
    def kept(self) -> Rows[PlanLine]:
        """The lines of what stays."""
        return Rows("PlanLine", (line for line in self.lines if not line.removed))

    @property
    def total_removed(self) -> Sum:
        """What goes, in all."""
        return _sum(self._native.totals()["removed"])

    @property
    def total_kept(self) -> Sum:
        """What stays, in all."""
        return _sum(self._native.totals()["kept"])

    @property
    def min_free(self) -> Optional[int]:
        """How many bytes must be free on the file system by ``min_free``, also if that was given
        as a percentage; ``None`` without the limit."""
        return self._native.min_free

    @property
    def unmet(self) -> Tuple[str, ...]:
        """Limits that cannot be met even if everything goes that may, in words."""
        return tuple(self._native.unmet)

    @property
    def notices(self) -> Tuple[str, ...]:
        """What to look at before the plan is carried out, in words."""
        return tuple(self._native.notices)

    def to_json(self) -> str:
        """Give the plan as a text that ``dalsegno gc --apply FILE`` and
        :meth:`Registry.apply` carry out, even days later: artifacts that changed since stay."""
        return self._native.text()

    def _shown(self) -> Tuple[Rows[PlanLine], List[str]]:
        """Its first lines, what goes first, and what it is in words."""
        gone, stays = self.total_removed, self.total_kept
        words = [
            f"plan {self.id}: {counted(gone.artifacts, 'artifact goes', 'artifacts go')}"
            f"{_takes(gone)}, {stays.artifacts:,} "
            f"{'stays' if stays.artifacts == 1 else 'stay'}",
            f"rules: {self.policy}",
            *(f"not met: {unmet}" for unmet in self.unmet),
            *self.notices,
        ]
        lines = _lines(self._native.lines(MOST))
        if gone.artifacts + stays.artifacts > len(lines):
            words[0] += f"; {len(lines)} are shown, what goes first"
        return lines, words

    def __repr__(self) -> str:
        lines, words = self._shown()
        return of_values("PlanLine", lines, "\n".join(map(printable, words))).text()

    def _repr_html_(self) -> str:
        lines, words = self._shown()
        return of_values("PlanLine", lines, "; ".join(words)).html()


def _lines(lines: List[Dict[str, Any]]) -> Rows[PlanLine]:
    for line in lines:
        line["reasons"] = [in_python(reason) for reason in line["reasons"]]
    return rows(PlanLine, lines)


def _takes(total: Sum) -> str:
    """What artifacts take, in the words of the command line."""
    if total.artifacts == 0:
        return ""
    if total.bytes is None or total.files is None:
        return " (not counted)"
    words = f"{size(total.bytes)} in {counted(total.files, 'file', 'files')}"
    if total.uncounted:
        words += f", and {counted(total.uncounted, 'array', 'arrays')} not counted"
    return f" ({words}, {size(total.disk_bytes)} on disk)"


def _sum(fields: Dict[str, Any]) -> Sum:
    rest = {name: value for name, value in fields.items() if name != "size"}
    return build(Sum, {**rest, **fields["size"]})


class Collecting(Core):
    """Garbage collection."""

    def plan_gc(
        self,
        *,
        policy: Optional[str] = None,
        whole_runs: bool = False,
        older_than: Optional[Age] = None,
        keep_last: Optional[int] = None,
        keep_first: Optional[int] = None,
        keep_every: Optional[int] = None,
        keep_iterations: Iterable[int] = (),
        keep_within: Optional[Age] = None,
        keep_best: Optional[int] = None,
        metric: Optional[str] = None,
        best_with: Iterable[str] = (),
        max_size: Union[int, str, None] = None,
        max_files: Optional[int] = None,
        min_free: Union[int, str, None] = None,
        damaged: bool = False,
        allow_empty_group: bool = False,
        allow_incomplete: bool = False,
        ignore_best_links: bool = False,
        keep: Keep = None,
        refresh: bool = True,
        progress: Wanted = None,
        run: Union[Text, Iterable[Text], None] = None,
        below: Union[AnyPath, Iterable[AnyPath], None] = None,
        kind: Union[str, Iterable[str], None] = None,
        iteration: Optional[Iterations] = None,
        dataset: Union[Text, Iterable[Text], None] = None,
        parameters: Union[Text, Iterable[Text], None] = None,
        state: Union[str, Iterable[str], None] = None,
        owner: Union[int, str, Iterable[Union[int, str]], None] = None,
        before: Optional[Age] = None,
        since: Optional[Age] = None,
        exclude_run: Union[Text, Iterable[Text], None] = None,
        exclude_kind: Union[str, Iterable[str], None] = None,
        exclude_dataset: Union[Text, Iterable[Text], None] = None,
        exclude_parameters: Union[Text, Iterable[Text], None] = None,
    ) -> Plan:
        """Plan what may go, with a reason for every artifact. Removes nothing.

        ``older_than``, ``before``, ``since``, ``run``, ``below``, ``kind``, ``iteration``,
        ``dataset``, ``parameters``, ``owner`` and ``exclude_…`` select what may go. What any
        ``keep_…`` rule keeps stays. With a limit, only as much of the rest goes as the limit needs,
        the oldest first. Rules compare the iterations of one run, kind and dataset.

        Args:
            policy: By a policy of ``.dalsegno/config.toml``; brings its own rules.
            whole_runs: Whole runs, by their newest artifacts.
            keep_best: How many of the best by ``metric``.
            metric: Such as ``voi:min`` or ``f1:max``; criteria of DaCapo, such as ``voi``, need no
                direction.
            best_with: Kinds that stay with the best outputs: ``prediction``, ``checkpoint``.
            max_size: Let at most this much stay; bytes, or as in ``"500GB"``.
            min_free: Make this much space on the file system; bytes, or as in ``"1TB"``, or as in
                ``"10%"`` of its size.
            damaged: Take the arrays whose metadata cannot be read, and nothing else. No rule counts
                them, so no rule or limit goes with it; without it, they stay.
            state: ``"damaged"``, which is ``damaged=True``. Only present arrays go otherwise.
            allow_empty_group: Let a plan take all that a run has of a kind and dataset.
            allow_incomplete: Let a plan leave a run without a complete iteration.
            keep: As for :meth:`apply`: what goes to the trash frees nothing, and the notices of a
                plan with ``min_free`` say so.
            refresh: Look on disk first, and count artifacts without a size.

        Raises:
            PolicyEmptyError and its like: A rule is missing or decides nothing.
            PlanEmptiesGroupError: Nothing would be left of a group.
            ValueError: Rules or parts of the selection do not go together.
        """
        states = arguments.texts(state, "a state")
        if states not in ([], ["damaged"]):
            raise ValueError(
                "a plan is about present artifacts or, with state='damaged', about those whose "
                f"metadata cannot be read, not about {', '.join(states)}"
            )
        damaged = damaged or bool(states)
        asked = {"run": run, "below": below, "kind": kind, "iteration": iteration}
        asked.update(dataset=dataset, parameters=parameters, owner=owner)
        asked.update(before=before, since=since)
        asked.update(exclude_run=exclude_run, exclude_kind=exclude_kind)
        asked.update(exclude_dataset=exclude_dataset, exclude_parameters=exclude_parameters)
        given: Dict[str, Any] = {
            "keep_last": arguments.count(keep_last, what="keep_last"),
            "keep_first": arguments.count(keep_first, what="keep_first"),
            "keep_every": arguments.count(keep_every, what="keep_every"),
            "keep_iterations": [int(number) for number in keep_iterations],
            "keep_within": None if keep_within is None else arguments.seconds(keep_within),
            "keep_best": arguments.count(keep_best, what="keep_best"),
            "metric": metric,
            "best_with": arguments.texts(best_with, "a kind"),
            "max_size": arguments.size(max_size),
            "max_files": arguments.count(max_files, what="max_files"),
            "min_free": arguments.free(min_free),
            "older_than": None if older_than is None else arguments.seconds(older_than),
        }
        moments = {"before": before, "since": since}
        _check_rules(policy, whole_runs, given, iteration, moments, allow_empty_group)
        if damaged and (policy is not None or whole_runs):
            raise ValueError("damaged goes with no policy and not with whole_runs")
        wanted = self._selection(asked)
        rules = {
            **given,
            "policy": policy,
            "runs": whole_runs,
            "damaged": damaged,
            "allow_empty_group": allow_empty_group,
            "allow_incomplete": allow_incomplete,
            "ignore_best_links": ignore_best_links,
            "keep": arguments.keep(keep),
            # The native half puts the rules in words.
            "words": _words({**wanted, "below": self._relative(wanted["below"])}, moments),
        }
        unknown = self._native.unmatched(wanted)
        self._warn_nothing(unknown, stacklevel=3)
        with reporting(progress) as report:
            plan = Plan(_native._plan_gc(self._native, rules, wanted, refresh, report))
        is_chosen = arguments.selects(wanted) or older_than is not None
        if is_chosen and not (unknown or plan._native.lines(1)):
            state = "damaged" if damaged else "present"
            self._warn_nothing([f"no {state} artifact matches the selection"], stacklevel=3)
        return plan

    def apply(
        self,
        plan: Union[Plan, str],
        *,
        reason: Optional[str] = None,
        keep: Keep = None,
        progress: Wanted = None,
    ) -> GcReport:
        """Carry a plan out. What was pinned, rewritten or recorded again since is skipped; the
        report lists it.

        Args:
            plan: A plan, or the text of one.
            reason: Why; is remembered. Without, the plan and its rules are.
            keep: As for :meth:`remove`.

        Raises:
            PlanOutdatedError, PlanElsewhereError: The plan does not fit any more.
        """
        text = plan.to_json() if isinstance(plan, Plan) else plan
        with reporting(progress) as report:
            done = _native._apply(self._native, text, reason, arguments.keep(keep), report)
        return build(GcReport, done)

    @property
    def policies(self) -> Tuple[str, ...]:
        """Names of the policies of ``.dalsegno/config.toml``."""
        return tuple(self._native.policies())


_PARTS = {
    "run": "run",
    "below": "path",
    "kind": "kind",
    "iteration": "iteration",
    "dataset": "dataset",
    "parameters": "parameters",
    "owner": "owner",
}
"""The words of the command line for the parts of a selection."""

_EXCEPT = {f"exclude_{part}": part for part in ("run", "kind", "dataset", "parameters")}


def _words(wanted: Mapping[str, Any], moments: Mapping[str, Optional[Age]]) -> str:
    """What a plan is about, in the words of the command line."""
    words = [(word, wanted[part]) for part, word in _PARTS.items()]
    words += [(name, [moment]) for name, moment in moments.items() if moment is not None]
    words += [(f"except {word}", wanted[part]) for part, word in _EXCEPT.items()]
    said = [f"{word} {' '.join(quote(str(one)) for one in all)}" for word, all in words if all]
    return f"of {', '.join(said)}" if said else ""


def _check_rules(
    policy: Optional[str],
    whole_runs: bool,
    given: Mapping[str, Any],
    iteration: Optional[Iterations],
    moments: Mapping[str, Optional[Age]],
    allow_empty_group: bool,
) -> None:
    """Refuse rules that would not be looked at."""
    said = [name for name, value in given.items() if value not in (None, [])]
    said += ["iteration"] if iteration is not None else []
    if policy is not None:
        said += ["whole_runs"] if whole_runs else []
        said += ["allow_empty_group"] if allow_empty_group else []
        if said:
            raise ValueError(f"a policy brings its own rules; leave out {', '.join(said)}")
    if whole_runs:
        fitting = {"older_than", "keep_last", "keep_within", "max_size", "max_files", "min_free"}
        others = [name for name in said if name not in fitting]
        others += [name for name, moment in moments.items() if moment is not None]
        if others:
            raise ValueError(f"about single artifacts, not about whole runs: {', '.join(others)}")
