"""Plans, from what is in the store; and that one plan of all says what each plan says."""

from __future__ import annotations

from random import Random

import pytest
from wake_stage import Stage, new_stage

from postroom.actors.wakeups import planning
from postroom.actors.wakeups.rules import Reason, Status
from postroom.mailbox import pairs, wakes
from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import IdMaker
from postroom.mailbox.pairs import ACTIVE
from postroom.store.clock import ManualClock
from postroom.store.errors import BadInput, Conflict, Refused
from postroom.store.memory import MemoryStore
from postroom.store.records import Put
from postroom.store.transact import transact_one

READY = (Status.READY, Reason.MAIL)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def stage(clock: ManualClock) -> Stage:
    made = Stage(MemoryStore(clock))
    made.pair("t1")
    return made


def test_without_mail_nobody_is_woken(stage: Stage) -> None:
    assert stage.said("t1", "worker") == (Status.SKIPPED, Reason.NO_MAIL)
    stage.beat("worker", "t1")
    assert stage.said("t1", "worker") == (Status.SKIPPED, Reason.HEALTHY)


def test_a_sign_of_life_counts_for_180_seconds(stage: Stage, clock: ManualClock) -> None:
    stage.beat("worker", "t1")
    clock.advance(179.9)
    assert stage.said("t1", "worker")[1] is Reason.HEALTHY
    clock.advance(0.1)
    assert stage.said("t1", "worker")[1] is Reason.NO_MAIL


def test_mail_wakes_whom_it_is_for_and_nobody_else(stage: Stage) -> None:
    stage.mail("worker/w")
    assert stage.said("t1", "worker") == READY
    assert stage.said("t1", "manager") == (Status.SKIPPED, Reason.NO_MAIL)


def test_a_sign_of_life_keeps_nobody_from_being_woken_for_mail(stage: Stage) -> None:
    stage.beat("worker", "t1")
    stage.mail("worker/w")
    assert stage.said("t1", "worker") == READY


def test_who_holds_a_lease_is_in_flight_until_it_ends(stage: Stage, clock: ManualClock) -> None:
    stage.mail("worker/w")
    stage.mail("worker/w")
    (first,) = stage.poll("worker/w", lease=60)
    assert stage.said("t1", "worker") == (Status.SKIPPED, Reason.IN_FLIGHT)
    stage.desk.ack(first.id, first.fence)
    assert stage.said("t1", "worker") == READY
    stage.poll("worker/w", lease=60)
    clock.advance(60)
    assert stage.said("t1", "worker") == READY


def test_a_wake_is_pending_until_a_poll_or_for_180_seconds(stage: Stage, clock: ManualClock) -> None:
    stage.mail("worker/w")
    stage.sent("worker/w")
    clock.advance(179.9)
    assert stage.said("t1", "worker") == (Status.SKIPPED, Reason.WAKE_PENDING)
    clock.advance(0.1)
    assert stage.said("t1", "worker") == READY


def test_mail_in_a_paused_inbox_wakes_nobody(stage: Stage) -> None:
    stage.mail("worker/w")
    stage.desk.pause("worker/w")
    assert stage.said("t1", "worker") == (Status.SKIPPED, Reason.NO_MAIL)


def test_who_has_no_thread_is_blocked_and_a_prompt_is_there_for_a_new_one() -> None:
    stage = new_stage()
    stage.pair("t1", threads=False)
    stage.mail("worker/w")
    assert stage.said("t1", "worker") == (Status.BLOCKED, Reason.NO_THREAD)
    _, worker = planning.plan(stage.store, "t1").actions
    assert worker.thread_id is None
    assert worker.prompt is not None
    assert not worker.send_ready


def test_an_action_says_whom_to_wake_with_what_and_the_summary_counts(stage: Stage) -> None:
    stage.mail("worker/w")
    plan = planning.plan(stage.store, "t1")
    manager, worker = plan.actions
    assert (worker.role, worker.address, worker.thread_id) == ("worker", "worker/w", "worker-w")
    assert worker.send_ready
    assert manager.prompt is None
    assert plan.summary() == {
        "total": 2, "ready": 1, "skipped": 1, "blocked": 0, "dispatcher_required": True,
    }  # fmt: skip


def test_a_dispatcher_is_required_unless_it_gave_a_sign_lately(stage: Stage, clock: ManualClock) -> None:
    stage.beat("dispatcher", "main")
    assert not planning.plan(stage.store, "t1").dispatcher_required
    clock.advance(180)
    assert planning.plan(stage.store, "t1").dispatcher_required


def test_an_unknown_or_ended_task_is_refused(stage: Stage) -> None:
    with pytest.raises(Refused, match="unknown task t2"):
        planning.plan(stage.store, "t2")
    stage.desk.unpair("t1")
    with pytest.raises(Refused, match="has ended"):
        planning.plan(stage.store, "t1")


