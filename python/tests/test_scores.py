"""Validation scores of DaCapo: taken in afterwards, and noted when DaCapo stores them."""

from __future__ import annotations

import contextlib
import copyreg
import csv
import importlib
import json
import os
import pickle
import random
import sqlite3
import struct
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Optional

import dalsegno
import dalsegno.dacapo
import pytest
from conftest import DATA, STANDIN, unpack, write_array
from dalsegno import _pickle, errors
from dalsegno.dacapo import import_scores

REAL = os.environ.get("DALSEGNO_TESTS_DACAPO") == "real"
standin_only = pytest.mark.skipif(REAL, reason="DaCapo is installed")

Scores = dict[tuple[str, int, Optional[str], Optional[str], str], str]


def by_dacapo(tree: str) -> Scores:
    """The scores of a tree as DaCapo itself names them; the last of an iteration counts."""
    with (DATA / f"{tree}.csv").open() as file:
        return {
            (
                row["run"],
                int(row["iteration"]),
                row["dataset"],
                row["parameters"],
                row["metric"],
            ): repr(float(row["value"]))
            for row in csv.DictReader(file)
        }


def scored(base: Path) -> Scores:
    with dalsegno.Registry(base) as registry:
        return {
            (one.run, one.iteration, one.dataset, one.parameters, one.metric): repr(one.value)
            for one in registry.scores()
        }


def store(base: Path, run: str, docs: Any) -> None:
    path = base / "stats" / "validation_scores" / run
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(docs if isinstance(docs, bytes) else pickle.dumps(docs, protocol=4))


def entry(iteration: int, scores: Any) -> dict[str, Any]:
    return {"iteration": iteration, "scores": scores, "run_name": "r"}


def write_outputs(
    base: Path, iteration: int, datasets: dict[str, list[str]], at: Optional[int] = None
) -> None:
    """Write what DaCapo writes in a validation, in its order; all at once if ``at`` is given."""
    now = 1_700_000_000_000_000_000 + iteration * 10**12
    for dataset, sets in datasets.items():
        folder = base / "r" / "validation.zarr" / str(iteration) / dataset
        for name in ("prediction", *(f"output/{parameters}" for parameters in sets)):
            write_array(folder / name)
            now += 10**10
            time = now if at is None else at
            os.utime(folder / name / ".zarray", ns=(time, time))


@standin_only
@pytest.mark.parametrize("tree", ["scores_affs", "scores_distance"])
def test_the_tree_names_the_scores_as_dacapo_does(tree: str, tmp_path: Path) -> None:
    base = unpack(tree, tmp_path)
    expected = by_dacapo(tree)
    (run,) = {key[0] for key in expected}
    for _ in range(2):
        assert import_scores(base).scores == {run: len(expected)}
        assert scored(base) == expected
    assert import_scores(base, run).scores == {run: len(expected)}
    with dalsegno.Registry(base) as registry:
        assert len(list(registry.history(action="score"))) == 1


@standin_only
def test_what_scored_best_stays_with_nothing_typed(tmp_path: Path) -> None:
    base = unpack("scores_affs", tmp_path)
    import_scores(base)
    with dalsegno.Registry(base) as registry:
        plan = registry.plan_gc(run="affs_run", kind="output", keep_best=1, metric="voi")
        assert "affs_run" in plan.to_json()


@standin_only
def test_the_order_of_datasets_and_parameters_is_that_of_writing(base: Path) -> None:
    sets = ["zz", "aa"]
    write_outputs(base, 1, {"val_b": sets, "val_a": sets})
    store(base, "r", [entry(1, [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12.5]]])])
    assert import_scores(base, "r").scores == {"r": 12}
    found = scored(base)
    assert found["r", 1, "val_b", "zz", "voi_split"] == "1.0"
    assert found["r", 1, "val_b", "aa", "voi"] == "6.0"
    assert found["r", 1, "val_a", "zz", "voi_merge"] == "8.0"
    assert found["r", 1, "val_a", "aa", "voi"] == "12.5"


@standin_only
def test_what_the_tree_does_not_tell_is_refused_and_can_be_given(base: Path) -> None:
    write_outputs(base, 1, {"v1": ["p"], "v2": ["p"]}, at=10**18)
    store(base, "r", [entry(1, [[[1, 2, 3]], [[4, 5, 6]]])])
    with pytest.raises(errors.ScoresInvalidError, match="order of its datasets") as caught:
        import_scores(base, "r")
    assert caught.value.hint is not None and "datasets=" in caught.value.hint
    assert scored(base) == {}
    import_scores(base, "r", datasets=["v2", "v1"])
    assert scored(base)["r", 1, "v2", "p", "voi"] == "3.0"


