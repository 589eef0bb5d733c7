"""How a task stands: health, next actions, deadlock and no progress."""

from __future__ import annotations

from typing import Any

import pytest
from loop_tasks import PASS, Task

from postroom.actors.loops import budgets, criteria
from postroom.actors.loops.beating import heartbeat
from postroom.actors.loops.standing import standing, standing_view
from postroom.actors.loops.states import Source
from postroom.mailbox import heartbeats
from postroom.store.errors import BadInput, Refused
from postroom.store.records import Put
from postroom.store.transact import transact_one


def status(task: Task, **options: float) -> dict[str, Any]:
    return standing_view(task.store, standing(task.store, "t", **options))


def dispatcher_beats(task: Task) -> None:
    _, write = heartbeats.beat(task.store, heartbeats.DISPATCHER, heartbeats.MAIN)
    transact_one(task.store, Put((write,)))


def everybody_beats(task: Task) -> None:
    dispatcher_beats(task)
    for role in ("manager", "worker"):
        heartbeat(task.store, "t", role)


def test_who_never_gave_a_sign_of_life_is_missing_and_has_to_be_started(task: Task) -> None:
    found = status(task)
    assert [found[role] for role in ("manager", "worker", "dispatcher")] == ["missing"] * 3
    assert found["next_actions"] == ["start_dispatch", "wake_manager", "wake_worker"]
    assert found["ok"] is False


def test_ok_is_when_all_three_are_healthy(task: Task) -> None:
    everybody_beats(task)
    found = status(task)
    assert (found["ok"], found["next_actions"]) == (True, [])
    task.clock.advance(180.0)
    assert [status(task)[role] for role in ("manager", "worker", "dispatcher")] == ["stale"] * 3
    assert status(task, stale_seconds=181.0)["ok"]


def test_who_sleeps_with_nothing_to_do_is_left_asleep(task: Task) -> None:
    everybody_beats(task)
    task.clock.advance(10_000.0)
    dispatcher_beats(task)
    assert status(task)["next_actions"] == []
    task.desk.send("worker/w", "job", b"1")
    assert status(task)["next_actions"] == ["wake_worker"]
    task.desk.pause("worker/w")
    assert status(task)["next_actions"] == []


def test_both_waiting_for_each_other_is_named(task: Task) -> None:
    task.start(iterations=3)
    everybody_beats(task)
    found = status(task)
    assert found["waiting_deadlock"] == (
        "manager/m waits for worker/w and worker/w waits for manager/m:"
        " no mail is in either inbox, and iteration 1 is unfinished"
    )
    assert found["next_actions"] == ["nudge_worker"]


@pytest.mark.parametrize("delay", [0.0, 60.0])
@pytest.mark.parametrize("inbox", ["manager/m", "worker/w"])
def test_with_mail_anywhere_nobody_waits_in_vain(task: Task, inbox: str, delay: float) -> None:
    task.start(iterations=3)
    everybody_beats(task)
    task.desk.send(inbox, "job", b"1", delay=delay)
    assert status(task)["waiting_deadlock"] is None


def test_who_has_nothing_to_finish_or_has_not_looked_is_in_no_deadlock(task: Task) -> None:
    everybody_beats(task)
    assert status(task)["waiting_deadlock"] is None
    task.change(lambda change: criteria.add(change, "it works", Source.USER))
    assert status(task)["waiting_deadlock"] is not None
    task.pair("t2", "w2")
    assert standing(task.store, "t2").deadlock is None


def test_work_in_hand_of_which_nothing_is_finished_is_no_progress(task: Task) -> None:
    for _ in range(3):
        task.desk.send("worker/w", "job", b"1")
    task.desk.poll("worker/w", lease=7200.0)
    task.clock.advance(3599.0)
    assert status(task)["no_progress"] is None
    task.clock.advance(1.0)
    found = status(task)
    assert found["no_progress"] == "worker/w holds a job for 3600 s and has finished nothing since"
    assert "inspect_worker" in found["next_actions"]
    assert status(task, no_progress_seconds=4000.0)["no_progress"] is None


def test_a_backlog_that_moves_and_an_idle_inbox_are_progress(task: Task) -> None:
    for _ in range(3):
        task.desk.send("worker/w", "job", b"1")
    held = task.desk.poll("worker/w", max=2, lease=7200.0)
    task.clock.advance(3600.0)
    task.desk.ack(held[1].id, held[1].fence)
    assert status(task)["no_progress"] is None
    task.desk.ack(held[0].id, held[0].fence)
    task.clock.advance(10_000.0)
    assert status(task)["no_progress"] is None


def test_a_lease_taken_lately_hides_no_older_one(task: Task) -> None:
    for _ in range(2):
        task.desk.send("worker/w", "job", b"1")
    first, _ = task.desk.poll("worker/w", max=2, lease=7200.0)
    task.clock.advance(3599.0)
    task.desk.nack(first.id, first.fence, release=True)
    task.desk.poll("worker/w", lease=7200.0)
    task.clock.advance(1.0)
    assert status(task)["no_progress"] is not None


def test_a_lease_that_has_lapsed_is_nobody_s(task: Task) -> None:
    task.desk.send("worker/w", "job", b"1")
    task.desk.poll("worker/w", lease=60.0)
    task.clock.advance(3600.0)
    found = status(task)
    assert (found["no_progress"], found["sessions"]["worker"]["mail"]) == (None, 1)


def test_it_shows_iteration_budget_criteria_and_evidence(task: Task) -> None:
    task.start("tests", iterations=3, tokens=10)
    task.go_on(1, PASS)
    task.change(lambda change: criteria.add(change, "it works", Source.USER))
    task.change(lambda change: budgets.spend(change, "tokens", 4, None))
    found = status(task)
    assert (found["iteration"], found["max_iterations"], found["required_evidence"]) == (2, 3, ["tests"])
    assert found["budget"]["tokens"] == {"limit": 10, "used": 4, "state": "left"}
    assert found["budget"]["wakes"] == {"limit": None, "used": None, "state": "not reported"}
    assert list(found["criteria"]) == [
        {"id": "c1", "text": "it works", "source": "user", "state": "proposed", "reason": None}
    ]


def test_a_spent_budget_is_seen_though_nothing_is_changed_by_looking(task: Task) -> None:
    task.start(seconds=1)
    task.clock.advance(1.0)
    found = status(task)
    assert (found["state"], "answer_budget" in found["next_actions"]) == ("running", True)
    assert task.types("manager/m") == []


def test_an_ended_task_can_be_looked_at_and_an_unknown_one_not(task: Task) -> None:
    task.desk.unpair("t")
    assert (status(task)["binding"], status(task)["next_actions"]) == ("ended", [])
    with pytest.raises(Refused):
        standing(task.store, "nobody")


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), 1e12])
@pytest.mark.parametrize("name", ["stale_seconds", "no_progress_seconds"])
def test_absurd_durations_are_bad_input(task: Task, name: str, seconds: float) -> None:
    with pytest.raises(BadInput):
        status(task, **{name: seconds})
