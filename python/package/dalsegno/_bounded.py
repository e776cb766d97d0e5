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
    child, and ends with the process, whatever it is at.

    A signal handler or a finalizer may call it in the middle of another call of the same thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._forget()
        _workers.add(self)

    def _forget(self) -> None:
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        # Reentrant: a signal handler may run while this thread has it.
        self._lock = threading.RLock()
        self._is_begun = False
        self._current: Optional[_Job] = None

    @property
    def is_stuck(self) -> bool:
        """Whether it is still at work that was given up."""
        current = self._current
        return current is not None and current.is_given_up

    def wait(self, seconds: float) -> None:
        """Wait for the end of work that was given up."""
        current = self._current
        if current is not None and current.is_given_up:
            current.done.wait(seconds)

    def run(self, work: Callable[[], Any], seconds: float) -> Optional[BaseException]:
        """Do something, and wait for its end.

        Returns:
            What it raised, a panic of the native half included; :class:`TooLongError` if it was not
            done by then, and it goes on if it had begun. What this raises itself, a signal handler
            raised.
        """
        if self.is_stuck:
            return TooLongError(f"an earlier attempt has not ended after {seconds:g} s")
        try:
            self._begin()
        except RuntimeError as error:
            return error
        job = _Job(work)
        self._jobs.put(job)
        if not job.done.wait(seconds):
            job.is_given_up = True
            return TooLongError(f"it has not ended after {seconds:g} s")
        return job.error

    def _begin(self) -> None:
        """Start the thread if it does not run yet."""
        with self._lock:
            if self._is_begun:
                return
            # Before the start: a handler that runs during it must not start a second thread.
            self._is_begun = True
            try:
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
            except BaseException:
                self._is_begun = False
                raise

    def _work(self) -> None:
        _this_thread.is_worker = True
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


_this_thread = threading.local()


def is_in_worker() -> bool:
    """Whether a worker runs this: a finalizer may run on any thread, and a worker that waited for
    itself would wait in vain."""
    return getattr(_this_thread, "is_worker", False)


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


__all__: List[str] = ["Rest", "TooLongError", "Worker", "is_in_worker"]