TWO = [[[1.0, 2.0, 3.0]], [[4.0, 5.0, 6.0]]]


def metadata(base: Path) -> list[Path]:
    """The metadata of predictions and outputs, in the order in which DaCapo wrote it."""
    found = (base / "r").rglob(".zarray")
    return sorted(found, key=lambda path: path.stat().st_mtime_ns)


def date(paths: list[Path], times: Iterable[float]) -> None:
    """Give files times in seconds."""
    for path, at in zip(paths, times):
        os.utime(path, ns=(0, round((1_700_000_000 + at) * 10**9)))


@standin_only
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("at once", "within 5 seconds"),
        ("in four seconds", "within 5 seconds"),
        ("in whole minutes", "at the same time"),
        ("by name", "older than the prediction"),
        ("iterations by name", "iteration 9 was validated before iteration 10"),
        ("each iteration in another order", "iterations 9 and 10 tell different orders"),
        ("one into the other", "at the same time"),
    ],
)
def test_times_that_dacapo_did_not_write_tell_no_order(how: str, says: str, base: Path) -> None:
    for iteration in (9, 10):
        write_outputs(base, iteration, {"v2": ["p"], "v1": ["p"]})
    store(base, "r", [entry(9, TWO), entry(10, TWO)])
    paths = metadata(base)
    parts = [path.relative_to(base / "r" / "validation.zarr").parts for path in paths]
    assert [part[:2] for part in parts[::2]] == [
        ("9", "v2"),
        ("9", "v1"),
        ("10", "v2"),
        ("10", "v1"),
    ]
    if how == "at once":
        date(paths, [0] * 8)
    elif how == "in four seconds":
        date(paths, (at / 2 for at in range(8)))
    elif how == "in whole minutes":
        date(paths, [60, 60, 60, 60, 120, 120, 120, 120])
    elif how == "by name":
        date(sorted(paths), range(0, 800, 100))
    elif how == "iterations by name":
        date(
            sorted(paths, key=lambda path: path.parts[-5 if "output" in path.parts else -4]),
            range(0, 800, 100),
        )
    elif how == "each iteration in another order":
        date(paths, [0, 10, 20, 30, 120, 130, 100, 110])
    elif how == "one into the other":
        date(paths, [0, 20, 10, 30, 100, 120, 110, 130])
    with pytest.raises(errors.ScoresInvalidError, match=says) as caught:
        import_scores(base, "r")
    assert "order of its datasets" in str(caught.value) and "v1, v2" in str(caught.value)
    hint = caught.value.hint
    assert hint is not None and "--dataset" in hint and "rsync -a" in hint
    assert scored(base) == {}


@standin_only
def test_shuffled_times_never_give_a_score_to_another_array(base: Path) -> None:
    for iteration in (1, 2):
        write_outputs(base, iteration, {"v2": ["q", "p"], "v1": ["q", "p"]})
    numbers = [[[1, 1, 1], [2, 2, 2]], [[3, 3, 3], [4, 4, 4]]]
    store(base, "r", [entry(iteration, numbers) for iteration in (1, 2)])
    import_scores(base, "r")
    right = scored(base)
    assert right["r", 2, "v1", "q", "voi"] == "3.0" and len(right) == 24
    paths = metadata(base)
    chance = random.Random(21)
    for _ in range(40):
        # Two of them changed places, or all did.
        times = [60.0 * at for at in range(len(paths))]
        if chance.random() < 0.5:
            one, other = chance.sample(range(len(paths)), 2)
            times[one], times[other] = times[other], times[one]
        else:
            chance.shuffle(times)
        date(paths, times)
        with pytest.raises(errors.ScoresInvalidError, match="does not follow from the times"):
            import_scores(base, "r")
    assert scored(base) == right


@standin_only
def test_an_iteration_that_was_validated_again_has_newer_arrays(base: Path) -> None:
    for iteration in (1, 2):
        write_outputs(base, iteration, {"v2": ["p"], "v1": ["p"]})
    paths = metadata(base)
    date(paths, [1000, 1010, 1020, 1030, 200, 210, 220, 230])
    store(base, "r", [entry(1, TWO[::-1]), entry(2, TWO), entry(1, TWO)])
    assert import_scores(base, "r").scores == {"r": 12}
    assert scored(base)["r", 1, "v2", "p", "voi"] == "3.0"


