from __future__ import annotations

from typing import Any

import pytest

from postroom.mailbox.desk import Desk
from postroom.store.clock import ManualClock
from postroom.store.errors import (
    BadInput,
    Conflict,
    EmptyGroup,
    InboxEnded,
    InboxFull,
    LostLease,
    UnknownInbox,
)
from postroom.store.memory import MemoryStore
from postroom.store.records import Delivery, InboxSpec, Register
from postroom.store.transact import transact_one


def _given(desk: Desk, sender: str = "manager/m", **envelope: Any) -> Delivery:
    """A message to ``worker/w`` that has just been polled."""
    desk.send("worker/w", "task", b"{}", sender=sender, **envelope)
    (delivery,) = desk.poll("worker/w")
    return delivery


def test_what_is_sent_is_polled_with_its_envelope(desk: Desk) -> None:
    sent = desk.send("worker/w", "task", b'{"n":1}', correlation="c", reply_to="manager/m")
    assert sent.state == "accepted"
    (got,) = desk.poll("worker/w")
    assert (got.id, got.type, got.body, got.sender) == (sent.id, "task", b'{"n":1}', "operator/cli")
    assert (got.correlation_id, got.reply_to, got.attempt, got.lease_us) == ("c", "manager/m", 1, 60_000_000)


def test_sending_the_same_again_is_a_duplicate_and_something_else_a_conflict(desk: Desk) -> None:
    id = desk.send("worker/w", "task", b"1").id
    assert desk.send("worker/w", "task", b"1", id=id).state == "duplicate"
    with pytest.raises(Conflict):
        desk.send("worker/w", "task", b"2", id=id)
    assert desk.inbox("worker/w").accepted == 1


def test_a_dedup_key_names_the_live_message(desk: Desk) -> None:
    first = desk.send("worker/w", "task", b"1", dedup_key="k")
    again = desk.send("worker/w", "task", b"2", dedup_key="k")
    assert (again.state, again.id) == ("duplicate", first.id)


def test_mail_for_nobody_is_refused_or_held(desk: Desk) -> None:
    with pytest.raises(UnknownInbox):
        desk.send("worker/new", "task", b"1")
    with pytest.raises(EmptyGroup):
        desk.send("all:reviewer", "task", b"1")
    assert desk.send("worker/new", "task", b"1", hold=True).state == "held"
    assert desk.register("worker/new").count == 1
    assert len(desk.poll("worker/new")) == 1


def test_flags_are_sent_like_arguments(desk: Desk) -> None:
    desk.send_flags({"to": "worker/w", "type": "task", "body": [1], "from": "manager/m"})
    (got,) = desk.poll("worker/w")
    assert (got.sender, got.body) == ("manager/m", b"[1]")


def test_a_full_inbox_refuses_at_once(desk: Desk, store: MemoryStore, clock: ManualClock) -> None:
    transact_one(store, Register((InboxSpec("worker/w", bound=1),)))
    desk.send("worker/w", "task", b"1")
    before = clock.now()
    with pytest.raises(InboxFull):
        desk.send("worker/w", "task", b"2")
    assert clock.now() == before


def test_a_full_inbox_that_blocks_is_waited_for(desk: Desk, store: MemoryStore, clock: ManualClock) -> None:
    transact_one(store, Register((InboxSpec("worker/w", bound=1, policy="block"),)))
    got = _given(desk)
    theirs = Desk(store.another_handle(), desk.ids)
    start = clock.now().boot

    def nap(seconds: float) -> None:
        clock.advance(seconds)
        if clock.now().boot - start >= 5_000_000:
            theirs.ack(got.id, got.fence)

    assert Desk(store, desk.ids, nap=nap).send("worker/w", "task", b"2").state == "accepted"
    assert 5.0 <= (clock.now().boot - start) / 1e6 < 5.1


def test_a_full_inbox_that_blocks_is_not_waited_for_for_ever(
    desk: Desk, store: MemoryStore, clock: ManualClock
) -> None:
    transact_one(store, Register((InboxSpec("worker/w", bound=1, policy="block"),)))
    desk.send("worker/w", "task", b"1")
    start = clock.now().boot
    with pytest.raises(InboxFull):
        desk.send("worker/w", "task", b"2", block=3.0)
    assert 3.0 <= (clock.now().boot - start) / 1e6 < 3.1


def test_an_empty_inbox_answers_at_once(desk: Desk, clock: ManualClock) -> None:
    before = clock.now()
    assert desk.poll("worker/w") == []
    assert clock.now() == before


