"""What is not as recorded is found, and put right only if it is still so."""

from __future__ import annotations

import pytest
from loop_tasks import Task

from postroom.actors.loops.beating import heartbeat
from postroom.actors.loops.reconciling import Finding, apply, find
from postroom.actors.loops.records import history
from postroom.actors.loops.states import LoopState
from postroom.mailbox import pairs
from postroom.mailbox.ids import id_text
from postroom.store.errors import BadInput
from postroom.store.memory import MemoryStore
from postroom.store.records import Claim, OpenSession
from postroom.store.transact import transact_one


def nobody_gone(process: str) -> bool:
    return False


def found(task: Task, stuck: float = 3600.0) -> list[Finding]:
    return find(task.store, stuck, is_gone=nobody_gone)


def put_right(task: Task, stuck: float = 3600.0) -> list[Finding]:
    return [apply(task.store, one, stuck, nap=task.clock.advance) for one in found(task, stuck)]


def kinds(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.kind, one.about) for one in findings]


def test_a_healthy_store_has_nothing_to_put_right(task: Task) -> None:
    task.start(iterations=3)
    task.desk.send("worker/w", "job", b"1")
    task.desk.poll("worker/w")
    assert found(task) == []


@pytest.mark.parametrize("gone", [True, False])
def test_the_leases_of_a_dead_session_are_taken_back(task: Task, store: MemoryStore, gone: bool) -> None:
    session = transact_one(store, OpenSession("runtime", "system", "process-1", 60_000_000))
    task.desk.send("worker/w", "job", b"1")
    transact_one(store, Claim(("worker/w",), 1, getattr(session, "id")))  # noqa: B009  an answer has many types
    if gone:
        other = store.another_handle()
        other.kill("process-1")
    else:
        task.clock.advance(61.0)
    findings = find(store, is_gone=lambda process: gone and process == "process-1")
    assert [one.kind for one in findings] == ["dead_session"]
    assert apply(store, findings[0], 3600.0).applied
    assert task.desk.inbox("worker/w").ready == 1
    assert find(store, is_gone=nobody_gone) == []


def test_a_worker_that_is_dead_gives_its_leases_back_with_the_attempt_counted(task: Task) -> None:
    heartbeat(task.store, "t", "worker")
    sent = task.desk.send("worker/w", "job", b"1")
    task.desk.poll("worker/w", lease=3000.0)
    task.clock.advance(299.0)
    assert found(task) == []
    task.clock.advance(1.0)
    assert kinds(found(task)) == [("dead_holder", id_text(sent.id))]
    assert [one.applied for one in put_right(task)] == [True]
    (again,) = task.desk.poll("worker/w")
    assert again.attempt == 2


def test_who_never_sent_a_heartbeat_is_not_judged_by_it(task: Task) -> None:
    task.desk.send("worker/w", "job", b"1")
    task.desk.poll("worker/w", lease=3000.0)
    task.clock.advance(1000.0)
    assert found(task) == []


def test_a_finding_that_is_no_longer_so_is_left_alone(task: Task) -> None:
    heartbeat(task.store, "t", "worker")
    task.desk.send("worker/w", "job", b"1")
    (held,) = task.desk.poll("worker/w", lease=3000.0)
    task.clock.advance(300.0)
    (finding,) = found(task)
    heartbeat(task.store, "t", "worker")
    after = apply(task.store, finding, 3600.0)
    assert (after.applied, after.error) == (False, "it is no longer so")
    task.desk.ack(held.id, held.fence)


@pytest.mark.parametrize("inbox", ["worker/w", "manager/m"])
def test_a_binding_whose_inbox_has_ended_is_ended(task: Task, inbox: str) -> None:
    task.start(iterations=3)
    task.desk.end(inbox)
    assert kinds(found(task)) == [("dangling_binding", inbox)]
    assert [one.applied for one in put_right(task)] == [True]
    assert (task.binding.state, task.loop.state) == (pairs.ENDED, LoopState.FINISHED)
    assert found(task) == []


def test_a_loop_past_its_budget_is_paused_and_its_manager_asked(task: Task) -> None:
    task.start(seconds=60)
    task.clock.advance(60.0)
    assert kinds(found(task)) == [("expired_loop", "seconds")]
    assert [one.applied for one in put_right(task)] == [True]
    assert task.loop.state is LoopState.PAUSED
    assert task.types("manager/m") == ["budget_reached"]
    assert found(task) == []


def test_a_stuck_task_is_told_to_its_manager_once(task: Task) -> None:
    task.start(iterations=3)
    task.clock.advance(3600.0)
    assert kinds(found(task)) == [("stuck_task", "worker/w")]
    assert [one.applied for one in put_right(task)] == [True]
    assert task.types("manager/m") == ["task_stuck"]
    assert [event.event for event in history(task.store, "t")] == ["started", "stuck"]
    task.clock.advance(3600.0)
    assert [(one.applied, one.error) for one in put_right(task)] == [(True, None)]
    assert task.types("manager/m") == ["task_stuck"]


def test_mail_that_nobody_takes_is_stuck_and_a_backlog_of_somebody_awake_is_not(task: Task) -> None:
    task.desk.send("worker/w", "job", b"1")
    task.clock.advance(600.0)
    assert found(task) == []
    assert [one.kind for one in found(task, 600.0)] == ["stuck_task"]
    heartbeat(task.store, "t", "worker")
    assert found(task, 600.0) == []


def test_both_waiting_for_each_other_is_stuck(task: Task) -> None:
    task.start(iterations=3)
    for role in ("manager", "worker"):
        heartbeat(task.store, "t", role)
    task.clock.advance(3600.0)
    (finding,) = found(task)
    assert "manager/m waits for worker/w and worker/w waits for manager/m" in finding.why


def test_an_idle_pair_is_never_stuck(task: Task) -> None:
    for role in ("manager", "worker"):
        heartbeat(task.store, "t", role)
    task.clock.advance(86_400.0)
    assert found(task) == []


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_absurd_durations_are_bad_input(task: Task, seconds: float) -> None:
    with pytest.raises(BadInput):
        found(task, seconds)