def configure(base: Path, names: list[str], kind: str = "SimpleDataset") -> None:
    """Write a run's config as PyYAML does."""
    path = base / "configs" / "runs" / "r.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    items = "".join(
        f"  - __type__: {kind}\n    gt_name: labels\n    name: {name}\n    raw_config:\n"
        f"      name: raw\n    sample_points:\n    - name\n    weight: 1\n"
        for name in names
    )
    path.write_text(
        "batch_size: 1\ndatasplit_config:\n  __type__: TrainValidateDataSplitConfig\n"
        "  name: split\n  train_configs:\n  - __type__: SimpleDataset\n    name: v9\n"
        f"  validate_configs:\n{items}learning_rate: 0.1\nname: r\n"
    )


@standin_only
@pytest.mark.parametrize("kind", ["SimpleDataset", "RawGTDatasetConfig"])
def test_the_order_of_datasets_is_that_of_the_config(kind: str, base: Path) -> None:
    # As DaCapo's classes show their names in paths.
    paths = ["v2", "v1"] if kind == "SimpleDataset" else ["ds_v2", "ds_v1"]
    write_outputs(base, 1, {name: ["p"] for name in paths}, at=10**18)
    store(base, "r", [entry(1, TWO)])
    configure(base, ["v2", "'v1'"], kind)
    import_scores(base, "r")
    assert scored(base)["r", 1, paths[0], "p", "voi"] == "3.0"
    assert scored(base)["r", 1, paths[1], "p", "voi"] == "6.0"


@standin_only
@pytest.mark.parametrize(
    "names", [["v2"], ["v2", "v3"], ["v2", "v2"], ["v2", "*id001"], ['"v2"', "v1"], ["v2", "v1 #"]]
)
def test_a_config_of_other_datasets_tells_no_order(names: list[str], base: Path) -> None:
    write_outputs(base, 1, {"v1": ["p"], "v2": ["p"]}, at=10**18)
    store(base, "r", [entry(1, TWO)])
    configure(base, names)
    with pytest.raises(errors.ScoresInvalidError, match="order of its datasets"):
        import_scores(base, "r")


@standin_only
@pytest.mark.parametrize("tree", ["scores_affs", "scores_distance"])
@pytest.mark.parametrize("times", ["lost", "shuffled"])
def test_a_tree_without_its_times_gives_no_score_to_another_row(
    tree: str, times: str, tmp_path: Path
) -> None:
    base = unpack(tree, tmp_path)
    paths = sorted(path for path in base.rglob("*") if path.is_file())
    at = list(range(0, 60 * len(paths), 60))
    random.Random(7).shuffle(at)
    date(paths, at if times == "shuffled" else [0] * len(paths))
    expected = by_dacapo(tree)
    (run,) = {key[0] for key in expected}
    import_scores(base)
    # The sets of one are numbered, the numbers of the other are equal: neither needs the times.
    assert scored(base) == expected


@standin_only
def test_numbers_that_do_not_fit_are_refused(base: Path) -> None:
    write_outputs(base, 1, {"v1": ["p"]})
    for scores, what in (
        ([[[1, 2, 3]], [[1, 2, 3]]], "2 datasets"),
        ([[[1, 2, 3], [1, 2, 3]]], "2 parameter sets"),
        ([[[1, 2, 3, 4]]], "4 criteria"),
    ):
        store(base, "r", [entry(1, scores)])
        with pytest.raises(errors.ScoresInvalidError, match=what):
            import_scores(base, "r")
    assert scored(base) == {}
    import_scores(base, "r", criteria=["a", "b", "c", "d"])
    assert scored(base)["r", 1, "v1", "p", "d"] == "4.0"


@standin_only
def test_one_run_that_is_refused_does_not_stop_the_others(base: Path) -> None:
    write_outputs(base, 1, {"v1": ["p"]})
    store(base, "r", [entry(1, [[[1, 2, 3]]])])
    store(base, "other", b"junk")
    done = import_scores(base)
    assert done.scores == {"r": 3}
    assert list(done.refused) == ["other"]
    with pytest.raises(errors.ScoresInvalidError, match="no validation scores"):
        import_scores(base / "r")
    with pytest.raises(errors.ScoresInvalidError, match="cannot be read"):
        import_scores(base, "missing")
    with pytest.raises(errors.Error, match=r"\.\."):
        import_scores(base, "../../etc/passwd")


