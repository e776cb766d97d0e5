"""History."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Dict, List, Literal, Optional, Tuple, Union

from . import _arguments as arguments
from . import _targets
from ._arguments import Age, Text
from ._core import Core
from ._listing import History
from ._targets import Target
from .values import Chain, Image, Operation, Undone, build


class Remembering(Core):
    """What was done, and undoing it."""

    def history(
        self,
        *,
        action: Union[str, Iterable[str], None] = None,
        user: Union[str, Iterable[str], None] = None,
        since: Union[Age, datetime, None] = None,
        until: Union[Age, datetime, None] = None,
        run: Union[Text, Iterable[Text], None] = None,
        path: Union[Target, Iterable[Target], None] = None,
        id: Union[int, Iterable[int], None] = None,
        limit: Optional[int] = None,
    ) -> History:
        """Give what was done, the newest first; see :class:`History`. Warns of runs, users and
        paths that the history does not know.

        Args:
            action: Such as ``remove``; the words of the command line.
            since, until: A moment, or how long ago.
            run: What was done to these runs.
            path: What was done to what is or was at these paths, or below them: of runs, folders,
                artifacts.
            id: What was done to the artifacts with these numbers.
            limit: At most this many.

        Raises:
            ValueError: An action is unknown, a moment cannot be read, or the path of a folder and
                an id are given together.
        """
        which: Dict[str, Any] = {
            "action": arguments.texts(action, "an action"),
            "user": arguments.texts(user, "a user"),
            "since": None if since is None else arguments.moment(since),
            "until": None if until is None else arguments.moment(until),
            "run": [self._run_text(one) for one in arguments.texts(run, "a run")],
            "path": [] if path is None else _targets.paths(path),
            "id": _ids(id),
        }

        def read(before: Optional[int], most: int) -> List[Dict[str, Any]]:
            return self._native.history({**which, "before": before, "limit": most})

        found = History(read, limit)
        if not (run is None and user is None and path is None and id is None):
            words = self._native.unmatched_history({**which, "before": None, "limit": None})
            self._warn_nothing(words, stacklevel=3)
        return found

    def operation(self, id: Union[int, Operation]) -> Tuple[Operation, Tuple[Image, ...]]:
        """Give an operation, and each artifact as it was before and after.

        Args:
            id: Its number, or what :meth:`history` gave.

        Raises:
            NoOperationError: No operation has this number.
        """
        operation, images = self._native.operation(_number(id))
        return build(Operation, operation), tuple(Image(side, row) for side, row in images)

    def check_history(self, noted: Optional[str] = None) -> Chain:
        """Check the chain of hashes from the first operation on; look up a hash noted before."""
        return build(Chain, self._native.check_history(noted))

    def undo(self, operation: Union[int, Operation, Literal["last"]]) -> Undone:
        """Undo an operation: a removal that is kept, a pin, a score.

        ``"last"`` is the newest removal, restore, pin, unpin, score, rename or rebuild that was not
        undone; the result says which.

        Raises:
            NothingToUndoError: Nothing can be undone.
            NotUndoableError, UndoneAlreadyError, UndoTooLateError: This one cannot be undone.
            ChangedSinceOperationError: What it did was changed since.
        """
        self._native.require_here()
        number = None if operation == "last" else _number(operation)
        return build(Undone, self._native.undo(number))


def _ids(id: Union[int, Iterable[int], None]) -> List[int]:
    """Numbers of artifacts."""
    given: List[Any] = [] if id is None else [id]
    if isinstance(id, arguments.Many):
        given = list(id)
    for one in given:
        if isinstance(one, bool) or not isinstance(one, int) or not -(2**63) <= one < 2**63:
            raise TypeError(f"an artifact has a number, as in list(), not {one!r}")
    return given


def _number(operation: Union[int, Operation]) -> int:
    """The number of an operation."""
    if isinstance(operation, Operation):
        return operation.id
    if isinstance(operation, bool) or not isinstance(operation, int):
        raise TypeError(f"an operation is named by its number, as in history(), not {operation!r}")
    return operation
