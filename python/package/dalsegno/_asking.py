"""Looking on disk, and asking."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple, Union

from . import _arguments as arguments
from . import _targets
from ._arguments import AnyPath, Selection, Text
from ._core import Core
from ._hints import reworded
from ._listing import Listing
from ._native import Artifact
from ._progress import Wanted, reporting
from ._showing import Rows
from ._targets import Target
from .values import (
    DiskUse,
    Iteration,
    Refreshed,
    Repaired,
    Run,
    Scanned,
    Verified,
    build,
    rows,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack


def _shape(
    sort: Optional[str], reverse: bool, limit: Optional[int]
) -> Tuple[Optional[str], bool, Optional[int]]:
    """In which order rows come, and how many at most."""
    if reverse and sort is None:
        raise ValueError("reverse is about sort; name what to sort by")
    return sort, reverse, arguments.count(limit, what="limit")


class Asking(Core):
    """Queries. DaCapo never says that it wrote, so most look on disk first, unless
    refresh=False."""

    def get(self, target: Target) -> Optional[Artifact]:
        """Give an artifact by its number, identifier or path; ``None`` if it is not recorded.

        Raises:
            NotRecordedError: The path can be that of no artifact: it is a run, the folder of an
                iteration or another one that holds artifacts, or no path in a recorded run. The
                error names the most similar one, or the call that gives what is in it.
            OutsideBaseError: It is outside the base directory.
        """
        wanted = _targets.target(target)
        found = self._native.get(wanted)
        if found is None and isinstance(target, (str, PurePath)):
            self._require_of_artifact(str(wanted))
        return found

    @arguments.selecting
    def list(
        self,
        *,
        refresh: bool = True,
        sort: Optional[str] = None,
        reverse: bool = False,
        limit: Optional[int] = None,
        **selection: Unpack[Selection],
    ) -> Listing:
        """List the artifacts of a selection; see :class:`Listing`.

        Args:
            refresh: Look on disk first for what was not seen yet.
            sort: By what they are sorted, rather than by run, iteration, kind, dataset and
                parameters: ``age``, ``size``, ``files``, ``iteration``, ``run``, ``kind``,
                ``dataset``, ``parameters``, ``container``, ``state``, ``written``, ``recorded``,
                ``sealed``, ``pinned`` or ``score:METRIC``. What has no value comes last. Artifacts
                that are sorted are read at once, others run by run.
            reverse: Sort the highest first.
            limit: At most this many.
            **selection: See :class:`Selection`.

        Raises:
            ValueError: They cannot be sorted by that, or ``reverse`` is given without ``sort``.
        """
        by, high_first, most = _shape(sort, reverse, limit)
        # Rows are read later; this raises for a wrong argument in this call.
        self._native.check(self._selection(selection), sort)
        wanted = self._refreshed(selection, refresh)
        self._sorted(sort)
        if sort is not None:
            return Listing(
                [""],
                lambda _, left: self._native.select(wanted, by, high_first, left),
                lambda: {"": sum(self._native.counts(wanted).values())},
                most,
            )
        runs = self._native.run_names(wanted)
        return Listing(
            runs,
            lambda run, left: self._native.select({**wanted, "run": [run]}, by, high_first, left),
            lambda: self._native.counts(wanted),
            most,
        )

    @arguments.selecting
    def iterations(
        self,
        *,
        refresh: bool = True,
        sort: Optional[str] = None,
        reverse: bool = False,
        limit: Optional[int] = None,
        **selection: Unpack[Selection],
    ) -> Rows[Iteration]:
        """Give what each iteration of a selection has, in the order of run and iteration.

        Args:
            refresh: Look on disk first for what was not seen yet.
            sort: By what they are sorted: a field of :class:`Iteration`, ``age``, or
                ``score:METRIC``: the best score, for which a metric that is no criterion of DaCapo
                needs a direction, as in ``score:iou:max``. What has no value comes last.
            reverse: Sort the highest first.
            limit: At most this many.

        Raises:
            ValueError: They cannot be sorted by that, or ``reverse`` is given without ``sort``.
        """
        shape = _shape(sort, reverse, limit)
        wanted = self._refreshed(selection, refresh)
        found = self._native.iterations(wanted, *shape)
        self._sorted(sort)
        return rows(Iteration, found)

    @arguments.selecting
    def runs(
        self,
        *,
        refresh: bool = True,
        sort: Optional[str] = None,
        reverse: bool = False,
        limit: Optional[int] = None,
        **selection: Unpack[Selection],
    ) -> Rows[Run]:
        """Give what each run of a selection has, in the order of their names.

        Args:
            refresh, reverse, limit: As for :meth:`iterations`.
            sort: As there, with the fields of :class:`Run`.

        Raises:
            ValueError: They cannot be sorted by that, or ``reverse`` is given without ``sort``.
        """
        shape = _shape(sort, reverse, limit)
        wanted = self._refreshed(selection, refresh)
        found = self._native.runs(wanted, *shape)
        self._sorted(sort)
        return rows(Run, found)

    @arguments.selecting
    def du(
        self,
        by: str = "run",
        *,
        refresh: bool = True,
        measure: bool = True,
        progress: Wanted = None,
        **selection: Unpack[Selection],
    ) -> Rows[DiskUse]:
        """Give what a selection takes on disk, largest first.

        Args:
            by: ``run``, ``kind``, ``iteration``, ``dataset`` or ``owner``.
            refresh: Look on disk first.
            measure: Count artifacts without a size first, which walks those arrays.
            progress: See :meth:`scan`.
        """
        wanted = self._refreshed(selection, refresh, measure=measure, progress=progress)
        return rows(DiskUse, self._native.du(wanted, by))

    @arguments.selecting
    def refresh(
        self,
        *,
        all: bool = False,
        measure: bool = False,
        progress: Wanted = None,
        **selection: Unpack[Selection],
    ) -> Refreshed:
        """Look for the data of a selection and note what is there: one call after a validation.

        Args:
            all: Also look at data that was seen before: it may be gone or rewritten.
            measure: Count bytes and files of artifacts without a size, and of sealed ones: the
                notices name those that differ from their seal.
            progress: See :meth:`scan`.
        """
        self._native.require_here()
        wanted = self._selection(selection)
        found = self._look(wanted, all, measure, progress)
        self._matched(wanted)
        return found

    def _look(
        self, wanted: Dict[str, Any], all: bool, measure: bool = False, progress: Wanted = None
    ) -> Refreshed:
        """As :meth:`refresh`, without a word about a selection that matches nothing yet."""
        with reporting(progress) as report:
            found = self._native.refresh(wanted, all, measure, report)
        reworded(found["notices"])
        return build(Refreshed, found)

    def scan(
        self,
        *,
        run: Union[Text, Iterable[Text], None] = None,
        below: Union[AnyPath, Iterable[AnyPath], None] = None,
        kind: Union[str, Iterable[str], None] = None,
        measure: bool = False,
        threads: Optional[int] = None,
        progress: Wanted = None,
    ) -> Scanned:
        """Walk the base directory and add a row for every array without one.

        Args:
            run: Runs to look at, by name or pattern; by default everything. Only the folders of
                these runs are walked, unless there is a pattern among them.
            below: Only the runs at these paths, in these folders, or in which these paths are;
                absolute, or relative to the base directory.
            kind: Kinds to add; by default all but ``checkpoint``.
            measure: Count bytes and files, which walks every array.
            threads: Number of threads; by default as many as fit the machine.
            progress: ``True`` for a bar of tqdm, ``False`` for none, ``None`` for one if tqdm is
                installed and stderr is a terminal, or a callable that takes a :class:`Progress`.

        Raises:
            ValueError: Both ``run`` and ``below`` are given.
        """
        if run is not None and below is not None:
            raise ValueError("give either run or below")
        self._native.require_here()
        number = arguments.count(threads, what="threads")
        wanted = self._selection({"run": run, "below": below, "kind": kind})
        with reporting(progress) as report:
            found = self._native.scan(wanted, measure, number, report)
        if run is not None or below is not None:
            self._matched(wanted)
        reworded(found["notices"])
        scanned = build(Scanned, found)
        if scanned.likely_base is not None:
            likely = str(scanned.likely_base)
            warnings.warn(
                "all arrays that were found lie outside runs; if the folder that holds the runs is "
                f"{likely}: dalsegno.Registry({likely!r}, create=True).scan()",
                stacklevel=2,
            )
        return scanned

    @arguments.selecting
    def verify(
        self,
        *,
        measure: bool = False,
        quick: bool = False,
        read_data: bool = False,
        indices: bool = False,
        repair: bool = False,
        progress: Wanted = None,
        **selection: Unpack[Selection],
    ) -> Verified:
        """Compare catalog and disk, both ways, and the trash with both.

        Args:
            measure: Compare the size of every array that was ever counted, not only of sealed ones.
            quick: Skip sizes that take a walk, and the history.
            read_data: Read what was sealed with a content hash, and compare its contents.
            indices: Let SQLite compare its indices too.
            repair: Correct the catalog if that loses nothing. Data is never touched.
            progress: See :meth:`scan`.
        """
        if repair:
            self._native.require_here()
        how = {
            "measure": measure,
            "quick": quick,
            "read_data": read_data,
            "indices": indices,
            "repair": repair,
        }
        wanted = self._selection(selection)
        with reporting(progress) as report:
            found, repaired = self._native.verify(wanted, how, report)
        if found["rows"]:
            words = self._native.unmatched(wanted) + self._native.unmatched_exclusions(wanted)
            self._warn_nothing(words, stacklevel=3)
        elif not found["findings"]:
            self._matched(wanted, asks=True)
        reworded(found["findings"])
        keeper = self._native.keeper
        if keeper is not None:
            # What is to be done, the host with the catalog does.
            for one in found["findings"]:
                if one["next"] is not None:
                    one["next"] = f"on host {keeper}, {one['next']}"
        mended = None if repaired is None else build(Repaired, repaired)
        return build(Verified, {**found, "repaired": mended})
