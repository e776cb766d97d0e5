"""What runs are called now that had another name when DaCapo stored something of them.

``dalsegno mv`` and a repair after a rename by hand give the rows of a run its new name; DaCapo's
own files keep the old one. The history has every such rename.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, List, Mapping, Optional, Tuple

__all__ = ["Renames"]


class Renames:
    """The renames of a registry, the oldest first."""

    def __init__(self, operations: Iterable[Tuple[datetime, Any]]) -> None:
        """Take the operations that renamed runs, the newest first, each with its detail."""
        self._done: List[Tuple[datetime, Mapping[str, str]]] = []
        for at, detail in operations:
            entries = detail if isinstance(detail, list) else [detail]
            moved = {
                str(one["from"]): str(one["to"])
                for one in entries
                if isinstance(one, dict) and "from" in one and "to" in one
            }
            self._done.append((at, moved))
        self._done.reverse()

    def __len__(self) -> int:
        return len(self._done)

    def now(self, run: str, stored: Optional[datetime], has_arrays: bool) -> str:
        """The name that a run has now.

        Args:
            run: Its name in DaCapo's files.
            stored: When the file was written last, if that is known.
            has_arrays: Whether a run of that name has arrays now. It may be another one.
        """
        if stored is None:
            found = run
        else:
            found = self._since(run, sum(at < stored for at, _ in self._done))
        if found == run and not has_arrays:
            # The file was written after the rename, or it lost its time.
            left = [at for at, (_, moved) in enumerate(self._done) if _moved(run, moved) != run]
            if left:
                found = self._since(run, left[-1])
        return found

    def _since(self, run: str, first: int) -> str:
        for _, moved in self._done[first:]:
            run = _moved(run, moved)
        return run


def _moved(run: str, moved: Mapping[str, str]) -> str:
    """The name of a run after one operation; runs in a renamed folder move with it."""
    of = max((name for name in moved if run == name or run.startswith(f"{name}/")), default=None)
    return run if of is None else moved[of] + run[len(of) :]
