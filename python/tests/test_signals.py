"""A signal handler, or a finalizer, asks the store for an identifier in the middle of another call.

The handler runs at each line of the code that records, one after the other. No call waits for
itself, and both identifiers are known afterwards.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dalsegno
import pytest

pytestmark = pytest.mark.usefixtures("dacapo")

CHILD = """
import logging, os, signal, sys
import dalsegno, dalsegno._attempts, dalsegno._bounded, dalsegno.dacapo
logging.basicConfig(level=logging.WARNING)
FILES = (dalsegno._attempts.__file__, dalsegno._bounded.__file__)
lines, at = 0, 0


def handler(*_):
    store.validation_prediction_array("run", 2, "crop")


def trace(frame, event, arg):
    global lines
    if frame.f_code.co_filename not in FILES:
        return None
    if event == "line":
        lines += 1
        if lines == at:
            signal.raise_signal(signal.SIGUSR1)
    return trace


signal.signal(signal.SIGUSR1, handler)
while lines == at:
    lines, at = 0, at + 1
    base = os.path.join(sys.argv[1], str(at))
    os.mkdir(base)
    dalsegno.Registry(base, create=True).close()
    store = dalsegno.dacapo.ArrayStore(base, wait=20.0)
    sys.settrace(trace)
    store.validation_prediction_array("run", 1, "crop")
    sys.settrace(None)
    lines = min(lines, at)
print(at)
"""


def test_a_handler_may_ask_at_any_line_of_a_call(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stderr == ""
    # The last one is that in which the handler did not run.
    bases = range(1, int(done.stdout))
    assert len(bases) > 20
    for at in bases:
        with dalsegno.Registry(tmp_path / str(at), create=True) as registry:
            found = sorted(artifact.iteration or 0 for artifact in registry.list())
        assert found == [1, 2], at


FINALIZER = """
import logging, sys, threading
import dalsegno.dacapo
from dalsegno import _attempts
logging.basicConfig(level=logging.WARNING)
store = dalsegno.dacapo.ArrayStore(sys.argv[1], wait=20.0)
attempts = _attempts.of(store._base)
write = attempts._write


def finalized(*args):
    # A collection on the thread that records calls `__del__` of an object of the training.
    store.validation_prediction_array("run", 2, "crop")
    write(*args)


attempts._write = finalized
store.validation_prediction_array("run", 1, "crop")
"""


def test_a_finalizer_on_the_thread_that_records_does_not_wait_for_itself(tmp_path: Path) -> None:
    base = tmp_path / "base"
    done = subprocess.run(
        [sys.executable, "-c", FINALIZER, str(base)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    with dalsegno.Registry(base, create=True) as registry:
        assert sorted(artifact.iteration or 0 for artifact in registry.list()) == [1, 2]


TERMINATED = """
import signal, sys
import dalsegno.dacapo
from dalsegno import _attempts
store = dalsegno.dacapo.ArrayStore(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
run = _attempts.of(store._base)._recorder.run


def interrupted(*args):
    signal.raise_signal(signal.SIGTERM)
    return run(*args)


_attempts.of(store._base)._recorder.run = interrupted
store.validation_prediction_array("run", 1, "crop")
"""


def test_what_a_handler_raises_ends_the_training(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TERMINATED, str(tmp_path / "base")], timeout=60, check=False
    )
    assert done.returncode == 7
