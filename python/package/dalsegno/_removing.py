"""Removing, and back."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, List, Optional, Tuple, Union

from . import _arguments as arguments
from . import _native, _targets
from ._arguments import Age, Keep, Selection, Text
from ._asking import Asking
from ._native import Artifact, LocalArrayIdentifier
from ._noting import Noting
from ._progress import Wanted, reporting
from ._showing import Rows
from ._targets import Target
from .values import (
    EmptiedTrash,
    GcReport,
    Operation,
    Removal,
    Removed,
    Renamed,
    Restored,
    Score,
    build,
    rows,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack


_Removal = Union[Removal, Removed, Operation, str]


class Removing(Asking, Noting):
    """Removing, and back."""

    @arguments.selecting
    def remove(
        self,
        targets: Union[Target, Iterable[Target], None] = None,
        *,
        reason: Optional[str] = None,
        keep: Keep = None,
        keep_going: bool = False,
        force_pinned: bool = False,
        ignore_best_links: bool = False,
        keep_parents: bool = False,
        progress: Wanted = None,
        **selection: Unpack[Selection],
    ) -> Removed:
        """Remove arrays: rows and data, in one transaction. The time does not depend on their size,
        because files are unlinked afterwards.

        Args:
            targets: Artifacts, identifiers, numbers, keys or paths; or nothing, and a selection.
                The path of a run or of a folder in it means the artifacts below it.
            reason: Why; kept in the history.
            keep: How long the data can be restored: ``True`` until the trash is emptied, ``"72h"``,
                ``False`` not at all; ``None`` takes the setting of ``config.toml``, or not at all.
            keep_going: Leave out what cannot be removed, rather than removing nothing.
            force_pinned: Remove also what a pin or a best link binds, what is another run's by its
                time, and rows whose data was renamed by hand.
            ignore_best_links: Remove also what a best link of DaCapo binds.
            keep_parents: Leave the folders that are empty then, as DaCapo does.

        Raises:
            NotRecordedError: A target is not recorded.
            PinnedError, BestLinkedError: Something binds one.
            OfAnotherRunError: One is the data of another run, renamed by hand.
            RenamedByHandError: One is gone, and its data is at another path.
            Error: One cannot be removed; then everything is as before.
            TypeError: Neither targets nor a selection is given, so that nothing removes everything
                by accident.
        """
        if (targets is None) == (not arguments.given(selection)):
            raise TypeError("name what is to be removed, either by targets or by a selection")
        self._native.require_here()
        how = {
            "reason": reason,
            "keep": arguments.keep(keep),
            "keep_going": keep_going,
            "force_pinned": force_pinned,
            "ignore_best_links": ignore_best_links,
            "keep_parents": keep_parents,
        }
        chosen = None if targets is None else _targets.named(targets)
        wanted = self._selection(selection) if targets is None else None
        unknown = [] if wanted is None else self._native.unmatched(wanted)
        self._warn_nothing(unknown, stacklevel=3)
        with reporting(progress) as report:
            done = build(Removed, self._native.remove(chosen, wanted, None, how, report))
        if not (unknown or done.artifacts or done.skipped):
            self._matched(wanted)
        return done

    def remove_run(
        self,
        run: Text,
        *,
        reason: Optional[str] = None,
        keep: Keep = None,
        force_pinned: bool = False,
        progress: Wanted = None,
    ) -> Removed:
        """Remove a run as a whole: its folder with arrays, checkpoints, logs, and everything else
        that lies in it, known or not. A pin of the run, of an iteration or of an artifact binds it;
        DaCapo's best links do not, as they go too.

        Args:
            run: Name of the run.
            reason: Why; kept in the history.
            keep: As for :meth:`remove`; kept data comes back as a whole with :meth:`restore`.
            force_pinned: Remove it although something is pinned.
            progress: As for :meth:`scan`.

        Raises:
            NotRecordedError: Nothing is recorded of the run.
            PinnedError: Something is pinned; nothing is removed.
            RenamedByHandError: Something is gone, and its data is at another path.
            NestedArtifactError: Another run lies in its folder.
        """
        self._native.require_here()
        how = {
            "reason": reason,
            "keep": arguments.keep(keep),
            "keep_going": False,
            "force_pinned": force_pinned,
            "ignore_best_links": True,
            "keep_parents": False,
        }
        name = self._run(run)
        with reporting(progress) as report:
            return build(Removed, self._native.remove(None, None, name, how, report))

    def rename_run(
        self,
        run: Text,
        to: Text,
        *,
        active: bool = False,
        reason: Optional[str] = None,
        dry_run: bool = False,
    ) -> Renamed:
        """Rename a run: its folder, rows, scores, pins and seals, in one transaction.

        What is in the trash keeps the old name.

        Args:
            run: Name of the run.
            to: New name.
            active: Rename it even if data was written within the last hour: a training that goes on
                makes its old folder again.
            reason: Why; kept in the history.
            dry_run: Say what would be renamed, and rename nothing.

        Raises:
            NotRecordedError: Nothing is recorded of the run.
            RunFolderGoneError: Its folder is gone.
            RunTakenError: The new name is taken, on disk, in the catalog or in the trash.
            RunActiveError: Data was written within the last hour.
        """
        if not dry_run:
            self._native.require_here()
        names = (self._run(run), arguments.text(to, numbers=False))
        return build(Renamed, self._native.rename_run(*names, dry_run, active, reason))

    def remove_outputs_but_best(
        self,
        run: Text,
        iteration: Union[int, str],
        best: Union[Text, Iterable[Text], None] = None,
        *,
        metric: Optional[str] = None,
        dataset: Union[Text, Iterable[Text], None] = None,
        reason: Optional[str] = None,
        keep: Keep = None,
        refresh: bool = True,
    ) -> Removed:
        """Remove the outputs of an iteration but the best ones, dataset by dataset.

        The best are named, or found by the scores of a metric. An output without a score stays, and
        so does every output of a dataset in which none of the best is present.

        Args:
            run: Name of the run.
            iteration: The iteration that was validated.
            best: Parameters that stay, or identifiers or artifacts of outputs that stay.
            metric: Such as ``voi:min`` or ``f1:max``; criteria of DaCapo, such as ``voi``, need no
                direction. Ties all stay.
            dataset: Only of these datasets.
            reason: Why; kept in the history. By default, names what was best.
            keep: As for :meth:`remove`.

        Raises:
            LookupError: No output is known to be the best; nothing is removed.
            PinnedError, BestLinkedError: Something binds an output; nothing is removed.
        """
        if (best is None) == (metric is None):
            raise TypeError("the best outputs are named by best, or found by metric")
        asked: Selection = {
            "run": self._run(run),
            "iteration": arguments.iteration(iteration),
            "kind": "output",
        }
        if dataset is not None:
            asked["dataset"] = dataset
        found = self._native.select(self._refreshed(asked, refresh))
        outputs = [row for row in found if row.state == "present"]
        if metric is not None:
            # Of every dataset: a score without one is of all of them.
            of_all = self._selection({"run": asked["run"], "iteration": asked["iteration"]})
            scores = [Score(*values) for values in self._native.scores(of_all, [])]
            stays = _best_by(outputs, scores, metric)
            words = f"the best by {metric}"
        else:
            stays = _named(outputs, best)
            words = "those that were named the best"
        going = []
        for name in {row.dataset for row in outputs}:
            of_dataset = [row for row in outputs if row.dataset == name]
            if any(row in stays for row in of_dataset):
                going += [row for row in of_dataset if row not in stays]
        if not stays:
            raise LookupError(f"none of {len(outputs):,} outputs is known as the best; all stay")
        why = reason or f"all outputs of iteration {asked['iteration']} but {words}"
        return self.remove(going, reason=why, keep=keep)

    @arguments.selecting
    def restore(
        self,
        removal: Union[str, Removed, Removal, Operation, GcReport, Target, None] = None,
        *,
        path: Optional[Target] = None,
        last: bool = False,
        dry_run: bool = False,
        **selection: Unpack[Selection],
    ) -> Restored:
        """Bring rows and data back from the trash, identical.

        Where a training has written since, what has no counterpart there comes back. Nothing is
        overwritten; the rest stays in the trash and is in ``skipped``.

        Args:
            removal: Everything that a removal took: its id, or what ``remove``, ``apply`` or
                ``trash`` gave, or the operation of a removal in ``history``. Anything else is taken
                as ``path``.
            path: What was last removed from this path, or from the place of an identifier. The path
                of a run, container or folder means everything that was removed from it.
            last: Of a path or selection, only what the newest removal took.
            dry_run: Only say what would come back and what would stay, by what is on disk now.
            **selection: Everything in the trash that this selects, whichever removals took it; the
                last of each place. The others are in ``older``, and stay in the trash.

        Raises:
            NotInTrashError, NotRestorableError, NoRemovalError: There is nothing to restore.
            OccupiedError: Nothing can come back, because something is at each place.
            LostInTrashError: Nothing can come back, because all was deleted in the trash by hand.
        """
        given = [removal is not None, path is not None, bool(arguments.given(selection))]
        if sum(given) != 1:
            raise TypeError("name what is to be restored: a removal, a path or a selection")
        if not dry_run:
            self._native.require_here()
        if isinstance(removal, GcReport):
            if not removal.removals:
                raise ValueError("that plan took nothing")
            done = [self.restore(one, last=last, dry_run=dry_run) for one in removal.removals]
            return _together(done)
        if isinstance(removal, (Removal, Removed, Operation)):
            name: Optional[str] = _id_of(removal)
        else:
            # A text that is no id is a path.
            name = removal if isinstance(removal, str) else None
            path = path if removal is None else removal
        place = None if path is None else _targets.path(path)
        wanted = self._selection(selection) if arguments.given(selection) else None
        return build(Restored, self._native.restore(name, place, wanted, last, dry_run))

    def trash(self) -> Rows[Removal]:
        """Give the removals whose data is in the trash, oldest first."""
        return rows(Removal, self._native.trash())

    def removal(self, id: _Removal) -> Optional[Removal]:
        """Give a removal in any state; ``None`` if there is no such removal.

        Args:
            id: Its id, or what ``remove`` or ``trash`` gave, or its operation.
        """
        found = self._native.removal(_id_of(id))
        return None if found is None else build(Removal, found)

    def empty_trash(
        self,
        older_than: Optional[Age] = None,
        *,
        removals: Union[_Removal, Iterable[_Removal], None] = None,
        progress: Wanted = None,
    ) -> EmptiedTrash:
        """Unlink what is in the trash, or only these removals. With an age, only what was removed
        longer ago, and what is past its own time. This cannot be undone.

        Raises:
            NoRemovalError: A removal is not in the trash.
            ValueError: Both an age and removals are given.
        """
        if older_than is not None and removals is not None:
            raise ValueError("give either an age or removals")
        self._native.require_here()
        length = None if older_than is None else arguments.seconds(older_than)
        ids = None
        if removals is not None:
            given = (
                [removals] if isinstance(removals, (Removal, Removed, Operation, str)) else removals
            )
            ids = [_id_of(one) for one in given]
        with reporting(progress) as report:
            return build(EmptiedTrash, self._native.empty_trash(ids, length, report))


def _id_of(removal: _Removal) -> str:
    """The id of a removal."""
    if isinstance(removal, Removed):
        if removal.removal is None:
            raise ValueError("that removal took nothing")
        return removal.removal
    if isinstance(removal, Removal):
        return removal.id
    if isinstance(removal, Operation):
        made = removal.detail.get("removal") if isinstance(removal.detail, dict) else None
        if removal.action != "remove" or not isinstance(made, str):
            raise TypeError(
                f"operation {removal.id} is a {removal.action} and no removal; take what remove() "
                f"or trash() gave, or undo it with undo({removal.id})"
            )
        return made
    if not isinstance(removal, str):
        raise TypeError(f"a removal is named by its id, as in trash(), not {removal!r}")
    return removal


def _named(outputs: List[Artifact], best: Any) -> List[Artifact]:
    """The outputs that are named: by their parameters, or one by one."""
    given = list(best) if isinstance(best, arguments.Many) else [best]
    paths = {os.fspath(one) for one in given if isinstance(one, (Artifact, LocalArrayIdentifier))}
    paths |= {os.path.join(*place) for place in map(_targets.place, given) if place is not None}
    names = {
        arguments.text(one, what="parameters")
        for one in given
        if not isinstance(one, Artifact) and _targets.place(one) is None
    }
    return [row for row in outputs if os.fspath(row) in paths or row.parameters in names]


def _best_by(outputs: List[Artifact], scores: List[Score], metric: str) -> List[Artifact]:
    """The best outputs of each dataset, and those without a score."""
    name, goal = _native._metric(metric)
    sign = 1.0 if goal == "max" else -1.0
    stays: List[Artifact] = []
    for dataset in {row.dataset for row in outputs}:
        ranked: List[Tuple[float, Artifact]] = []
        for row in (row for row in outputs if row.dataset == dataset):
            value = _value(row, scores, name)
            if value is None or value != value:
                stays.append(row)
            else:
                ranked.append((sign * value, row))
        if ranked:
            top = max(value for value, _ in ranked)
            stays += [row for value, row in ranked if value == top]
    if not any(score.metric == name for score in scores):
        known = ", ".join(sorted({score.metric for score in scores}))
        has = f"; the scores there are of {known}" if known else ""
        raise LookupError(f"nothing is scored by {name} there{has}; all outputs stay")
    return stays


def _value(row: Artifact, scores: List[Score], metric: str) -> Optional[float]:
    """The score of an output: of its own dataset and parameters, else of one of them."""
    fitting = [
        score
        for score in scores
        if score.metric == metric
        and score.parameters == row.parameters
        and score.dataset in (row.dataset, None)
    ]
    fitting.sort(key=lambda score: score.dataset is None)
    return fitting[0].value if fitting else None


def _together(done: List[Restored]) -> Restored:
    """What several restores brought back."""
    return Restored(
        removals=tuple(one for each in done for one in each.removals),
        artifacts=tuple(one for each in done for one in each.artifacts),
        moved=sum(each.moved for each in done),
        skipped=tuple(one for each in done for one in each.skipped),
        older=tuple(one for each in done for one in each.older),
        stale_lists=tuple(one for each in done for one in each.stale_lists),
    )
