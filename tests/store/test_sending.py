"""What a send does, on every engine."""

from __future__ import annotations

import pytest
from port_verbs import (
    INBOX,
    Engine,
    a_message,
    claim,
    counts,
    do,
    refusal,
    register,
    send,
    session,
    settle,
    state,
)

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.errors import Conflict, EmptyGroup, InboxEnded, InboxFull, Refused, UnknownInbox
from postroom.store.transact import transact, transact_one


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
