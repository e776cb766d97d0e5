"""What the parts of the registry share."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Tuple, Union

from . import _arguments as arguments
from . import _native
from . import _targets
from ._native import Artifact, Inbox
from ._progress import Wanted, reporting
from ._showing import counted
from .errors import CatalogElsewhereError, Error, NothingSelectedWarning

logger = logging.getLogger("dalsegno")


_CONTAINERS = (".zarr", ".n5", ".zarr3", ".zr3")
"""How the names of containers end."""


class Core:
    """An open registry: what every part of its face works with."""

    _native: _native.Registry
    _given: Tuple[bool, bool, float]
    """Read only, single host, seconds that a change waits."""
    _may_note: bool
    """Whether changes may be noted for a catalog on another host."""
    _inbox: Optional[Inbox] = None
    _said_noted: FrozenSet[str] = frozenset()

    @property
    def _is_elsewhere(self) -> bool:
        """Whether changes are noted, because the catalog is on another host."""
        return self._may_note and self._native.keeper is not None

    def _go_elsewhere(self, error: CatalogElsewhereError) -> None:
        """Read the published copy from now on: another host has become the keeper meanwhile.

        Raises:
            CatalogElsewhereError: Nothing may be noted here; ``error`` again.
        """
        if not self._may_note or self._is_elsewhere:
            raise error
        native = _native.Registry(
            self._native.base, False, False, None, False, False, False, self._given[2]
        )
        if native.keeper is None:
            raise error
        self._native = native

    def _noting(self) -> Optional[Inbox]:
        """The inbox, if the catalog is on another host."""
        if not self._is_elsewhere:
            return None
        if self._inbox is None:
            self._inbox = _native.Inbox(self._native.base)
        return self._inbox

    def _note_records(self, artifacts: List[Artifact]) -> List[Artifact]:
        """Leave notes that artifacts were recorded, and give them.

        Their paths follow from their keys, so they are given even if no note can be written: that
        is one warning in the log for each kind of failure.
        """
        try:
            inbox = self._noting()
            assert inbox is not None, "the catalog is on another host"
            self._native.note_records(inbox, artifacts)
        except Error as error:
            if error.code not in self._said_noted:
                self._said_noted |= {error.code}
                logger.warning(
                    "could not note what is recorded below %s (%s): %s; when it is written, take "
                    "it in on host %s with: dalsegno scan",
                    self._native.base,
                    error.code,
                    error,
                    self._native.keeper,
                )
        return artifacts

    def _say_noted(self, what: str) -> None:
        """Log that something is noted, once for each kind of notes: a training does it often."""
        if what in self._said_noted:
            return
        self._said_noted |= {what}
        logger.warning(
            "%s noted; %s takes them into the catalog with its next command that writes",
            what,
            self._native.keeper,
        )

    def _run(self, run: Any) -> str:
        """The name of a run, which may be given by the path of its folder."""
        return self._run_text(arguments.name(run, what="a run", numbers=False))

    def _run_text(self, run: str) -> str:
        """A name or a pattern; ``./NAME/`` and the path of its folder mean the run."""
        base = os.path.join(self._native.base, "")
        found = run.removeprefix(base) if run.startswith(base) else run.removeprefix("./")
        # No name ends with a slash, and none is empty.
        return found.rstrip("/") or run

    def _relative(self, paths: Iterable[str]) -> List[str]:
        """Paths, those below the base directory relative to it."""
        base = os.path.join(self._native.base, "")
        return [path.removeprefix(base) for path in paths]

    def _selection(self, given: Mapping[str, Any]) -> Dict[str, Any]:
        """The selection as the native half takes it."""
        below = given.get("below")
        if below is not None:
            # Keys, identifiers and artifacts name paths too.
            given = {**given, "below": _targets.paths(below)}
        wanted = arguments.selection(given)
        for part in ("run", "exclude_run"):
            wanted[part] = [self._run_text(run) for run in wanted[part]]
        base = os.path.join(self._native.base, "")
        for path in wanted["below"]:
            if os.path.isabs(path) and not os.path.join(path, "").startswith(base):
                # Refused as outside of the base directory, as where one artifact is named.
                self._native.get(path)
        return wanted

    def _refreshed(
        self,
        selection: Mapping[str, Any],
        refresh: bool,
        *,
        measure: bool = False,
        progress: Wanted = False,
        asks: bool = True,
    ) -> Dict[str, Any]:
        """The selection of a question, or of a change, after a look at what it may mean."""
        wanted = self._selection(selection)
        if refresh and not self._native.is_read_only:
            with reporting(progress) as report:
                gone = self._native.refresh_for(wanted, measure, report)
            if gone > 0:
                arrays = counted(gone, "recorded array is", "recorded arrays are")
                logger.warning("%s gone; see them with verify()", arrays)
        self._warn_nothing(self._unmatched(wanted, asks))
        return wanted

    def _sorted(self, sort: Optional[str]) -> None:
        """Warns of a metric that rows are sorted by and no score has."""
        if sort is not None and sort.startswith("score:"):
            # Without the direction.
            metric = sort.removeprefix("score:").removesuffix(":min").removesuffix(":max")
            self._warn_nothing(self._native.unmatched(self._selection({}), [metric]))

    def _matched(self, wanted: Optional[Dict[str, Any]], asks: bool = False) -> None:
        """Warns of a selection that matches nothing, and of names in it that nothing has."""
        if wanted is not None:
            self._warn_nothing(self._unmatched(wanted, asks))

    def _unmatched(self, wanted: Dict[str, Any], asks: bool) -> List[str]:
        """Why a selection matches nothing, or which of its names do not: sentences, and none if
        all of it matches."""
        words = self._native.unmatched(wanted) + self._native.unmatched_exclusions(wanted)
        # Everything is meant, and a registry may be empty; or it is a question whether anything is
        # missing or damaged, and nothing is a good answer.
        if words or not arguments.selects(wanted) or (asks and wanted["state"]):
            return words
        if self._native.select(wanted, None, False, 1):
            return []
        return ["nothing that is recorded matches the selection"]

    def _warn_nothing(self, words: Iterable[str], *, stacklevel: int = 4) -> None:
        """Warns in these words, where the method was called that called the caller of this."""
        for one in words:
            warnings.warn(one, NothingSelectedWarning, stacklevel=stacklevel)

    def _require_of_artifact(self, path: str) -> None:
        """Refuse a path at which nothing is recorded and no artifact can be.

        Raises:
            NotRecordedError: It is a folder of artifacts, or lies in no container.
        """
        parts = PurePath(path).parts
        if PurePath(path).suffix in _CONTAINERS:
            return
        base = os.path.join(self._native.base, "")
        if not os.path.isabs(path) or path.startswith(base):
            inside = self._selection({"below": path})
            if self._native.select(inside, None, False, 1):
                raise self._native.not_recorded(path)
        if "checkpoints" not in parts and not any(
            PurePath(part).suffix in _CONTAINERS for part in parts
        ):
            raise self._native.not_recorded(path)

    def _recorded(self, target: Union[Artifact, int, str, Any]) -> Artifact:
        wanted = _targets.target(target)
        found = self._native.get(wanted)
        if found is None:
            if isinstance(target, (str, PurePath)):
                self._require_of_artifact(str(wanted))
            raise self._native.not_recorded(wanted)
        return found

    def _named(self, named: Tuple[Union[Artifact, int, str], bool]) -> List[Artifact]:
        """The artifact that is named; of the path of a run or another folder those below it."""
        wanted, is_path = named
        if not is_path or not isinstance(wanted, str):
            return [self._recorded(wanted)]
        found = self._native.at(wanted)
        if not found:
            raise self._native.not_recorded(wanted)
        return found
