"""What a batch costs on a server: how often it is waited for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from port_verbs import INBOX, a_message, register

from postroom.store import records as r
from postroom.store.postgres.engine import PostgresStore, open_postgres
from postroom.store.postgres.wire import Wire
from postroom.store.transact import transact

SENDER = "worker/b"


class Waits:
    """Counts how often a program waits for the server."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        waiting = Wire._wait  # pyright: ignore[reportPrivateUsage]  # no public door is passed for each

        def counted(wire: Wire, reading: Any) -> None:
            self.count += 1
            waiting(wire, reading)

        monkeypatch.setattr(Wire, "_wait", counted)

    def of(self, store: PostgresStore, *batch: r.Operation) -> tuple[int, list[r.Answer]]:
        before = self.count
        answers = transact(store, batch)
        return self.count - before, answers


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    with closing(open_postgres(postgres_url, create=True)) as found:
        register(found, INBOX, SENDER)
        transact(found, [r.Send(a_message()), r.Send(a_message(SENDER))])  # it knows these inboxes
        yield found


@pytest.fixture
def waits(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> Waits:
    return Waits(monkeypatch)


@pytest.mark.parametrize("count", [1, 50])
def test_sending_takes_two(store: PostgresStore, waits: Waits, count: int) -> None:
    taken, answers = waits.of(store, *(r.Send(a_message()) for _ in range(count)))
    assert taken == 2
    assert {answer.state for answer in answers if isinstance(answer, r.Accepted)} == {"accepted"}


def _claimed(store: PostgresStore, waits: Waits, count: int) -> tuple[int, list[r.Delivery]]:
    transact(store, [r.Send(a_message()) for _ in range(count)])
    taken, answers = waits.of(store, r.Claim((INBOX,), count))
    (claimed,) = answers
    assert isinstance(claimed, r.Claimed)
    assert len(claimed.deliveries) == count
    return taken, list(claimed.deliveries)


@pytest.mark.parametrize("count", [1, 50])
def test_claiming_takes_three_and_settling_two(store: PostgresStore, waits: Waits, count: int) -> None:
    taken, deliveries = _claimed(store, waits, count)
    assert taken == 3
    acks = [r.Settle(one.id, one.fence, r.Verdict.ACK, seq=one.seq) for one in deliveries]
    taken, answers = waits.of(store, *acks)
    assert taken == 2
    assert [answer.state for answer in answers if isinstance(answer, r.Settled)] == ["done"] * count


def test_a_turn_that_sends_and_writes_takes_three(store: PostgresStore, waits: Waits) -> None:
    _, deliveries = _claimed(store, waits, 3)
    turns = [
        r.Settle(
            one.id,
            one.fence,
            r.Verdict.ACK,
            seq=one.seq,
            outputs=(r.Send(a_message(SENDER)), r.Send(a_message(INBOX))),
            writes=(r.Write("owner", "kind", str(one.seq), b"1", expect=0),),
        )
        for one in deliveries
    ]
    taken, answers = waits.of(store, *turns)
    assert all(isinstance(answer, r.Settled) and len(answer.outputs) == 2 for answer in answers)
    assert taken == 3


def test_a_repeat_is_found_out_at_the_end_and_answered_as_one(store: PostgresStore, waits: Waits) -> None:
    again = a_message()
    transact(store, [r.Send(again)])
    _, answers = waits.of(store, r.Send(a_message()), r.Send(again), r.Send(a_message()))
    assert [answer.state for answer in answers if isinstance(answer, r.Accepted)] == [
        "accepted",
        "duplicate",
        "accepted",
    ]
    assert store.verify(deep=True).ok
