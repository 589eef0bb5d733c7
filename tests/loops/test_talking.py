"""Nudges, notices, handoffs and decisions: said once, permitted, and counted."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import pytest
from loop_tasks import Task

from postroom.actors.loops import talking
from postroom.actors.loops.errors import BudgetReached, Forbidden, LoopPaused, NudgesExpired
from postroom.actors.loops.records import history
from postroom.actors.loops.states import DECISIONS, PERMISSIONS, LoopState
from postroom.store.errors import BadInput, Conflict


def nudge(task: Task, text: str = "how far are you?", key: str | None = None) -> dict[str, Any]:
    return task.change(lambda change: talking.nudge(change, text, key))


def decide(task: Task, decision: str, reason: str = "it hangs", key: str | None = None) -> dict[str, Any]:
    return task.change(lambda change: talking.decide(change, decision, reason, key))


def events(task: Task) -> list[str]:
    return [event.event for event in history(task.store, "t")]


def test_a_nudge_is_a_message_of_high_priority(task: Task) -> None:
    answer = nudge(task)
    (message,) = task.mail("worker/w")
    assert (message.type, message.sender, message.priority) == ("nudge", "manager/m", 2)
    assert msgspec.json.decode(message.body)["text"] == "how far are you?"
    assert (answer["state"], answer["nudges_used"]) == ("accepted", 1)


def test_the_same_words_wait_until_the_first_are_taken(task: Task) -> None:
    first = nudge(task)
    again = nudge(task)
    assert (again["state"], again["id"], again["nudges_used"]) == ("duplicate", first["id"], 1)
    assert nudge(task, "something else")["nudges_used"] == 2
    task.settle_all()
    assert nudge(task)["state"] == "accepted"
    assert task.types("worker/w") == ["nudge"]


def test_a_nudge_under_the_same_key_is_sent_once(task: Task) -> None:
    first = nudge(task, key="k")
    task.settle_all()
    assert nudge(task, key="k") == {**first, "already": True}
    with pytest.raises(Conflict):
        nudge(task, "other words", key="k")
    assert task.types("worker/w") == []


def test_nudges_that_are_spent_are_refused_and_the_manager_is_asked(task: Task) -> None:
    task.start(nudges=1)
    nudge(task)
    for _ in range(2):
        with pytest.raises(BudgetReached):
            nudge(task, "again")
    assert (task.loop.state, task.loop.paused_by) == (LoopState.PAUSED, "nudges")
    assert task.types("worker/w") == ["nudge"]
    assert task.types("manager/m") == ["budget_reached"]


def test_nudges_expire(task: Task) -> None:
    task.start(iterations=3, nudge_seconds=60.0)
    nudge(task)
    task.clock.advance(60.0)
    with pytest.raises(NudgesExpired):
        nudge(task, "again")
    assert task.loop.state is LoopState.RUNNING


def test_a_loop_paused_by_another_budget_takes_no_nudge(task: Task) -> None:
    task.start(seconds=1)
    task.clock.advance(1.0)
    with pytest.raises(BudgetReached):
        nudge(task)
    with pytest.raises(LoopPaused):
        nudge(task)
    assert task.types("worker/w") == []


def test_what_is_not_permitted_is_refused_and_says_what_is_lacking(task: Task) -> None:
    task.change(lambda change: talking.permit(change, "communication.nudge_worker", granted=False))
    with pytest.raises(Forbidden, match=r"no permission communication\.nudge_worker"):
        nudge(task)
    task.change(lambda change: talking.permit(change, "communication.nudge_worker", granted=True))
    nudge(task)


def test_permissions_are_a_fixed_list(task: Task) -> None:
    with pytest.raises(BadInput):
        task.change(lambda change: talking.permit(change, "repo.burn", granted=True))
    for name, granted in PERMISSIONS.items():
        assert task.change(partial(talking.permit, permission=name, granted=True)) is not granted
    assert task.loop.permissions == tuple(PERMISSIONS)


@pytest.mark.parametrize("decision", list(DECISIONS))
def test_a_decision_is_recorded_if_it_is_permitted_and_does_nothing(task: Task, decision: str) -> None:
    permission = DECISIONS[decision]
    if permission is not None and not PERMISSIONS[permission]:
        with pytest.raises(Forbidden):
            decide(task, decision)
        task.change(lambda change: talking.permit(change, permission, granted=True))
    decide(task, decision)
    assert history(task.store, "t")[-1].data == {"decision": decision, "reason": "it hangs"}
    assert task.types("worker/w") == task.types("manager/m") == []


def test_a_decision_under_the_same_key_is_recorded_once(task: Task) -> None:
    first = decide(task, "wait", key="cycle-1")
    assert decide(task, "wait", key="cycle-1") == {**first, "already": True}
    with pytest.raises(Conflict):
        decide(task, "inspect", key="cycle-1")
    assert events(task) == ["decided"]
    with pytest.raises(BadInput):
        decide(task, "panic")


def test_keys_of_an_earlier_binding_are_forgotten(task: Task) -> None:
    decide(task, "wait", key="k")
    task.desk.unpair("t")
    task.pair()
    assert decide(task, "inspect", key="k")["already"] is False


def test_a_notice_goes_from_the_worker_to_the_manager_once_under_a_key(task: Task) -> None:
    for _ in range(2):
        task.change(lambda change: talking.notify(change, "I am blocked", "k"))
    (message,) = task.mail("manager/m")
    assert (message.type, message.sender, message.correlation_id) == ("notify", "worker/w", "t")


@pytest.mark.parametrize(("role", "inbox"), [("manager", "manager/m"), ("worker", "worker/w")])
def test_a_handoff_lies_in_the_inbox_of_its_own_role(task: Task, role: str, inbox: str) -> None:
    task.change(lambda change: talking.hand_off(change, role, "half done", "the other half", None))
    (message,) = task.mail(inbox)
    body: Any = msgspec.json.decode(message.body)
    assert (message.type, message.sender) == ("handoff", inbox)
    assert (body["summary"], body["next"], body["role"]) == ("half done", "the other half", role)
    assert events(task) == ["handoff"]


@pytest.mark.parametrize("text", ["", "two\nlines", "x" * 5000])
def test_words_are_one_printable_line(task: Task, text: str) -> None:
    with pytest.raises(BadInput):
        nudge(task, text)
    with pytest.raises(BadInput):
        task.change(lambda change: talking.notify(change, text, None))
    with pytest.raises(BadInput):
        task.change(lambda change: talking.hand_off(change, "worker", text, "next", None))
    assert events(task) == []
