"""What time does to messages, on every engine."""

from __future__ import annotations

import pytest
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
from postroom.store.errors import Conflict, UnknownInbox
from postroom.store.transact import transact_one


def test_a_delayed_message_is_ready_when_it_is_due(store: Engine, clock: ManualClock) -> None:
    register(store, INBOX)
    send(store, a_message(delay_us=5 * SECOND))
    assert claim(store) == []
    assert counts(store).delayed == 1
    clock.advance(5)
    assert counts(store).ready == 1
    assert len(claim(store)) == 1


def test_an_expired_message_is_never_delivered(store: Engine, clock: ManualClock) -> None:
    register(store, INBOX)
    gone = send(store, a_message(ttl_us=SECOND))
    clock.advance(1)
    assert claim(store) == []
    assert state(store, gone.id) == "expired"
    assert store.verify().ok


@pytest.mark.parametrize("store", ["sqlite", "memory"], indirect=True)
def test_durations_do_not_heed_a_step_of_the_wall_clock(store: Engine, clock: ManualClock) -> None:
    register(store, INBOX)
    send(store, a_message(delay_us=60 * SECOND, ttl_us=120 * SECOND))
    clock.step_wall(3600)
    assert claim(store) == []
    assert counts(store).delayed == 1
    clock.step_wall(-7200)
    clock.advance(60)
    assert len(claim(store)) == 1


def test_a_time_given_as_wall_time_heeds_a_step_of_the_wall_clock(store: Engine, clock: ManualClock) -> None:
    register(store, INBOX)
    send(store, a_message(due_at=clock.now().wall + 3600 * SECOND))
    assert claim(store) == []
    clock.step_wall(3600)
    assert len(claim(store)) == 1


def test_a_tick_does_what_is_due_and_says_when_to_come_again(store: Engine, clock: ManualClock) -> None:
    register(store, INBOX)
    send(store, a_message(delay_us=2 * SECOND))
    first = do(store, r.Tick(), r.Ticked)
    assert (first.promoted, first.next_due_us) == (0, 2 * SECOND)
    clock.advance(2)
    assert do(store, r.Tick(), r.Ticked).promoted == 1
    assert store.rung() == {INBOX}


def test_final_rows_are_forgotten_in_time_but_counted_and_their_ids_remembered(
    store: Engine, clock: ManualClock
) -> None:
    register(store, INBOX)
    message = a_message()
    send(store, message)
    settle(store, claim(store)[0])
    send(store)
    clock.advance(8 * 86_400)
    sweep = r.Sweep(7 * 86_400 * SECOND, 14 * 86_400 * SECOND)
    assert do(store, sweep, r.Changed).count == 1
    assert store.message(message.id) is None
    assert counts(store).done == 1
    assert store.verify().ok
    assert send(store, message).state == "duplicate"
    message.body = b"[]"
    assert isinstance(refusal(store, r.Send(message)), Conflict)


def test_dead_messages_stay_until_a_person_drops_them(store: Engine, clock: ManualClock) -> None:
    register(store, INBOX)
    send(store)
    settle(store, claim(store)[0], r.Verdict.DEAD)
    send(store)
    clock.advance(30 * 86_400)
    transact_one(store, r.Sweep(SECOND, SECOND))
    assert len(store.dead(None, 10)) == 1


def test_history_tells_a_messages_whole_life(store: Engine, clock: ManualClock) -> None:
    register(store, INBOX)
    sent = send(store)
    settle(store, claim(store)[0], r.Verdict.RETRY, delay_us=SECOND, error="boom")
    clock.advance(1)
    settle(store, claim(store)[0])
    message = store.message(sent.id)
    assert message is not None
    assert [e.event for e in message.history] == ["send", "claim", "retry", "due", "claim", "ack"]
    assert [e.attempt for e in message.history] == [0, 1, 1, 1, 2, 2]


def test_peek_changes_nothing_and_shows_the_claiming_order(store: Engine) -> None:
    register(store, INBOX)
    normal, urgent = send(store), send(store, a_message(priority=3))
    assert [m.id for m in store.peek(INBOX, 10)] == [urgent.id, normal.id]
    assert counts(store).leased == 0


def test_nothing_of_a_rolled_back_batch_remains(store: Engine) -> None:
    store.begin()
    store.apply([r.Register((r.InboxSpec(INBOX),)), r.Send(a_message())])
    store.rollback()
    assert store.counts() == []
    assert isinstance(refusal(store, r.Send(a_message())), UnknownInbox)
