"""A training goes on whatever happens to its registry.

A stand-in for DaCapo asks for identifiers in a loop. Before it begins, or in the middle, something
is done to the registry; it is mended before the process ends. The process must end by itself, with
every identifier, and what could be noted is in the catalog afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import dalsegno
import dalsegno.dacapo
import pytest
from conftest import STANDIN

CHILD = """
import importlib, os, sys
import dalsegno.dacapo, upath
import dacapo.store.array_store, dacapo.store.create_store
base, wait, user = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
rounds = [int(count) for count in sys.argv[4:]]
dalsegno.dacapo.install(wait=wait)
if user:
    # What is imported may be readable for root alone.
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
store = importlib.import_module("dacapo.store.create_store").LocalArrayStore(base)
iteration = 0
for count in rounds:
    for _ in range(count):
        found = store.validation_prediction_array("run", iteration, "crop")
        print(f"{found.container}/{found.dataset}", flush=True)
        iteration += 1
    print("@", flush=True)
    sys.stdin.readline()
"""

BEFORE, DURING, AFTER = 5, 20, 5
WAIT = 0.3
NOBODY = 65534


class World:
    """A base directory with a registry, and what is done to it."""

    def __init__(self, folder: Path) -> None:
        self.base = folder / "base"
        self.base.mkdir()
        self.own = self.base / ".dalsegno"
        self.catalog = self.own / "catalog.sqlite3"
        self.kept = folder / "kept"
        self.open: Any = None

    def init(self, **options: Any) -> None:
        dalsegno.Registry(self.base, create=True, **options).close()

    def keep(self) -> None:
        shutil.copytree(self.own, self.kept)

    def noted(self) -> set[int]:
        """Iterations whose notes wait in the inbox."""
        found = set()
        for path in (self.own / "inbox").glob("*.jsonl"):
            for line in path.read_text().splitlines():
                found.add(json.loads(line)["record"]["iteration"])
        return found

    def recorded(self) -> set[int]:
        with dalsegno.Registry(self.base) as registry:
            assert registry._native.recovery[2] == []
            return {
                row.iteration for row in registry.list(refresh=False) if row.iteration is not None
            }


def lock(world: World) -> None:
    world.open = sqlite3.connect(world.catalog, isolation_level=None)
    world.open.execute("BEGIN IMMEDIATE")


def unlock(world: World) -> None:
    world.open.execute("ROLLBACK")
    world.open.close()


def zero_header(world: World) -> None:
    with world.catalog.open("r+b") as file:
        file.write(bytes(100))


def damage_pages(world: World) -> None:
    size = world.catalog.stat().st_size
    with world.catalog.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))


def delete_catalog(world: World) -> None:
    for path in world.own.glob("catalog.sqlite3*"):
        path.unlink()


def rebuild(world: World) -> None:
    dalsegno.rebuild(world.base, force=True)


def delete_registry(world: World) -> None:
    shutil.rmtree(world.own)


def spoil_config(world: World) -> None:
    config = world.own / "config.toml"
    world.open = config.read_text()
    config.write_text("[catalog\npath = ")


def mend_config(world: World) -> None:
    (world.own / "config.toml").write_text(world.open)


def elsewhere(world: World) -> None:
    config = world.own / "config.toml"
    world.open = config.read_text()
    config.write_text('[catalog]\npath = "/nowhere/at/all/catalog.sqlite3"\n')


def version(number: int) -> Callable[[World], None]:
    def change(world: World) -> None:
        with sqlite3.connect(world.catalog) as catalog:
            if number == 99:
                (world.open,) = catalog.execute("PRAGMA user_version").fetchone()
            catalog.execute(f"PRAGMA user_version = {number or world.open}")
        catalog.close()

    return change


def forbid(world: World) -> None:
    for path in world.own.glob("catalog.sqlite3*"):
        path.chmod(0)


def allow(world: World) -> None:
    for path in world.own.glob("catalog.sqlite3*"):
        path.chmod(0o644)


def close_inbox(world: World) -> None:
    spoil_config(world)
    shutil.rmtree(world.own / "inbox", ignore_errors=True)
    (world.own / "inbox").write_text("")


def open_inbox(world: World) -> None:
    (world.own / "inbox").unlink()
    mend_config(world)


def nothing(world: World) -> None:
    pass


# What is done, how it is mended, and whether everything must be in the catalog then: a catalog that
# was destroyed has what was noted.
FAULTS = {
    "locked": (lock, unlock, True),
    "header zeroed": (zero_header, rebuild, False),
    "pages damaged": (damage_pages, rebuild, False),
    "catalog deleted": (delete_catalog, rebuild, False),
    "registry deleted": (delete_registry, nothing, False),
    "typo in config.toml": (spoil_config, mend_config, True),
    "catalog elsewhere, and not there": (elsewhere, mend_config, True),
    "version 99": (version(99), version(0), True),
    "no permission": (forbid, allow, True),
    "inbox and catalog unusable": (close_inbox, open_inbox, True),
}


def train(
    world: World,
    rounds: list[int],
    steps: list[Callable[[World], None]],
    before: Optional[list[str]] = None,
    wait: float = WAIT,
    most: float = 60,
) -> str:
    """Run a training that does something after each round; gives what it logged. An identifier may
    take `wait` seconds, and all of it `most` seconds."""
    python_path = os.pathsep.join(filter(None, [str(STANDIN), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": python_path}
    user = 0
    if os.geteuid() == 0 and before is None:
        # Root may do what others may not.
        for path in [world.base, *world.base.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
        user = NOBODY
    command = [*(before or []), sys.executable, "-c", CHILD, str(world.base), str(wait), str(user)]
    process = subprocess.Popen(
        [*command, *map(str, rounds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdin is not None and process.stdout is not None
    identifiers: list[str] = []
    start = time.monotonic()
    for step in steps:
        for line in process.stdout:
            if line == "@\n":
                break
            identifiers.append(line.strip())
        step(world)
        process.stdin.write("\n")
        process.stdin.flush()
    _, log = process.communicate(timeout=120)
    assert process.returncode == 0, log
    container = world.base / "run" / "validation.zarr"
    assert identifiers == [
        f"{container}/{number}/crop/prediction" for number in range(sum(rounds))
    ], log
    assert time.monotonic() - start < most
    kinds = re.findall(r"could not record below .*? \(([\w-]+)\)", log)
    assert len(kinds) == len(set(kinds)), "one warning for each kind of failure"
    return log


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    # Others get to a folder of pytest only if they may enter those above it.
    for folder in [tmp_path, *tmp_path.parents]:
        if os.geteuid() == 0 and folder.owner() == "root" and folder.is_relative_to("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o011)
    yield World(tmp_path)


@pytest.mark.parametrize("name", FAULTS)
def test_a_training_begins_whatever_state_its_registry_is_in(name: str, world: World) -> None:
    fault, mend, is_all_recorded = FAULTS[name]
    world.init()
    fault(world)
    noted: set[int] = set()

    def look_and_mend(world: World) -> None:
        noted.update(world.noted())
        mend(world)

    log = train(world, [DURING, AFTER], [look_and_mend, nothing])
    if name != "registry deleted":
        assert "could not record" in log
        assert name.startswith("inbox") or noted == set(range(DURING)), log
    expected = (
        set(range(DURING + AFTER)) if is_all_recorded or name == "registry deleted" else noted
    )
    assert expected <= world.recorded(), log


def test_what_a_training_without_standard_streams_prints_goes_into_no_file(world: World) -> None:
    world.init()
    version(99)(world)
    script = """
