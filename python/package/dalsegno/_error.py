"""What every error has; the classes of the codes stand in ``errors.py``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar, Optional


class Error(Exception):
    """Whatever the registry reports."""

    code: ClassVar[str] = ""

    path: Optional[Path]
    """What it is about, where that is a path: absolute, or relative to the base directory."""

    hint: Optional[str]
    """What to do next: a call, an argument, or something outside of Python."""

    def __init__(
        self,
        message: str = "",
        *,
        path: Optional[os.PathLike[str] | str] = None,
        hint: Optional[str] = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = None if path is None else Path(path)
        self.hint = hint
        if hint is not None and hasattr(self, "add_note"):
            self.add_note(f"hint: {hint}")

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self.code, self.message, self.path, self.hint)


def _made(code: str, message: str, path: Optional[Path], hint: Optional[str]) -> Error:
    """Make the error of a code anew, from what was pickled."""
    from .errors import _make

    return _make(code, message, path, hint)
