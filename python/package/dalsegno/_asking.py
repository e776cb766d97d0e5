"""Looking on disk, and asking."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, List, Optional, Union

from . import _arguments as arguments
from . import _targets
from ._arguments import Selection
from ._core import Core
from ._listing import Listing
from ._native import Artifact
from ._progress import Wanted, told
from ._targets import Target
from .values import DiskUse, Iteration, Refreshed, Repaired, Run, Scanned, Verified, build, build_all

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Asking(Core):
    """Asking. DaCapo never says that it wrote: so most look on disk first, unless told not to."""

    def get(self, target: Target) -> Optional[Artifact]:
        """Give an artifact by its number, identifier or path; ``None`` where it is not recorded."""
        return self._native.get(_targets.target(target))

    def list(self, *, refresh: bool = True, **selection: Unpack[Selection]) -> Listing:
        """List the artifacts of a selection; see :class:`Listing`.

        Args:
            refresh: Look on disk first for what was not seen yet.
            **selection: See :class:`Selection`.
        """
        # Rows come later: who asks for what there is not, is told where it was asked.
        self._native.check(arguments.selection(selection))
        wanted = self._refreshed(selection, refresh)
        runs = self._native.run_names(wanted["run"])
        return Listing(runs, lambda run: self._native.select({**wanted, "run": [run]}))

    def iterations(
        self, *, refresh: bool = True, **selection: Unpack[Selection]
    ) -> List[Iteration]:
        """Give what each iteration of a selection has, in the order of run and iteration."""
        return build_all(Iteration, self._native.iterations(self._refreshed(selection, refresh)))

    def runs(self, *, refresh: bool = True, **selection: Unpack[Selection]) -> List[Run]:
        """Give what each run of a selection has, in the order of their names."""
        return build_all(Run, self._native.runs(self._refreshed(selection, refresh)))

    def du(
        self,
        by: str = "run",
        *,
        refresh: bool = True,
        measure: bool = True,
        progress: Wanted = None,
        **selection: Unpack[Selection],
    ) -> List[DiskUse]:
        """Give what a selection takes on disk, largest first.

        Args:
            by: ``run``, ``kind``, ``iteration``, ``dataset`` or ``owner``.
            refresh: Look on disk first.
            measure: Count first what nobody counted, which walks those arrays.
            progress: See :meth:`scan`.
        """
        wanted = self._refreshed(selection, refresh, measure=measure, progress=progress)
        return build_all(DiskUse, self._native.du(wanted, by))

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
            all: Also what was there: it may be gone, or written anew.
            measure: Count bytes and files of what nobody counted, and of what is sealed: the
                findings name what is not as it was sealed.
            progress: See :meth:`scan`.
        """
        with told(progress) as tell:
            found = self._native.refresh(arguments.selection(selection), all, measure, tell)
        return build(Refreshed, found)

    def scan(
        self,
        *,
        kind: Union[str, Iterable[str], None] = None,
        measure: bool = False,
        threads: Optional[int] = None,
        progress: Wanted = None,
    ) -> Scanned:
        """Walk the base directory and take in every array that has no row.

        Args:
            kind: Kinds to take in; every one but ``checkpoint`` unless said.
            measure: Count bytes and files, which walks every array.
            threads: Threads; as many as fit the machine unless said.
            progress: ``True`` for a bar of tqdm, ``False`` for none, ``None`` for one where tqdm is
                there and stderr is a terminal, or a callable that takes a :class:`Progress`.
        """
        number = arguments.count(threads, what="threads")
        with told(progress) as tell:
            found = self._native.scan(arguments.texts(kind, "a kind"), measure, number, tell)
        return build(Scanned, found)

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
            quick: Compare no size that takes a walk, and leave the history alone.
            read_data: Read what was sealed with a content hash, and compare its contents.
            indices: Let SQLite compare its indices too.
            repair: Mend the catalog where that loses nothing. Data is never touched.
            progress: See :meth:`scan`.
        """
        how = {
            "measure": measure,
            "quick": quick,
            "read_data": read_data,
            "indices": indices,
            "repair": repair,
        }
        with told(progress) as tell:
            found, repaired = self._native.verify(arguments.selection(selection), how, tell)
        mended = None if repaired is None else build(Repaired, repaired)
        return build(Verified, {**found, "repaired": mended})
