"""Receipts: what may be recorded, once, and what it does to the wake."""

from __future__ import annotations

from random import Random

import pytest
from wake_stage import Stage

from postroom.actors.wakeups import planning, receipts
from postroom.actors.wakeups.deciding import decided
from postroom.actors.wakeups.rules import Reason, Status
from postroom.mailbox import threads, wakes
from postroom.mailbox.ids import IdMaker
from postroom.mailbox.wakes import WakeState
from postroom.store.clock import ManualClock
from postroom.store.errors import BadInput, Conflict, Refused
from postroom.store.memory import MemoryStore
from postroom.store.records import Put, Record
from postroom.store.transact import transact_one

NO_RECEIPT = "00000000-0000-7000-8000-000000000000"


class Office(Stage):
    """A stage with one pair, whose worker has mail and whose manager has none."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        super().__init__(MemoryStore(self.clock))
        self.pair("t1")
        self.mail("worker/w")

    def dispatch(self, task: str = "t1") -> str:
        _, receipt, put = receipts.dispatch(self.store, self.ids, task)
        transact_one(self.store, put)
        return receipt

    def record(
        self, receipt: str, role: str, status: str, thread: str | None = None, task: str = "t1"
    ) -> receipts.Recorded:
        said, _ = decided(
            self.store,
            lambda: receipts.record(self.store, task, receipt, role, status, thread_id=thread),
        )
        return said

    def everything(self) -> list[Record]:
        return [*self.store.records(receipts.OWNER), *self.store.records("postroom/wakes")]


@pytest.fixture
def office() -> Office:
    return Office()


def test_what_was_sent_is_pending_from_then_on(office: Office) -> None:
    said = office.record(office.dispatch(), "worker", "sent", "worker-w")
    assert (said.status, said.thread_id) == ("sent", "worker-w")
    assert office.wake("worker/w").state is WakeState.SENT
    assert office.said("t1", "worker") == (Status.SKIPPED, Reason.WAKE_PENDING)


def test_a_poll_after_it_makes_the_wake_useful(office: Office) -> None:
    office.record(office.dispatch(), "worker", "sent", "worker-w")
    assert len(office.poll("worker/w")) == 1
    assert office.wake("worker/w").useful == 1


def test_a_dispatch_alone_reserves_nothing(office: Office) -> None:
    office.dispatch()
    assert office.said("t1", "worker") == (Status.READY, Reason.MAIL)


def test_skipped_fits_whom_the_plan_skips(office: Office) -> None:
    office.record(office.dispatch(), "manager", "skipped")
    assert office.wake("manager/m").state is WakeState.IDLE


def test_blocked_fits_who_has_no_thread_and_is_counted(office: Office) -> None:
    office.pair("t2", worker="w2", threads=False)
    office.mail("worker/w2")
    office.record(office.dispatch("t2"), "worker", "blocked", task="t2")
    assert office.wake("worker/w2").blocked == 1


@pytest.mark.parametrize(
    ("role", "status", "thread"),
    [
        ("worker", "skipped", None),
        ("worker", "blocked", None),
        ("worker", "sent", "another"),
        ("manager", "sent", "manager-m"),
        ("manager", "blocked", None),
        ("manager", "skipped", "another"),
    ],
)
def test_what_does_not_fit_is_a_conflict_and_changes_nothing(
    office: Office, role: str, status: str, thread: str | None
) -> None:
    receipt = office.dispatch()
    before = office.everything()
    with pytest.raises(Conflict):
        office.record(receipt, role, status, thread)
    assert office.everything() == before


def test_the_second_record_of_a_role_is_a_conflict_even_if_it_says_the_same(office: Office) -> None:
    receipt = office.dispatch()
    office.record(receipt, "worker", "sent", "worker-w")
    before = office.everything()
    for thread in ("worker-w", "another"):
        with pytest.raises(Conflict, match="is recorded"):
            office.record(receipt, "worker", "sent", thread)
    assert office.everything() == before
    office.record(receipt, "manager", "skipped")


def test_the_receipt_of_another_task_is_a_conflict_that_names_it(office: Office) -> None:
    office.pair("t2", worker="w2")
    receipt = office.dispatch("t2")
    with pytest.raises(Conflict, match="it is of task t2"):
        office.record(receipt, "worker", "skipped")


def test_what_is_unknown_is_refused(office: Office) -> None:
    with pytest.raises(Refused, match="unknown task"):
        office.record(office.dispatch(), "worker", "sent", "worker-w", task="t9")
    with pytest.raises(Refused, match="unknown receipt") as refused:
        office.record(NO_RECEIPT, "worker", "sent", "worker-w")
    assert not isinstance(refused.value, Conflict)


@pytest.mark.parametrize(
    ("receipt", "role", "status"),
    [("nonsense", "worker", "sent"), (NO_RECEIPT, "reviewer", "sent")],
)
def test_what_makes_no_sense_is_bad_input(office: Office, receipt: str, role: str, status: str) -> None:
    with pytest.raises(BadInput):
        office.record(receipt, role, status)


def test_sent_needs_the_thread_and_a_known_status(office: Office) -> None:
    receipt = office.dispatch()
    with pytest.raises(Conflict, match="sent to no thread"):
        office.record(receipt, "worker", "sent")
    with pytest.raises(BadInput, match="no status"):
        office.record(receipt, "worker", "done")


def test_a_wake_that_was_answered_before_it_is_recorded_is_useful_and_not_under_way(office: Office) -> None:
    receipt = office.dispatch()
    (mail,) = office.desk.poll("worker/w")
    office.record(receipt, "worker", "sent", "worker-w")
    wake, _ = wakes.find(office.store, "worker/w")
    assert (wake.state, wake.useful) == (WakeState.IDLE, 1)
    office.desk.ack(mail.id, mail.fence)
    office.mail("worker/w")
    assert planning.plan(office.store, "t1").actions[1].status is Status.READY


def test_a_second_wake_that_was_sent_all_the_same_is_counted_as_empty(office: Office) -> None:
    first, second = office.dispatch(), office.dispatch()
    office.record(first, "worker", "sent", "worker-w")
    office.record(second, "worker", "sent", "worker-w")
    wake, _ = wakes.find(office.store, "worker/w")
    assert (wake.state, wake.empty) == (WakeState.SENT, 1)


def test_a_receipt_from_before_the_thread_was_rotated_fits_no_more(office: Office) -> None:
    receipt = office.dispatch()
    _, write = threads.rotate(office.store, "worker/w", "worker-w", "worker-x")
    transact_one(office.store, Put((write,)))
    before = office.everything()
    with pytest.raises(Conflict, match="has thread worker-x now"):
        office.record(receipt, "worker", "sent", "worker-w")
    assert office.everything() == before


def test_a_receipt_of_an_earlier_pairing_fits_no_more(office: Office) -> None:
    receipt = office.dispatch()
    office.desk.unpair("t1")
    office.clock.advance(1)
    office.desk.pair("t1", "m", "w")
    with pytest.raises(Conflict, match="earlier pairing"):
        office.record(receipt, "worker", "sent", "worker-w")


def test_of_two_who_record_at_once_the_second_is_told_that_it_is_recorded(office: Office) -> None:
    receipt, once = office.dispatch(), [True]

    def decide() -> tuple[receipts.Recorded, Put]:
        decision = receipts.record(office.store, "t1", receipt, "worker", "sent", thread_id="worker-w")
        if once.pop() if once else False:
            office.record(receipt, "worker", "sent", "worker-w")
        return decision

    with pytest.raises(Conflict, match="is recorded"):
        decided(office.store, decide)
    assert office.wake("worker/w").state is WakeState.SENT


def test_old_receipts_of_the_task_are_forgotten(office: Office) -> None:
    office.pair("t2", worker="w2")
    other = office.dispatch("t2")
    made = [office.dispatch() for _ in range(receipts.KEPT_RECEIPTS + 3)]
    kept = [record.key for record in office.store.records(receipts.OWNER, "t1")]
    assert kept == made[3:]
    assert [record.key for record in office.store.records(receipts.OWNER, "t2")] == [other]


def test_receipts_are_told_apart_by_ids_that_grow(office: Office) -> None:
    ids = IdMaker(office.store.clock, Random(1))
    made = [receipts.dispatch(office.store, ids, "t1")[1] for _ in range(5)]
    assert made == sorted(set(made))
