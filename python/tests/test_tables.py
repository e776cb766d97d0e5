"""Listings as tables: dictionaries always, Arrow and pandas if they are installed."""

from __future__ import annotations

import json
import subprocess
import sys

import dalsegno
import pytest
from conftest import write_array


@pytest.fixture
def filled(registry: dalsegno.Registry) -> dalsegno.Registry:
    for number in range(3):
        write_array(registry.record_output("r", number, "d", "p").path)
    registry.record_inputs("r")
    registry.refresh(measure=True, kind="output")
    return registry


def test_dictionaries_are_those_of_the_command_line(filled: dalsegno.Registry) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "dalsegno", "--base", str(filled.base), "list", "--jsonl"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert filled.list().to_dicts() == lines
    assert len(lines) == 5


def test_history_is_read_page_by_page(
    filled: dalsegno.Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        filled.score("r", number, {"voi": number})
    command = [sys.executable, "-m", "dalsegno", "--base", str(filled.base), "history", "--jsonl"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(lines) > 20
    for page in (1, 7, 10, 20, len(lines), 500):
        monkeypatch.setattr("dalsegno._listing.PAGE", page)
        assert filled.history().to_dicts() == lines
        assert [one.id for one in filled.history()] == [line["id"] for line in lines]
        for limit in (0, 1, 7, 20, 500):
            assert filled.history(limit=limit).to_dicts() == lines[:limit]
        assert filled.history(action="score").to_dicts() == lines[:20]
    monkeypatch.setattr("dalsegno._listing.PAGE", 10)
    history = filled.history(action="score")
    rows = iter(history)
    first = next(rows)
    # Between two pages anybody may write, and what is done then is not among them.
    for _ in range(15):
        filled.score("r", 99, {"voi": next(rows).id})
    assert [first.id, *(one.id for one in rows)][-1] == lines[19]["id"]
    with pytest.raises(ValueError, match="colour"):
        filled.history(action="colour")
    with pytest.raises(ValueError, match="limit"):
        filled.history(limit=-1)


def test_a_listing_is_an_arrow_table(filled: dalsegno.Registry) -> None:
    arrow = pytest.importorskip("pyarrow")
    table = filled.list().to_arrow()
    assert table.num_rows == 5
    assert table.column("iteration").to_pylist() == [None, None, 0, 1, 2]
    assert table.column("files").to_pylist() == [None, None, 3, 3, 3]
    assert table.schema.field("recorded_at").type == arrow.timestamp("ms", tz="UTC")
    assert arrow.table(filled.list()).equals(table), "by the C interface"
    with pytest.warns(dalsegno.errors.NothingSelectedWarning):
        assert filled.list(run="none").to_arrow().schema == table.schema


def test_a_listing_is_a_data_frame(filled: dalsegno.Registry) -> None:
    pandas = pytest.importorskip("pandas")
    frame = filled.list().to_pandas()
    assert list(frame["kind"]) == ["input-raw", "input-gt", "output", "output", "output"]
    assert frame["files"].sum() == 9
    assert str(frame["recorded_at"].dtype) == "datetime64[ms, UTC]"
    assert frame["iteration"].isna().sum() == 2
    with pytest.warns(dalsegno.errors.NothingSelectedWarning):
        assert filled.list(run="none").to_pandas().dtypes.equals(frame.dtypes)
    assert isinstance(frame, pandas.DataFrame)


def test_what_is_not_installed_is_named(
    filled: dalsegno.Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, call in (("pyarrow", "to_arrow"), ("pandas", "to_pandas")):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError, match=f"pip install {name}"):
            getattr(filled.list(), call)()