@standin_only
def test_an_iteration_whose_arrays_were_removed_has_the_names_of_the_others(base: Path) -> None:
    write_outputs(base, 2, {"b": ["p"], "a": ["p"]})
    store(base, "r", [entry(1, [[[1, 2, 3]], [[4, 5, 6]]])])
    import_scores(base, "r")
    assert scored(base)["r", 1, "b", "p", "voi"] == "3.0"


# Runs that were renamed since.


def validated(base: Path, run: str, value: float, iteration: int = 1) -> None:
    """A run with one validation, and its scores; all of some minutes ago."""
    folder = base / run / "validation.zarr" / str(iteration) / "v"
    write_array(folder / "prediction")
    write_array(folder / "output" / "p")
    store(base, run, [entry(iteration, [[[value] * 3]])])
    os.utime(base / "stats" / "validation_scores" / run, (time.time() - 300,) * 2)


def voi(base: Path) -> dict[str, str]:
    return {key[0]: value for key, value in scored(base).items() if key[4] == "voi"}


@standin_only
@pytest.mark.parametrize("asked", [None, "r", "now/here"])
def test_scores_of_a_run_that_was_renamed_go_to_its_name_now(
    asked: Optional[str], base: Path
) -> None:
    validated(base, "r", 0.5)
    with dalsegno.Registry(base, create=True) as registry:
        registry.scan()
        registry.rename_run("r", "then", active=True)
        registry.rename_run("then", "then2/here", active=True)
        registry.rename_run("then2", "now", active=True)
    done = import_scores(base, asked)
    assert (done.scores, done.renamed, done.refused) == ({"now/here": 3}, {"r": "now/here"}, {})
    assert voi(base) == {"now/here": "0.5"}
    # A file that was written, or copied, after the rename.
    os.utime(base / "stats" / "validation_scores" / "r")
    assert import_scores(base, asked).renamed == {"r": "now/here"}


@standin_only
def test_a_run_with_the_old_name_of_another_has_the_scores_that_were_stored_since(
    base: Path,
) -> None:
    validated(base, "r", 0.5)
    with dalsegno.Registry(base, create=True) as registry:
        registry.scan()
        registry.rename_run("r", "old", active=True)
    (base / "stats" / "validation_scores" / "r").rename(base / "stats" / "kept")
    validated(base, "r", 0.25)
    os.utime(base / "stats" / "validation_scores" / "r", (time.time() + 60,) * 2)
    assert import_scores(base).renamed == {}
    assert voi(base) == {"r": "0.25"}
    # The file of before the rename is that of the run that had the name then.
    (base / "stats" / "kept").rename(base / "stats" / "validation_scores" / "r")
    assert import_scores(base).renamed == {"r": "old"}
    assert voi(base) == {"r": "0.25", "old": "0.5"}


@standin_only
def test_scores_of_runs_that_changed_their_names_by_hand_follow_the_repair(base: Path) -> None:
    validated(base, "r", 0.5)
    validated(base, "s", 0.25, 2)
    with dalsegno.Registry(base, create=True) as registry:
        registry.scan()
        (base / "r").rename(base / "x")
        (base / "s").rename(base / "r")
        (base / "x").rename(base / "s")
        registry.verify(repair=True)
    assert import_scores(base).renamed == {"r": "s", "s": "r"}
    assert voi(base) == {"r": "0.25", "s": "0.5"}


@standin_only
def test_scores_of_a_run_whose_folder_is_gone_say_what_to_type(base: Path) -> None:
    validated(base, "r", 0.5)
    (base / "r").rename(base / "x")
    with pytest.raises(errors.ScoresInvalidError, match="'r' has no predictions") as caught:
        import_scores(base, "r")
    assert caught.value.hint is not None and "verify --repair" in caught.value.hint


# Pickles that do more than hold data.


