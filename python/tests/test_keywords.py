"""What a command takes, its call in Python takes: flags and keywords are held together."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import dalsegno
import pytest
from conftest import write_array
from dalsegno import Registry, errors

CALLS = {
    "list": "list",
    "iterations": "iterations",
    "runs": "runs",
    "du": "du",
    "refresh": "refresh",
    "verify": "verify",
    "scan": "scan",
    "seal": "seal",
    "rm": "remove",
    "restore": "restore",
    "pin": "pin",
    "unpin": "unpin",
    "gc": "plan_gc",
    "history": "history",
    "trash empty": "empty_trash",
    "mv": "rename_run",
}
"""Commands that select, and their calls."""

NO_CALL = {
    "show": "list() gives artifacts of a selection, get() one",
}
"""Commands that select and have no call of their own, each with what has its place."""

OTHER_WORDS = {
    "no-refresh": "refresh",
    "runs": "whole_runs",
}
"""Flags whose keyword has another name in every call."""

NAMED = {
    ("seal", "path"): "targets",
    ("seal", "id"): "targets",
    ("rm", "path"): "targets",
    ("rm", "id"): "targets",
    ("pin", "path"): "targets",
    ("pin", "id"): "targets",
    ("unpin", "path"): "targets",
    ("unpin", "id"): "targets",
    ("restore", "id"): "removal",
    ("restore", "path"): "path",
    ("history", "path"): "path",
    ("trash empty", "id"): "removals",
    ("mv", "new"): "to",
}
"""What is named one by one, and the keyword of the call for it; elsewhere it is ``below``."""

EXCEPT = {
    "json": "a call gives values, not text",
    "jsonl": "a call gives values, not text",
    "null": "a call gives values, not text",
    "table": "a call gives values, not text",
    "wide": "a call gives values, not text",
    "columns": "a call gives values with all their fields",
    "all-lines": "a plan has all its lines",
    "verbose": "a call gives all notices",
    "yes": "a call asks nothing",
    "threads": "only a scan takes them; other calls have as many as fit the machine",
    "trash": "keep=True",
    "trash-for": "keep takes the length of time",
    "no-trash": "keep=False",
    "no-count": "a removal by a call is not shown before, so that nothing is counted for that",
    "whole-run": "remove_run()",
    "dry-run": "list() of the same selection gives what would go",
    "apply": "apply() carries a plan out",
    "gc-reason": "apply() takes it",
    "explain": "the lines of a plan have the reasons",
    "plan-out": "to_json() of a plan gives the text",
    "pin-list": "pins() gives them, with the same selection",
    "gc-pinned": "gc refuses the flag: what is pinned always stays",
}
"""Flags without a keyword, each with the reason; of a single command with its name before."""

MORE = {
    "progress": "a bar on the command line is there by itself",
    "keep": "--trash, --trash-for and --no-trash",
    "damaged": "--state damaged",
    "targets": "paths and ids",
    "min_size": "--min-size is a flag of lists only",
    "below": "paths",
    "path": "paths",
    "active": "the command asks whether it is meant",
    "measure": "du of the command line always counts",
    "keep_parents": "for DaCapo, whose own store leaves them; rm takes empty folders",
}
"""Keywords without a flag, each with what has its place."""


def help_of(command: str) -> str:
    line = [sys.executable, "-m", "dalsegno", *command.split(), "--help"]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout


def taken(command: str) -> set[str]:
    """The flags of a command and the names of its arguments."""
    words = help_of(command).split("Global options:")[0]
    flags = set(re.findall(r"^ +(?:-\w, +)?--([a-z-]+)", words, re.MULTILINE))
    for place in re.findall(r"^ +[<\[]([A-Z|]+)[>\]]", words, re.MULTILINE):
        flags |= set(place.lower().split("|"))
    return flags


def keyword(command: str, flag: str) -> str:
    named = NAMED.get((command, flag)) or OTHER_WORDS.get(flag)
    return named or ("below" if flag == "path" else flag.replace("-", "_"))


def keywords(command: str) -> set[str]:
    call = getattr(Registry, CALLS[command])
    return {name for name in inspect.signature(call).parameters if name != "self"}


@pytest.mark.parametrize("command", CALLS)
def test_each_flag_has_a_keyword_and_each_keyword_a_flag(command: str) -> None:
    flags, known = taken(command), keywords(command)
    assert flags and known
    reasons = {flag: EXCEPT.get(f"{command}-{flag}") or EXCEPT.get(flag) for flag in flags}
    if command == "gc":
        reasons["all"] = EXCEPT["all-lines"]
    without = {flag for flag in flags if keyword(command, flag) not in known}
    assert {flag for flag in without if reasons[flag] is None} == set()
    named = {keyword(command, flag) for flag in flags}
    assert known - named - set(MORE) == set()


def test_no_exception_is_stale() -> None:
    of = {command: taken(command) for command in CALLS}
    for flag in EXCEPT:
        of_command = [command for command in CALLS if flag.startswith(f"{command}-")]
        if flag == "all-lines":
            assert "all" in of["gc"]
        elif flag in ("pin-list", "gc-reason", "gc-pinned"):
            bare = flag.removeprefix(f"{of_command[0]}-")
            assert bare in of[of_command[0]]
            assert bare not in keywords(of_command[0])
        else:
            assert any(
                flag in flags and keyword(command, flag) not in keywords(command)
                for command, flags in of.items()
            ), flag
    for command, flag in NAMED:
        assert flag in of[command], (command, flag)
    every = set().union(*map(keywords, CALLS))
    assert set(MORE) <= every
    assert all(any(flag in flags for flags in of.values()) for flag in OTHER_WORDS)


def test_each_command_that_selects_is_held_against_its_call() -> None:
    commands = re.findall(r"^  ([a-z]+) ", help_of(""), re.MULTILINE)
    assert {"list", "gc", "history"} <= set(commands)
    select = {command for command in commands if "\nSelection:" in help_of(command)}
    assert select == {one for one in CALLS if "\nSelection:" in help_of(one)} | set(NO_CALL)


@pytest.fixture
def filled(registry: Registry) -> Registry:
    for run in ("affinities", "affinities/inner", "distances"):
        for iteration in (1000, 2000, 3000):
            write_array(registry.record_output(run, iteration, "crop7", "p1").path)
    registry.refresh()
    return registry


def test_a_plan_is_about_paths_as_on_the_command_line(filled: Registry) -> None:
    def runs(plan: dalsegno.Plan) -> set[tuple[str, int | None]]:
        return {(line.artifact.run, line.artifact.iteration) for line in plan.lines}

    folder = "distances/validation.zarr/2000"
    for below in (folder, filled.base / folder, Path(folder), [f"{folder}/", folder]):
        plan = filled.plan_gc(below=below, keep_first=1, allow_empty_group=True)
        assert runs(plan) == {("distances", 2000)}
        assert f"path {folder}" in plan.policy
    of_run = filled.plan_gc(below="affinities", keep_last=1)
    assert {run for run, _ in runs(of_run)} == {"affinities"}, "and not of the run in its folder"
    whole = filled.plan_gc(below="distances", whole_runs=True, keep_last=1)
    assert {run for run, _ in runs(whole)} == {"distances"}
    with pytest.raises(ValueError, match="below is the path of a run"):
        filled.plan_gc(below=folder, whole_runs=True, keep_last=1)
    with pytest.raises(ValueError, match="not about whole runs: before"):
        filled.plan_gc(before="2026-01-01", whole_runs=True, keep_last=1)
    with pytest.warns(errors.NothingSelectedWarning, match='did you mean "distances"'):
        assert not filled.plan_gc(below="distance", keep_last=1).lines


def test_a_plan_takes_the_state_that_the_command_takes(filled: Registry) -> None:
    (filled.base / "distances/validation.zarr/1000/crop7/output/p1/.zarray").write_text("{")
    filled.refresh(all=True)
    plans = [
        filled.plan_gc(state="damaged", allow_empty_group=True),
        filled.plan_gc(damaged=True, allow_empty_group=True),
    ]
    for plan in plans:
        assert [line.artifact.iteration for line in plan.lines] == [1000]
    for state in ("present", ["damaged", "missing"]):
        with pytest.raises(ValueError, match="a plan is about present artifacts or, with state="):
            filled.plan_gc(state=state, keep_last=1)


def test_a_policy_leaves_out_kinds_as_on_the_command_line(filled: Registry) -> None:
    config = filled.base / ".dalsegno" / "config.toml"
    rules = "[policy.weekly.output]\nkeep-last = 1\n[policy.weekly.prediction]\nkeep-last = 1\n"
    config.write_text(f"{config.read_text()}\n{rules}")
    with Registry(filled.base) as again:
        kept = again.plan_gc(policy="weekly", exclude_kind="prediction").lines
        assert {line.artifact.kind for line in kept} == {"output"}
        with pytest.raises(ValueError, match='"weekly" has no rules for these kinds'):
            again.plan_gc(policy="weekly", exclude_kind=["prediction", "output"])


def test_a_path_of_a_run_is_the_run_in_every_selection(filled: Registry) -> None:
    for below in ("affinities", filled.base / "affinities"):
        for sort in (None, "age"):
            assert {row.run for row in filled.list(below=below, sort=sort)} == {"affinities"}
        assert [row.run for row in filled.runs(below=below)] == ["affinities"]
        assert len(filled.list(below=below)) == 3
    assert {row.run for row in filled.list(below="affinities/inner")} == {"affinities/inner"}
    pin = filled.pin("kept", below="distances", iteration="2000..", reason="x")
    assert [(scope.run, scope.first, scope.last) for scope in pin.scopes] == [
        ("distances", 2000, None)
    ]


def test_a_scan_of_paths_looks_at_their_runs(registry: Registry) -> None:
    for run in ("group/one", "group/two", "three"):
        write_array(registry.base / run / "validation.zarr/1/crop7/prediction")
    assert registry.scan(below="group/one/validation.zarr/1").adopted == 1
    assert registry.scan(below=[registry.base / "group"]).adopted == 1
    assert [row.run for row in registry.runs()] == ["group/one", "group/two"]
    with pytest.warns(errors.NothingSelectedWarning, match='"fuor"'):
        assert registry.scan(below="fuor").adopted == 0
    with pytest.raises(ValueError, match="either run or below"):
        registry.scan(below="three", run="three")
    with pytest.raises(errors.OutsideBaseError):
        registry.scan(below="/tmp")


def test_the_history_is_asked_by_numbers_and_by_several_paths(filled: Registry) -> None:
    first, second = filled.list(run="distances", iteration="..2000")
    assert first.id is not None and second.id is not None
    filled.seal(second)
    seals = filled.history(action="seal")
    assert filled.history(id=second.id, action="seal").to_dicts() == seals.to_dicts()
    assert not filled.history(id=first.id, action="seal")
    assert filled.history(id=[first.id, second.id], action="seal")
    places = [first.path, second.path]
    assert filled.history(path=places, action="seal").to_dicts() == seals.to_dicts()
    assert filled.history(path=[first.path, "affinities"])
    with pytest.warns(errors.NothingSelectedWarning, match="artifact 999 is not recorded"):
        assert not filled.history(id=999)
    with pytest.warns(errors.NothingSelectedWarning, match="distance"):
        assert filled.history(path=["distance", second.path], action="seal")
    with pytest.raises(ValueError, match="an id and the path of a folder"):
        filled.history(id=second.id, path="affinities/validation.zarr/1000")
    with pytest.raises(TypeError, match="an artifact has a number"):
        filled.history(id="7")  # type: ignore[arg-type]
