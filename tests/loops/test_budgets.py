"""A budget that is spent pauses the loop and its worker and asks the manager: once, and all at once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from loop_tasks import Task

from postroom.actors.loops import budgets
from postroom.actors.loops.beating import heartbeat
from postroom.actors.loops.errors import IllegalMove
from postroom.actors.loops.records import history
from postroom.actors.loops.states import LoopState
from postroom.mailbox import wakes
from postroom.store.errors import BadInput, Conflict
from postroom.store.records import Put
from postroom.store.transact import transact_one


def use(task: Task) -> dict[str, budgets.Use]:
    return budgets.usage(task.store, task.binding, task.loop)


def spend(task: Task, amount: int, key: str | None = None) -> bool:
    return task.change(lambda change: budgets.spend(change, "tokens", amount, key))


def resume(task: Task, **more: int) -> None:
    task.change(lambda change: budgets.resume(change, more))


def test_what_nobody_reports_is_not_reported_and_never_nothing(task: Task) -> None:
    task.start(iterations=3, tokens=100)
    assert (use(task)["tokens"], use(task)["wakes"]) == (budgets.Use(100, None), budgets.Use(None, None))
    assert use(task)["tokens"].word == "not reported"
    spend(task, 0)
    assert use(task)["tokens"] == budgets.Use(100, 0)


def test_tokens_add_up_and_the_same_report_counts_once(task: Task) -> None:
    task.start(tokens=100)
    assert [spend(task, 30, "a"), spend(task, 30, "a"), spend(task, 30, "b")] == [False, True, False]
    assert use(task)["tokens"].used == 60
    with pytest.raises(Conflict):
        spend(task, 31, "a")


def test_the_last_of_a_budget_pauses_and_asks_in_the_same_commit(task: Task) -> None:
    task.start(tokens=100)
    spend(task, 100)
    assert (task.loop.state, task.loop.paused_by) == (LoopState.PAUSED, "tokens")
    assert task.desk.inbox("worker/w").paused
    (asked,) = task.mail("manager/m")
    body: Any = msgspec.json.decode(asked.body)
    assert (asked.type, body["budget"], body["limit"], body["used"]) == ("budget_reached", "tokens", 100, 100)
    spend(task, 100)
    assert task.types("manager/m") == ["budget_reached"]


def test_resuming_needs_more_than_was_used(task: Task) -> None:
    task.start(tokens=100)
    spend(task, 150)
    for more in ({}, {"tokens": 50}):
        with pytest.raises(Conflict, match="still spent"):
            resume(task, **more)
    resume(task, tokens=51)
    assert (task.loop.state, task.loop.paused_by) == (LoopState.RUNNING, None)
    assert not task.desk.inbox("worker/w").paused
    with pytest.raises(IllegalMove):
        resume(task, tokens=1)


def test_a_limit_that_is_not_there_cannot_be_raised(task: Task) -> None:
    task.start(tokens=1)
    spend(task, 1)
    for more in ({"turns": 1}, {"x": 1}, {"tokens": 0}, {"tokens": -5}):
        with pytest.raises(BadInput):
            resume(task, **more)
    assert task.loop.state is LoopState.PAUSED


def test_turns_count_what_the_worker_settled_since_the_start(task: Task) -> None:
    for _ in range(2):
        task.desk.send("worker/w", "job", b"1")
    task.settle_all()
    task.start(turns=2)
    assert use(task)["turns"].used == 0
    task.desk.send("worker/w", "job", b"1")
    task.desk.send("worker/w", "job", b"1")
    (first,) = task.desk.poll("worker/w")
    task.desk.ack(first.id, first.fence)
    (second,) = task.desk.poll("worker/w")
    task.desk.nack(second.id, second.fence)
    assert use(task)["turns"] == budgets.Use(2, 2)
    assert heartbeat(task.store, "t", "worker").loop.paused_by == "turns"


def test_wakes_count_once_somebody_wakes_the_worker(task: Task) -> None:
    task.start(wakes=2)
    wake = wakes.Wake(useful=1, lost=1)
    transact_one(task.store, Put((wakes.write("worker/w", wake, 0),)))
    assert use(task)["wakes"] == budgets.Use(2, 2)
    assert heartbeat(task.store, "t", "manager").loop.paused_by == "wakes"


def test_a_wake_that_is_under_way_counts_already(task: Task) -> None:
    task.start(wakes=1)
    wake = wakes.sent(task.clock, wakes.ASLEEP, "r-1", "t-1")
    transact_one(task.store, Put((wakes.write("worker/w", wake, 0),)))
    assert use(task)["wakes"] == budgets.Use(1, 1)


def test_time_runs_on_the_boot_clock(task: Task) -> None:
    task.start(seconds=60)
    task.clock.step_wall(86_400.0)
    assert heartbeat(task.store, "t", "worker").loop.paused_by is None
    task.clock.advance(60.0)
    assert heartbeat(task.store, "t", "worker").loop.paused_by == "seconds"
    assert task.types("manager/m") == ["budget_reached"]


def test_a_pause_holds_though_the_manager_s_inbox_is_full_or_gone(task: Task) -> None:
    task.start(tokens=1)
    task.desk.end("manager/m")
    spend(task, 1)
    assert task.loop.state is LoopState.PAUSED
    assert task.desk.inbox("manager/m").bounced == 1


def test_a_pause_holds_though_the_worker_s_inbox_is_gone(task: Task) -> None:
    task.start(tokens=1)
    task.desk.end("worker/w")
    spend(task, 1)
    assert task.loop.state is LoopState.PAUSED


def test_what_the_store_counts_cannot_be_reported(task: Task) -> None:
    task.start(tokens=1)
    with pytest.raises(BadInput):
        task.change(lambda change: budgets.spend(change, "turns", 1, None))
    with pytest.raises(BadInput):
        spend(task, -1)
    assert [event.event for event in history(task.store, "t")] == ["started"]