import os, sys
import dalsegno.dacapo, upath
import dacapo.store.array_store, dacapo.store.create_store
dalsegno.dacapo.install(wait=10)
import dacapo.store.create_store as made
store = made.LocalArrayStore(sys.argv[1])
for iteration in range(3):
    store.validation_prediction_array("run", iteration, "crop")
    for stream in range(3):
        try:
            os.write(stream, b"printed")
        except OSError:
            pass
"""
    python_path = os.pathsep.join(filter(None, [str(STANDIN), os.environ.get("PYTHONPATH")]))
    shell = 'exec "$@" <&- >&- 2>&-'
    command = ["sh", "-c", shell, "sh", sys.executable, "-c", script, str(world.base)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": python_path})
    assert world.noted() == {0, 1, 2}
    version(0)(world)
    assert world.recorded() == {0, 1, 2}


@pytest.mark.parametrize("name", FAULTS)
def test_a_training_goes_on_whatever_happens_to_its_registry(name: str, world: World) -> None:
    fault, mend, is_all_recorded = FAULTS[name]
    world.init()
    noted: set[int] = set()

    def look_and_mend(world: World) -> None:
        if (world.own / "inbox").is_dir():
            noted.update(world.noted())
        mend(world)

    log = train(world, [BEFORE, DURING, AFTER], [fault, look_and_mend, nothing])
    expected = set(range(BEFORE + DURING + AFTER)) if is_all_recorded else noted
    if name == "registry deleted":
        # It is made again, without what was in it.
        expected = set(range(BEFORE + DURING, BEFORE + DURING + AFTER))
    assert expected <= world.recorded(), log


def test_a_training_goes_on_while_another_program_holds_the_lock(
    world: World, pytestconfig: pytest.Config
) -> None:
    """With `--full`, for 75 seconds and with the wait that is the default; else for 15 times a
    shorter wait."""
    rounds = 15
    wait = 5.0 if pytestconfig.getoption("--full") else WAIT
    world.init()
    ends = 0.0

    def fault(world: World) -> None:
        nonlocal ends
        lock(world)
        ends = time.monotonic() + rounds * wait

    def hold(_: World) -> None:
        time.sleep(wait)

    def mend(world: World) -> None:
        time.sleep(max(0.0, ends - time.monotonic()))
        unlock(world)

    log = train(
        world,
        [BEFORE, *[1] * rounds, AFTER],
        [fault, *[hold] * (rounds - 1), mend, nothing],
        wait=wait,
        most=60 + 2 * rounds * wait,
    )
    assert "could not record" in log
    assert world.recorded() == set(range(BEFORE + rounds + AFTER)), log


def mounted(folder: Path, size: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root mounts")
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")


@pytest.mark.parametrize("is_full", [True, False], ids=["full", "read-only"])
def test_a_training_goes_on_while_the_disk_of_the_catalog_is(
    is_full: bool, world: World, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    mounted(disk, "8m")
    try:
        world.init(catalog=disk / "catalog.sqlite3")
        for path in disk.iterdir():
            os.chown(path, NOBODY, NOBODY)

        def fault(world: World) -> None:
            if not is_full:
                # The kernel lets go of the folder in which the catalog was made some moments after
                # the thread that was confined to it, and is busy until then.
                command = ["mount", "-o", "remount,ro", str(disk)]
                deadline = time.monotonic() + 30
                while subprocess.run(command, check=False, capture_output=True).returncode != 0:
                    assert time.monotonic() < deadline, "the disk stays busy"
                    time.sleep(0.05)
                return
            (disk / "catalog.sqlite3.reserve").unlink(missing_ok=True)
            filler = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT)
            with contextlib.suppress(OSError):
                while True:
                    os.write(filler, bytes(4096))
            os.close(filler)

        def mend(world: World) -> None:
            if is_full:
                (disk / "filler").unlink()
            else:
                subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)

        fault(world)
        train(world, [DURING, AFTER], [mend, nothing])
        assert world.recorded() == set(range(DURING + AFTER))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_training_goes_on_on_a_network_file_system(world: World) -> None:
    inject = "inject=statfs,fstatfs:poke_exit=@arg2=6969000000000000"
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject]
    if (
        shutil.which("strace") is None
        or subprocess.run([*strace, "true"], check=False).returncode != 0
    ):
        pytest.skip("strace does not work here")
    world.init()
    log = train(world, [DURING], [nothing], before=strace)
    assert "catalog-on-network" in log
    assert world.recorded() == set(range(DURING))


def test_on_another_host_than_the_keepers_identifiers_are_noted_without_a_warning(
    world: World, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir(mode=0o777)
    world.init(catalog=disk / "catalog.sqlite3")
    with dalsegno.Registry(world.base) as registry:
        assert registry.publish() is not None
    for path in [disk, *disk.iterdir()]:
        os.chown(path, os.geteuid() or NOBODY, -1)
    config = world.own / "config.toml"
    text = config.read_text()
    assert "\nhost = " in text
    config.write_text(re.sub(r"\nhost = .*", '\nhost = "elsewhere"', text))
    noted: set[int] = set()
    log = train(world, [DURING], [lambda world: noted.update(world.noted())])
    assert noted == set(range(DURING))
    assert "could not record" not in log
    assert "published copy" not in log
    config.write_text(text)
    for path in [world.base, *world.base.rglob("*"), disk, *disk.iterdir()]:
        os.chown(path, os.geteuid(), -1)
    assert world.recorded() == noted


def outside(world: World, disk: Path) -> Path:
    """A registry whose catalog is outside the base directory, writable for the training."""
    disk.mkdir(mode=0o777)
    disk.chmod(0o777)
    catalog = disk / "catalog.sqlite3"
    world.init(catalog=catalog)
    for path in disk.iterdir():
        os.chown(path, NOBODY if os.geteuid() == 0 else -1, -1)
    return catalog


def test_a_registry_that_is_deleted_costs_no_row_of_a_catalog_elsewhere(
    world: World, tmp_path: Path
) -> None:
    catalog = outside(world, tmp_path / "disk")
    config = (world.own / "config.toml").read_text()
    log = train(world, [BEFORE, DURING, AFTER], [delete_registry, nothing, nothing], wait=5.0)
    assert not world.own.exists()
    assert "could not" not in log
    assert log.count("is gone; its catalog is") == 1, log
    call = f"init --here --catalog {catalog}"
    assert call in log
    for path in [world.base, *world.base.rglob("*"), catalog.parent, *catalog.parent.iterdir()]:
        os.chown(path, os.geteuid(), -1)
    # What was said takes the base directory up again.
    command = ["dalsegno", "--base", str(world.base), *call.split()]
    subprocess.run([sys.executable, "-m", *command], check=True)
    assert world.recorded() == set(range(BEFORE + DURING + AFTER)), log
    with dalsegno.Registry(world.base) as registry:
        assert registry.id in config


def test_the_end_of_a_training_publishes_what_it_recorded(world: World, tmp_path: Path) -> None:
    outside(world, tmp_path / "disk")
    log = train(world, [BEFORE, DURING, AFTER], [nothing, nothing, nothing], wait=5.0)
    copy = sqlite3.connect(f"file:{world.own / 'published.sqlite3'}?immutable=1", uri=True)
    with contextlib.closing(copy):
        found = copy.execute("SELECT iteration FROM artifact").fetchall()
    assert {iteration for (iteration,) in found} == set(range(BEFORE + DURING + AFTER)), log


def test_a_registry_that_is_there_again_is_used(world: World, tmp_path: Path) -> None:
    catalog = outside(world, tmp_path / "disk")
    kept = tmp_path / "own"

    def move_away(world: World) -> None:
        world.own.rename(kept)

    def move_back(world: World) -> None:
        kept.rename(world.own)

    log = train(world, [BEFORE, DURING, AFTER], [move_away, move_back, nothing], wait=5.0)
    assert log.count("is gone; its catalog is") == 1, log
    for path in [world.base, *world.base.rglob("*"), catalog.parent, *catalog.parent.iterdir()]:
        os.chown(path, os.geteuid(), -1)
    assert world.recorded() == set(range(BEFORE + DURING + AFTER)), log


def test_a_registry_of_another_host_that_is_deleted_is_not_made_again(
    world: World, tmp_path: Path
) -> None:
    outside(world, tmp_path / "disk")
    config = world.own / "config.toml"
    config.write_text(re.sub(r"\nhost = .*", '\nhost = "elsewhere"', config.read_text()))
    log = train(world, [BEFORE, DURING, AFTER], [delete_registry, nothing, nothing], wait=5.0)
    assert not world.own.exists()
    assert log.count("on host elsewhere, and nothing can be noted") == 1, log


def test_a_registry_that_is_deleted_with_its_catalog_is_said_to_be_lost(world: World) -> None:
    world.init()
    log = train(
        world, [BEFORE, DURING, AFTER], [delete_registry, delete_registry, nothing], wait=5.0
    )
    assert log.count("was deleted, with the catalog, its pins and scores") == 1, log
    assert f"dalsegno --base {world.base} scan" in log
    assert world.recorded() == set(range(BEFORE + DURING, BEFORE + DURING + AFTER))


def test_a_header_that_is_overwritten_costs_no_identifier(world: World) -> None:
    world.init()
    noted: set[int] = set()

    def fold_and_zero(world: World) -> None:
        # What is in the log of the first page would come back from there.
        catalog = sqlite3.connect(world.catalog)
        catalog.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        zero_header(world)
        catalog.close()

    def look_and_rebuild(world: World) -> None:
        noted.update(world.noted())
        rebuild(world)

    log = train(
        world, [BEFORE, DURING, AFTER], [fold_and_zero, look_and_rebuild, nothing], wait=5.0
    )
    assert "(catalog-damaged)" in log
    assert noted == set(range(BEFORE, BEFORE + DURING)), log
    assert world.recorded() == set(range(BEFORE + DURING + AFTER)), log


def test_publishing_that_fails_is_one_warning(world: World, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    outside(world, disk)
    (world.own / "published.sqlite3").unlink(missing_ok=True)
    (disk / "catalog.sqlite3.publishing.sqlite3").mkdir()
    script = """
