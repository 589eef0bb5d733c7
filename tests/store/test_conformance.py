"""What every engine must do, in the words of the port."""

from __future__ import annotations

from itertools import count
from typing import TypeVar

import pytest

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.errors import (
    Conflict,
    EmptyGroup,
    InboxEnded,
    InboxFull,
    LostLease,
    PostroomError,
    Refused,
    UnknownInbox,
    UnknownMessage,
)
from postroom.store.memory import MemoryStore
from postroom.store.sqlite.file import FileStore
from postroom.store.states import FENCE_BITS
from postroom.store.transact import transact, transact_one

Engine = FileStore | MemoryStore
T = TypeVar("T")
SECOND = 1_000_000
INBOX = "worker/a"
_numbers = count(1)


def an_id(number: int | None = None) -> bytes:
    """A UUIDv8, so that the age of an id plays no part."""
    raw = bytearray((number or next(_numbers)).to_bytes(16))
    raw[6], raw[8] = 0x80, 0x80
    return bytes(raw)


def a_message(to: str = INBOX, body: bytes = b"{}", **fields: object) -> r.NewMessage:
    message = r.NewMessage(an_id(), to, "operator/cli", "job", body)
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def do(store: Engine, operation: r.Operation, kind: type[T]) -> T:
    answer = transact_one(store, operation)
    assert isinstance(answer, kind)
    return answer


def refusal(store: Engine, operation: r.Operation) -> PostroomError:
    (answer,) = transact(store, [operation])
    assert isinstance(answer, PostroomError), answer
    return answer


def register(store: Engine, *addresses: str, **fields: object) -> None:
    for address in addresses:
        spec = r.InboxSpec(address)
        for name, value in fields.items():
            setattr(spec, name, value)
        transact_one(store, r.Register((spec,)))


def send(store: Engine, message: r.NewMessage | None = None, **options: object) -> r.Accepted:
    operation = r.Send(message or a_message())
    for name, value in options.items():
        setattr(operation, name, value)
    return do(store, operation, r.Accepted)


def claim(store: Engine, limit: int = 10, inbox: str = INBOX, **fields: object) -> list[r.Delivery]:
    operation = r.Claim((inbox,), limit)
    for name, value in fields.items():
        setattr(operation, name, value)
    return do(store, operation, r.Claimed).deliveries


def settle(
    store: Engine, delivery: r.Delivery, verdict: r.Verdict = r.Verdict.ACK, **fields: object
) -> r.Settled:
    return do(store, settlement(delivery, verdict, **fields), r.Settled)


def settlement(delivery: r.Delivery, verdict: r.Verdict = r.Verdict.ACK, **fields: object) -> r.Settle:
    operation = r.Settle(delivery.id, delivery.fence, verdict)
    for name, value in fields.items():
        setattr(operation, name, value)
    return operation


def session(store: Engine, process: str = "p1", lease_us: int = 60 * SECOND) -> int:
    return do(store, r.OpenSession("runtime", "runtime", process, lease_us), r.Session).id


def counts(store: Engine, inbox: str = INBOX) -> r.InboxCounts:
    (found,) = store.counts(inbox)
    return found


def state(store: Engine, id: bytes) -> str:
    message = store.message(id)
    assert message is not None
    return message.state


# Sending


def test_a_sent_message_is_ready_and_counted(store: Engine) -> None:
    register(store, INBOX)
    accepted = send(store)
    assert accepted.state == "accepted"
    assert (counts(store).ready, counts(store).accepted) == (1, 1)
    assert store.rung() == {INBOX}


def test_mail_for_an_inbox_that_was_never_registered_is_refused(store: Engine) -> None:
    assert isinstance(refusal(store, r.Send(a_message())), UnknownInbox)
    assert store.verify().accepted == 0


def test_mail_held_for_an_unregistered_inbox_becomes_ready_when_it_registers(store: Engine) -> None:
    held = send(store, unrouted=r.Unrouted.HOLD)
    assert held.state == "held"
    register(store, INBOX)
    assert [d.id for d in claim(store)] == [held.id]


def test_mail_for_an_ended_inbox_is_refused_or_bounced_as_the_sender_chose(store: Engine) -> None:
    register(store, INBOX, "operator/cli")
    transact_one(store, r.Control(INBOX, r.Switch.END))
    assert isinstance(refusal(store, r.Send(a_message())), InboxEnded)
    assert send(store, unrouted=r.Unrouted.BOUNCE).state == "bounced"
    (notice,) = claim(store, inbox="operator/cli")
    assert notice.type == "postroom.bounce"
    assert store.verify().ok


