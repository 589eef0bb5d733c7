"""Eight clients of one server at the same mail at the same moment: leases, sessions and terms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from random import Random

import pytest
from port_verbs import INBOX, SECOND, a_message, an_id, claim, counts, do, register, send, session, settlement
from rivals import MANY, PATIENCE_SECONDS, Rivals, asked, portable, with_isolation, words

from postroom.store import records as r
from postroom.store.errors import Conflict, LostLease
from postroom.store.identity import id_text
from postroom.store.postgres.engine import PostgresStore
from postroom.store.postgres.opening import connect
from postroom.store.process import this_process
from postroom.store.transact import transact

ISOLATIONS = ("read committed", "repeatable read", "serializable")


@pytest.fixture(params=[str, pytest.param(portable, marks=pytest.mark.long)])
def rivals(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[Rivals]:
    """Where transactions are REPEATABLE READ unless they say otherwise, as some databases have it."""
    with Rivals(with_isolation(request.param(postgres_url), "repeatable read")) as all_of_them:
        register(all_of_them.first, INBOX)
        yield all_of_them


@pytest.mark.parametrize("level", ISOLATIONS)
def test_every_message_is_claimed_by_one_of_eight(postgres_url: str, level: str) -> None:
    with Rivals(with_isolation(postgres_url, level)) as rivals:
        register(rivals.first, INBOX)
        _claim_all(rivals)


def _claim_all(rivals: Rivals) -> None:
    ids = [send(rivals.first).id for _ in range(60)]

    def take(store: PostgresStore, n: int) -> list[bytes]:
        taken: list[bytes] = []
        while counts(store).ready:
            taken += [delivery.id for delivery in claim(store, 1 + n)]
        return taken

    assert sorted(id for taken in rivals.together(take) for id in taken) == sorted(ids)


def test_a_claim_that_is_repeated_while_it_is_made_is_answered_what_it_leases(rivals: Rivals) -> None:
    for n in range(8):
        for _ in range(MANY):
            send(rivals.first)
        answers = rivals.all_ask(r.Claim((INBOX,), 2, key=f"poll-{n}"))
        ids = {tuple(d.id for d in answer.deliveries) for answer in answers if isinstance(answer, r.Claimed)}
        assert len(ids) == 1
        assert counts(rivals.first).leased == 2
        for id in ids.pop():
            found = rivals.first.message(id)
            assert found is not None
            asked(rivals.first, r.Settle(id, found.fence, r.Verdict.ACK))
        asked(rivals.first, r.Control(INBOX, r.Switch.PURGE))


def test_of_eight_acks_of_one_lease_one_stands_and_the_others_are_told(rivals: Rivals) -> None:
    for _ in range(8):
        send(rivals.first)
        (delivery,) = claim(rivals.first)
        effect = r.Write("ledger", "effect", id_text(delivery.id), b"1")
        ack = settlement(delivery, writes=[effect], outputs=[r.Send(a_message(), bounded=False)])
        assert words(rivals.all_ask(ack)) == ["already"] * 7 + ["done"]
        (kept,) = rivals.first.records("ledger", "effect", effect.key)
        assert kept.version == 1
        assert [settled.state for settled in _acked(rivals.first)] == ["done"]


def _acked(store: PostgresStore) -> list[r.Settled]:
    """Acknowledge what is there to be claimed."""
    return [do(store, settlement(delivery), r.Settled) for delivery in claim(store)]


def test_of_several_verdicts_on_one_lease_one_stands(rivals: Rivals) -> None:
    verdicts = (*r.Verdict, *r.Verdict)
    for _ in range(8):
        send(rivals.first)
        (delivery,) = claim(rivals.first)
        answers = rivals.each_asks(
            [settlement(delivery, verdict, delay_us=3600 * SECOND) for verdict in verdicts]
        )
        told = Counter(words(answers))
        assert (told["already"], told["lost_lease"]) == (1, 6), told
        for verdict in (r.Control(INBOX, r.Switch.PURGE), r.Drop((delivery.id,))):
            asked(rivals.first, verdict)
        assert (
            sum((counts(rivals.first).ready, counts(rivals.first).delayed, counts(rivals.first).leased)) == 0
        )


def test_leases_that_end_while_they_are_extended_and_settled_do_nothing_twice(rivals: Rivals) -> None:
    ids = [send(rivals.first, a_message(max_attempts=100)).id for _ in range(24)]

    def race(store: PostgresStore, n: int) -> list[tuple[bytes, int]]:
        rng, won = Random(n), list[tuple[bytes, int]]()
        while (left := counts(store)).ready + left.leased + left.delayed:
            quick = rng.choice((500, 4_000, 20_000, 60 * SECOND, 60 * SECOND))
            for delivery in claim(store, rng.choice((1, 3)), lease_us=quick):
                if delivery.attempt > 1:
                    asked(store, r.Extend(delivery.id, delivery.fence, 5 * SECOND))
                if rng.random() < 0.3:
                    asked(store, r.Tick())
                effect = r.Write("ledger", "effect", id_text(delivery.id), b"1")
                answer = asked(store, settlement(delivery, writes=[effect]))
                if isinstance(answer, r.Settled) and not answer.already:
                    won.append((delivery.id, delivery.fence))
        return won

    won = [one for found in rivals.together(race) for one in found]
    assert sorted(id for id, _ in won) == sorted(ids)
    assert {record.version for record in rivals.first.records("ledger", "effect")} == {1}
    for id, fence in won:
        found = rivals.first.message(id)
        assert found is not None
        assert found.fence == fence


def test_of_eight_who_would_be_the_one_instance_one_is(rivals: Rivals) -> None:
    seats = [session(store, this_process()) for store in rivals.stores]
    answers = rivals.together(lambda store, n: asked(store, r.Activate("actor/one", seats[n])))
    assert Counter(map(type, answers)) == {r.Term: 1, Conflict: MANY - 1}


def test_no_term_is_given_twice_and_what_an_old_one_writes_is_refused(rivals: Rivals) -> None:
    seats = [session(store, this_process()) for store in rivals.stores]
    numbers = count()

    def take_turns(store: PostgresStore, n: int) -> list[int]:
        had: list[int] = []
        for _ in range(30):
            term = asked(store, r.Activate("actor/one", seats[n]))
            if isinstance(term, r.Term):
                write = r.Write("actor/one", "term", str(next(numbers)), b"1")
                assert isinstance(asked(store, r.Put((write,), term)), r.Changed)
                assert do(store, r.Deactivate(term), r.Changed).count == 1
                assert isinstance(asked(store, r.Put((write,), term)), LostLease)
                had.append(term.term)
        return had

    terms = [term for had in rivals.together(take_turns) for term in had]
    assert sorted(terms) == list(range(1, len(terms) + 1))
    assert len(rivals.first.records("actor/one", "term")) == len(terms)


def test_a_session_is_closed_only_after_a_claim_under_it_that_has_begun_before(rivals: Rivals) -> None:
    seat = session(rivals.first, this_process())
    send(rivals.first)
    claimer, closer, watcher = rivals.stores[:3]
    claimer.begin()
    claimer.apply([r.Claim((INBOX,), 1, seat)])
    with ThreadPoolExecutor(1) as threads, connect(watcher.place) as watching:
        closing = threads.submit(asked, closer, r.CloseSession(seat))
        while watching.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
            assert not closing.done()
        claimer.commit()
        closing.result(PATIENCE_SECONDS)
    assert (counts(rivals.first).leased, counts(rivals.first).ready) == (0, 1)


def test_a_session_that_is_closed_while_others_claim_under_it_keeps_nothing(rivals: Rivals) -> None:
    for _ in range(6):
        seat = session(rivals.first, this_process())
        for _ in range(2 * MANY):
            send(rivals.first)

        def claim_or_close(store: PostgresStore, n: int, mine: int = seat) -> r.Answer:
            return asked(store, r.Claim((INBOX,), 2, mine) if n else r.CloseSession(mine))

        rivals.together(claim_or_close)
        assert counts(rivals.first).leased == 0
        while _acked(rivals.first):
            pass


def test_sessions_of_processes_that_are_gone_are_taken_back_from_once(rivals: Rivals) -> None:
    gone = this_process().rpartition(":")[0] + ":0"
    for _ in range(6):
        seat = session(rivals.first, gone)
        for _ in range(6):
            send(rivals.first, a_message(max_attempts=9))
        held = claim(rivals.first, 6, session=seat)
        rivals.together(lambda store, n: asked(store, r.Tick() if n % 2 else r.Claim((INBOX,), 1)))
        asked(rivals.first, r.Tick())
        for delivery in held:
            found = rivals.first.message(delivery.id)
            assert found is not None
            assert sum(event.event == "take back" for event in found.history) == 1
        asked(rivals.first, r.Control(INBOX, r.Switch.PURGE))


def test_an_ordered_inbox_gives_one_at_a_time_and_in_order_to_eight(rivals: Rivals) -> None:
    """Also while what is ready is locked for a moment by somebody who would cancel it and may not."""
    inbox = "boss/ordered"
    register(rivals.first, inbox, ordered=True)
    sent = [send(rivals.first, a_message(inbox)).id for _ in range(30)]
    seen: list[bytes] = []

    def work(store: PostgresStore, n: int) -> None:
        while counts(store, inbox).done < len(sent):
            if n == 0:
                transact(store, [r.Cancel((*sent[len(seen) :], an_id())), r.Sweep(0, 100 * SECOND), r.Tick()])
                continue
            for delivery in claim(store, 5, inbox):
                seen.append(delivery.id)
                assert counts(store, inbox).leased == 1
                do(store, settlement(delivery), r.Settled)

    rivals.together(work)
    assert seen == sent