import logging, sys
import dalsegno
logging.basicConfig(stream=sys.stdout)
for iteration in range(5):
    with dalsegno.Registry(sys.argv[1]) as registry:
        registry.record_prediction("run", iteration, "crop")
"""
    command = [sys.executable, "-c", script, str(world.base)]
    for path in [world.base, *world.base.rglob("*"), disk, *disk.iterdir()]:
        os.chown(path, os.geteuid(), -1)
    log = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert log.count("could not be published") == 1, log


def test_strict_raises(world: World, dacapo: None) -> None:
    world.init()
    spoil_config(world)
    store = dalsegno.dacapo.ArrayStore(world.base, strict=True)
    with pytest.raises(dalsegno.errors.Error) as caught:
        store.snapshot_container("run")
    assert caught.value.code == "config-invalid"
    assert dalsegno.dacapo.ArrayStore(world.base).snapshot_container("run")


def test_a_panic_of_the_library_stops_no_training(
    world: World, dacapo: None, warnings_of: pytest.LogCaptureFixture
) -> None:
    stumble: Any = getattr(dalsegno._native, "_stumble", None)
    if stumble is None:
        pytest.skip("only what is built for development panics")
    world.init()
    store = dalsegno.dacapo.ArrayStore(world.base)
    # The first answer is the path.
    for place, after in (("long", 0), ("short", 0), ("answer", 1)):
        stumble(place, after)
        assert store.snapshot_container(f"run-{place}")
    assert all("internal" in record.message for record in warnings_of.records)


def test_a_child_without_dalsegno_goes_on(world: World, dacapo: None, tmp_path: Path) -> None:
    for failure in ("ImportError('x')", "BaseException('x')"):
        broken = tmp_path / "broken" / "dalsegno"
        broken.mkdir(parents=True, exist_ok=True)
        (broken / "__init__.py").write_text(f"raise {failure}\n")
        startup = Path(dalsegno.__file__).parent / "_everywhere"
        paths = [str(startup), str(broken.parent), str(STANDIN)]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "DALSEGNO_DACAPO": "1",
            "RUNS_BASE_DIR": str(world.base),
        }
        code = (
            "from dacapo.store import create_store as c; "
            "print(type(c.create_array_store()).__module__)"
        )
        run = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout == "dacapo.store.local_array_store\n"
        assert "arrays are not recorded in this process" in run.stderr


def test_dacapo_s_command_line_runs_with_the_store(world: World, dacapo: None) -> None:
    environment = {**os.environ, "RUNS_BASE_DIR": str(world.base)}
    command = [sys.executable, "-m", "dalsegno.dacapo", "train", "-r", "RUN"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.stdout == "train -r RUN dalsegno.dacapo\n", run.stderr
    with dalsegno.Registry(world.base) as registry:
        assert [row.kind for row in registry.list(refresh=False)] == ["snapshot-container"]