def test_a_waiting_poll_gives_up_when_its_time_is_over(desk: Desk, clock: ManualClock) -> None:
    start = clock.now().boot
    assert desk.poll("worker/w", wait=3.0) == []
    assert 3.0 <= (clock.now().boot - start) / 1e6 < 3.1


def test_a_waiting_poll_gets_mail_within_20_ms_of_its_commit(
    store: MemoryStore, clock: ManualClock, desk: Desk
) -> None:
    theirs = Desk(store.another_handle(), desk.ids)
    start = clock.now().boot
    sent_at = 0

    def nap(seconds: float) -> None:
        nonlocal sent_at
        clock.advance(seconds)
        if not sent_at and clock.now().boot - start > 1_000_000:
            sent_at = clock.now().boot
            theirs.send("worker/w", "task", b"1")

    waiting = Desk(store, desk.ids, nap=nap)
    assert len(waiting.poll("worker/w", wait=60.0)) == 1
    assert clock.now().boot - sent_at <= 21_000


def test_a_waiting_poll_gets_what_becomes_due_although_nobody_commits(desk: Desk, clock: ManualClock) -> None:
    desk.send("worker/w", "task", b"1", delay=10.0)
    start = clock.now().boot
    assert len(desk.poll("worker/w", wait=60.0)) == 1
    assert 10.0 <= (clock.now().boot - start) / 1e6 <= 10.5


def test_a_waiting_poll_naps_at_most_20_ms(store: MemoryStore, clock: ManualClock, desk: Desk) -> None:
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        clock.advance(seconds)

    Desk(store, desk.ids, nap=nap).poll("worker/w", wait=5.0)
    assert max(naps) <= 0.020


def test_members_of_a_role_also_claim_what_is_for_any_of_them(desk: Desk) -> None:
    desk.send("any:worker", "task", b"1")
    desk.send("worker/w", "task", b"2")
    assert [(d.recipient, d.body) for d in desk.poll("worker/w", max=5)] == [
        ("worker/w", b"2"),
        ("any:worker", b"1"),
    ]


def test_the_shared_inbox_can_be_polled_itself(desk: Desk) -> None:
    desk.send("any:worker", "task", b"1")
    assert len(desk.poll("any:worker")) == 1


def test_an_inbox_whose_role_shares_nothing_is_polled_alone(desk: Desk, store: MemoryStore) -> None:
    transact_one(store, Register((InboxSpec("reply/x", member=False),)))
    desk.send("reply/x", "task", b"1")
    assert len(desk.poll("reply/x")) == 1


def test_a_paused_inbox_gets_nothing_not_even_what_is_for_any(desk: Desk) -> None:
    desk.send("worker/w", "task", b"1")
    desk.send("any:worker", "task", b"2")
    desk.pause("worker/w")
    assert desk.poll("worker/w", wait=1.0) == []
    desk.resume("worker/w")
    assert len(desk.poll("worker/w", max=2)) == 2


def test_unknown_and_ended_inboxes_cannot_be_polled(desk: Desk) -> None:
    with pytest.raises(UnknownInbox):
        desk.poll("worker/new")
    desk.end("worker/w")
    with pytest.raises(InboxEnded):
        desk.poll("worker/w", wait=1.0)


def test_a_lapsed_lease_is_given_to_the_next(desk: Desk, clock: ManualClock) -> None:
    desk.send("worker/w", "task", b"1")
    (first,) = desk.poll("worker/w", lease=2.0)
    clock.advance(2.5)
    (second,) = desk.poll("worker/w")
    assert (second.id, second.attempt, second.fence != first.fence) == (first.id, 2, True)
    with pytest.raises(LostLease):
        desk.ack(first.id, first.fence)
    assert desk.ack(second.id, second.fence).state == "done"


def test_a_poll_repeated_with_its_key_is_given_the_same_again(desk: Desk) -> None:
    desk.send("worker/w", "task", b"1")
    desk.send("worker/w", "task", b"2")
    assert desk.poll("worker/w", key="k") == desk.poll("worker/w", key="k")
    assert desk.inbox("worker/w").leased == 1


@pytest.mark.parametrize(
    "arguments", [{"max": 0}, {"max": 5000}, {"wait": -1.0}, {"lease": 0.0}, {"lease": 1e9}, {"key": ""}]
)
def test_a_poll_that_means_nothing_is_refused(desk: Desk, arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        desk.poll("worker/w", **arguments)
