"""What is asked of a server ahead of its time is answered as it would be later."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from port_verbs import INBOX, SECOND, a_message, claim, counts, register, send, session, settlement

from postroom.store import records as r
from postroom.store.postgres.clock import NOW
from postroom.store.postgres.engine import PostgresStore, open_postgres
from postroom.store.postgres.opening import connect
from postroom.store.transact import transact

LEASE_SECONDS = 60
HELD_SECONDS = 1.0


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    with closing(open_postgres(postgres_url, create=True)) as found:
        yield found


def test_numbers_foreseen_for_others_do_not_let_later_mail_overtake(store: PostgresStore) -> None:
    """A refused send and a group: what is inserted first are not as many as were sent."""
    register(store, "a/1", "a/2", "a/3", ordered=True)
    first, nobody, everybody = a_message("a/1"), a_message("nobody/x"), a_message("all:a")
    transact(store, [r.Send(first), r.Send(nobody), r.Send(everybody)])
    (delivered,) = claim(store, 1, "a/1")
    assert delivered.id == first.id


def test_mail_that_is_due_already_is_claimed_with_the_batch_that_brings_it(store: PostgresStore) -> None:
    register(store, INBOX)
    late = a_message(due_at=store.clock.now().wall - 5 * SECOND)
    _, claimed = transact(store, [r.Send(late), r.Claim((INBOX,), 5)])
    assert isinstance(claimed, r.Claimed)
    assert [delivery.id for delivery in claimed.deliveries] == [late.id]


@pytest.mark.parametrize("recipients", [1, 8])
def test_nothing_is_handed_over_past_mail_that_the_batch_gives_back(
    store: PostgresStore, recipients: int
) -> None:
    inboxes = [INBOX, *(f"worker/{n}" for n in range(1, recipients))]
    register(store, *inboxes)
    me = session(store)
    transact(store, [r.Send(a_message(inbox)) for inbox in inboxes])  # it knows them all now
    (held,) = claim(store, 1, session=me)
    sends = [r.Send(a_message(inbox), hand_to=me if inbox == INBOX else 0) for inbox in inboxes]
    answers = transact(store, [settlement(held, r.Verdict.RELEASE), *sends])
    assert all(answer.delivery is None for answer in answers if isinstance(answer, r.Accepted))
    assert counts(store).ready == 2


def test_a_lease_lasts_from_when_others_were_waited_for(store: PostgresStore) -> None:
    register(store, INBOX)
    transact(store, [r.Put((r.Write("owner", "kind", "key", b"1"),))])
    send(store)
    (held,) = claim(store, 1)
    with connect(store.place) as other, other.transaction():
        other.execute("SELECT 1 FROM record FOR UPDATE")
        release = threading.Timer(HELD_SECONDS, other.execute, ("COMMIT",))
        release.start()
        ack = settlement(held, writes=(r.Write("owner", "kind", "key", b"2"),))
        transact(store, [r.Send(a_message()), ack, r.Claim((INBOX,), 1, lease_us=LEASE_SECONDS * SECOND)])
        release.join()
        (now,) = other.execute(NOW).fetchone() or (0,)
        (ends,) = other.execute("SELECT rank FROM message WHERE state = 1").fetchone() or (0,)
    assert ends - now > (LEASE_SECONDS - HELD_SECONDS / 2) * SECOND


def test_who_only_acks_leaves_a_server_that_takes_no_changes_any_more(store: PostgresStore) -> None:
    register(store, INBOX)
    for _ in range(2):
        send(store)
    acks = [settlement(held, seq=held.seq) for held in claim(store, 2)]
    wire = store._write  # pyright: ignore[reportPrivateUsage]  # its link becomes that to a standby
    assert wire is not None
    wire.conn.execute("SET default_transaction_read_only TO on")
    answers = transact(store, acks)
    assert [answer.state for answer in answers if isinstance(answer, r.Settled)] == ["done", "done"]
    assert wire.closed
