"""A run answers the shape that is promised, whatever becomes of its rows."""

from pathlib import Path
from typing import Any

import pytest
from measures import assert_measured

from postroom.bench import run as harness
from postroom.bench.rows import Better, Measured, Params, Row
from postroom.bench.table import ROWS, SETS, row_named
from postroom.store.errors import BadInput


def tiny(directory: Path) -> Params:
    return Params(
        directory=str(directory),
        senders=4,
        seconds=0.3,
        fill_seconds=5.0,
        rounds=1,
        actors=20,
        inboxes=50,
        waiting=2_000,
        queued=50,
    )


def never(params: Params) -> Measured:
    raise AssertionError("this row is only looked up by its name, in another process")


def unknown_row() -> Row:
    return Row("no_such_row", "fails", "x", 1.0, 2.0, Better.HIGHER, never)


def test_every_row_has_its_own_name_and_a_stretch_beyond_its_reach() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    marked = [row for row in ROWS if not row.name.startswith("open_loop_")]
    for row in marked:
        assert row.stretch is not None
        assert row.reach is not None
        assert (row.stretch > row.reach) == (row.better is Better.HIGHER), row.name


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_can_be_measured(row: Row, tmp_path: Path) -> None:
    measured = row.run(tiny(tmp_path))
    assert_measured(measured)


QUICK = ("wake_plan_50", "http_round_trips", "http_arrival", "fleet_idle")
"""Of the other tables, what takes a few seconds however short a run is."""


@pytest.mark.parametrize("name", QUICK)
def test_the_quick_rows_of_other_tables_can_be_measured(name: str, tmp_path: Path) -> None:
    measured = row_named(name).run(tiny(tmp_path))
    assert_measured(measured)


def test_no_two_tables_share_the_name_of_a_row() -> None:
    names = [row.name for rows in SETS.values() for row in rows]
    assert len(set(names)) == len(names)


@pytest.mark.slow
def test_a_run_answers_durable_rows_and_conditions(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    document = harness.run([row_named("durable")], tiny(tmp_path), heard.append)
    assert set(document) == {"durable", "rows", "conditions"}
    assert set(document["durable"]) == set(harness.DURABLE)
    assert all(number > 0 for number in document["durable"].values())
    assert document["rows"] == heard
    (row,) = heard
    assert {"name", "value", "unit", "reach", "stretch"} <= set(row)
    promised = {"python", "trio", "apsw", "sqlite", "cpu", "cores", "kernel", "filesystem"}
    promised |= {"fsyncs_per_s", "senders", "body_bytes", "load_before", "load_after"}
    assert promised <= set(document["conditions"])


def test_a_row_that_fails_says_why_and_the_run_goes_on(tmp_path: Path) -> None:
    document = harness.run([unknown_row()], tiny(tmp_path), lambda view: None)
    (row,) = document["rows"]
    assert row["value"] is None
    assert "no row is called 'no_such_row'" in row["note"]
    assert set(document["durable"].values()) == {None}


def test_a_run_leaves_no_files_behind(tmp_path: Path) -> None:
    harness.run([unknown_row()], tiny(tmp_path), lambda view: None)
    assert list(tmp_path.iterdir()) == []


def test_a_row_for_which_no_time_is_left_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness, "TOTAL_SECONDS", 0.0)
    document = harness.run(ROWS, tiny(tmp_path), lambda view: None)
    assert {row["note"] for row in document["rows"]} == {"no time was left"}


def test_a_row_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "START_SECONDS", 0.05)
    monkeypatch.setattr(harness, "TOTAL_SECONDS", 0.6)
    document = harness.run([row_named("poll_cpu")], tiny(tmp_path), lambda view: None)
    assert document["rows"][0]["value"] is None
    assert document["rows"][0]["note"].startswith("not done after")


def test_files_in_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def in_memory(directory: Path) -> str:
        return "tmpfs"

    monkeypatch.setattr(harness, "filesystem", in_memory)
    with pytest.raises(BadInput, match="figures of durability need a disk"):
        harness.run(ROWS, tiny(tmp_path), lambda view: None)
