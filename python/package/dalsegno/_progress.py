"""Progress of long calls: through tqdm if it is installed, or to a callable."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable, NamedTuple, Optional, Union


class Progress(NamedTuple):
    """How far a call is; reported about ten times a second."""

    phase: str
    """What is being done, such as ``scanning``."""
    total: Optional[int]
    """Number of items of the phase, if it is known."""
    items: int
    files: int
    bytes: int


Wanted = Union[bool, None, Callable[[Progress], None]]
"""``True`` for a bar of tqdm, ``False`` for none, ``None`` for a bar if tqdm is installed and
stderr is a terminal, or a callable."""

Report = Callable[[str, Optional[int], int, int, int], None]


@contextmanager
def reporting(wanted: Wanted) -> Iterator[Optional[Report]]:
    """Give what the native half is to call, or ``None``."""
    if callable(wanted):
        report = wanted
        yield lambda *values: report(Progress(*values))
        return
    if wanted is False or (wanted is None and not sys.stderr.isatty()):
        yield None
        return
    try:
        tqdm = importlib.import_module("tqdm")
    except ImportError:
        if wanted:
            raise ImportError("a progress bar takes tqdm: pip install tqdm") from None
        yield None
        return
    with tqdm.tqdm(unit="", delay=1, leave=False) as bar:
        yield _Bar(bar)


class _Bar:
    def __init__(self, bar: Any) -> None:
        self.bar = bar
        self.phase = ""

    def __call__(self, phase: str, total: Optional[int], items: int, files: int, size: int) -> None:
        if phase != self.phase:
            self.phase = phase
            self.bar.reset(total=total)
            self.bar.set_description(phase, refresh=False)
        if files and files != items:
            self.bar.set_postfix(files=files, MB=size // 1_000_000, refresh=False)
        self.bar.update(items - self.bar.n)
