"""A selection that matches nothing is never silent, and a name that nothing has is named."""

from __future__ import annotations

import logging
import pwd
from collections.abc import Callable
from typing import Union

import dalsegno
import pytest
from conftest import write_array
from dalsegno import Registry, errors
from dalsegno.values import Score

NothingSelectedWarning = errors.NothingSelectedWarning


@pytest.fixture
def filled(registry: Registry) -> Registry:
    for iteration in (1000, 2000):
        write_array(registry.record_output("affinities", iteration, "crop7", "p1").path)
    registry.refresh()
    registry.score("affinities", 1000, voi_split=0.3)
    registry.pin("fig-3", run="affinities", iteration=1000, reason="figure 3")
    return registry


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda it: it.scores(run="affinites"), 'no run "affinites"; did you mean "affinities"'),
        (lambda it: it.scores("voi_spilt"), 'no metric "voi_spilt"; did you mean "voi_split"'),
        (lambda it: it.scores(metric="f*"), "no recorded score matches the selection"),
        (lambda it: it.scores(iteration=1100), "iterations near 1100: 1000, 2000"),
        (lambda it: it.scores(dataset="crop8"), 'no dataset "crop8"; did you mean "crop7"'),
        (lambda it: it.scores(parameters="p2"), 'no parameters "p2"'),
        (lambda it: it.scores(iteration=2000), "no recorded score matches the selection"),
        (lambda it: it.history(run="affinites"), 'no run "affinites"; did you mean "affinities"'),
        (lambda it: it.history(user="nobody-at-all"), 'no user "nobody-at-all"'),
        (lambda it: it.history(path="affinites"), 'not recorded; did you mean "affinities"'),
        (lambda it: it.list(sort="score:voi_spilt"), 'no metric "voi_spilt"'),
        (lambda it: it.iterations(sort="score:voi_spilt:min"), 'no metric "voi_spilt"'),
        (lambda it: it.runs(sort="score:voi_spilt:min"), 'no metric "voi_spilt"'),
        (lambda it: it.unpin("fig-3", iteration=2000), "the pin fig-3 binds nothing of that"),
        (lambda it: it.unpin("fig-3", iteration=1100), "iterations near 1100"),
        (
            lambda it: it.pin("fig-4", run="affinities", iteration=1100, reason="x"),
            "iterations near 1100: 1000, 2000",
        ),
        (
            lambda it: it.unscore(Score("affinities", 2000, None, None, "voi_split", 0)),
            "1 of these",
        ),
        (
            lambda it: it.unscore(Score("affinities", 1000, None, None, "voi_spilt", 0)),
            'no metric "voi_spilt"; did you mean "voi_split"',
        ),
    ],
)
def test_what_matches_nothing_is_named(
    filled: Registry, call: Callable[[Registry], object], says: str
) -> None:
    with pytest.warns(NothingSelectedWarning) as warned:
        call(filled)
    assert any(says in str(one.message) for one in warned)
    assert {one.filename for one in warned} == {__file__}, "where it was called"


@pytest.mark.parametrize(
    "call",
    [
        lambda it, **out: it.list(**out),
        lambda it, **out: it.iterations(**out),
        lambda it, **out: it.runs(**out, refresh=False),
        lambda it, **out: it.du(**out),
        lambda it, **out: it.refresh(**out),
        lambda it, **out: it.verify(**out),
        lambda it, **out: it.seal(**out),
        lambda it, **out: it.pin("fig-3", **out),
    ],
)
def test_a_name_that_is_to_be_left_out_and_that_nothing_has_is_named(
    filled: Registry, call: Callable[..., object]
) -> None:
    for out, says in (
        ({"exclude_run": "affinites"}, 'no run "affinites"; did you mean "affinities"'),
        ({"exclude_dataset": ["crop8", "x*"]}, 'no dataset "crop8"; did you mean "crop7"'),
        ({"exclude_parameters": "p2"}, 'no parameters "p2"'),
    ):
        with pytest.warns(NothingSelectedWarning) as warned:
            call(filled, **out)
        assert [str(one.message) for one in warned][0].startswith(f"nothing is left out: {says}")
        assert [one.filename for one in warned] == [__file__], "once, where it was called"


def test_an_unpin_names_what_is_left_out_in_vain(filled: Registry) -> None:
    filled.pin("fig-3", [row for row in filled.list()])
    with pytest.warns(NothingSelectedWarning, match="nothing is left out: no dataset") as warned:
        assert filled.unpin("fig-3", run="affinities", exclude_dataset="crop8").artifacts == 2
    assert {one.filename for one in warned} == {__file__}


