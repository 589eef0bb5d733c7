"""Sessions, activations and keyed records, on every engine."""

from __future__ import annotations

from port_verbs import INBOX, SECOND, Engine, claim, do, refusal, register, send, session, settlement, state

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.errors import Conflict, LostLease
from postroom.store.transact import transact_one


def test_a_lapsed_session_loses_its_leases_but_only_turns_that_had_begun_are_charged(
    store: Engine, clock: ManualClock
) -> None:
    register(store, INBOX)
    begun, waiting = send(store), send(store)
    me = session(store, lease_us=SECOND)
    marks = store.turn_marks(me)
    first, _ = claim(store, session=me)
    marks.begin(first.seq)
    clock.advance(2)
    again = {d.id: d for d in claim(store, alone_ok=False) + claim(store)}
    assert (again[begun.id].attempt, again[begun.id].alone) == (2, True)
    assert (again[waiting.id].attempt, again[waiting.id].alone) == (1, False)


def test_a_lease_of_a_session_lasts_as_long_as_the_session_is_renewed(
    store: Engine, clock: ManualClock
) -> None:
    register(store, INBOX)
    send(store)
    me = session(store)
    claim(store, session=me)
    for _ in range(4):
        clock.advance(40)
        transact_one(store, r.RenewSession(me, 60 * SECOND))
    assert claim(store) == []


def test_a_session_that_lapsed_cannot_be_renewed(store: Engine, clock: ManualClock) -> None:
    me = session(store, lease_us=SECOND)
    clock.advance(2)
    assert isinstance(refusal(store, r.RenewSession(me, SECOND)), LostLease)


def test_a_closed_session_gives_its_leases_back_with_their_attempts(store: Engine) -> None:
    register(store, INBOX)
    send(store)
    me = session(store)
    claim(store, session=me)
    transact_one(store, r.CloseSession(me))
    assert claim(store)[0].attempt == 1


def test_a_session_may_be_closed_in_steps_and_holds_what_is_left_meanwhile(store: Engine) -> None:
    register(store, INBOX)
    me = session(store)
    do(store, r.Activate("manager/a", me), r.Term)
    for _ in range(5):
        send(store)
    claim(store, 5, session=me)
    steps = [do(store, r.CloseSession(me, 2), r.Changed).count for _ in range(2)]
    assert steps == [0, 0]
    assert [delivery.attempt for delivery in claim(store, 5)] == [1, 1, 1, 1]
    assert [term.session for term in store.activations()] == [me]
    assert [do(store, r.CloseSession(me, 2), r.Changed).count for _ in range(2)] == [1, 1]
    assert len(claim(store, 5)) == 1
    assert store.activations() == []


def test_only_one_live_session_holds_an_activation_and_terms_grow(store: Engine, clock: ManualClock) -> None:
    one, two = session(store), session(store, lease_us=600 * SECOND)
    first = do(store, r.Activate("dispatcher", one), r.Term)
    assert isinstance(refusal(store, r.Activate("dispatcher", two)), Conflict)
    clock.advance(61)
    second = do(store, r.Activate("dispatcher", two), r.Term)
    assert second.term > first.term
    assert isinstance(refusal(store, r.Put((r.Write("dispatcher", "x", "", b"1"),), term=first)), LostLease)


def test_an_activation_is_free_as_soon_as_the_process_of_its_holder_is_gone(
    store: Engine, gone_process: str
) -> None:
    heir, dead = session(store, "p2"), session(store, gone_process)
    do(store, r.Activate("manager/a", dead), r.Term)
    register(store, INBOX)
    send(store)
    (held,) = claim(store, session=dead)
    term = do(store, r.Activate("manager/a", heir), r.Term)
    assert term.term == 2
    assert state(store, held.id) == "ready"


def test_an_ack_under_an_old_term_is_refused(store: Engine) -> None:
    register(store, INBOX)
    send(store)
    me = session(store)
    term = do(store, r.Activate(INBOX, me), r.Term)
    (delivery,) = claim(store, session=me)
    transact_one(store, r.Deactivate(term))
    assert isinstance(refusal(store, settlement(delivery, term=term)), LostLease)


def test_records_are_written_all_or_none(store: Engine) -> None:
    transact_one(store, r.Put((r.Write("o", "k", "a", b"1"),)))
    both = r.Put((r.Write("o", "k", "b", b"2"), r.Write("o", "k", "a", b"3", 9)))
    assert isinstance(refusal(store, both), Conflict)
    assert [(x.key, x.value, x.version) for x in store.records("o", "k")] == [("a", b"1", 1)]


def test_a_record_can_be_deleted(store: Engine) -> None:
    transact_one(store, r.Put((r.Write("o", "k", "a", b"1"),)))
    transact_one(store, r.Put((r.Write("o", "k", "a", None, 1),)))
    assert store.records("o") == []


def test_a_session_whose_time_is_over_gives_its_leases_back_when_it_is_closed(
    store: Engine, clock: ManualClock
) -> None:
    register(store, INBOX)
    send(store)
    me = session(store, lease_us=SECOND)
    claim(store, session=me)
    clock.advance(2)
    do(store, r.CloseSession(me), r.Changed)
    assert store.verify().ok
    assert len(claim(store)) == 1
