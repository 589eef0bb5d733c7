"""How a lease ends, on every engine."""

from __future__ import annotations

import pytest
from port_verbs import (
    INBOX,
    SECOND,
    Engine,
    a_message,
    an_id,
    claim,
    counts,
    refusal,
    register,
    send,
    settle,
    settlement,
)

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.errors import Conflict, LostLease, UnknownInbox, UnknownMessage
from postroom.store.transact import transact, transact_one


def test_an_error_with_a_nul_in_it_is_kept(store: Engine) -> None:
    register(store, INBOX)
    send(store)
    (delivery,) = claim(store)
    settle(store, delivery, r.Verdict.DEAD, reason="rejected", error="bad\0byte")
    (dead,) = store.dead(None, 10)
    assert (dead.error or "").replace("\0", "\ufffd") == "bad\ufffdbyte"


def test_an_ack_makes_the_message_done_and_its_repeat_says_already(store: Engine) -> None:
    register(store, INBOX)
    send(store)
    (delivery,) = claim(store)
    assert not settle(store, delivery).already
    assert settle(store, delivery).already
    assert counts(store).done == 1


@pytest.mark.parametrize("verdict", list(r.Verdict))
def test_settling_twice_alike_is_answered_already(store: Engine, verdict: r.Verdict) -> None:
    register(store, INBOX)
    send(store)
    (delivery,) = claim(store)
    settle(store, delivery, verdict)
    assert settle(store, delivery, verdict).already
    assert store.verify().ok


def test_a_wrong_fence_has_lost_the_lease_and_is_counted(store: Engine) -> None:
    register(store, INBOX)
    send(store)
    (delivery,) = claim(store)
    delivery.fence += 1
    assert isinstance(refusal(store, settlement(delivery)), LostLease)
    assert counts(store).lost_leases == 1
    assert counts(store).leased == 1


def test_a_late_ack_after_somebody_else_took_over_is_refused(store: Engine, clock: ManualClock) -> None:
    register(store, INBOX, "manager/m")
    send(store)
    (late,) = claim(store, lease_us=SECOND)
    clock.advance(2)
    (current,) = claim(store)
    effects = settlement(
        late,
        outputs=[r.Send(a_message("manager/m"))],
        writes=[r.Write("worker/a", "state", "", b"1")],
    )
    assert isinstance(refusal(store, effects), LostLease)
    assert store.records("worker/a") == []
    assert counts(store, "manager/m").accepted == 0
    assert settle(store, current).state == "done"


def test_a_late_ack_after_it_was_taken_back_is_refused(store: Engine, clock: ManualClock) -> None:
    register(store, INBOX)
    send(store)
    (late,) = claim(store, lease_us=SECOND)
    clock.advance(2)
    transact_one(store, r.Tick())
    assert isinstance(refusal(store, settlement(late)), LostLease)


def test_an_unknown_message_cannot_be_settled(store: Engine) -> None:
    operation = r.Settle(an_id(), 1, r.Verdict.ACK)
    assert isinstance(refusal(store, operation), UnknownMessage)


def test_a_retry_waits_by_the_schedule_and_the_last_one_is_dead(store: Engine, clock: ManualClock) -> None:
    register(store, INBOX)
    send(store, a_message(max_attempts=2))
    settle(store, claim(store)[0], r.Verdict.RETRY, error="boom")
    assert claim(store) == []
    clock.advance(1.31)
    assert settle(store, claim(store)[0], r.Verdict.RETRY, error="boom").state == "dead"
    (dead,) = store.dead(None, 10)
    assert (dead.reason, dead.error, dead.attempts) == ("attempts", "boom", 2)


def test_a_release_gives_the_attempt_back(store: Engine) -> None:
    register(store, INBOX)
    send(store)
    settle(store, claim(store)[0], r.Verdict.RELEASE)
    assert claim(store)[0].attempt == 1


def test_outputs_and_records_commit_with_the_ack(store: Engine) -> None:
    register(store, INBOX, "manager/m")
    send(store)
    (delivery,) = claim(store)
    done = settle(
        store,
        delivery,
        outputs=[r.Send(a_message("manager/m"), bounded=False)],
        writes=[r.Write("worker/a", "state", "", b"{}", 0)],
    )
    assert [output.state for output in done.outputs] == ["accepted"]
    assert counts(store, "manager/m").ready == 1
    assert store.records("worker/a", "state", "")[0].version == 1


def test_an_ack_whose_outputs_cannot_be_sent_changes_nothing(store: Engine) -> None:
    register(store, INBOX)
    send(store)
    (delivery,) = claim(store)
    bad = settlement(delivery, outputs=[r.Send(a_message("worker/none"))])
    assert isinstance(refusal(store, bad), UnknownInbox)
    assert counts(store).leased == 1


def test_an_ack_whose_output_id_is_taken_changes_nothing(store: Engine) -> None:
    register(store, INBOX)
    taken = a_message()
    send(store, taken)
    (delivery,) = claim(store)
    other = a_message(body=b"[1]")
    other.id = taken.id
    assert isinstance(refusal(store, settlement(delivery, outputs=[r.Send(other)])), Conflict)
    assert counts(store).leased == 1


def test_an_ack_with_a_stale_record_version_changes_nothing(store: Engine) -> None:
    register(store, INBOX)
    send(store)
    (delivery,) = claim(store)
    stale = settlement(delivery, writes=[r.Write("worker/a", "state", "", b"{}", 3)])
    assert isinstance(refusal(store, stale), Conflict)
    assert counts(store).leased == 1


def test_chained_writes_of_one_batch_are_kept_up_to_the_first_that_fails(store: Engine) -> None:
    register(store, INBOX)
    for _ in range(3):
        send(store)
    chain = [
        settlement(d, writes=[r.Write("worker/a", "state", "", b"%d" % n, n)])
        for n, d in enumerate(claim(store))
    ]
    chain[1].fence += 1
    first, second, third = transact(store, chain)
    assert isinstance(first, r.Settled)
    assert isinstance(second, LostLease)
    assert isinstance(third, Conflict)
    assert store.records("worker/a")[0].value == b"0"


def test_extending_a_lease_keeps_it_and_a_wrong_fence_does_not(store: Engine, clock: ManualClock) -> None:
    register(store, INBOX)
    send(store)
    (delivery,) = claim(store, lease_us=SECOND)
    transact_one(store, r.Extend(delivery.id, delivery.fence, 10 * SECOND))
    clock.advance(5)
    assert claim(store) == []
    assert isinstance(refusal(store, r.Extend(delivery.id, delivery.fence + 1, SECOND)), LostLease)
