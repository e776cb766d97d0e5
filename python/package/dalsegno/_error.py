"""The base class of all errors; ``errors.py`` has a class for each code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar, Optional

_BY_CODE: dict[str, type[Error]] = {}
"""The class of each code: every class that is defined with a code of its own is entered."""


class Error(Exception):
    """Any error that the registry reports."""

    code: ClassVar[str] = ""
    """Stable code, in kebab-case, the same as on the command line."""

    path: Optional[Path]
    """The path that the error is about, if there is one: absolute, or relative to the base
    directory."""

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

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.code:
            _BY_CODE.setdefault(cls.code, cls)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # By code: the class of a code that this version does not know is made when it is needed.
        return make, (self.code, self.message, self.path, self.hint)


def make(code: str, message: str, path: Optional[Path], hint: Optional[str]) -> Error:
    """Make the error of a code; one that no class has gives an :class:`Error` with that code."""
    known = _BY_CODE.get(code)
    if known is None:
        known = type("Error", (Error,), {"code": code, "__module__": __name__})
    return known(message, path=path, hint=hint)
