"""What gates look at is what all attempts of a task have done, so that doing nothing is no way past them."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from attrs import evolve
from played import played, shell

from postroom.actors.convoys.ledger import Row
from postroom.actors.convoys.plan import Gate, GateKind
from postroom.store.clock import SystemClock
from postroom.store.memory import MemoryStore

TOKEN = "gh" + "p_" + "A1b2" * 9
FIRST = 'test "$POSTROOM_ATTEMPT" = 1'


async def done_by(folder: Path, line: str, *gates: Gate, files: tuple[str, ...] = ("made",)) -> Row:
    """What becomes of a task of two attempts."""
    task = evolve(shell(folder, "a", line, retries=1), gates=gates, files=files)
    with trio.fail_after(30):
        report = await played(MemoryStore(SystemClock()), folder, task)
    (row,) = report.tasks
    return row


@pytest.mark.parametrize("files", [("made",), ()])
async def test_a_secret_that_was_left_there_is_still_found(tmp_path: Path, files: tuple[str, ...]) -> None:
    line = f"{FIRST} && echo {TOKEN} > made; true"
    row = await done_by(tmp_path, line, Gate("secrets", GateKind.SECRET_SCAN), files=files)
    assert (row.status, row.attempts) == ("failed", 2)
    assert "github-token in made:1" in row.reason


async def test_a_change_that_was_too_large_does_not_become_small(tmp_path: Path) -> None:
    radius = Gate("radius", GateKind.BLAST_RADIUS, most_lines=10)
    row = await done_by(tmp_path, f"{FIRST} && seq 50 > made; true", radius)
    assert (row.status, row.attempts) == ("failed", 2)
    assert "50 lines in 1 files" in row.reason


async def test_who_has_changed_something_at_first_has_not_changed_nothing(tmp_path: Path) -> None:
    checks = (
        Gate("no_op", GateKind.NO_OP),
        Gate("again", command=("sh", "-c", "test -e ok || { touch ok; exit 1; }")),
    )
    row = await done_by(tmp_path, f"{FIRST} && seq 5 > made; true", *checks)
    assert (row.status, row.attempts) == ("done", 2)


async def test_what_a_failed_attempt_has_changed_counts(tmp_path: Path) -> None:
    radius = Gate("radius", GateKind.BLAST_RADIUS, most_lines=10)
    row = await done_by(tmp_path, f"{FIRST} && seq 50 > made && exit 1; true", radius)
    assert (row.status, row.attempts) == ("failed", 2)
