"""Fork, spawn, threads, several processes, Ctrl-C."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dalsegno
import pytest
from conftest import write_array


# A lock of an open file description, as the registry takes it, on the whole file.
F_OFD_SETLK = 37


def take(file: int) -> None:
    """Take the lock of a lock file; fails if it is taken."""
    fcntl.fcntl(file, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))


def release(file: int) -> None:
    """Release the lock of a lock file."""
    fcntl.fcntl(file, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_UNLCK, 0, 0, 0, 0))


def in_child(work: Any) -> int:
    """Run something in a forked child; gives its exit status."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_registry_is_whole_on_both_sides_of_a_fork(registry: dalsegno.Registry) -> None:
    registry.record_prediction("r", 1, "d")

    def work() -> None:
        before = len(list(registry.list()))
        registry.record_prediction("child", before, "d")
        assert len(list(registry.list())) == before + 1

    assert in_child(work) == 0
    registry.record_prediction("r", 3, "d")
    assert [row.run for row in registry.list()] == ["child", "r", "r"]
    # And of a fork in a fork.
    assert in_child(lambda: work() if in_child(work) == 0 else 1 / 0) == 0
    assert len(list(registry.list(run="child"))) == 3
    assert registry.check_history().is_whole


def test_listing_goes_on_after_a_fork(registry: dalsegno.Registry) -> None:
    for number in range(10):
        registry.record_prediction(f"r{number}", number, "d")
    listing = registry.list()
    rows = iter(listing)
    next(rows)
    assert in_child(lambda: len(list(rows)) == 9 or 1 / 0) == 0
    assert len(list(rows)) == 9


def busy(base: Path, count: int = 400) -> None:
    for number in range(count):
        write_array(base / f"r/validation.zarr/{number}/d/prediction")