def test_ending_an_inbox_bounces_what_waits_and_tells_the_senders(store: Engine) -> None:
    register(store, INBOX, "operator/cli")
    waiting = send(store)
    transact_one(store, r.Control(INBOX, r.Switch.END))
    assert state(store, waiting.id) == "bounced"
    assert len(claim(store, inbox="operator/cli")) == 1
    assert store.verify().ok


def test_a_bounce_never_bounces(store: Engine) -> None:
    register(store, INBOX, "operator/cli")
    send(store)
    transact_one(store, r.Control(INBOX, r.Switch.END))
    transact_one(store, r.Control("operator/cli", r.Switch.END))
    assert counts(store, "operator/cli").bounced == 1
    assert store.verify().accepted == 2


def test_the_same_message_sent_again_is_a_duplicate(store: Engine) -> None:
    register(store, INBOX)
    message = a_message()
    send(store, message)
    assert send(store, message).state == "duplicate"
    assert counts(store).accepted == 1


def test_a_duplicate_is_recognised_within_one_batch_and_after_the_ack(store: Engine) -> None:
    register(store, INBOX)
    message = a_message()
    first, second = transact(store, [r.Send(message), r.Send(message)])
    assert isinstance(first, r.Accepted)
    assert isinstance(second, r.Accepted)
    assert (first.state, second.state) == ("accepted", "duplicate")
    settle(store, claim(store)[0])
    assert send(store, message).state == "duplicate"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("body", b'{"a":1}'),
        ("type", "other"),
        ("sender", "operator/other"),
        ("priority", 3),
        ("correlation_id", "c"),
        ("dedup_key", "k"),
    ],
)
def test_the_same_id_with_other_content_is_a_conflict(store: Engine, field: str, value: object) -> None:
    register(store, INBOX)
    message = a_message()
    send(store, message)
    setattr(message, field, value)
    assert isinstance(refusal(store, r.Send(message)), Conflict)


def test_a_dedup_key_is_unique_among_live_messages_and_names_the_live_one(store: Engine) -> None:
    register(store, INBOX)
    first = send(store, a_message(dedup_key="k"))
    again = send(store, a_message(dedup_key="k"))
    assert (again.state, again.id) == ("duplicate", first.id)
    settle(store, claim(store)[0])
    assert send(store, a_message(dedup_key="k")).state == "accepted"


def test_an_id_older_than_ids_are_kept_is_refused(store: Engine, clock: ManualClock) -> None:
    register(store, INBOX)
    made = clock.now().wall // 1000 - 15 * 86_400_000
    old = a_message()
    old.id = made.to_bytes(6) + bytes([0x70]) + bytes(9)
    error = refusal(store, r.Send(old))
    assert isinstance(error, Refused)
    assert error.code == "id_too_old"


def test_a_refused_send_fails_alone_in_its_batch(store: Engine) -> None:
    register(store, INBOX)
    good, bad = transact(store, [r.Send(a_message()), r.Send(a_message("worker/none"))])
    assert isinstance(good, r.Accepted)
    assert isinstance(bad, UnknownInbox)


def test_a_full_inbox_refuses_sends_from_outside_turns(store: Engine) -> None:
    register(store, INBOX, bound=2)
    answers = transact(store, [r.Send(a_message()) for _ in range(3)])
    assert isinstance(answers[2], InboxFull)
    settle(store, claim(store, 1)[0])
    assert send(store).state == "accepted"


def test_what_a_turn_sends_is_accepted_past_the_bound_and_reported(store: Engine) -> None:
    register(store, INBOX, bound=1)
    send(store)
    assert send(store, bounded=False).overflow == INBOX
    assert counts(store).overflowed == 1


def test_drop_oldest_buries_the_oldest_visibly(store: Engine) -> None:
    register(store, INBOX, bound=1, policy="drop-oldest")
    first, second = send(store), send(store)
    assert (state(store, first.id), state(store, second.id)) == ("dead", "ready")
    assert store.dead(INBOX, 10)[0].reason == "overflow"
    assert store.verify().ok


def test_a_full_inbox_with_policy_bounce_bounces(store: Engine) -> None:
    register(store, INBOX, bound=1, policy="bounce")
    send(store)
    assert send(store).state == "bounced"


# Routes


def test_all_members_of_a_role_get_a_copy_and_each_copy_counts(store: Engine) -> None:
    register(store, "worker/a", "worker/b")
    accepted = send(store, a_message("all:worker"))
    assert len(set(accepted.copies)) == 2
    assert store.verify().accepted == 2


def test_the_same_message_to_a_group_again_is_a_duplicate(store: Engine) -> None:
    register(store, "worker/a", "worker/b")
    message = a_message("all:worker")
    send(store, message)
    assert send(store, message).state == "duplicate"
    assert store.verify().accepted == 2


