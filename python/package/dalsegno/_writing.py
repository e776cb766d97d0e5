"""The writer's word that arrays are whole."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Tuple, Union

from . import _arguments as arguments
from . import _targets
from ._arguments import Selection
from ._native import Artifact
from ._progress import Wanted, reporting
from ._recording import Recording
from ._targets import Target
from .errors import CatalogElsewhereError, Error

if TYPE_CHECKING:
    from typing_extensions import Unpack

logger = logging.getLogger("dalsegno")


class Writing(Recording):
    """Writing, and saying that it is done."""

    @arguments.selecting
    def seal(
        self,
        targets: Union[Target, Iterable[Target], None] = None,
        *,
        hash: bool = False,
        complete: bool = False,
        progress: Wanted = None,
        **selection: Unpack[Selection],
    ) -> List[Artifact]:
        """Note the writer's word that arrays are whole; count their bytes and files. All or none.
        A selection is looked for on disk first; ``state="present"`` leaves out what has no data.

        On a host without the catalog, the seals are noted for the host that has it, with what the
        data is now. The artifacts are then given as the published copy has them; one that it does
        not have yet is sealed all the same, and left out of the list.

        Args:
            targets: Artifacts, identifiers, numbers, keys or paths; or nothing, and a selection.
                The path of a run or of a folder in it means the artifacts below it.
            hash: Read all data and note its content hash, for ``verify(read_data=True)``.
            complete: Refuse arrays of which a chunk is missing. zarr leaves out chunks that hold
                nothing but the fill value.

        Raises:
            NotRecordedError: One is not recorded.
            NothingWrittenError: One has no data.
            ChunksMissingError: One lacks a chunk, with ``complete``.
            LevelsMissingError: One lacks a level that it names, with ``complete``.
            ChunksUnknownError: The chunks of one cannot be counted, with ``complete``.
        """
        if (targets is None) == (not arguments.given(selection)):
            raise TypeError("name what is to be sealed, either by targets or by a selection")
        if targets is None:
            wanted = self._refreshed(selection, True, progress=progress, asks=False)
            targets = self._native.select(wanted)
        inbox = self._noting()
        if inbox is not None:
            # By path too, because the copy does not have what is newer.
            given = [target for named in _targets.named(targets) for target in self._noted(named)]
            with reporting(progress) as report:
                known = self._native.note_seals(inbox, given, hash, complete, report)
            self._say_noted("seals are")
            return known
        chosen = [one for named in _targets.named(targets) for one in self._named(named)]
        try:
            with reporting(progress) as report:
                return self._native.seal(chosen, hash, complete, report)
        except CatalogElsewhereError as error:
            self._go_elsewhere(error)
        return self.seal(chosen, hash=hash, complete=complete, progress=progress)

    @contextmanager
    def writing(self, target: Target, *, hash: bool = False) -> Iterator[Path]:
        """Write an array: gives its path, seals it on success, marks it on failure.

        From the beginning on the array counts as not sealed, so a crash leaves no false seal. If
        the body raises, what is on disk is noted, unsealed, with a warning in the log, and the
        error is raised. An identifier that is not recorded is recorded. On a host without the
        catalog, all of this is noted for the host that has it.

        Args:
            target: An identifier, an artifact, its number or path.
            hash: As for :meth:`seal`.

        Raises:
            NothingWrittenError: The body wrote nothing.
        """
        inbox = self._noting()
        if inbox is not None:
            wanted = _targets.target(target)
            path = self._native.note_failed(inbox, wanted, True)
            try:
                yield path
            except BaseException:
                with _logged(path):
                    self._native.note_failed(inbox, wanted, False)
                raise
            self._native.note_seals(inbox, [wanted], hash, False, None)
            self._say_noted("seals are")
            return
        artifact = self._native.get(_targets.target(target))
        if artifact is None and _targets.place(target) is not None:
            artifact = self.record_identifier(target)
        if artifact is None:
            artifact = self._recorded(_targets.target(target))
        try:
            self._native.unseal([artifact])
        except CatalogElsewhereError as error:
            self._go_elsewhere(error)
            with self.writing(target, hash=hash) as path:
                yield path
            return
        try:
            yield artifact.path
        except BaseException:
            with _logged(artifact.path):
                self._failed(artifact)
            raise
        self.seal(artifact, hash=hash, progress=False)

    def _noted(
        self, named: Tuple[Union[Artifact, int, str], bool]
    ) -> Sequence[Union[Artifact, int, str]]:
        """What is named, on a host without the catalog; of a folder what the copy has below it."""
        wanted, is_path = named
        if not is_path or not isinstance(wanted, str):
            return [wanted]
        try:
            return self._native.at(wanted) or [wanted]
        except Error:
            # There may be no copy yet; a path says its key by itself.
            return [wanted]

    def _failed(self, artifact: Artifact) -> None:
        """Note that what was written is not whole."""
        try:
            self._native.refresh(_only(artifact), True, True, None)
        except CatalogElsewhereError as error:
            self._go_elsewhere(error)
            inbox = self._noting()
            assert inbox is not None, "the catalog is on another host"
            self._native.note_failed(inbox, _targets.target(artifact), False)


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Log that writing failed. The writer's error is to be raised, so ours goes into the log."""
    try:
        yield
    except Error as error:
        logger.warning("could not note that writing failed (%s): %s", error.code, error)
    logger.warning("writing failed; it is not sealed: %s", path)


def _only(artifact: Artifact) -> Dict[str, Any]:
    """A selection of one key, or of little more."""
    asked: Dict[str, Any] = {"run": artifact.run, "kind": artifact.kind}
    for name in ("iteration", "dataset", "parameters"):
        value = getattr(artifact, name)
        if value is not None:
            asked[name] = value
    return arguments.selection(asked)