def test_a_role_that_no_pair_has_is_bad_input(stage: Stage) -> None:
    with pytest.raises(BadInput, match="reviewer"):
        pairs.address_of(planning.binding_of(stage.store, "t1"), "reviewer")


# Shared mail


def share(stage: Stage, messages: int) -> None:
    for _ in range(messages):
        stage.mail("any:worker")


def test_shared_mail_wakes_as_many_as_there_are_messages(stage: Stage) -> None:
    for n in (2, 3, 4):
        stage.pair(f"t{n}", worker=f"w{n}")
    share(stage, 2)
    said = [plan.actions[1].status for plan in planning.plan_all(stage.store)]
    assert said == [Status.READY, Status.READY, Status.SKIPPED, Status.SKIPPED]


def test_a_wake_under_way_of_another_member_takes_one_of_the_shared_messages(stage: Stage) -> None:
    stage.pair("t2", worker="w2")
    share(stage, 1)
    assert stage.said("t1", "worker") == READY
    assert stage.said("t2", "worker") == READY
    stage.sent("worker/w")
    assert stage.said("t1", "worker") == (Status.SKIPPED, Reason.WAKE_PENDING)
    assert stage.said("t2", "worker") == (Status.SKIPPED, Reason.NO_MAIL)


def test_who_holds_shared_mail_is_in_flight_until_it_is_settled(stage: Stage) -> None:
    share(stage, 2)
    stage.sent("worker/w")
    (held,) = stage.poll("worker/w")
    assert held.recipient == "any:worker"
    assert stage.said("t1", "worker") == (Status.SKIPPED, Reason.IN_FLIGHT)
    stage.desk.ack(held.id, held.fence)
    assert stage.said("t1", "worker") == READY


def test_of_two_wakes_for_one_shared_message_only_one_can_be_reserved(stage: Stage) -> None:
    stage.pair("t2", worker="w2")
    share(stage, 1)
    looks = [planning.look(stage.store, *side) for side in (
        ("t1", "worker", "worker/w"), ("t2", "worker", "worker/w2"),
    )]  # fmt: skip
    assert [look.verdict for look in looks] == [READY, READY]
    one, two = (
        Put(
            (
                wakes.write(
                    look.address, wakes.reserved(stage.store.clock, look.wake, "r", "t"), look.version
                ),
                *planning.share_taken(look),
            )
        )
        for look in looks
    )
    transact_one(stage.store, one)
    with pytest.raises(Conflict):
        transact_one(stage.store, two)


# All at once


def shake(stage: Stage, clock: ManualClock, chance: Random, step: int) -> None:
    """Let one thing happen to one of the pairs."""
    n = chance.randrange(8)
    task, worker = f"t{n}", f"worker/w{n}"
    match chance.randrange(10):
        case 0 | 1:
            stage.mail(worker)
        case 2:
            stage.mail(f"manager/m{n % 3}")
        case 3:
            stage.sent(worker)
        case 4:
            for delivery in stage.poll(worker, lease=chance.choice([1, 100])):
                if chance.random() < 0.5:
                    stage.desk.ack(delivery.id, delivery.fence)
        case 5:
            stage.beat(chance.choice(["manager", "worker"]), task)
        case 6:
            clock.advance(chance.choice([1, 30, 200]))
        case 7:
            (stage.desk.pause if chance.random() < 0.5 else stage.desk.resume)(worker)
        case 8:
            messages = chance.randrange(6)
            stage.put(worker, lambda wake: wakes.joined(clock, wake, messages, 300))
        case _:
            if step % 2:
                stage.assign(worker, f"worker-w{n}")


@pytest.mark.parametrize("seed", range(6))
def test_one_plan_of_all_says_what_each_plan_says(seed: int) -> None:
    chance, clock = Random(seed), ManualClock()
    stage = Stage(MemoryStore(clock))
    for n in range(8):
        stage.pair(f"t{n}", f"m{n % 3}", f"w{n}", threads=n % 4 == 0)
    seen: set[Reason] = set()
    for step in range(250):
        shake(stage, clock, chance, step)
        together = planning.plan_all(stage.store)
        assert together == [planning.plan(stage.store, f"t{n}") for n in range(8)]
        seen |= {action.reason for plan in together for action in plan.actions}
    assert seen == set(Reason)


def test_ended_tasks_are_in_no_plan(stage: Stage) -> None:
    stage.pair("t2", worker="w2")
    stage.desk.unpair("t1")
    assert [plan.task for plan in planning.plan_all(stage.store)] == ["t2"]
    assert planning.binding_of(stage.store, "t2").state == ACTIVE


def test_planning_changes_nothing(stage: Stage) -> None:
    stage.mail("worker/w")
    handle = stage.store.another_handle()
    handle.changed_elsewhere()
    planning.plan(stage.store, "t1")
    planning.plan_all(stage.store)
    assert not handle.changed_elsewhere()
    assert Desk(handle, IdMaker(handle.clock, Random(1))).inbox("worker/w").ready == 1