@pytest.mark.parametrize("route", ["all:worker", "any:worker", "manager-of:task"])
def test_an_empty_group_is_refused(store: Engine, route: str) -> None:
    assert isinstance(refusal(store, r.Send(a_message(route))), EmptyGroup)


def test_mail_for_any_member_waits_in_the_shared_inbox_of_the_role(store: Engine) -> None:
    register(store, "worker/a", "worker/b")
    send(store, a_message("any:worker"))
    taken = do(store, r.Claim(("worker/b", "any:worker"), 5), r.Claimed).deliveries
    assert [d.recipient for d in taken] == ["any:worker"]


def test_mail_for_the_manager_of_a_task_goes_to_the_paired_manager(store: Engine) -> None:
    register(store, "manager/m")
    binding = b'{"manager":"manager/m","state":"active","worker":"worker/w"}'
    transact_one(store, r.Put((r.Write("postroom/pairs", "binding", "t1", binding),)))
    send(store, a_message("manager-of:t1"))
    assert counts(store, "manager/m").ready == 1


# Claiming


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


def test_an_ordered_inbox_gives_one_message_at_a_time(store: Engine, clock: ManualClock) -> None:
    register(store, INBOX, ordered=True)
    first, second = send(store), send(store)
    (taken,) = claim(store)
    assert claim(store) == []
    settle(store, taken, r.Verdict.RETRY, delay_us=5 * SECOND)
    assert claim(store) == []
    clock.advance(5)
    assert [d.id for d in claim(store)] == [first.id]
    settle(store, r.Delivery(**{**fields(taken), "fence": taken.fence + 1}))
    assert [d.id for d in claim(store)] == [second.id]


def fields(delivery: r.Delivery) -> dict[str, object]:
    return {name: getattr(delivery, name) for name in delivery.__struct_fields__}


# Hand-over


def test_a_message_is_handed_over_when_nothing_waits_before_it(store: Engine) -> None:
    register(store, INBOX)
    me = session(store)
    delivery = send(store, hand_to=me).delivery
    assert delivery is not None
    assert delivery.attempt == 1
    assert counts(store).leased == 1
    assert settle(store, delivery).state == "done"


def test_a_message_is_not_handed_over_past_one_that_waits(store: Engine) -> None:
    register(store, INBOX)
    send(store)
    assert send(store, hand_to=session(store)).delivery is None


def test_a_paused_inbox_is_handed_nothing(store: Engine) -> None:
    register(store, INBOX)
    transact_one(store, r.Control(INBOX, r.Switch.PAUSE))
    assert send(store, hand_to=session(store)).delivery is None


# Settling


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


# Time


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


# Pause, drain, purge


def test_a_paused_inbox_accepts_and_delivers_nothing_until_resumed(store: Engine) -> None:
    register(store, INBOX)
    first = send(store)
    transact_one(store, r.Control(INBOX, r.Switch.PAUSE))
    second = send(store)
    assert claim(store) == []
    transact_one(store, r.Control(INBOX, r.Switch.RESUME))
    assert [d.id for d in claim(store)] == [first.id, second.id]


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


# Dead letters


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


# Sessions and activations


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


def test_only_one_live_session_holds_an_activation_and_terms_grow(store: Engine, clock: ManualClock) -> None:
    one, two = session(store), session(store, lease_us=600 * SECOND)
    first = do(store, r.Activate("dispatcher", one), r.Term)
    assert isinstance(refusal(store, r.Activate("dispatcher", two)), Conflict)
    clock.advance(61)
    second = do(store, r.Activate("dispatcher", two), r.Term)
    assert second.term > first.term
    assert isinstance(refusal(store, r.Put((r.Write("dispatcher", "x", "", b"1"),), term=first)), LostLease)


def test_an_ack_under_an_old_term_is_refused(store: Engine) -> None:
    register(store, INBOX)
    send(store)
    me = session(store)
    term = do(store, r.Activate(INBOX, me), r.Term)
    (delivery,) = claim(store, session=me)
    transact_one(store, r.Deactivate(term))
    assert isinstance(refusal(store, settlement(delivery, term=term)), LostLease)


# Records


def test_records_are_written_all_or_none(store: Engine) -> None:
    transact_one(store, r.Put((r.Write("o", "k", "a", b"1"),)))
    both = r.Put((r.Write("o", "k", "b", b"2"), r.Write("o", "k", "a", b"3", 9)))
    assert isinstance(refusal(store, both), Conflict)
    assert [(x.key, x.value, x.version) for x in store.records("o", "k")] == [("a", b"1", 1)]


def test_a_record_can_be_deleted(store: Engine) -> None:
    transact_one(store, r.Put((r.Write("o", "k", "a", b"1"),)))
    transact_one(store, r.Put((r.Write("o", "k", "a", None, 1),)))
    assert store.records("o") == []


# Retention and verification


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
