"""Autopilot and rotation, as records."""

from __future__ import annotations

import pytest
from wake_stage import Stage

from postroom.actors.wakeups import autopilot, planning, rotation
from postroom.actors.wakeups.autopilot import PilotState
from postroom.actors.wakeups.deciding import decided
from postroom.actors.wakeups.rules import Reason, Status
from postroom.mailbox import threads
from postroom.mailbox.wakes import WakeState
from postroom.store.clock import ManualClock
from postroom.store.errors import BadInput, Conflict, Refused
from postroom.store.memory import MemoryStore
from postroom.store.records import Put
from postroom.store.transact import transact_one


class Cockpit(Stage):
    """A stage with one pair and its autopilot."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        super().__init__(MemoryStore(self.clock))
        self.pair("t1")

    def start(self, quiet_after: int = 3) -> bool:
        return decided(self.store, lambda: autopilot.start(self.store, "t1", quiet_after))[1]

    def stop(self) -> bool:
        return decided(self.store, lambda: autopilot.stop(self.store, "t1"))[1]

    def idle(self, times: int, *roles: str) -> None:
        for _ in range(times):
            self.clock.advance(60)
            for role in roles or ("manager", "worker"):
                self.beat(role, "t1", busy=False)

    def state(self) -> PilotState | None:
        """What the autopilot is after it was looked at."""
        write = autopilot.rested(self.store, planning.binding_of(self.store, "t1"))
        if write is not None:
            transact_one(self.store, Put((write,)))
        found = autopilot.find(self.store, "t1")[0]
        return None if found is None else found.state

    def rotate(self, old: str, new: str, role: str = "worker") -> None:
        decided(self.store, lambda: rotation.rotate(self.store, "t1", role, old, new))


@pytest.fixture
def cockpit() -> Cockpit:
    return Cockpit()


def test_only_what_was_started_runs_unless_all_are_to(cockpit: Cockpit) -> None:
    assert not autopilot.runs(cockpit.store, "t1")
    assert autopilot.runs(cockpit.store, "t1", unless_stopped=True)
    assert cockpit.start()
    assert autopilot.runs(cockpit.store, "t1")
    assert cockpit.stop()
    assert not autopilot.runs(cockpit.store, "t1", unless_stopped=True)


def test_starting_or_stopping_again_writes_nothing(cockpit: Cockpit) -> None:
    assert cockpit.start()
    assert not cockpit.start()
    assert cockpit.stop()
    assert not cockpit.stop()


def test_it_ends_by_itself_after_three_idle_heartbeats_of_both(cockpit: Cockpit) -> None:
    cockpit.start()
    cockpit.idle(2)
    assert cockpit.state() is PilotState.RUNNING
    cockpit.idle(5, "worker")
    assert cockpit.state() is PilotState.RUNNING
    cockpit.idle(1)
    assert cockpit.state() is PilotState.QUIET
    assert not autopilot.runs(cockpit.store, "t1", unless_stopped=True)


def test_it_goes_on_while_there_is_mail_or_a_turn_in_flight(cockpit: Cockpit) -> None:
    cockpit.start()
    cockpit.mail("worker/w")
    cockpit.idle(9)
    assert cockpit.state() is PilotState.RUNNING
    (taken,) = cockpit.poll("worker/w", lease=600)
    assert cockpit.state() is PilotState.RUNNING
    cockpit.desk.ack(taken.id, taken.fence)
    assert cockpit.state() is PilotState.QUIET


def test_it_goes_on_while_a_wake_is_under_way(cockpit: Cockpit) -> None:
    cockpit.start()
    cockpit.idle(9)
    cockpit.sent("worker/w")
    assert cockpit.state() is PilotState.RUNNING
    cockpit.clock.advance(180)
    assert cockpit.state() is PilotState.QUIET


def test_idle_heartbeats_of_before_its_start_do_not_count(cockpit: Cockpit) -> None:
    cockpit.idle(9)
    cockpit.clock.advance(1)
    cockpit.start()
    assert cockpit.state() is PilotState.RUNNING


def test_what_a_person_stopped_does_not_become_quiet(cockpit: Cockpit) -> None:
    cockpit.start()
    cockpit.stop()
    cockpit.idle(9)
    assert cockpit.state() is PilotState.STOPPED


def test_mail_for_one_that_is_quiet_starts_nothing(cockpit: Cockpit) -> None:
    cockpit.start(quiet_after=1)
    cockpit.idle(1)
    assert cockpit.state() is PilotState.QUIET
    cockpit.mail("worker/w")
    assert not autopilot.runs(cockpit.store, "t1")
    assert cockpit.said("t1", "worker") == (Status.READY, Reason.MAIL)


def test_unknown_tasks_and_absurd_numbers_are_told(cockpit: Cockpit) -> None:
    with pytest.raises(Refused, match="unknown task"):
        autopilot.start(cockpit.store, "t2")
    for number in (0, -1, 1001):
        with pytest.raises(BadInput):
            autopilot.start(cockpit.store, "t1", number)


# Rotation


def test_a_new_thread_takes_over_and_may_be_woken_at_once(cockpit: Cockpit) -> None:
    cockpit.mail("worker/w")
    cockpit.sent("worker/w")
    cockpit.rotate("worker-w", "second")
    assert cockpit.said("t1", "worker") == (Status.READY, Reason.MAIL)
    found = threads.find(cockpit.store, "worker/w")[0]
    assert found is not None
    assert found.thread_id == "second"


def test_a_wake_that_was_lost_is_counted_although_its_thread_is_replaced(cockpit: Cockpit) -> None:
    cockpit.sent("worker/w")
    cockpit.clock.advance(180)
    cockpit.rotate("worker-w", "second")
    wake = cockpit.wake("worker/w")
    assert (wake.state, wake.lost) == (WakeState.IDLE, 1)


def test_who_names_another_old_thread_is_refused_and_nothing_changes(cockpit: Cockpit) -> None:
    cockpit.sent("worker/w")
    cockpit.rotate("worker-w", "second")
    cockpit.sent("worker/w")
    with pytest.raises(Conflict, match="second"):
        cockpit.rotate("worker-w", "third")
    assert cockpit.wake("worker/w").state is WakeState.SENT


def test_of_two_who_rotate_at_once_one_is_told(cockpit: Cockpit) -> None:
    first = rotation.rotate(cockpit.store, "t1", "worker", "worker-w", "a")[1]
    second = rotation.rotate(cockpit.store, "t1", "worker", "worker-w", "b")[1]
    transact_one(cockpit.store, first)
    with pytest.raises(Conflict):
        transact_one(cockpit.store, second)


def test_rotating_what_is_unknown_is_refused(cockpit: Cockpit) -> None:
    with pytest.raises(Refused, match="unknown task"):
        rotation.rotate(cockpit.store, "t2", "worker", "a", "b")
    with pytest.raises(BadInput):
        rotation.rotate(cockpit.store, "t1", "reviewer", "a", "b")
