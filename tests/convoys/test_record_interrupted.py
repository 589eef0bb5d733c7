"""Runs with work left that nobody plays are found, quickly, among many that are over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from played import has_begun, ordered, played, shell

from postroom import open_postroom
from postroom.actors.convoys.entering import RunRecord, enter
from postroom.actors.convoys.ledger import Report
from postroom.actors.convoys.messages import Again
from postroom.actors.convoys.names import OPEN, RUNS
from postroom.actors.convoys.plan import Convoy
from postroom.actors.convoys.record.interrupted import Interrupted, interrupted
from postroom.actors.convoys.rules.states import ConvoyStatus
from postroom.actors.convoys.wires import convoy_wire
from postroom.store.clock import SystemClock
from postroom.store.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(SystemClock())


async def test_a_run_that_was_entered_and_never_begun_is_interrupted(store: MemoryStore) -> None:
    async with open_postroom(store, wire=convoy_wire()) as office:
        await enter(office, RunRecord("r1", "/work.toml", {}), Convoy("test", 1, ()))
    assert interrupted(store) == [Interrupted("r1", ConvoyStatus.INTERRUPTED)]


async def test_a_run_is_interrupted_from_when_nobody_plays_it_until_it_is_over(
    store: MemoryStore, tmp_path: Path
) -> None:
    played_meanwhile: list[list[Interrupted]] = []

    def look(report: Report) -> bool:
        played_meanwhile.append(interrupted(store))
        return has_begun("a")(report)

    await played(store, tmp_path, shell(tmp_path, "a", "sleep 60"), stop_when=look)
    assert set(map(len, played_meanwhile)) == {0}
    assert interrupted(store) == [Interrupted("r1", ConvoyStatus.INTERRUPTED)]


@pytest.mark.parametrize("line", ["true", "false"])
async def test_a_run_that_is_over_is_not_interrupted(store: MemoryStore, tmp_path: Path, line: str) -> None:
    await played(store, tmp_path, shell(tmp_path, "a", line))
    assert interrupted(store) == []


async def test_a_run_that_was_over_and_is_to_be_done_again_is_interrupted(
    store: MemoryStore, tmp_path: Path
) -> None:
    await played(store, tmp_path, shell(tmp_path, "a", "false"))
    await ordered(store, Again((), "me"))
    assert interrupted(store) == [Interrupted("r1", ConvoyStatus.INTERRUPTED)]


async def test_many_runs_cost_one_look(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_postroom(store, wire=convoy_wire()) as office:
        for n in range(20):
            await enter(office, RunRecord(f"old{n}", "/work.toml", {}), Convoy("test", 1, ()), "x" * 10_000)
    reads: list[tuple[str, str | None]] = []
    records = store.records

    def counted(owner: str, kind: str | None = None, key: str | None = None) -> Any:
        reads.append((owner, kind))
        return records(owner, kind, key)

    await played(store, tmp_path, shell(tmp_path, "a", "true"))
    monkeypatch.setattr(store, "records", counted)
    assert [found.run for found in interrupted(store)] == sorted(f"old{n}" for n in range(20))
    assert reads == [(RUNS, OPEN)]
