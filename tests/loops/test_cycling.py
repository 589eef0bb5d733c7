"""The manager's cycle: it waits until something matters, and a decision is on what was seen."""

from __future__ import annotations

import pytest
from loop_tasks import Task

from postroom.actors.loops import talking
from postroom.actors.loops.cycling import cycle, look
from postroom.mailbox import heartbeats
from postroom.store.errors import BadInput, Conflict, Refused
from postroom.store.records import Put
from postroom.store.transact import transact_one


def alive(task: Task) -> None:
    for role in ("manager", "worker"):
        _, write = heartbeats.beat(task.store, role, "t", busy=True)
        transact_one(task.store, Put((write,)))


def test_with_nothing_to_decide_it_waits_for_as_long_as_it_may(task: Task) -> None:
    alive(task)
    began = task.clock.now().boot
    seen = cycle(task.store, "t", 90, nap=task.clock.advance)
    assert seen.matters == []
    assert task.clock.now().boot - began == pytest.approx(90_000_000, abs=100_000)


def test_mail_for_the_manager_ends_the_waiting(task: Task) -> None:
    alive(task)
    naps = 0

    def nap(seconds: float) -> None:
        nonlocal naps
        naps += 1
        task.clock.advance(seconds)
        if naps == 10:
            task.desk.send("manager/m", "report", b"{}")

    began = task.clock.now().boot
    assert cycle(task.store, "t", 90, nap=nap).matters == ["1 to read"]
    assert task.clock.now().boot - began < 10_000_000


def test_a_worker_that_grows_stale_with_work_in_hand_ends_the_waiting(task: Task) -> None:
    alive(task)
    task.desk.send("worker/w", "job", b"{}")
    task.desk.poll("worker/w", lease=3600)
    assert cycle(task.store, "t", 600, nap=task.clock.advance).matters == ["wake_worker"]


def test_what_only_an_operator_can_do_is_no_matter_of_the_manager(task: Task) -> None:
    alive(task)
    assert look(task.store, "t").standing.health["dispatcher"] is heartbeats.Health.MISSING
    assert look(task.store, "t").matters == []


def test_of_two_who_decide_on_the_same_sight_the_second_is_refused(task: Task) -> None:
    seen = look(task.store, "t").seen
    task.change(lambda change: talking.decide(change, "wait", "it builds", None, seen))
    with pytest.raises(Conflict):
        task.change(lambda change: talking.decide(change, "nudge", "it hangs", None, seen))
    assert look(task.store, "t").seen == seen + 1


def test_the_same_decision_under_the_same_key_is_answered_as_before_although_it_was_seen_long_ago(
    task: Task,
) -> None:
    seen = look(task.store, "t").seen
    first = task.change(lambda change: talking.decide(change, "wait", "it builds", "k", seen))
    again = task.change(lambda change: talking.decide(change, "wait", "it builds", "k", seen))
    assert again == {**first, "already": True}


def test_what_may_be_decided_follows_the_permissions(task: Task) -> None:
    assert look(task.store, "t").decisions == ["wait", "nudge", "escalate", "inspect"]
    task.change(lambda change: talking.permit(change, "worker_session.stop", granted=True))
    assert "stop" in look(task.store, "t").decisions


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), 1e9])
def test_absurd_waits_are_bad_input(task: Task, seconds: float) -> None:
    with pytest.raises(BadInput):
        cycle(task.store, "t", seconds, nap=task.clock.advance)


def test_a_task_that_was_never_paired_has_no_cycle(task: Task) -> None:
    with pytest.raises(Refused):
        cycle(task.store, "nobody", 0, nap=task.clock.advance)
