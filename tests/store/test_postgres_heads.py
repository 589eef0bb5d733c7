"""While a server reads past much that is gone, claims begin where the last one has found mail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from port_verbs import INBOX, SECOND, a_message, claim, register, send, settlement
from told_clock import ToldClock

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.postgres import heads
from postroom.store.postgres.engine import PostgresStore, open_postgres
from postroom.store.postgres.heads import (
    AHEAD_US,
    FIRST,
    MARGIN_US,
    REST,
    SLOW_SECONDS,
    WHOLE_SECONDS,
    Head,
    Heads,
)
from postroom.store.transact import transact, transact_one

SOME = Head(1, 5)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_quick_look_leaves_no_head(clock: Clock) -> None:
    known = Heads(clock)
    known.found(1, FIRST, SOME, SLOW_SECONDS / 2, alone=True)
    assert known.of(1) == FIRST


def test_after_a_slow_look_claims_begin_there_for_ten_times_as_long(clock: Clock) -> None:
    known = Heads(clock)
    known.found(1, FIRST, SOME, 0.5, alone=True)
    assert (known.of(1), known.of(2)) == (SOME, FIRST)
    clock.now += REST * 0.5 - 0.1
    known.found(1, SOME, Head(1, 9), 0.001, alone=True)  # it moves on, and lasts no longer for that
    assert known.of(1) == Head(1, 9)
    clock.now += 0.2
    assert known.of(1) == FIRST


def test_a_look_that_had_to_wait_for_other_work_is_measured_again(clock: Clock) -> None:
    known = Heads(clock)
    known.found(1, FIRST, SOME, 0.5, alone=False)
    assert known.of(1) == FIRST
    assert known.in_doubt(1)
    known.found(1, FIRST, SOME, 0.001, alone=True)
    assert not known.in_doubt(1)


def test_a_slow_look_that_finds_nothing_tells_nothing(clock: Clock) -> None:
    known = Heads(clock)
    known.found(1, FIRST, None, 0.5, alone=True)
    assert known.of(1) == FIRST


@pytest.fixture
def slow_store(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresStore]:
    """Every look counts as slow, and rests for long."""
    monkeypatch.setattr(heads.Heads.__init__, "__defaults__", (Clock(), 0.0))
    monkeypatch.setattr(heads, "REST", 1e9)
    with closing(open_postgres(postgres_url, create=True)) as store:
        yield store


def _release(store: PostgresStore, delivery: r.Delivery) -> None:
    transact_one(store, settlement(delivery, r.Verdict.RELEASE))


def test_mail_given_back_waits_for_the_rest_but_never_for_good(slow_store: PostgresStore) -> None:
    register(slow_store, INBOX)
    ids = [send(slow_store).id for _ in range(6)]
    (first,) = claim(slow_store, 1)
    (second,) = claim(slow_store, 1)
    assert [first.id, second.id] == ids[:2]
    _release(slow_store, first)
    assert [delivery.id for delivery in claim(slow_store, 2)] == ids[2:4]
    assert {delivery.id for delivery in claim(slow_store, 3)} == {ids[0], *ids[4:]}


def test_an_ordered_inbox_keeps_its_order_all_the_same(slow_store: PostgresStore) -> None:
    register(slow_store, INBOX, ordered=True)
    ids = [send(slow_store).id for _ in range(4)]
    (first,) = claim(slow_store, 1)
    _release(slow_store, first)
    (again,) = claim(slow_store, 1)
    assert (first.id, again.id) == (ids[0], ids[0])


def test_what_others_do_in_the_same_transaction_is_waited_for_first(slow_store: PostgresStore) -> None:
    register(slow_store, INBOX)
    sent = [r.Send(a_message()) for _ in range(4)]
    for op in sent:
        *_, claimed = transact(slow_store, [op, r.Claim((INBOX,), 1)])
        assert isinstance(claimed, r.Claimed)
        assert [delivery.id for delivery in claimed.deliveries] == [op.message.id]


NEVER = 2**63 - 1


def test_leases_are_looked_for_from_where_they_could_have_ended_since_all_were_seen(clock: Clock) -> None:
    known = Heads(clock)
    whole = known.lapsing(500 * SECOND)
    assert whole == (0, 500 * SECOND + AHEAD_US)
    assert known.lapsing(500 * SECOND) == whole, "nobody has looked yet"
    known.lapsed(whole, NEVER)
    clock.now += WHOLE_SECONDS / 2
    assert known.lapsing(505 * SECOND) == (500 * SECOND - MARGIN_US, 505 * SECOND + AHEAD_US)
    clock.now += WHOLE_SECONDS
    assert known.lapsing(515 * SECOND).since == 0


def test_a_lease_that_had_ended_and_was_left_is_not_left_out(clock: Clock) -> None:
    """It may be of an inbox that nobody claimed from then."""
    known = Heads(clock)
    known.lapsed(known.lapsing(500 * SECOND), 3 * SECOND)
    assert known.lapsing(505 * SECOND).since == 3 * SECOND


def test_a_server_whose_clock_was_set_back_is_asked_for_all_leases(clock: Clock) -> None:
    known = Heads(clock)
    known.lapsed(known.lapsing(500 * SECOND), NEVER)
    assert known.lapsing(400 * SECOND).since == 0


def test_a_claim_takes_back_what_ended_while_only_others_were_claimed(
    postgres_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads.Heads.__init__, "__defaults__", (clock, SLOW_SECONDS))
    monkeypatch.setattr(heads, "MARGIN_US", 0)
    hands = ManualClock()
    with closing(open_postgres(postgres_url, create=True, clock=ToldClock(hands))) as store:
        register(store, INBOX, "worker/b")
        kept = send(store).id
        claim(store, 1, lease_us=SECOND)
        hands.advance(2)
        clock.now += WHOLE_SECONDS
        transact_one(store, r.Claim(("worker/b",), 1))
        clock.now += 1
        assert [delivery.id for delivery in claim(store, 1)] == [kept]