class Runs:
    """A value whose pickle runs a command."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.how = (function, arguments)

    def __reduce__(self) -> Any:
        return self.how


class Persistent(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        return "id" if isinstance(value, Runs) else None


def persistent() -> bytes:
    import io

    into = io.BytesIO()
    Persistent(into, protocol=4).dump([Runs(print)])
    return into.getvalue()


def text(value: str) -> bytes:
    raw = value.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def named(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


SCALAR = named("numpy._core.multiarray", "scalar")
DTYPE = named("numpy", "dtype")
F8 = DTYPE + text("f8") + b"\x89\x88\x87R"


def deep(code: bytes) -> bytes:
    return b"\x80\x04" + code * 200_000 + b"."


def wide() -> bytes:
    """Ten lists, each of which has the one before a thousand times: 10^30 values."""
    made = b"\x80\x04K\x01\x94"
    for level in range(10):
        made += b"](" + b"h" + bytes([level]) + (b"h" + bytes([level])) * 999 + b"e\x94"
    return made + b"."


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a command": lambda: pickle.dumps(Runs(os.system, "touch pwned"), protocol=4),
    "a command, protocol 0": lambda: pickle.dumps(Runs(os.system, "touch pwned"), protocol=0),
    "a command, protocol 2": lambda: pickle.dumps(Runs(os.system, "touch pwned"), protocol=2),
    "eval": lambda: pickle.dumps(Runs(eval, "open('pwned', 'w')"), protocol=5),
    "a class": lambda: pickle.dumps([Path("x")], protocol=4),
    "instruction INST": lambda: b"(S'touch pwned'\nios\nsystem\n.",
    "instruction OBJ": lambda: b"\x80\x04(" + named("os", "system") + text("touch pwned") + b"o.",
    "instruction NEWOBJ": lambda: b"\x80\x04" + DTYPE + text("f8") + b"\x85\x81.",
    "a name of numpy that loads": lambda: (
        b"\x80\x04" + named("numpy", "load") + text("/etc/passwd") + b"\x85R."
    ),
    "a dotted name": lambda: b"\x80\x04" + named("numpy", "dtype.__class__") + b".",
    "a name that is no text": lambda: b"\x80\x04K\x01K\x02\x93.",
    "an extension code": lambda: b"\x80\x04\x82\xf7.",
    "a persistent id": persistent,
    "an extension code of 31 bits": lambda: b"\x80\x02\x84\xff\xff\xff\x7f.",
    "a persistent id, protocol 0": lambda: b"Ptouch pwned\n.",
    "a persistent id, protocol 2": lambda: b"\x80\x02K\x01Q.",
    "a buffer from elsewhere": lambda: b"\x80\x05\x97\x98.",
    "instruction NEWOBJ_EX": lambda: b"\x80\x04" + named("os", "system") + b")}\x92.",
    "a frame of 2^60 bytes": lambda: b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"].",
    "digits, protocol 0": lambda: b"I" + b"9" * 1_000_000 + b"\n.",
    "digits, protocol 1": lambda: b"L" + b"9" * 1_000_000 + b"L\n.",
    "a name of a megabyte": lambda: b"\x80\x02c" + b"a" * (1 << 20) + b"\nb\n.",
    "a name without end": lambda: b"\x80\x02c" + b"a" * (1 << 20),
    "a memory of 2^32": lambda: b"\x80\x04K\x01r\xff\xff\xff\xff0.",
    "a text of 2^60 bytes": lambda: b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60) + b"x.",
    "bytes of 2^31": lambda: b"\x80\x04B\xff\xff\xff\x7fx.",
    "a bytearray of 2^60 bytes": lambda: b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b"x.",
    "an integer of a megabyte": lambda: (
        b"\x80\x04\x8b" + struct.pack("<i", 1 << 20) + b"\x01" * (1 << 20) + b"."
    ),
    "an integer of negative length": lambda: b"\x80\x04\x8b\xff\xff\xff\xff.",
    "lists in lists": lambda: deep(b"]"),
    "tuples in tuples": lambda: b"\x80\x04)" + b"\x85" * 200_000 + b".",
    "a tuple as key": lambda: b"\x80\x04}" + b")" + b"\x85" * 200_000 + b"K\x01s.",
    "marks": lambda: deep(b"("),
    "values that multiply": wide,
    "a list in itself": lambda: b"\x80\x04]\x94h\x00a.",
    "an entry in itself": lambda: (
        b"\x80\x04](}\x94(" + text("iteration") + b"K\x01" + text("scores") + b"]\x94h\x01aue."
    ),
    "numpy's scalar of junk": lambda: b"\x80\x04" + SCALAR + b"K\x01K\x02\x86R.",
    "numpy's scalar of no type": lambda: b"\x80\x04" + SCALAR + b"NC\x08" + bytes(8) + b"\x86R.",
    "numpy's scalar of few bytes": lambda: (
        b"\x80\x04" + SCALAR + F8 + b"C\x04" + bytes(4) + b"\x86R."
    ),
    "numpy's scalar of one argument": lambda: b"\x80\x04" + SCALAR + F8 + b"\x85R.",
    "numpy's scalar of an object": lambda: (
        b"\x80\x04" + SCALAR + DTYPE + text("O8") + b"\x89\x88\x87RC\x08" + bytes(8) + b"\x86R."
    ),
    "numpy's type of a list": lambda: b"\x80\x04" + DTYPE + b"]\x85R.",
    "numpy's type with no state": lambda: b"\x80\x04" + F8 + b"Nb.",
    "numpy's type with a long state": lambda: (
        b"\x80\x04" + F8 + b"(K\x03" + text("<" * 200) + b"tb."
    ),
    "a state for a list": lambda: b"\x80\x04]}b.",
    "a call of a list": lambda: b"\x80\x04])R.",
    "protocol 255": lambda: b"\x80\xff].",
    "nothing": lambda: b"",
    "no end": lambda: b"\x80\x04]",
    "more after the end": lambda: b"\x80\x04].cos\nsystem\n(S'touch pwned'\ntR.",
    "a text that is not UTF-8": lambda: b"\x80\x04\x8c\x01\xff.",
    "half a surrogate": lambda: b"\x80\x04\x8c\x03\xed\xa0\x80.",
    "an iteration that is nan": lambda: pickle.dumps(
        [entry(1, [[[1.0]]]) | {"iteration": float("nan")}]
    ),
    "an iteration below 0": lambda: pickle.dumps([entry(-1, [[[1.0]]])]),
    "an iteration of 100 bits": lambda: pickle.dumps([entry(1 << 100, [[[1.0]]])]),
    "a score of 100 bits": lambda: pickle.dumps([entry(1, [[[1 << 2000]]])]),
    "a score that is a text": lambda: pickle.dumps([entry(1, [[["1.0"]]])]),
    "scores that are a text": lambda: pickle.dumps([entry(1, "xx")]),
    "no scores": lambda: pickle.dumps([{"iteration": 1}]),
    "a dictionary": lambda: pickle.dumps({}),
}


@standin_only
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_and_runs_nothing(
    name: str, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_outputs(base, 1, {"v1": ["p"]})
    store(base, "r", HOSTILE[name]())
    monkeypatch.chdir(base)
    add: Callable[..., None] = copyreg.add_extension
    add("os", "system", 0xF7)
    try:
        # Once read, Python's unpickler would not ask for the name of an extension again.
        assert pickle.loads(b"\x80\x04\x82\xf7.") is os.system
        with pytest.raises(errors.ScoresInvalidError) as caught:
            import_scores(base, "r")
    finally:
        remove: Callable[..., None] = copyreg.remove_extension
        remove("os", "system", 0xF7)
    assert len(str(caught.value)) < 500
    assert not (base / "pwned").exists()
    assert scored(base) == {}


@pytest.mark.parametrize("code", [b"\x80\x04", b"N", b"\x95" + bytes(8), b"h\x00", b"]", b"("])
def test_the_instructions_of_a_file_are_bounded(
    code: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pickle, "_MOST_STEPS", 1000)
    with pytest.raises(_pickle.PickleRefusedError, match="too many values"):
        _pickle.read(b"\x80\x04N\x94" + code * 1000 + b".")


@standin_only
def test_a_file_that_is_none_is_refused(base: Path) -> None:
    (base / "stats" / "validation_scores").mkdir(parents=True)
    os.mkfifo(base / "stats" / "validation_scores" / "fifo")
    with (base / "stats" / "validation_scores" / "large").open("wb") as file:
        file.truncate(_pickle.MOST_BYTES + 1)
    (base / "stats" / "validation_scores" / "dangling").symlink_to("nothing")
    done = import_scores(base)
    assert done.scores == {} and sorted(done.refused) == ["dangling", "fifo", "large"]


def test_every_number_of_numpy_is_read() -> None:
    numpy = pytest.importorskip("numpy")
    values = [
        numpy.array([1], order + code)[0]
        for code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
        for order in "<>"
    ]
    for protocol in (4, 5):
        found = _pickle.read(pickle.dumps([*values, 2**60, -3, 1.5, None, b"x", ("y",)], protocol))
        assert found[:-6] == [1] * len(values)
        assert found[-6:] == [2**60, -3, 1.5, None, b"x", ("y",)]


# The command.


def command(base: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dalsegno.dacapo", "scores", *arguments],
        cwd=base,
        capture_output=True,
        text=True,
    )


@standin_only
def test_the_command_takes_scores_in(tmp_path: Path) -> None:
    base = unpack("scores_affs", tmp_path)
    assert command(tmp_path).returncode == 10
    done = command(tmp_path, "--base", str(base), "--json")
    assert json.loads(done.stdout) == {
        "schema_version": 1,
        "runs": {"affs_run": 30},
        "refused": {},
        "renamed": {},
    }
    assert scored(base) == by_dacapo("scores_affs")
    done = command(base, "--run", "affs_run")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "took in 30 scores of 1 run\n"
    store(base, "\x1b[31mred", b"junk")
    done = command(base)
    assert done.returncode == 3 and "\x1b" not in done.stderr
    assert command(base, "--dataset", "x").returncode == 2
    done = command(base, "--run", "other")
    assert done.returncode == 1
    assert done.stderr.startswith("error[scores-invalid]: the validation scores in ")


# With DaCapo.


def config(base: Path, **more: Any) -> None:
    path = base / "configs" / "runs" / "r.yaml"
    path.parent.mkdir(parents=True)
    told = {"name": "r", "datasets": ["v2", "v1"], "parameters": ["b", "a"], "criteria": ["x", "y"]}
    path.write_text(json.dumps({**told, **more}))


@standin_only
def test_dacapo_names_the_scores_where_it_is_installed(
    base: Path, dacapo: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNS_BASE_DIR", str(base))
    config(base)
    store(base, "r", [entry(1, [[[1, 2], [3, 4]], [[5, 6], [7, 8]]])])
    assert import_scores(base).scores == {"r": 8}
    assert scored(base)["r", 1, "ds_v2", "a", "y"] == "4.0"
    assert scored(base)["r", 1, "ds_v1", "b", "x"] == "5.0"


@standin_only
@pytest.mark.parametrize("broken", [True, False], ids=["DaCapo fails", "of other datasets"])
def test_the_tree_names_what_dacapo_cannot(
    broken: bool,
    base: Path,
    dacapo: None,
    monkeypatch: pytest.MonkeyPatch,
    warnings_of: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("RUNS_BASE_DIR", str(base))
    config(base, **({"raises": True} if broken else {"criteria": ["x", "y", "z"]}))
    names = ["other2", "other1"]
    write_outputs(base, 1, {name: ["b", "a"] for name in names})
    store(base, "r", [entry(1, [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [1, 1, 1]]])])
    import_scores(base, "r")
    assert scored(base)["r", 1, "other2", "a", "voi"] == "6.0"
    assert bool(warnings_of.records) is broken


@standin_only
def test_scores_in_a_database_are_taken_in_by_dacapo(
    base: Path, dacapo: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUNS_BASE_DIR", str(base))
    monkeypatch.setenv("DACAPO_TYPE", "mongo")
    monkeypatch.setenv("DACAPO_DATABASE", str(tmp_path / "database"))
    config(tmp_path / "database")
    path = tmp_path / "database" / "validation_scores" / "r"
    path.parent.mkdir()
    path.write_bytes(pickle.dumps([entry(1, [[[1, 2], [3, 4]], [[5, 6], [7, 8]]])]))
    assert import_scores(base).scores == {"r": 8}
    assert scored(base)["r", 1, "ds_v2", "b", "y"] == "2.0"
    monkeypatch.setenv("RUNS_BASE_DIR", str(tmp_path))
    with pytest.raises(errors.ScoresInvalidError, match="is of"):
        import_scores(base)


def validate(base: Path, iteration: int, scores: Any, names: Optional[list[str]] = None) -> None:
    """A validation as DaCapo does it: outputs first, then their scores."""
    seam = importlib.import_module("dacapo.store.create_store")
    experiments = importlib.import_module("dacapo.experiments")
    run = experiments.RunConfig("r", ["v2", "v1"], ["b", "a"], ["voi", "f1"])
    kept = experiments.RunConfig.get_validation_scores(run)
    arrays = seam.create_array_store()
    datasets = kept.datasets if names is None else names
    for dataset in datasets:
        for parameters in kept.parameters:
            found = arrays.validation_output_array("r", iteration, parameters, dataset)
            write_array(Path(found.container) / found.dataset)
    kept.add_iteration_scores(experiments.ValidationIterationScores(iteration, scores))
    seam.create_stats_store().store_validation_iteration_scores("r", kept)


@standin_only
@pytest.mark.parametrize("kind", ["files", "mongo"])
def test_scores_are_noted_when_dacapo_stores_them(
    kind: str, base: Path, dacapo: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUNS_BASE_DIR", str(base))
    monkeypatch.setenv("DACAPO_TYPE", kind)
    monkeypatch.setenv("DACAPO_DATABASE", str(tmp_path / "database"))
    seam = importlib.import_module("dacapo.store.create_store")
    theirs = type(seam.create_stats_store())
    dalsegno.dacapo.install()
    try:
        validate(base, 1, [[[0.5, 1], [0.25, 1]], [[0.75, 1], [1.0, 1]]])
        assert isinstance(seam.create_stats_store(), theirs)
        found = scored(base)
        assert len(found) == 8
        assert found["r", 1, "ds_v2", "a", "voi"] == "0.25"
        assert found["r", 1, "ds_v1", "b", "voi"] == "0.75"
        # A validation of other datasets than the run has: the outputs that were asked for say it.
        validate(base, 2, [[[0.1, 1], [0.2, 1]], [[0.3, 1], [0.4, 1]]], ["other", "one"])
        assert scored(base)["r", 2, "other", "a", "voi"] == "0.2"
        # The same datasets in another order: that of the run counts.
        validate(base, 3, [[[0.5, 1], [0.25, 1]], [[0.75, 1], [1.0, 1]]], ["ds_v1", "ds_v2"])
        assert scored(base)["r", 3, "ds_v2", "a", "voi"] == "0.25"
        assert scored(base)["r", 3, "ds_v1", "b", "voi"] == "0.75"
        with dalsegno.Registry(base) as registry:
            plan = registry.plan_gc(keep_best=1, metric="voi", kind="output")
            assert plan.lines
    finally:
        dalsegno.dacapo.uninstall()
    assert type(seam.create_stats_store()) is theirs


@standin_only
def test_what_fails_when_scores_are_noted_does_not_reach_dacapo(
    base: Path,
    dacapo: None,
    monkeypatch: pytest.MonkeyPatch,
    warnings_of: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("RUNS_BASE_DIR", str(base))
    dalsegno.dacapo.install()
    try:
        # Scores of three datasets, where two were asked for and the run has two.
        validate(base, 1, [[[0.5, 1], [0.25, 1]]] * 3)
        validate(base, 2, [[["x", 1], [0.25, 1]]] * 2)
        (said,) = [one.getMessage() for one in warnings_of.records]
        assert "python -m dalsegno.dacapo scores" in said
        stored = pickle.loads((base / "stats" / "validation_scores" / "r").read_bytes())
        assert len(stored) == 1
        dalsegno.dacapo.install(strict=True)
        with pytest.raises(ValueError, match="other datasets"):
            validate(base, 3, [[[0.5, 1], [0.25, 1]]] * 3)
    finally:
        dalsegno.dacapo.uninstall()


@standin_only
def test_scores_that_cannot_be_written_go_to_the_inbox(base: Path) -> None:
    child = """
