"""Whole convoys: gates of steps, files that become links, tasks that wait, and who has refuted a claim."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from attrs import evolve
from played import played, shell
from pullers import INBOX, RUN, Puller
from stage import pause
from trio.testing import MockClock
from working import shell as line_of

from postroom.actors import memory
from postroom.actors.convoys.ledger import Report, Row
from postroom.actors.convoys.names import manager_of
from postroom.actors.convoys.plan import Gate, GateKind, Input, Output, OutputKind, Step, Task, Work
from postroom.actors.convoys.rules.standing import Failure
from postroom.store.clock import SystemClock
from postroom.store.memory import MemoryStore

LONG = 600.0


async def report_of(folder: Path, *tasks: Task) -> Report:
    with trio.fail_after(30):
        return await played(MemoryStore(SystemClock()), folder, *tasks)


async def row_of(folder: Path, task: Task) -> Row:
    (row,) = (await report_of(folder, task)).tasks
    return row


# Gates of steps

STEPS = (
    Step(
        "make",
        line_of("cat $POSTROOM_FEEDBACK > told 2>/dev/null; echo made >> steps"),
        gates=(Gate("told", command=("sh", "-c", "test -s told || { echo tell me more; exit 1; }")),),
    ),
    Step("use", line_of("echo used >> steps")),
)


async def test_a_gate_of_a_step_that_fails_once_is_tried_again_with_what_it_said(tmp_path: Path) -> None:
    row = await row_of(tmp_path, evolve(shell(tmp_path, "a", "", retries=1), work=Work(), steps=STEPS))
    assert (row.status, row.attempts, row.state.checked) == ("done", 2, None)
    first = row.state.tries[0]
    assert (first.failure, first.reason) == (Failure.GATE, "step make: told: exit 1: tell me more")
    assert "tell me more" in (tmp_path / "told").read_text()
    assert (tmp_path / "steps").read_text().split() == ["made", "made", "used"]


async def test_a_gate_of_a_step_that_never_passes_fails_its_task_for_good(tmp_path: Path) -> None:
    never = evolve(STEPS[0], gates=(Gate("never", command=("false",)),))
    row = await row_of(tmp_path, evolve(shell(tmp_path, "a", "", retries=2), work=Work(), steps=(never,)))
    assert (row.status, row.attempts) == ("failed", 3)
    assert row.state.dead is not None
    assert row.state.dead.failure is Failure.GATE


# Files that become links


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder of a convoy, beside one that is none of its business."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


LEADS_OUT = "leads out of the convoy's folder by a symbolic link"


@pytest.mark.parametrize("owned", ["made", "made/deeper"])
async def test_who_makes_a_link_that_leads_out_of_its_files_has_failed(place: Path, owned: str) -> None:
    task = evolve(shell(place, "a", "ln -s ../outside made"), files=(owned,))
    row = await row_of(place, task)
    assert (row.status, row.state.failure) == ("failed", Failure.ERROR)
    assert row.reason == f"{owned} {LEADS_OUT}"


async def test_nothing_is_done_in_files_that_another_has_led_out_of_the_folder(place: Path) -> None:
    scan = Gate("secrets", GateKind.SECRET_SCAN)
    report = await report_of(
        place,
        shell(place, "first", "ln -s ../outside src"),
        evolve(shell(place, "next", "echo x > src/file", "first"), files=("src/file",), gates=(scan,)),
    )
    assert [row.status for row in report.tasks] == ["done", "failed"]
    assert report.tasks[1].reason == f"src/file {LEADS_OUT}"
    assert not (place.parent / "outside" / "file").exists()


async def test_a_link_that_stays_in_the_folder_is_no_fault(place: Path) -> None:
    (place / "real").mkdir()
    row = await row_of(place, evolve(shell(place, "a", "ln -s real made"), files=("made",)))
    assert row.status == "done"


# What others have said

HOSTILE = "x'\"; touch pwned; $(touch pwned) `touch pwned`"


async def test_what_another_has_said_is_no_command_where_it_is_a_variable_or_a_word(tmp_path: Path) -> None:
    (tmp_path / "said").write_text(HOSTILE)
    gives, takes = (Output("o", OutputKind.SUMMARY),), (Input("x", "first", "o"),)
    by_name = evolve(shell(tmp_path, "name", 'echo "$X" > name'), inputs=takes, env={"X": "{{input.x}}"})
    by_word = evolve(by_name, id="word", work=Work(("sh", "-c", 'echo "$1" > word', "sh", "{{input.x}}")))
    gated = evolve(by_word, id="gate", gates=(Gate("g", command=("test", "{{input.x}}", "!=", "y")),))
    report = await report_of(
        tmp_path, evolve(shell(tmp_path, "first", "cat said"), outputs=gives), by_name, by_word, gated
    )
    assert {row.status for row in report.tasks} == {"done"}
    assert [(tmp_path / name).read_text() for name in ("name", "word")] == [f"{HOSTILE}\n"] * 2
    assert not (tmp_path / "pwned").exists()


# Waiting


async def test_however_long_a_task_waits_for_an_input_or_a_file_the_manager_has_no_turn(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    puller = Puller(tmp_path, autojump_clock)
    gives, takes = (Output("plan", OutputKind.SUMMARY),), (Input("x", "a", "plan"),)
    first = puller.task("a", outputs=gives, timeout=2 * LONG, files=("f",))
    others = (
        puller.task("input", "do {{input.x}}", inputs=takes),
        puller.task("file", files=("f",), timeout=2 * LONG),
    )
    async with puller.plays(first, *others):
        await puller.until(lambda: accepted(puller, INBOX) == 1)
        before = turns(puller)
        await pause(LONG, autojump_clock)
        assert turns(puller) == before
        assert [puller.row(id).status for id in ("input", "file")] == ["pending", "waiting"]
        await puller.pull(outputs={"plan": "three things"})
        bodies = [await puller.pull() for _ in others]
    assert {body["prompt"] for body in bodies} == {"do three things", "do it"}
    assert turns(puller) > before


def turns(puller: Puller) -> tuple[int, int]:
    """How often the state of the manager was written, and how many messages it was ever sent."""
    owner = manager_of(RUN)
    (state,) = puller.store.records(owner, memory.KIND, "")
    return state.version, accepted(puller, owner)


def accepted(puller: Puller, inbox: str) -> int:
    """How many messages an inbox was ever sent."""
    return sum(counts.accepted for counts in puller.store.counts(inbox))