def test_a_registry_at_work_says_in_the_child_that_it_was_forked(
    registry: dalsegno.Registry,
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def hold(progress: dalsegno.Progress) -> None:
        begun.set()
        may_end.wait(60)

    busy(registry.base)
    other = threading.Thread(target=lambda: registry.scan(progress=hold, threads=1))
    blocker = dalsegno.Registry(registry.base)
    # The scan waits for its turn to write, so that it is under way for as long as is needed.
    turn = os.open(registry.base / ".dalsegno" / "catalog.sqlite3.turn", os.O_RDWR | os.O_CREAT)
    take(turn)
    other.start()
    assert begun.wait(60)
    try:

        def work() -> None:
            with pytest.raises(dalsegno.errors.ForkedError):
                registry.record_prediction("s", 1, "d")

        assert in_child(work) == 0
    finally:
        release(turn)
        os.close(turn)
        may_end.set()
        other.join()
    assert len(list(registry.list())) == 400
    blocker.close()


def record(base: Path, name: str, count: int) -> int:
    with dalsegno.Registry(base, create=True) as registry:
        for number in range(count):
            registry.record_prediction(name, number, "d")
    return count


def use(registry: dalsegno.Registry) -> int:
    return len(list(registry.list(refresh=False)))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_eight_processes_record_at_once(method: str, base: Path) -> None:
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(8, mp_context=context) as pool:
        made = [pool.submit(record, base, f"run{number}", 25) for number in range(8)]
        assert sum(one.result(timeout=300) for one in made) == 200
    with dalsegno.Registry(base) as registry:
        assert [run.reserved for run in registry.runs()] == [25] * 8
        assert registry.check_history().is_whole
        assert registry.verify().agrees


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_registry_goes_to_other_processes(method: str, registry: dalsegno.Registry) -> None:
    registry.record_prediction("r", 1, "d")
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        assert list(pool.map(use, [registry] * 4)) == [1] * 4
    assert use(registry) == 1


def test_an_error_comes_back_from_another_process_whole(base: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        with pytest.raises(dalsegno.errors.NameDotDotError) as caught:
            pool.submit(record, base, "..", 1).result(timeout=60)
    assert caught.value.code == "name-dot-dot"


def test_threads_share_a_registry(registry: dalsegno.Registry) -> None:
    def work(name: int) -> None:
        for number in range(25):
            registry.record_prediction(f"run{name}", number, "d")
            assert registry.get(f"run{name}/validation.zarr/{number}/d/prediction") is not None

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert [run.reserved for run in registry.runs()] == [25] * 8


def test_a_long_call_lets_other_threads_run(base: Path) -> None:
    with dalsegno.Registry(base, create=True) as registry:
        turn = os.open(base / ".dalsegno" / "catalog.sqlite3.turn", os.O_RDWR | os.O_CREAT)
        take(turn)
        other = threading.Thread(target=lambda: registry.record_prediction("r", 1, "d"))
        other.start()
        counted = 0
        while counted < 100:
            assert other.is_alive()
            counted += 1
        release(turn)
        other.join()
        os.close(turn)
        assert len(list(registry.list())) == 1


WAITS = """
import signal, sys, time, dalsegno
# A shell that runs the tests in the background may have it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
registry = dalsegno.Registry(sys.argv[1], create=True)
print("ready", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", time.monotonic(), flush=True)
else:
    print("done", flush=True)
print(len(list(registry.list(refresh=False))), flush=True)
registry.record_prediction("after", 1, "d")
"""


def waits(pid: int, base: Path) -> bool:
    """Whether a process is the first in line to write: by the kernel's list, it has the lock of
    that."""
    queue = base / ".dalsegno" / "catalog.sqlite3.queue"
    if not queue.exists():
        return False
    place = f":{queue.stat().st_ino} "
    lines = Path("/proc/locks").read_text().splitlines()
    return any(str(pid) in line.split() and place in line for line in lines)


def interrupt(base: Path, call: str) -> tuple[list[str], float]:
    """Send SIGINT while a call waits for its turn to write; gives what was said and how long that
    took."""

    with dalsegno.Registry(base, create=True):
        pass
    turn = os.open(base / ".dalsegno" / "catalog.sqlite3.turn", os.O_RDWR | os.O_CREAT)
    with subprocess.Popen(
        [sys.executable, "-c", WAITS.format(call=call), str(base)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        take(turn)
        assert process.stdout.readline() == "ready\n"
        while not waits(process.pid, base):
            assert process.poll() is None
            time.sleep(0.01)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        said = [process.stdout.readline().strip()]
        took = time.monotonic() - start
        release(turn)
        os.close(turn)
        said += process.stdout.read().split()
        assert process.wait(60) == 0
    return said, took


@pytest.mark.parametrize(
    "call",
    [
        "registry.record_prediction('r', 1, 'd')",
        "registry.scan()",
        "registry.unscore(dalsegno.values.Score('r', 1, None, None, 'voi', 1))",
    ],
)
def test_ctrl_c_is_answered_within_a_second_and_nothing_was_done(base: Path, call: str) -> None:
    busy(base, 20)
    said, took = interrupt(base, call)
    assert said[0].startswith("interrupted") and said[1:] == ["0"]
    assert took < 1.5, "a second, and some for a busy machine"
    with dalsegno.Registry(base) as registry:
        assert [row.run for row in registry.list(refresh=False)] == ["after"]
        assert registry.check_history().is_whole


def test_the_command_line_comes_with_the_package(base: Path) -> None:
    script = Path(sys.executable).with_name("dalsegno")
    for command in ([str(script)], [sys.executable, "-m", "dalsegno"]):
        run = subprocess.run([*command, "--version"], capture_output=True, text=True)
        assert (run.returncode, run.stdout) == (0, f"dalsegno {dalsegno.__version__}\n")
        run = subprocess.run(
            [*command, "--base", str(base), "list"], capture_output=True, text=True
        )
        assert run.returncode == 10 and "no-registry" in run.stderr
        run = subprocess.run([*command, "no-such-command"], capture_output=True, text=True)
        assert run.returncode == 2 and "Usage: dalsegno" in run.stderr


def test_a_command_of_dacapo_without_dacapo_ends_with_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "broken" / "dacapo").mkdir(parents=True)
    (tmp_path / "broken" / "dacapo" / "__init__.py").write_text("import no_such_module\n")
    cases = {"": "No module named 'dacapo'", str(tmp_path / "broken"): "'no_such_module'"}
    for path, why in cases.items():
        for arguments in (["train", "-r", "run"], []):
            ended = subprocess.run(
                [sys.executable, "-m", "dalsegno.dacapo", *arguments],
                env={**os.environ, "PYTHONPATH": path},
                capture_output=True,
                text=True,
            )
            assert ended.returncode == 1
            assert ended.stdout == ""
            problem, hint = ended.stderr.splitlines()
            assert problem.startswith("error: ") and why in problem
            assert hint.startswith("  next: install DaCapo") and "dacapo-ml" in hint