def test_what_is_to_be_left_out_and_is_unknown_stops_a_removal(filled: Registry) -> None:
    for call in (
        lambda: filled.remove(run="affinities", exclude_dataset="crop8"),
        lambda: filled.plan_gc(keep_last=1, exclude_run="affinites"),
    ):
        with pytest.raises(errors.ExclusionUnknownError, match="nothing is left out: no "):
            call()


@pytest.mark.parametrize(
    "call",
    [
        lambda it: it.list(older_than="400d"),
        lambda it: it.list(run="affinities", older_than="400d"),
        lambda it: it.list(min_size="1TB", sort="size"),
        lambda it: it.iterations(before="2001-01-01"),
        lambda it: it.runs(older_than="400d", refresh=False),
        lambda it: it.du(older_than="400d"),
        lambda it: it.remove(older_than="400d"),
        lambda it: it.remove(pinned=True, iteration=2000),
        lambda it: it.remove(state="missing"),
        lambda it: it.plan_gc(older_than="400d", keep_first=1),
        lambda it: it.plan_gc(keep_last=1, since="2090-01-01"),
        lambda it: it.plan_gc(run="affinities", damaged=True),
        lambda it: it.seal(state="missing"),
        lambda it: it.verify(older_than="400d"),
        lambda it: it.refresh(older_than="400d"),
    ],
)
def test_a_selection_without_a_wrong_name_that_matches_nothing_is_said(
    filled: Registry, call: Callable[[Registry], object]
) -> None:
    with pytest.warns(NothingSelectedWarning, match="matches the selection") as warned:
        call(filled)
    assert [one.filename for one in warned] == [__file__], "once, where it was called"
    assert len(filled.list(state="present")) == 2


def test_whether_anything_is_missing_is_a_question_and_no_a_good_answer(filled: Registry) -> None:
    assert not filled.list(state="missing")
    assert not filled.runs(state="damaged", run="affinities")
    assert filled.verify(state="damaged").rows == 0


def test_what_matches_is_silent(filled: Registry) -> None:
    assert len(filled.scores("voi*", run="aff*", iteration="..1000")) == 1
    assert filled.history(run="affinities", path="affinities/validation.zarr")
    assert filled.history(run="affinities", limit=0).to_dicts() == []
    assert filled.history(since="2090-01-01").to_dicts() == []
    filled.list(sort="score:voi_split")
    for matches in (
        {"pinned": True},
        {"since": "1d"},
        {"exclude_run": "other*"},
        {"state": "present"},
    ):
        assert filled.list(**matches)
        filled.refresh(**matches)
        assert filled.verify(**matches).rows
    assert filled.remove(older_than=0, keep_going=True, dataset="crop7", iteration=1000).skipped
    filled.unpin("fig-3", iteration=1000)


def test_the_scores_and_the_history_of_what_is_gone_are_known(filled: Registry) -> None:
    filled.unpin("fig-3")
    filled.remove_run("affinities")
    assert [score.value for score in filled.scores(run="affinities", iteration=1000)] == [0.3]
    assert filled.history(run="affinities")
    assert filled.history(path="affinities")


def test_scores_of_a_run_that_is_not_recorded_are_refused(filled: Registry) -> None:
    for scoring in (
        lambda: filled.score("affinites", 1000, voi_split=0.4),
        lambda: filled.score_many([Score("affinites", 1000, None, None, "voi_split", 0.4)]),
        lambda: filled.unscore(Score("affinites", 1000, None, None, "voi_split", 0)),
    ):
        with pytest.raises(errors.NotRecordedError, match='did you mean "affinities"'):
            scoring()
    assert [score.run for score in filled.scores()] == ["affinities"]


