"""How a run is shown while it goes on: lines where there is no terminal, a table where there is one."""

from __future__ import annotations

import io

from rich.console import Console

from postroom.actors.convoys.ledger import Report, Row
from postroom.actors.convoys.plan import Budget, Convoy, Task
from postroom.actors.convoys.rules.standing import Note, Spent, Standing, TaskState
from postroom.actors.convoys.rules.states import ConvoyStatus, TaskStatus
from postroom.console.livetable import MOST_ROWS, LiveTable, checks_of, chosen
from postroom.console.nextsteps import next_steps
from postroom.console.runview import Lines

S = TaskStatus


def report_of(*states: TaskState, standing: Standing | None = None) -> Report:
    """A report of tasks named a, b, c ... each in one of these states."""
    rows = tuple(Row(Task(chr(97 + n % 26) * (1 + n // 26), "/"), state) for n, state in enumerate(states))
    return Report("work", "run-1", standing or Standing(), rows)


def lines_of(*reports: Report, before: Report | None = None) -> list[str]:
    out = io.StringIO()
    lines = Lines(out)
    if before is not None:
        lines.recall(before)
    for report in reports:
        lines.show(report)
    return out.getvalue().splitlines()


def test_each_change_is_told_once() -> None:
    running = report_of(TaskState(S.RUNNING, 1, agent="local"))
    assert lines_of(running, running, report_of(TaskState(S.DONE, 1))) == [
        "run run-1 of work: 1 task",
        "running    a",
        "done       a",
    ]


def test_an_attempt_that_nobody_saw_running_is_told_of_all_the_same() -> None:
    assert lines_of(report_of(TaskState()), report_of(TaskState(S.FAILED, 2, agent="fast", reason="no")))[
        1:
    ] == [
        "running    a (attempt 2) by fast",
        "failed     a (attempt 2): no",
    ]


def test_a_retry_is_told_with_what_was_wrong() -> None:
    waits = TaskState(S.WAITING, 1, resting=True, reason="exit 1")
    assert (
        lines_of(report_of(TaskState(S.RUNNING, 1)), report_of(waits))[-1]
        == "retrying   a (attempt 1): exit 1"
    )


def test_what_had_happened_before_a_run_was_resumed_is_no_news() -> None:
    done = report_of(TaskState(S.DONE, 1), TaskState())
    assert lines_of(done, before=done) == ["run run-1 of work: 2 tasks"]


def test_a_pause_is_told_with_its_reason() -> None:
    paused = Standing(ConvoyStatus.PAUSED, paused="its budget is used up")
    report = report_of(TaskState(), standing=paused)
    assert lines_of(report, report)[1:] == ["paused     its budget is used up"]


def table_text(report: Report, convoy: Convoy, clock: list[float]) -> str:
    table = LiveTable(convoy, lambda: clock[0])
    table.show(report)
    clock[0] += 5.0
    table.say("metrics at http://127.0.0.1:1/metrics")
    console = Console(file=io.StringIO(), width=160, record=True)
    console.print(table)
    return console.export_text()


def test_the_table_shows_phases_attempts_agents_checks_time_and_budget() -> None:
    tasks = (Task("a", "/"), Task("b", "/", depends_on=("a",)))
    standing = Standing(spent=Spent(turns=2))
    notes = [Note("lint", "passed"), Note("size", "blocked", "too large")]
    report = Report(
        "work",
        "run-1",
        standing,
        (
            Row(tasks[0], TaskState(S.REVIEWING, 1, seconds=1.0, agent="fast", notes=notes)),
            Row(tasks[1], TaskState(S.RUNNING, 2, agent="slow", reason="exit 1")),
        ),
    )
    text = table_text(report, Convoy("work", 2, tasks, budget=Budget(turns=4)), [100.0])
    for part in (
        "work · running · 5.0 s",
        "1/2",
        "2/2",
        "fast",
        "size blocked",
        "exit 1",
        "2 of 4 turns",
        "5.0",
    ):
        assert part in text, text
    assert "1 reviewing · 1 running" in text
    assert "metrics at" in text


def test_a_table_of_many_tasks_shows_those_where_something_goes_on() -> None:
    states = [TaskState(S.DONE, 1)] * 100 + [TaskState(S.RUNNING, 1), TaskState(S.FAILED, 1)]
    report = report_of(*states)
    shown = chosen(report.tasks, MOST_ROWS)
    assert len(shown) == MOST_ROWS
    assert [row.status for row in shown[-2:]] == ["running", "failed"]
    tasks = tuple(row.task for row in report.tasks)
    assert f"{102 - MOST_ROWS} not shown" in " ".join(
        table_text(report, Convoy("work", 2, tasks), [0.0]).split()
    )


def test_checks_that_all_passed_are_counted() -> None:
    (row,) = report_of(TaskState(notes=[Note("lint", "passed"), Note("tests", "passed")])).tasks
    assert checks_of(row) == "2 passed"


def steps_of(report: Report, budget: Budget | None = None) -> list[str]:
    return next_steps(
        report, Convoy("work", 2, (), budget=budget or Budget()), "my work.toml", "sqlite:///x.db"
    )


def test_what_to_do_next_can_be_pasted_into_a_shell() -> None:
    stopped = report_of(TaskState(), standing=Standing(ConvoyStatus.INTERRUPTED))
    assert steps_of(stopped) == ["postroom run 'my work.toml' --resume --store sqlite:///x.db"]
    paused = Standing(ConvoyStatus.PAUSED, paused="used up", spent=Spent(turns=3))
    assert steps_of(report_of(TaskState(), standing=paused), Budget(turns=3)) == [
        "postroom run 'my work.toml' --resume --allow turns=3 --store sqlite:///x.db"
    ]
    disputed = Standing(ConvoyStatus.PAUSED, paused="disputed")
    first, last = steps_of(report_of(TaskState(S.DISPUTED, 1), standing=disputed))
    assert first.startswith("postroom dispute resolve run-1 a pass --text WHY ")
    assert last.endswith("--resume --store sqlite:///x.db")
    assert steps_of(report_of(TaskState(S.DONE, 1), standing=Standing(ConvoyStatus.DONE))) == []