import sys
sys.path[:0] = sys.argv[1:3]
import dalsegno.dacapo, test_scores
from pathlib import Path
dalsegno.dacapo.install(wait=0.2)
test_scores.validate(Path(sys.argv[3]), 1, [[[0.5, 1], [0.25, 1]], [[0.75, 1], [1.0, 1]]])
"""
    dalsegno.Registry(base, create=True).close()
    with contextlib.closing(
        sqlite3.connect(base / ".dalsegno" / "catalog.sqlite3", isolation_level=None)
    ) as lock:
        lock.execute("BEGIN IMMEDIATE")
        done = subprocess.run(
            [sys.executable, "-c", child, str(Path(__file__).parent), str(STANDIN), str(base)],
            env={**os.environ, "RUNS_BASE_DIR": str(base)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        lock.execute("ROLLBACK")
    assert done.returncode == 0, done.stderr
    (notes,) = (base / ".dalsegno" / "inbox").glob("*.jsonl")
    assert notes.read_text().count('"score"') == 8
    assert scored(base)["r", 1, "ds_v2", "a", "voi"] == "0.25"


def test_the_trees_hold_what_their_tables_say() -> None:
    for tree in ("scores_affs", "scores_distance"):
        with tarfile.open(DATA / f"{tree}.tar.gz") as archive:
            names = archive.getnames()
        runs = {key[0] for key in by_dacapo(tree)}
        assert all(f"base/stats/validation_scores/{run}" in names for run in runs)