def test_scores_before_their_arrays_are_recorded_with_a_word_in_the_log(
    filled: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert filled.score("affinities", 1100, voi_split=0.4) is False
        assert filled.score_many(
            [
                Score("affinities", 1000, None, None, "voi_split", 0.4),
                Score("affinites", 1000, None, None, "voi_split", 0.4),
            ]
        ) == [True, False]
    assert [one.getMessage() for one in caplog.records] == [
        "nothing is recorded of run affinities, iteration 1100; iterations near 1100: 1000, 2000",
        "nothing is recorded of run affinites; did you mean 'affinities'?",
    ]
    (unknown,) = filled.unknown_names(Score("affinities", 1100, None, None, "voi_split", 0))
    assert (unknown.part, unknown.name, unknown.nearest) == ("iteration", "1100", "1000, 2000")
    caplog.clear()
    many = [Score("affinities", at, None, None, "voi_split", 0.4) for at in range(1, 9)]
    with caplog.at_level(logging.WARNING):
        filled.score_many(many)
    assert len(caplog.records) == 6
    assert "3 other names" in caplog.text


def test_a_mistyped_metric_names_those_that_are_there(filled: Registry) -> None:
    with pytest.raises(LookupError, match="the scores there are of voi_split; all outputs stay"):
        filled.remove_outputs_but_best("affinities", 1000, metric="voi_merge")
    with pytest.warns(NothingSelectedWarning, match='did you mean "affinities"') as warned:
        with pytest.raises(LookupError):
            filled.remove_outputs_but_best("affinites", 1000, metric="voi_split")
    assert {one.filename for one in warned} == {__file__}


def test_an_operation_is_named_by_its_number(filled: Registry) -> None:
    last = filled.history()[0]
    assert filled.operation(last)[0] == filled.operation(last.id)[0] == last
    for wrong in ("lst", None, True, 1.5):
        with pytest.raises(TypeError, match="an operation is named by its number"):
            filled.undo(wrong)  # type: ignore[arg-type]


def test_the_name_of_a_run_is_no_name_of_an_artifact(filled: Registry) -> None:
    write_array(filled.record_output("group/run", 1, "crop7", "p1").path)
    for run in ("affinities", str(filled.base / "affinities"), "./affinities/", "group/run"):
        with pytest.raises(errors.NotRecordedError, match="is a run, and no artifact") as caught:
            filled.get(run)
        assert caught.value.hint is not None and "list(run=...)" in caught.value.hint
    with pytest.raises(errors.NotRecordedError, match="is a run"), filled.writing("affinities"):
        pass
    with pytest.raises(errors.NotRecordedError, match='did you mean "affinities"'):
        filled.get("affinites")
    for folder in ("affinities/validation.zarr/1000", "affinities/validation.zarr/1000/crop7/"):
        says = "is a folder with 1 artifact, and no artifact itself"
        for name in (folder, filled.base / folder):
            with pytest.raises(errors.NotRecordedError, match=says) as caught:
                filled.get(name)
            assert caught.value.hint is not None
            assert f"list(below={str(filled.base / folder.rstrip('/'))!r})" in caught.value.hint
    for nothing in ("affinities/nothing", "group/runs", "typo"):
        with pytest.raises(errors.NotRecordedError, match="is not recorded"):
            filled.get(nothing)


def test_an_artifact_that_is_not_recorded_is_none(filled: Registry) -> None:
    for nothing in (
        "affinities/validation.zarr",
        "affinities/validation.zarr/1000/crop7/output/p2",
        "affinites/validation.zarr/1000/crop7/prediction",
        "affinities/checkpoints/iterations/9",
        dalsegno.Key("output", "affinities", 9, "crop7", "p1"),
        99,
    ):
        assert filled.get(nothing) is None


def test_a_path_outside_the_base_directory_is_refused_in_a_selection(filled: Registry) -> None:
    for call in (filled.list, filled.remove, filled.refresh):
        with pytest.raises(errors.OutsideBaseError, match="/tmp is outside the base directory"):
            call(below="/tmp")
    assert len(filled.list(below=filled.base / "affinities")) == 2


def test_an_owner_is_named_as_on_the_command_line(filled: Registry) -> None:
    (number,) = {one.owner for one in filled.list(refresh=True)}
    assert number is not None
    name = pwd.getpwuid(number).pw_name
    both: list[Union[int, str]] = [name, number]
    owners: list[Union[int, str, list[Union[int, str]]]] = [name, number, str(number), both]
    for owner in owners:
        assert len(filled.list(owner=owner)) == 2
        assert len(filled.plan_gc(keep_last=1, owner=owner).lines) == 2
    with pytest.raises(ValueError, match="this machine has no user 'nobody-at-all'"):
        filled.list(owner="nobody-at-all")


def test_the_operation_of_a_removal_names_it(filled: Registry) -> None:
    path = "affinities/validation.zarr/2000/crop7/output/p1"
    removed = filled.remove(path, keep=True)
    (operation,) = filled.history(action="remove")
    found = filled.removal(operation)
    assert found is not None and found.id == removed.removal
    assert filled.restore(operation).moved == 1
    with pytest.raises(TypeError, match=r"is a restore and no removal; take what remove\(\)"):
        filled.restore(filled.history(action="restore")[0])
    removed = filled.remove(path, keep=True)
    newest = filled.history(action="remove")[0]
    assert filled.empty_trash(removals=newest).purged == (removed.removal,)


def test_an_artifact_has_the_same_names_in_every_call(filled: Registry) -> None:
    (known,) = filled.list(iteration=1000)
    assert known.identifier is not None
    relative = known.path.relative_to(filled.base)
    key = dalsegno.Key("output", "affinities", 1000, "crop7", "p1")
    for name in (known, known.id, known.identifier, key, known.path, relative, str(relative)):
        assert name is not None
        assert filled.get(name) == known
        assert [one.id for one in filled.seal(name)] == [known.id]
        assert filled.pin("fig-3", name).artifacts == 1
        removal = filled.remove(name, keep=True, force_pinned=True)
        assert removal.removal is not None
        if isinstance(name, int):
            filled.restore(removal)
        else:
            filled.restore(name)
        (known,) = filled.list(iteration=1000)
        assert known.id is not None


def test_what_names_no_artifact_is_a_type_error_that_says_what_does(filled: Registry) -> None:
    parts = ("output", "affinities", 1000, "crop7", "p1")
    for wrong in (parts, list(parts), {"run": "affinities"}, {"affinities"}):
        with pytest.raises(TypeError, match=r"its number, its path, .* dalsegno\.Key\(kind, run"):
            filled.get(wrong)
    with pytest.raises(TypeError, match=r"a key is dalsegno\.Key\(kind, run"):
        filled.record_many([parts])  # type: ignore[list-item]


def test_a_removal_is_named_by_its_id_or_by_what_gave_it(filled: Registry) -> None:
    path = "affinities/validation.zarr/2000/crop7/output/p1"
    for _ in range(2):
        removed = filled.remove(path, keep=True)
        (kept,) = filled.trash()
        assert filled.removal(removed) == filled.removal(kept) == filled.removal(kept.id)
        assert filled.restore(path).removals == (removed.removal,)
    removed = filled.remove(path, keep=True)
    assert removed.removal is not None
    assert filled.restore(removed.removal).moved == 1
    with pytest.raises(errors.NotInTrashError, match="affinites"):
        filled.restore("affinites")
    with pytest.raises(errors.NoRemovalError):
        filled.restore("20200101-000000-abcdef")
    with pytest.raises(TypeError, match="a removal is named by its id"):
        filled.removal(7)  # type: ignore[arg-type]
    removed = filled.remove(path, keep=True)
    assert filled.empty_trash(removals=removed).purged == (removed.removal,)


def test_a_new_pin_without_a_reason_names_the_pin_that_may_be_meant(filled: Registry) -> None:
    before = len(filled.history())
    with pytest.raises(errors.PinWithoutReasonError, match='did you mean "fig-3"'):
        filled.pin("fig-4", run="affinities")
    # A name that selects nothing is said first, and neither leaves anything behind.
    with pytest.warns(NothingSelectedWarning, match='did you mean "affinities"'):
        with pytest.raises(errors.PinBindsNothingError):
            filled.pin("fig-4", run="affinites")
    assert [pin.name for pin in filled.pins()] == ["fig-3"]
    assert len(filled.history()) == before


def test_a_policy_that_is_not_there_is_named_with_those_that_are(filled: Registry) -> None:
    with pytest.raises(ValueError, match='no policy "weekly"; config.toml defines none'):
        filled.plan_gc(policy="weekly")
    config = filled.base / ".dalsegno" / "config.toml"
    config.write_text(f"{config.read_text()}\n[policy.monthly.output]\nkeep-last = 1\n")
    with Registry(filled.base) as again:
        with pytest.raises(ValueError, match='no policy "weekly"; there are: monthly'):
            again.plan_gc(policy="weekly")


def test_counts_have_thousands_separators(filled: Registry) -> None:
    filled.record_many([dalsegno.Key("output", "r", at, "d", "p") for at in range(1500)])
    assert "1,502 artifacts" in repr(filled.list())
    (run,) = filled.runs(run="r")
    assert "1,500" in repr(filled.runs(run="r")).splitlines()[1] and run.reserved == 1500
    with pytest.raises(IndexError, match="the listing has 1,502 artifacts"):
        filled.list()[1502]
