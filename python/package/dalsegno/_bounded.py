"""Work that is given up after a time, and goes on behind the back of who asked for it.

A system call on a network file system whose server is gone cannot be ended. So what must not stop
a training runs on a thread of its own, and the training waits for it so long and no longer.
"""

from __future__ import annotations

import os
import queue
import threading
import time
import weakref
from typing import Any, Callable, List, Optional


class TooLongError(Exception):
    """Work was given up: it goes on, or is never begun."""


class _Job:
    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.done = threading.Event()
        self.error: Optional[BaseException] = None
        self.is_given_up = False


class Worker:
    """A thread that does one job after the other. It begins with the first job, again in a forked
    child, and ends with the process, whatever it is at."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._forget()
        _workers.add(self)

    def _forget(self) -> None:
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._is_begun = False
        self._current: Optional[_Job] = None

    @property
    def is_stuck(self) -> bool:
        """Whether it is still at work that was given up."""
        current = self._current
        return current is not None and current.is_given_up

    def run(self, work: Callable[[], Any], seconds: float) -> None:
        """Do something, and wait for its end.

        Raises:
            TooLongError: It was not done by then. It goes on if it had begun.
            BaseException: Whatever it raised, a panic of the native half included.
        """
        if self.is_stuck:
            raise TooLongError(f"an earlier attempt has not ended after {seconds:g} s")
        with self._lock:
            if not self._is_begun:
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
                self._is_begun = True
        job = _Job(work)
        self._jobs.put(job)
        if not job.done.wait(seconds):
            job.is_given_up = True
            raise TooLongError(f"it has not ended after {seconds:g} s")
        if job.error is not None:
            raise job.error

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job.is_given_up:
                continue
            self._current = job
            try:
                job.work()
            except BaseException as error:
                job.error = error
            self._current = None
            job.done.set()


_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


def _forget_all() -> None:
    for worker in list(_workers):
        worker._forget()


os.register_at_fork(after_in_child=_forget_all)


class Rest:
    """When to try again: after a failure not for so many times as long as the failure took, so that
    what fails slowly costs a small share of the time."""

    TIMES = 12.0
    SHORTEST = 1.0

    def __init__(self) -> None:
        self._until = 0.0

    @property
    def is_over(self) -> bool:
        """Whether it is time to try."""
        return time.monotonic() >= self._until

    def begin(self, took: float) -> None:
        """Rest after a failure that took this many seconds."""
        self._until = time.monotonic() + max(self.SHORTEST, self.TIMES * took)


__all__: List[str] = ["Rest", "TooLongError", "Worker"]
