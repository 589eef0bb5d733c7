"""Inboxes as a whole, and dead letters, on every engine."""

from __future__ import annotations

from port_verbs import (
    INBOX,
    SECOND,
    Engine,
    a_message,
    claim,
    counts,
    do,
    refusal,
    register,
    send,
    settle,
    state,
)

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.errors import Conflict, InboxEnded
from postroom.store.memory import MemoryStore
from postroom.store.transact import transact_one

OTHER = "worker/other"


def test_a_paused_inbox_accepts_and_delivers_nothing_until_resumed(store: Engine) -> None:
    register(store, INBOX)
    first = send(store)
    transact_one(store, r.Control(INBOX, r.Switch.PAUSE))
    second = send(store)
    assert claim(store) == []
    transact_one(store, r.Control(INBOX, r.Switch.RESUME))
    assert [d.id for d in claim(store)] == [first.id, second.id]


def test_what_is_paused_is_told_anew_after_each_change(store: Engine) -> None:
    register(store, INBOX)
    register(store, OTHER)
    assert store.paused() == set()
    transact_one(store, r.Control(INBOX, r.Switch.PAUSE))
    assert store.paused() == {(INBOX, None)}
    transact_one(store, r.Control(OTHER, r.Switch.PAUSE, "k"))
    assert store.paused() == {(INBOX, None), (OTHER, "k")}
    transact_one(store, r.Control(INBOX, r.Switch.END))
    transact_one(store, r.Control(OTHER, r.Switch.RESUME, "k"))
    assert store.paused() == set()


def test_what_another_handle_pauses_is_told_too() -> None:
    store = MemoryStore(ManualClock())
    other = store.another_handle()
    register(store, INBOX)
    assert store.paused() == set()
    transact_one(other, r.Control(INBOX, r.Switch.PAUSE))
    assert store.paused() == {(INBOX, None)}


def test_a_draining_inbox_delivers_and_accepts_nothing(store: Engine) -> None:
    register(store, INBOX)
    send(store)
    transact_one(store, r.Control(INBOX, r.Switch.DRAIN))
    assert isinstance(refusal(store, r.Send(a_message())), InboxEnded)
    assert len(claim(store)) == 1


def test_a_paused_key_is_held_and_resumes_in_its_old_order(store: Engine) -> None:
    register(store, INBOX)
    held = send(store, a_message(correlation_id="c1"))
    transact_one(store, r.Control(INBOX, r.Switch.PAUSE, "c1"))
    later = send(store, a_message(correlation_id="c1"))
    other = send(store, a_message(correlation_id="c2"))
    assert [d.id for d in claim(store)] == [other.id]
    transact_one(store, r.Control(INBOX, r.Switch.RESUME, "c1"))
    assert [d.id for d in claim(store)] == [held.id, later.id]


def test_purging_cancels_what_nobody_has_claimed(store: Engine) -> None:
    register(store, INBOX)
    for _ in range(3):
        send(store)
    claim(store, 1)
    assert do(store, r.Control(INBOX, r.Switch.PURGE), r.Changed).count == 2
    assert (counts(store).cancelled, counts(store).leased) == (2, 1)
    assert store.verify().ok


def test_mail_that_returns_to_an_ended_inbox_bounces(store: Engine) -> None:
    register(store, INBOX)
    sent = send(store)
    (delivery,) = claim(store)
    transact_one(store, r.Control(INBOX, r.Switch.END))
    settle(store, delivery, r.Verdict.RELEASE)
    assert state(store, sent.id) == "bounced"


def test_a_requeued_message_has_all_attempts_again_and_a_higher_fence(store: Engine) -> None:
    register(store, INBOX)
    sent = send(store)
    (delivery,) = claim(store)
    settle(store, delivery, r.Verdict.DEAD, reason="rejected")
    transact_one(store, r.Requeue((sent.id,)))
    (again,) = claim(store)
    assert (again.attempt, again.fence > delivery.fence) == (1, True)
    assert counts(store).dead == 0
    assert store.verify().ok


def test_a_dropped_dead_letter_is_cancelled_and_counted_once(store: Engine) -> None:
    register(store, INBOX)
    sent = send(store)
    settle(store, claim(store)[0], r.Verdict.DEAD)
    transact_one(store, r.Drop((sent.id,)))
    assert (counts(store).dead, counts(store).cancelled) == (0, 1)
    assert isinstance(refusal(store, r.Drop((sent.id,))), Conflict)
    assert store.verify().ok


def test_a_timer_can_be_cancelled_before_it_is_due(store: Engine) -> None:
    register(store, INBOX)
    timer = send(store, a_message(delay_us=SECOND))
    transact_one(store, r.Cancel((timer.id,)))
    assert state(store, timer.id) == "cancelled"
