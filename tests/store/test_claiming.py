"""What a claim takes, on every engine."""

from __future__ import annotations

from msgspec import structs
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
from postroom.store.errors import UnknownInbox
from postroom.store.states import FENCE_BITS
from postroom.store.transact import transact_one


def test_claims_follow_priority_and_then_the_order_of_sending(store: Engine) -> None:
    register(store, INBOX)
    low, first, second, urgent = (send(store, a_message(priority=p)) for p in (0, 1, 1, 3))
    assert [d.id for d in claim(store)] == [urgent.id, first.id, second.id, low.id]


def test_a_claim_counts_the_attempt_and_raises_the_fence(store: Engine) -> None:
    register(store, INBOX)
    send(store)
    (first,) = claim(store)
    settle(store, first, r.Verdict.RETRY, delay_us=0)
    (second,) = claim(store)
    assert (first.attempt, second.attempt) == (1, 2)
    assert second.fence == first.fence + 1
    assert first.fence >> FENCE_BITS > 0


def test_nobody_claims_a_leased_message(store: Engine) -> None:
    register(store, INBOX)
    send(store)
    assert len(claim(store)) == 1
    assert claim(store) == []


def test_a_claim_of_an_unknown_inbox_is_refused(store: Engine) -> None:
    assert isinstance(refusal(store, r.Claim(("worker/none",), 1)), UnknownInbox)


def test_a_repeated_claim_with_its_key_answers_what_it_leased(store: Engine) -> None:
    register(store, INBOX)
    send(store)
    send(store)
    first = claim(store, 1, key="poll-1")
    assert claim(store, 1, key="poll-1") == first
    assert len(claim(store, 5, key="poll-2")) == 1


def test_an_expired_lease_comes_back_with_its_attempt_and_travels_alone(
    store: Engine, clock: ManualClock
) -> None:
    register(store, INBOX)
    send(store)
    claim(store, lease_us=SECOND)
    clock.advance(1)
    assert counts(store).ready == 1
    (again,) = claim(store)
    assert (again.attempt, again.alone) == (2, True)


def test_the_second_time_it_is_taken_back_a_message_waits_before_it_returns(
    store: Engine, clock: ManualClock
) -> None:
    register(store, INBOX)
    send(store)
    for _ in range(2):
        claim(store, lease_us=SECOND)
        clock.advance(1)
    assert claim(store) == []
    clock.advance(2)
    assert claim(store)[0].attempt == 3


def test_a_message_never_settled_is_dead_after_exactly_its_attempts(
    store: Engine, clock: ManualClock
) -> None:
    register(store, INBOX)
    id = send(store).id
    taken = 0
    while state(store, id) != "dead":
        taken += len(claim(store, lease_us=SECOND))
        clock.advance(400)
        transact_one(store, r.Tick())
    assert taken == 5
    assert store.dead(None, 10)[0].reason == "attempts"


def test_a_message_that_travels_alone_is_not_claimed_with_others(store: Engine) -> None:
    register(store, INBOX)
    send(store)
    claim(store, lease_us=0)
    for _ in range(3):
        send(store)
    assert len(claim(store)) == 1


def test_a_claimer_that_may_not_take_a_lone_message_gets_the_others(store: Engine) -> None:
    register(store, INBOX)
    lone = send(store)
    claim(store, lease_us=0)
    others = [send(store).id for _ in range(2)]
    assert [d.id for d in claim(store, alone_ok=False)] == others
    assert [d.id for d in claim(store)] == [lone.id]


def test_a_claim_that_passes_over_a_lone_message_says_that_there_is_more(store: Engine) -> None:
    register(store, INBOX)
    urgent, lone = r.Claim((INBOX,), 10), send(store)
    claim(store, lease_us=0)
    send(store, a_message(INBOX, priority=3))
    first = do(store, urgent, r.Claimed)
    assert ([d.alone for d in first.deliveries], first.more) == ([False], True)
    second = do(store, urgent, r.Claimed)
    assert ([d.id for d in second.deliveries], second.more) == ([lone.id], False)


def test_a_claimer_that_may_not_take_a_lone_message_is_not_told_of_it(store: Engine) -> None:
    register(store, INBOX)
    send(store)
    claim(store, lease_us=0)
    assert do(store, r.Claim((INBOX,), 10, alone_ok=False), r.Claimed) == r.Claimed([])


def test_an_ordered_inbox_gives_one_message_at_a_time(store: Engine, clock: ManualClock) -> None:
    register(store, INBOX, ordered=True)
    first, second = send(store), send(store)
    (taken,) = claim(store)
    assert claim(store) == []
    settle(store, taken, r.Verdict.RETRY, delay_us=5 * SECOND)
    assert claim(store) == []
    clock.advance(5)
    assert [d.id for d in claim(store)] == [first.id]
    settle(store, structs.replace(taken, fence=taken.fence + 1))
    assert [d.id for d in claim(store)] == [second.id]
