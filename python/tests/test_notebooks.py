"""What a notebook shows, completes and takes."""

from __future__ import annotations

import inspect
import os
import pickle
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dalsegno
import pytest
from conftest import write_array
from dalsegno import Registry, _listing


def filled(registry: Registry, runs: int = 2, iterations: int = 3) -> Registry:
    for run in range(runs):
        for iteration in range(iterations):
            write_array(registry.record_output(f"r{run}", iteration, "d", "p").path)
    registry.refresh(measure=True)
    return registry


class Cells(HTMLParser):
    """The cells of the tables, and all tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += text


def test_a_listing_is_a_sequence_that_can_be_used_again(registry: Registry) -> None:
    rows = filled(registry).list()
    assert len(rows) == 6 and rows
    first = list(rows)
    assert list(rows) == first and [row.iteration for row in first] == [0, 1, 2] * 2
    for at in (0, 2, 3, 5, -1, -6):
        assert rows[at] == first[at]
    for at in (6, -7):
        with pytest.raises(IndexError, match=str(at)):
            rows[at]
    for part in (
        slice(None, 2),
        slice(2, 5),
        slice(None, None, 2),
        slice(-2, None),
        slice(None, None, -1),
        slice(4, 1, -2),
        slice(9, None),
        slice(None, -1),
    ):
        assert list(rows[part]) == first[part], part
        assert len(rows[part]) == len(first[part])
    assert list(reversed(rows)) == first[::-1]
    assert first[3] in rows and rows.index(first[4]) == 4
    assert not registry.list(state="missing")
    assert rows[1:3].to_dicts() == [row.to_dict() for row in first[1:3]]


def test_a_listing_stays_as_it_was_read(registry: Registry) -> None:
    rows = filled(registry).list()
    for row in rows:
        registry.remove(row)
    assert len(rows) == 6 and [row.run for row in rows] == ["r0"] * 3 + ["r1"] * 3
    assert len(registry.list()) == 0


def test_a_large_listing_is_read_run_by_run_and_counted_without_reading(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(registry, runs=4)
    registry.snapshot_container("r2")
    registry.record_checkpoint("r3", 7)
    everything = list(registry.list())
    monkeypatch.setattr("dalsegno._listing.KEPT", 4)
    rows = registry.list()
    read: list[str] = []
    select = rows._select

    def counting(run: str, left: int | None) -> list[dalsegno.Artifact]:
        read.append(run)
        return select(run, left)

    rows._select = counting
    assert len(rows) == len(everything) and read == []
    assert rows[-1].run == "r3" and read == ["r3"]
    assert list(rows) == everything and list(rows) == everything
    # What fits is kept; the rest is read again each time.
    assert read.count("r0") + read.count("r3") < read.count("r1") + read.count("r2")


def test_a_listing_of_more_than_is_kept_has_a_length(registry: Registry) -> None:
    number = _listing.KEPT + 7
    registry.record_many(
        dalsegno.Key("prediction", f"r{at % 3}", iteration=at, dataset="d") for at in range(number)
    )
    rows = registry.list(refresh=False)
    assert len(rows) == number
    by_age = registry.list(refresh=False, sort="iteration", reverse=True)
    assert len(by_age) == number and by_age[0].iteration == number - 1
    most = registry.list(refresh=False, limit=number - 3)
    assert len(most) == number - 3 == sum(1 for _ in most)


def sized(registry: Registry) -> Registry:
    """Iterations that differ in size, seal, pin and score."""
    for at, run in enumerate(["a", "a", "b"]):
        output = registry.validation_output_array(run, at, "p", "crop")
        write_array(Path(output), "x" * (10 * (3 - at)))
    registry.refresh(measure=True)
    registry.seal(run="b")
    registry.pin("p", run="a", iteration=1, reason="x")
    registry.score("a", 0, voi=0.5)
    registry.score("b", 2, voi=0.1, dataset="crop")
    return registry


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("size", [2, 1, 0]),
        ("iteration", [0, 1, 2]),
        ("run", [0, 1, 2]),
        ("written", None),
        ("age", None),
    ],
)
def test_listings_come_in_the_order_that_is_asked_for(
    registry: Registry, sort: str, order: list[int] | None, reverse: bool
) -> None:
    sized(registry)
    rows = registry.list(kind="output", sort=sort, reverse=reverse)
    found = [row.iteration for row in rows]
    iterations = [row.iteration for row in registry.iterations(sort=sort, reverse=reverse)]
    if order is None:
        assert set(found) == set(iterations) == {0, 1, 2}
        return
    if sort == "run" and reverse:
        # Equal ones keep the usual order.
        order = [1, 0, 2]
    assert found == iterations == (order[::-1] if reverse else order)


def test_runs_and_iterations_say_what_is_sealed_and_pinned(registry: Registry) -> None:
    sized(registry)
    runs = registry.runs(sort="pinned", reverse=True)
    assert [(row.run, row.sealed, row.pinned) for row in runs] == [("a", 0, 1), ("b", 1, 0)]
    assert [row.run for row in registry.runs(sort="score:voi")] == ["b", "a"]
    assert [row.run for row in registry.runs(sort="last_written_at", limit=0)] == []
    best = registry.iterations(sort="score:voi:max", limit=1)[0]
    assert (best.run, best.iteration, best.sealed, best.pinned) == ("b", 2, 1, 0)
    worst = registry.iterations(sort="score:voi", reverse=True)
    # What has no score comes last in either direction.
    assert [row.iteration for row in worst] == [0, 2, 1]
    assert worst[0].last_written_at.tzinfo is not None


def test_a_limit_ends_a_listing_and_its_reading(registry: Registry) -> None:
    filled(registry, runs=4)
    everything = list(registry.list())
    for limit in range(len(everything) + 2):
        rows = registry.list(limit=limit)
        assert len(rows) == min(limit, len(everything))
        assert list(rows) == everything[:limit]
        rows = registry.list(limit=limit)
        assert list(reversed(rows)) == everything[:limit][::-1]
        assert bool(registry.list(limit=limit)) == (limit > 0)
        by_run = registry.list(sort="run", limit=limit)
        assert len(by_run) == min(limit, len(everything))
        assert list(by_run) == everything[:limit]
    rows = registry.list(limit=2)
    read: list[str] = []
    select = rows._select

    def noting(run: str, left: int | None) -> list[dalsegno.Artifact]:
        read.append(run)
        return select(run, left)

    rows._select = noting
    assert len(list(iter(rows))) == 2 and read == ["r0"]


def test_what_cannot_be_sorted_or_counted_is_refused(registry: Registry) -> None:
    for ask in (registry.list, registry.runs, registry.iterations):
        with pytest.raises(ValueError, match="sorted by that"):
            ask(sort="nothing")
        with pytest.raises(ValueError, match="name what to sort by"):
            ask(reverse=True)
        with pytest.raises(ValueError, match="at least 0"):
            ask(limit=-1)
    with pytest.raises(ValueError, match="quality:min if lower is better"):
        registry.runs(sort="score:quality")


def test_a_listing_of_any_selection_has_the_length_of_its_rows(registry: Registry) -> None:
    filled(registry)
    registry.record_checkpoint("r1", 7)
    registry.pin("p", run="r1", iteration=1, reason="x")
    asked: list[Any] = [
        {},
        {"run": "r1"},
        {"kind": ["output", "checkpoint"]},
        {"iteration": "1.."},
        {"pinned": True},
        {"min_size": 1},
        {"below": "r0"},
        {"state": "reserved"},
        {"exclude_run": "r0"},
    ]
    for selection in asked:
        rows = registry.list(**selection)
        assert len(registry.list(**selection)) == sum(1 for _ in rows), selection


def test_history_is_a_sequence_of_what_was_done_by_then(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.record_prediction("r", 0, "d")
    for number in range(9):
        registry.score("r", number, voi=0.5)
    monkeypatch.setattr("dalsegno._listing.PAGE", 4)
    history = registry.history(action="score")
    first = [one.id for one in history]
    registry.score("r", 99, voi=0.5)
    assert [one.id for one in history] == first
    assert len(history) == 9 and history
    assert history[0].id == first[0] and history[-1].id == first[-1]
    assert [one.id for one in history[2:5]] == first[2:5]
    assert [one.id for one in history[::-1]] == first[::-1]
    for at in (9, -10):
        with pytest.raises(IndexError, match=str(at)):
            history[at]
    assert not registry.history(action="remove")
    assert "score" in repr(history) and "9 operations" in repr(history)
    assert "voi = 0.5 of r, iteration 8" in repr(history)
    assert Cells(history._repr_html_()).tags.count("tr") == 10


def test_what_is_asked_for_shows_itself_as_a_table(registry: Registry) -> None:
    filled(registry, iterations=15)
    registry.pin("figure", run="r1", iteration=1, reason="figure 3")
    registry.score("r1", 1, voi=0.25)
    registry.remove(run="r0", iteration=3, keep=True, reason="superseded")
    shown = registry.list()
    lines = repr(shown).splitlines()
    assert lines[0].split()[:5] == ["id", "run", "iteration", "kind", "dataset"]
    assert len(lines) == 22 and lines[-1] == "29 artifacts, of which the first 20 are shown"
    of: dict[str, Any] = {
        "r1": registry.runs(),
        "14": registry.iterations(),
        "2 lines": registry.du(),
        "figure 3": registry.pins(),
        "superseded": registry.trash(),
        "0.25": registry.scores(),
        "figure": registry.list(run="r1"),
        "keep-last 1": registry.plan_gc(keep_last=1, kind="output"),
    }
    for words, value in of.items():
        assert words in value._repr_html_(), words
        Cells(value._repr_html_())
    for words in ("r1", "2 lines", "figure 3", "superseded", "0.25"):
        assert words in repr(of[words]), words
    iterations = of["14"]
    assert iterations[:2] == list(iterations)[:2] and "2 iterations" in repr(iterations[:2])
    assert pickle.loads(pickle.dumps(iterations)) == iterations
    assert repr(registry.list(state="missing")) == "0 artifacts"


def test_a_plan_shows_first_what_goes(registry: Registry, base: Path) -> None:
    for iteration in range(30):
        write_array(base / f"r/validation.zarr/{iteration}/d/output/p")
    for path in base.rglob("r/**/*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    registry.scan()
    # The newest are at the end of the plan's own order, the pinned one at its beginning.
    registry.pin("first", run="r", iteration=0, reason="x")
    plan = registry.plan_gc(run="r", kind="output", keep_last=12)
    assert plan.total_removed.artifacts == 17 and not plan.lines[0].removed
    cells = Cells(plan._repr_html_())
    assert cells.tags.count("tr") == 21
    columns = cells.tags.count("th")
    assert cells.cells[columns::columns] == ["goes"] * 17 + ["stays"] * 3
    assert "17 artifacts go" in plan._repr_html_() and "13 stay" in plan._repr_html_()
    shown = repr(plan).splitlines()
    assert [line.split()[0] for line in shown[1:21]] == ["goes"] * 17 + ["stays"] * 3
    assert shown[21].startswith(f"plan {plan.id}: 17 artifacts go") and "13 stay" in shown[21]
    assert shown[22:] == [f"rules: {plan.policy}"]
    assert len(plan.lines) == 30 and len(plan.removed) == 17 and plan.kept[-1] == plan.lines[-1]
    some = plan.lines[10:25]
    assert len(some) == 15 and some == [*plan.lines][10:25]
    assert repr(some).splitlines()[-1] == "15 artifacts"
    assert "of which the first 20 are shown" in repr(plan.lines)
    assert Cells(some._repr_html_()).tags.count("tr") == 16


def test_what_a_table_shows_is_escaped(registry: Registry) -> None:
    evil = "<script>alert('x')</script>&\N{RIGHT-TO-LEFT OVERRIDE}"
    write_array(registry.record_output("<b>r", 1, evil, '"><img src=x>').path)
    registry.refresh(measure=True)
    registry.pin("<i>p</i>", run="<b>r", reason=evil)
    registry.score("<b>r", 1, {"<u>": 1.0}, dataset=evil)
    artifact = registry.list()[0]
    registry.remove(artifact, keep=True, reason=evil, force_pinned=True)
    registry.undo(registry.history(action="remove")[0])
    values: list[Any] = [
        registry.list(),
        artifact,
        registry.runs(),
        registry.iterations(),
        registry.du(by="dataset"),
        registry.pins(),
        registry.scores(),
        registry.history(),
        registry.plan_gc(keep_last=1),
    ]
    for value in values:
        text = value._repr_html_()
        found = Cells(text)
        assert set(found.tags) <= {"div", "table", "thead", "tbody", "tr", "th", "td", "p"}, text
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in repr(value) or value is artifact
    whole = Cells(artifact._repr_html_()).cells
    assert "<b>r" in whole and '"><img src=x>' in whole


def test_an_artifact_shows_what_is_known_of_it(registry: Registry) -> None:
    new = registry.record_output("r", 1, "d", "p")
    assert repr(new).endswith("reserved>")
    write_array(new.path)
    registry.refresh(measure=True)
    registry.pin("figure", run="r", reason="x")
    (artifact,) = registry.list()
    assert repr(artifact).endswith(f"present, 2 |u1, {artifact.bytes} B, pinned by figure>")
    cells = Cells(artifact._repr_html_()).cells
    fields = dict(zip(cells[::2], cells[1::2]))
    assert fields["shape"] == "2" and fields["dtype"] == "|u1" and fields["pins"] == "figure"
    assert fields["size"] == f"{artifact.bytes} B" and fields["state"] == "present"
    assert fields["path"] == str(artifact.path)


def test_a_closed_registry_shows_no_error_in_a_debugger(registry: Registry) -> None:
    rows = filled(registry).list()
    registry.close()
    assert repr(rows) == "<Listing: this registry is closed>"


SELECTING = (
    "list iterations runs du refresh verify pin unpin remove restore seal plan_gc scores".split()
)


@pytest.mark.parametrize("name", SELECTING)
def test_a_signature_shows_what_can_be_selected(name: str) -> None:
    signature = inspect.signature(getattr(Registry, name))
    parts = {"run", "iteration", "dataset", "parameters"}
    if name not in ("plan_gc", "scores"):
        parts = set(dalsegno.Selection.__annotations__)
    assert parts <= set(signature.parameters)
    assert not [one for one in signature.parameters.values() if one.kind is one.VAR_KEYWORD]
    for part in parts:
        assert signature.parameters[part].default is None
        assert "None" in signature.parameters[part].annotation or name in ("plan_gc", "scores")


def test_what_selects_nothing_in_particular_removes_nothing(registry: Registry) -> None:
    filled(registry)
    nothing: list[Any] = [
        {},
        {"run": None},
        {"pinned": False},
        {"exclude_run": []},
        {"run": None, "iteration": None, "pinned": False},
    ]
    for selection in nothing:
        with pytest.raises(TypeError, match="name what is to be removed"):
            registry.remove(**selection)
        with pytest.raises(TypeError, match="name what is to be pinned"):
            registry.pin("p", reason="x", **selection)
        with pytest.raises(TypeError, match="name what is to be restored"):
            registry.restore(**selection)
    for part in ("run", "kind", "iteration", "dataset", "parameters", "state", "below", "owner"):
        # What a program computes may be empty; that is not everything.
        empty: Any = {part: []}
        calls: list[Any] = [registry.remove, registry.list, registry.seal]
        for call in calls:
            with pytest.raises(ValueError, match=f"no {part} is named"):
                call(**empty)
    with pytest.raises(ValueError, match="no run is named"):
        registry.plan_gc(run=[], keep_last=1)
    assert len(registry.list(run=None, pinned=False)) == 6


def test_metrics_are_given_as_arguments(registry: Registry) -> None:
    registry.record_output("r", 2, "d", "p")
    assert registry.score("r", 2, voi=0.3, f1=1, dataset="d")
    assert registry.score("r", 2, {"dice": 0.5}, voi=0.4)
    found = {(one.dataset, one.metric): one.value for one in registry.scores()}
    expected = {(None, "dice"): 0.5, (None, "voi"): 0.4, ("d", "voi"): 0.3, ("d", "f1"): 1.0}
    assert found == expected
    with pytest.raises(TypeError, match="voi=0.4"):
        registry.score("r", 2)
    with pytest.raises(TypeError, match="given twice"):
        registry.score("r", 2, {"voi": 1.0}, voi=1.0)
    with pytest.raises(TypeError, match="no argument datset"):
        registry.score("r", 2, voi=0.3, datset="d")  # type: ignore[arg-type]
    assert len(registry.scores()) == 4


def test_a_scan_and_a_seal_take_a_selection(registry: Registry, base: Path) -> None:
    for run in ("a", "b"):
        for iteration in (1, 2):
            write_array(base / f"{run}/validation.zarr/{iteration}/d/prediction")
    assert registry.scan(run="a").adopted == 2
    assert [row.run for row in registry.list()] == ["a", "a"]
    with pytest.warns(dalsegno.errors.NothingSelectedWarning, match='no run "aa"'):
        assert registry.scan(run="aa").adopted == 0
    with pytest.warns(dalsegno.errors.NothingSelectedWarning, match="no run matches"):
        assert registry.scan(run="[b]", kind="output").adopted == 0
    assert registry.scan(run=["a", "[b]"]).adopted == 2
    sealed = registry.seal(run="a", iteration=1)
    assert [(row.run, row.iteration) for row in sealed] == [("a", 1)]
    assert len(registry.seal("b")) == 2 and len(registry.seal(base / "a/validation.zarr/2")) == 1
    assert all(row.sealed_at is not None for row in registry.list())
    registry.record_prediction("a", 3, "d")
    with pytest.raises(dalsegno.errors.NothingWrittenError):
        registry.seal(run="a")
    assert len(registry.seal(run="a", state="present")) == 2
    with pytest.warns(dalsegno.errors.NothingSelectedWarning, match='no run "c"'):
        assert registry.seal(run="c") == []
    twice: list[Any] = [lambda: registry.seal(), lambda: registry.seal("b", run="b")]
    for call in twice:
        with pytest.raises(TypeError, match="name what is to be sealed"):
            call()


def test_what_differs_in_long_names_is_seen(registry: Registry) -> None:
    def shown(names: list[str]) -> list[str]:
        from dalsegno._showing import Table

        return [
            line.strip()
            for line in Table(("parameters",), [[n] for n in names], "end")
            .text()
            .splitlines()[1:-1]
        ]

    of = "WatershedParameters(id={}, bias={}, context=(32, 32, 32), smoothing=1)"
    assert shown([of.format(3, 0.75), of.format(4, 0.5)]) == [
        "Watershed…(id=3, bias=0.75…)",
        "Watershed…(id=4, bias=0.5…)",
    ]
    assert shown([of.format(3, 0.75), of.format(3, 0.25)]) == [
        "Watershed…bias=0.75…)",
        "Watershed…bias=0.25…)",
    ]
    folder = "run/" + "a" * 40
    assert shown([f"{folder}/one", f"{folder}/two", "-"]) == [
        "run…/one",
        "run…/two",
        "-",
    ]
    assert shown(["short", "shorter"]) == ["short", "shorter"]
    alone = "x" * 50
    assert shown([alone, alone]) == [f"{'x' * 19}…{'x' * 20}"] * 2
    # However they begin and end, different names stay different, and what is short stays whole.
    ends = ["aXa" + "b" * 60, "aa" + "b" * 60, "a" + "b" * 61]
    assert len(set(shown(ends))) == 3
    # One name that begins otherwise changes nothing of the others.
    assert shown([of.format(3, 0.75), "threshold_127", of.format(4, 0.5), "-"]) == [
        "Watershed…(id=3, bias=0.75…)",
        "threshold_127",
        "Watershed…(id=4, bias=0.5…)",
        "-",
    ]
    # Two families that fold to the same stay apart.
    two = [f"Watershed{kind}({'a' * 40}, id={at})" for kind in ("One", "Two") for at in (1, 2)]
    assert len(set(shown(two))) == 4 and all(len(one) <= 40 for one in shown(two))


def test_folded_names_differ_as_before() -> None:
    from dalsegno._folding import shortened

    words = [
        "",
        "a",
        "abc",
        "Watershed",
        "(id=1",
        ", ",
        "/",
        "\N{CJK UNIFIED IDEOGRAPH-65E5}",
        ")",
        "12",
    ]
    ends = ["", "Parameters(x, y))", "/raw"]
    cells = []
    for middle in (f"{a}{b}{c}" for a in words for b in words for c in ends):
        cells += [f"LongCommonStart(scale=8, {middle}, bias=1.0)", middle]
    for at in range(len(cells) - 2):
        three = cells[at : at + 3]
        short = shortened(three, 24)
        assert len(set(short)) == len(set(three)), (three, short)
        assert all(len(one) <= 24 for one in short), short


def written_long_ago(base: Path, *iterations: int) -> None:
    for iteration in iterations:
        write_array(base / f"r/validation.zarr/{iteration}/d/output/p")
    for path in base.rglob("r/**/*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))


def test_rows_that_differ_by_their_container_only_say_it(registry: Registry, base: Path) -> None:
    written_long_ago(base, 1, 2)
    registry.scan()
    for shown in (registry.list(), registry.plan_gc(keep_last=1), registry.list()[:1]):
        assert "container" not in repr(shown)
    shutil.copytree(base / "r" / "validation.zarr", base / "r" / "other.zarr")
    registry.scan()
    listed = registry.list(iteration=1)
    assert [line.split()[4] for line in repr(listed).splitlines()[:3]] == [
        "container",
        "other.zarr",
        "-",
    ]
    plan = registry.plan_gc(keep_last=1)
    for table in (repr(plan), repr(plan.removed), plan._repr_html_(), listed._repr_html_()):
        assert "container" in table and table.count("other.zarr") >= 1
    assert "in 6 files" in repr(plan)


def test_a_plan_says_what_goes_in_bytes_files_and_on_disk(registry: Registry, base: Path) -> None:
    written_long_ago(base, 1, 2)
    registry.scan()
    plan = registry.plan_gc(keep_last=1)
    (gone,) = plan.removed
    assert gone.artifact.disk_bytes is not None
    disk = f"{gone.artifact.disk_bytes / 1024:.1f} KiB"
    says = f"1 artifact goes ({gone.artifact.bytes} B in 3 files, {disk} on disk), 1 stays"
    assert says in repr(plan) and says in plan._repr_html_()
    assert "0 artifacts go, 2 stay" in repr(registry.plan_gc(keep_last=2))
    # The sum is of what was counted.
    written_long_ago(base, 0)
    registry.scan()
    says = says.replace("1 artifact goes", "2 artifacts go").replace("files,", "files, and 1 array")
    says = says.replace("1 array ", "1 array not counted, ")
    assert says in repr(registry.plan_gc(keep_last=1, refresh=False))


def test_a_pin_shows_what_it_binds(registry: Registry) -> None:
    filled(registry)
    registry.pin("one", run="r0", reason="x")
    registry.pin("two", run="r0", iteration=[1, "2.."], reason="x")
    registry.pin("three", registry.list(run="r1")[0], reason="x")
    text = repr(registry.pins())
    for words in ("run r0", "run r0, iteration 1", "1 artifact"):
        assert words in text


def forms(artifact: dalsegno.Artifact) -> dict[str, Any]:
    """Each way to name an artifact."""
    relative = f"r/validation.zarr/{artifact.iteration}/d/output/p"
    identifier = artifact.identifier
    assert identifier is not None

    return {
        "artifact": artifact,
        "number": artifact.id,
        "identifier": identifier,
        # As DaCapo's own identifiers are.
        "identifier of DaCapo": SimpleNamespace(
            container=identifier.container, dataset=identifier.dataset
        ),
        "key": dalsegno.Key("output", "r", artifact.iteration, "d", "p"),
        "absolute path": artifact.path,
        "absolute text": str(artifact.path),
        "relative path": Path(relative),
        "relative text": relative,
        "completed text": f"./{relative}/",
    }


FORMS = [
    "artifact",
    "number",
    "identifier",
    "identifier of DaCapo",
    "key",
    "absolute path",
    "absolute text",
    "relative path",
    "relative text",
    "completed text",
]


@pytest.mark.parametrize("form", FORMS)
def test_each_call_takes_each_form_of_naming_an_artifact(registry: Registry, form: str) -> None:
    write_array(registry.record_output("r", 1, "d", "p").path)
    write_array(registry.record_output("r", 2, "d", "p").path)
    registry.refresh()
    (artifact,) = registry.list(iteration=1)
    named = forms(artifact)[form]
    found = registry.get(named)
    assert found is not None and found.id == artifact.id
    with registry.writing(named) as path:
        assert path == artifact.path
    assert [row.id for row in registry.seal(named)] == [artifact.id]
    assert [row.id for row in registry.seal([named])] == [artifact.id]
    registry.pin("p", named, reason="x")
    assert registry.unpin("p", [named]).artifacts == 1
    assert [row.id for row in registry.remove(named, keep=True).artifacts] == [artifact.id]
    if form != "number":
        assert registry.history(path=named)[0].action == "remove"
        # A text is the id of a removal.
        given = {"path": named} if "text" in form else {"removal": named}
        assert len(registry.restore(**given).artifacts) == 1
    assert len(registry.list(iteration=2)) == 1


def test_a_run_is_named_by_its_name_or_its_folder(registry: Registry, base: Path) -> None:
    for number, run in enumerate(["r", Path("r"), "r/", "./r", base / "r", f"{base}/r/"]):
        write_array(registry.record_output("r", number, "d", "p").path)
        registry.record_output("other", number, "d", "p")
        assert registry.scan(run=run).arrays == number + 1
        assert {row.run for row in registry.list(run=run)} == {"r"}
        assert {row.run for row in registry.list(run=[run])} == {"r"}
        assert {row.run for row in registry.list(exclude_run=run)} == {"other"}
        assert registry.score(run, number, voi=0.5)
        assert len(registry.scores(run=run)) == number + 1
        assert registry.history(run=run)[0].action == "score"
        assert registry.plan_gc(run=run, keep_last=1).total_kept.artifacts == number + 1
    registry.rename_run(base / "r", "s", active=True)
    assert registry.remove_run(f"{base}/s/", keep=True).artifacts[0].run == "s"
    with pytest.warns(dalsegno.errors.NothingSelectedWarning):
        assert not registry.list(run="/elsewhere/s")


def test_history_says_what_was_done_and_what_has_become_of_it_as_the_command_does(
    registry: Registry,
) -> None:
    filled(registry)
    registry.pin("figure", run="r0", iteration=1, reason="figure 3")
    registry.score("r0", 1, voi=0.5)
    path = registry.list(run="r1")[0].path
    removed = registry.remove(path, keep=True, reason="by mistake")
    kept = repr(registry.history()).splitlines()
    assert kept[0].split() == ["id", "at", "who", "action", "artifacts", "now", "what"]
    assert "in the trash" in kept[1] and "by mistake" in kept[1]
    assert "voi = 0.5 of r0, iteration 1" in kept[2] and kept[2].split()[5:7] == ["-", "-"]
    assert "figure binds r0, iteration 1: figure 3" in kept[3]
    registry.restore(removed)
    history = registry.history(action="remove")
    assert "restored at" in repr(history) and "restored at" in history._repr_html_()
    (one,) = history
    assert one.now is not None and one.now.words.startswith("restored at")
    command = [sys.executable, "-m", "dalsegno", "--base", str(registry.base), "history"]
    run = subprocess.run(
        [*command, "--table", "--wide"], capture_output=True, text=True, check=True
    )
    for operation in registry.history():
        assert operation.what in run.stdout
        assert "'words':" not in str(registry.history().to_dicts())
    assert "now" not in repr(registry.history(action="score")).splitlines()[0].split()


def test_arrays_of_two_containers_do_not_look_alike_one_by_one(registry: Registry) -> None:
    registry.record_array("r", "a.zarr", "d")
    registry.record_array("r", "b.zarr", "d")
    registry.record_prediction("r", 1, "d")
    registry.record_snapshot("r", "volumes/raw", 1)
    registry.record_checkpoint("r", 1)
    rows = [*registry.list(), *registry.list(kind="checkpoint")]
    shown = [repr(one) for one in rows]
    of = [one for one in shown if ", container " in one]
    assert len(set(shown)) == 5
    assert len(of) == 2 and "container a.zarr" in of[0] and "container b.zarr" in of[1]
