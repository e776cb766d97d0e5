"""The writer's word that arrays are whole."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, List, Union

from . import _arguments as arguments
from . import _targets
from ._native import Artifact
from ._progress import Wanted, reporting
from ._recording import Recording
from ._targets import Target
from .errors import CatalogElsewhereError, Error

logger = logging.getLogger("dalsegno")


class Writing(Recording):
    """Writing, and saying that it is done."""

    def seal(
        self,
        targets: Union[Target, Iterable[Target]],
        *,
        hash: bool = False,
        complete: bool = False,
        progress: Wanted = None,
    ) -> List[Artifact]:
        """Note the writer's word that arrays are whole; count their bytes and files. All or none.

        On a host without the catalog, the seals are noted for the host that has it, with what the
        data is now. The artifacts are then given as the published copy has them; one that it does
        not have yet is sealed all the same, and left out of the list.

        Args:
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
        inbox = self._noting()
        if inbox is not None:
            wanted = _targets.targets(targets)
            with reporting(progress) as report:
                known = self._native.note_seals(inbox, wanted, hash, complete, report)
            self._say_noted("seals are")
            return known
        chosen = [self._recorded(target) for target in _targets.targets(targets)]
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
    """Log that writing failed. The writer's error is the one to raise, so ours goes into the log."""
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
