"""A heartbeat keeps a sign of life and answers with what to run next."""

from __future__ import annotations

from typing import Any

import pytest
from loop_tasks import Task

from postroom.actors.loops.beating import beat_of, beat_view, heartbeat
from postroom.actors.wakeups import autopilot
from postroom.mailbox import heartbeats, threads
from postroom.mailbox.ids import id_text
from postroom.store.errors import BadInput, Conflict, Refused
from postroom.store.records import Put
from postroom.store.transact import transact, transact_one


def beat(task: Task, role: str = "worker", thread: str | None = None) -> dict[str, Any]:
    return beat_view(heartbeat(task.store, "t", role, thread, nap=task.clock.advance))


def test_with_mail_it_says_poll_with_a_lease_settle_and_else_sleep(task: Task) -> None:
    again = "postroom heartbeat t --role worker"
    assert beat(task)["next"] == ["sleep 120", again]
    task.desk.send("worker/w", "job", b"1")
    found = beat(task)
    assert (found["mail"], found["leased"]) == (1, 0)
    assert found["next"] == ["postroom poll worker/w --wait 30", again]
    (held,) = task.desk.poll("worker/w")
    found = beat(task)
    assert (found["mail"], found["leased"]) == (0, 1)
    assert found["next"] == [
        f"postroom ack {id_text(held.id)} --fence {held.fence}",
        f"postroom extend {id_text(held.id)} --fence {held.fence}",
        again,
    ]


def test_mail_for_the_whole_role_is_mail_and_its_leases_are_leases(task: Task) -> None:
    transact_one(
        task.store, Put((threads.THREADS.write("worker/w", threads.Thread("worker/w", "t1", None, 0), 0),))
    )
    task.desk.send("any:worker", "job", b"1")
    found = beat(task)
    assert (found["mail"], found["shared_mail"], found["idle"]) == (0, 1, 0)
    assert found["next"][0] == "postroom poll worker/w --wait 30"
    (held,) = task.desk.poll("worker/w")
    assert beat(task)["leased"] == 1
    assert beat(task)["next"][0].startswith(f"postroom ack {id_text(held.id)}")
    task.desk.ack(held.id, held.fence)
    assert beat(task)["leased"] == 0


def test_shared_mail_that_another_has_taken_over_is_not_held(task: Task) -> None:
    thread = threads.Thread("worker/w", "t1", None, 0)
    transact_one(task.store, Put((threads.THREADS.write("worker/w", thread, 0),)))
    task.desk.register("worker/w2")
    task.desk.send("any:worker", "job", b"1")
    task.desk.poll("worker/w", lease=1.0)
    task.clock.advance(2.0)
    task.desk.poll("worker/w2")
    assert beat(task)["leased"] == 0


def test_idle_counts_heartbeats_in_a_row_that_found_nothing(task: Task) -> None:
    assert [beat(task)["idle"] for _ in range(3)] == [1, 2, 3]
    task.desk.send("worker/w", "job", b"1")
    assert beat(task)["idle"] == 0
    task.settle_all()
    assert beat(task)["idle"] == 1


def test_it_tells_what_its_health_was(task: Task) -> None:
    assert beat(task)["was"] == "missing"
    task.clock.advance(179.0)
    assert beat(task)["was"] == "healthy"
    task.clock.advance(180.0)
    assert (found := beat(task))["was"] == "stale"
    assert found["health"] == "healthy"


def test_a_paused_inbox_has_no_mail_to_take(task: Task) -> None:
    task.desk.send("worker/w", "job", b"1")
    task.desk.pause("worker/w")
    found = beat(task)
    assert (found["mail"], found["paused"], found["next"][0]) == (0, True, "sleep 120")


def test_a_paused_loop_tells_its_manager_to_answer(task: Task) -> None:
    task.start(seconds=1)
    task.clock.advance(1.0)
    found = beat(task, "manager")
    assert (found["state"], found["paused_by"]) == ("paused", "seconds")
    assert found["next"][0] == "postroom loop resume t --add seconds=N"


def test_another_thread_than_the_assigned_one_is_refused_and_keeps_nothing(task: Task) -> None:
    _, write = threads.assign(task.store, "worker/w", "thread-1")
    assert write is not None
    transact_one(task.store, Put((write,)))
    with pytest.raises(Conflict):
        beat(task, thread="thread-2")
    assert heartbeats.find(task.store, "worker", "t") == (None, 0)
    assert beat(task, thread="thread-1")["thread_id"] == "thread-1"
    assert beat(task)["thread_id"] == "thread-1"


@pytest.mark.parametrize("role", ["dispatcher", "boss", ""])
def test_only_the_two_sides_of_a_pair_send_heartbeats(task: Task, role: str) -> None:
    with pytest.raises(BadInput):
        beat(task, role)


def test_after_the_end_there_are_no_heartbeats(task: Task) -> None:
    task.desk.unpair("t")
    with pytest.raises(Refused, match="has ended"):
        beat(task)
    with pytest.raises(Refused, match="not paired"):
        heartbeat(task.store, "nobody", "worker")
    assert heartbeats.find(task.store, "worker", "t") == (None, 0)


def test_who_commits_it_himself_gets_the_same_answer(task: Task) -> None:
    task.desk.send("worker/w", "job", b"1")
    found, operations = beat_of(task.store, "t", "worker", "thread-1")
    transact(task.store, operations)
    assert beat_view(found)["next"][0] == "postroom poll worker/w --wait 30"
    kept, version = heartbeats.find(task.store, "worker", "t")
    assert kept == found.heartbeat
    assert version == 1


def test_a_budget_that_is_spent_is_told_to_who_commits_it_himself(task: Task) -> None:
    task.start(seconds=1)
    task.clock.advance(1.0)
    found, operations = beat_of(task.store, "t", "worker")
    assert (found.loop.state, found.loop.paused_by) == ("paused", "seconds")
    assert isinstance(operations[0], Put)
    assert len(operations) == 3, "the pause of the worker's inbox and the message come after what guards them"


def test_the_autopilot_ends_when_both_sides_are_idle_for_a_while(task: Task) -> None:
    _, put = autopilot.start(task.store, "t")
    assert put is not None
    transact_one(task.store, put)
    for _ in range(3):
        task.clock.advance(120.0)
        found = autopilot.find(task.store, "t")[0]
        assert found is not None
        assert found.state == "running"
        for role in ("manager", "worker"):
            beat(task, role)
    found = autopilot.find(task.store, "t")[0]
    assert found is not None
    assert found.state != "running"
