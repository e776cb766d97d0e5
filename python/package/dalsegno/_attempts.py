"""Recording that never stops who records.

Each key is recorded in the catalog if that works within a bounded time, whatever is wrong with the
catalog; otherwise a note is left in the inbox, which the next command that writes folds into it. A
note that cannot be written either waits in memory, and is tried with the next one and at the end of
the process.

A signal handler or a finalizer may record in the middle of another call of the same thread. Its
note waits in memory until that call ends.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import shlex
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Deque, Dict, Optional, Set, Tuple

from . import _native
from ._bounded import Rest, Worker, is_in_worker
from .errors import Error, NoRegistryError
from .registry import Registry

logger = logging.getLogger("dalsegno.dacapo")

Columns = Tuple[str, str, Optional[str], Optional[str], Optional[str], Optional[str]]
Measured = Tuple[str, str, Optional[str], Optional[str], str, float]

_NOTED = {
    "record": "the identifier is given out all the same, and a note of it goes to the inbox",
    "score": "a note of the scores goes to the inbox",
}
"""What is recorded, and what is said if it cannot be."""

WAIT = 5.0
"""How long a call tries to record, in seconds, unless it is said."""

_AT_KEEPER = ("catalog-elsewhere", "not-published")
"""Codes that say that another host keeps the catalog: there the inbox is the way, and no
warning."""

_MOST_WAITING = 100_000
"""Notes that wait in memory; beyond that the oldest go."""
_NOTE_WAIT = 1.0
"""How long a call waits for its note to be written."""


class _Recording(Registry):
    """A registry that is asked for nothing: on a host without the catalog its copy is not read."""

    _says_copy = False


class Attempts:
    """Records keys of one base directory for every store of this process."""

    def __init__(self, base: str) -> None:
        self._base = base
        # What a forked child knows too: that there was a registry; its catalog, if that is outside
        # the base directory, and the host that has it, if that is another one.
        self._was_open = False
        self._elsewhere: Optional[Tuple[str, Optional[str]]] = None
        self._begin()

    def _begin(self) -> None:
        self._recorder = Worker("dalsegno-record")
        self._noter = Worker("dalsegno-note")
        self._rest = Rest()
        self._registry: Optional[Registry] = None
        self._inbox: Optional[_native.Inbox] = None
        self._notes: Deque[Tuple[str, Any, int]] = deque(maxlen=_MOST_WAITING)
        self._said: Set[str] = set()
        self._is_alone = False
        self._inside = threading.local()
        self._is_left = False

    def record(self, keys: Sequence[Columns], wait: float) -> None:
        """Record keys, or leave notes of them. Raises nothing but what a signal raises."""
        self._attempt("record", keys, wait)

    def score(self, scores: Sequence[Measured], wait: float) -> None:
        """Note scores, or leave notes of them. Raises nothing but what a signal raises."""
        self._attempt("score", scores, wait)

    def _attempt(self, what: str, items: Sequence[Any], wait: float) -> None:
        now = int(time.time() * 1000)
        if is_in_worker() or getattr(self._inside, "is_busy", False):
            # This thread is at it already: waiting here would wait for what it interrupts.
            self._notes.extend((what, item, now) for item in items)
            self._is_left = True
            return
        self._inside.is_busy = True
        try:
            if not self._record_now(what, items, wait):
                self._notes.extend((what, item, now) for item in items)
                self._is_left = True
            while self._is_left:
                self._is_left = False
                self._flush(min(wait, _NOTE_WAIT))
        finally:
            self._inside.is_busy = False

    def _record_now(self, what: str, items: Sequence[Any], wait: float) -> bool:
        """Record in the catalog; says whether that worked."""
        if not self._rest.is_over:
            return False
        start = time.monotonic()
        error = self._recorder.run(lambda: self._try(what, items, wait), wait)
        if error is None:
            return True
        self._rest.begin(time.monotonic() - start)
        self._say(error, _NOTED[what])
        return False

    def _try(self, what: str, items: Sequence[Any], wait: float) -> None:
        registry = self._registry
        # A catalog that was replaced, or a fork, may have made this one useless.
        self._registry = None
        if registry is not None and self._is_alone and self._has_folder:
            # The registry is there again, and says where the catalog is from now on.
            registry.close()
            registry = None
        if registry is not None:
            try:
                return self._write(registry, what, items)
            except Error as error:
                if error.code == "lock-timeout":
                    self._registry = registry
                    raise
                registry.close()
        self._write(self._open(wait), what, items)

    @property
    def _has_folder(self) -> bool:
        return os.path.lexists(os.path.join(self._base, ".dalsegno"))

    @property
    def is_elsewhere(self) -> bool:
        """Whether ``.dalsegno`` is gone and its catalog elsewhere: then no registry is made."""
        return self._elsewhere is not None and not self._has_folder

    def _open(self, wait: float) -> Registry:
        """Open the registry, or make one: but not beside a catalog that this process knows."""
        if self._elsewhere is not None and not self._has_folder:
            catalog, host = self._elsewhere
            where = f" on host {host}" if host else ""
            goes = "nothing can be noted" if host else "what this process records goes there"
            call = f"dalsegno --base {shlex.quote(self._base)} init --here --catalog "
            self._say_gone(
                "the folder %s is gone; its catalog is %s%s, and %s; take the base directory up "
                "again with: %s",
                os.path.join(self._base, ".dalsegno"),
                catalog,
                where,
                goes,
                call + shlex.quote(catalog),
            )
            self._is_alone = True
            if host is not None:
                raise NoRegistryError(f"{self._base} has no registry any more", path=self._base)
            return _Recording(self._base, catalog=catalog, lock_timeout=wait)
        os.makedirs(self._base, exist_ok=True)
        registry = _Recording(self._base, create=True, lock_timeout=wait)
        if registry.was_made and self._was_open:
            self._say_gone(
                "the folder %s was deleted, with the catalog, its pins and scores; a new registry "
                "was made, and the arrays on disk are taken in with: dalsegno --base %s scan",
                os.path.join(self._base, ".dalsegno"),
                shlex.quote(self._base),
            )
        self._was_open = True
        self._is_alone = False
        catalog_path, keeper = registry.catalog_path, registry._native.keeper
        is_inside = catalog_path.parent == registry.base / ".dalsegno"
        self._elsewhere = None if is_inside and keeper is None else (str(catalog_path), keeper)
        return registry

    def _say_gone(self, message: str, *arguments: str) -> None:
        """Log one warning that the registry's folder is gone."""
        if "gone" in self._said:
            return
        self._said.add("gone")
        with contextlib.suppress(Exception):
            logger.warning(message, *arguments)

    def _write(self, registry: Registry, what: str, items: Sequence[Any]) -> None:
        if what == "score":
            registry._native.score(list(items))
        elif len(items) == 1:
            registry._native.record(items[0])
        else:
            registry._native.record_many(list(items))
        self._registry = registry

    def _flush(self, seconds: float) -> None:
        """Write the notes that wait."""
        error = self._noter.run(self._write_notes, seconds)
        if error is not None:
            self._say(error, "the note of it waits in memory")

    def _write_notes(self) -> None:
        try:
            while self._notes:
                if self._inbox is None:
                    self._inbox = _native.Inbox(self._base)
                what, item, at = self._notes[0]
                if what == "score":
                    self._inbox.score(item, at)
                else:
                    self._inbox.record(item, at)
                self._notes.popleft()
        except BaseException:
            self._inbox = None
            raise

    def _say(self, error: BaseException, what: str) -> None:
        """Log one warning for each kind of failure."""
        kind = getattr(error, "code", None) or type(error).__name__
        if kind in self._said or kind in _AT_KEEPER:
            return
        if kind == "no-registry" and "gone" in self._said:
            # That was said, with what to type.
            return
        self._said.add(kind)
        hint = getattr(error, "hint", None)
        more = f"; {hint}" if hint else ""
        # Logging runs handlers of others: theirs must not stop it either.
        with contextlib.suppress(Exception):
            logger.warning(
                "could not record below %s (%s): %s; %s%s",
                self._base,
                kind,
                error,
                what,
                more,
            )

    def finish(self) -> None:
        """Write what waits in memory, at the end of the process, and publish what it recorded."""
        self._write_rest()
        registry, self._registry = self._registry, None
        if registry is not None:
            # By the thread that uses it. The copy for other hosts is made when it is closed.
            self._recorder.run(registry.close, WAIT)

    def _write_rest(self) -> None:
        if self._notes:
            # An attempt that was given up may be making the registry, and with it the inbox.
            self._recorder.wait(WAIT)
            self._flush(WAIT)
        if self._notes and not self._noter.is_stuck:
            # At the end of an interpreter no thread begins any more.
            with contextlib.suppress(Exception):
                self._write_notes()
        if self._notes:
            # The last chance: a registry that was deleted with its catalog is made again.
            notes = list(self._notes)
            with contextlib.suppress(BaseException):
                if all(self._last_try(kind, notes) for kind in _NOTED):
                    self._notes.clear()
        if self._notes:
            with contextlib.suppress(Exception):
                logger.warning(
                    "%d identifiers and scores below %s could not be noted; take in what was "
                    "written with: dalsegno scan, and: python -m dalsegno.dacapo scores",
                    len(self._notes),
                    self._base,
                )

    def _last_try(self, kind: str, notes: Sequence[Tuple[str, Any, int]]) -> bool:
        items = [item for what, item, _ in notes if what == kind]
        if not items:
            return True
        return self._recorder.run(lambda: self._try(kind, items, WAIT), WAIT) is None


_known: Dict[str, Attempts] = {}


def of(base: str) -> Attempts:
    """The attempts of this process below a base directory."""
    # No lock: a signal handler may ask in the middle. `setdefault` gives all threads the same one.
    return _known.get(base) or _known.setdefault(base, Attempts(base))


def _finish() -> None:
    for attempts in list(_known.values()):
        attempts.finish()


def _forget() -> None:
    """What waits is the parent's to write."""
    for attempts in list(_known.values()):
        attempts._begin()


atexit.register(_finish)
os.register_at_fork(after_in_child=_forget)
