"""Routes and limits against the model: groups, bounds with every policy, pauses, drains, ends, holds.

The machine is that of ``test_model`` with other weights: much is sent to small inboxes of every policy,
little is claimed. What it has found is told below as single cases.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from choosing import Chooser, Dice
from port_verbs import Engine, a_message, an_id, claim, counts, do, refusal, register, send, settlement, state
from store_walk import SECOND, World
from worlds import memory_world

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.errors import Conflict, InboxEnded, InboxFull
from postroom.store.transact import transact

POLICIES = ("reject", "block", "bounce", "drop-oldest")
WEIGHTS: tuple[Callable[[World, Chooser], r.Operation], ...] = (
    *(World.send,) * 12, *(World.control,) * 5, *(World.register,) * 4, *(World.claim,) * 3,
    *(World.settle,) * 4, World.requeue, World.cancel, World.put, World.tick,
)  # fmt: skip


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(4))
def test_routes_and_limits_are_as_the_model_says(policy: str, seed: int) -> None:
    world, dice = memory_world(), Dice(f"{policy} {seed}")
    specs = [
        r.InboxSpec(address, bound=2 + n, policy=policy) for n, address in enumerate(("worker/a", "worker/b"))
    ]
    world.do(r.Register(tuple(specs)))
    for step in range(60):
        if dice.number(0, 9) == 0:
            world.pass_time(dice)
        else:
            world.do(*(dice.of(WEIGHTS)(world, dice) for _ in range(dice.of((1, 1, 2, 4)))))
        if step % 4 == 3:
            world.check()
    world.judge()
    world.close()


def test_what_a_requeue_ends_to_free_dedup_keys_is_left_to_no_tick_of_its_batch() -> None:
    world = memory_world()
    dead, late = a_message(dedup_key="once"), a_message(ttl_us=SECOND)
    world.do(r.Send(dead), r.Send(late))
    world.do(r.Claim(("worker/a",), 1))
    leased = world.store.message(dead.id)
    assert leased is not None
    world.do(r.Settle(dead.id, leased.fence, r.Verdict.DEAD))
    world.clock.advance(2)
    world.model.now = world.clock.now().boot
    world.do(r.Requeue((dead.id,)), r.Tick())  # compares the answers
    world.check()
    seen = [world.store.message(m.id) for m in (dead, late)]
    assert [m and m.state for m in seen] == ["ready", "expired"]
    world.close()


@pytest.mark.parametrize("policy", POLICIES)
def test_repeating_a_send_to_a_full_inbox_answers_duplicate_and_changes_nothing(
    store: Engine, policy: str
) -> None:
    register(store, "worker/a", bound=2, policy=policy)
    first, second = a_message(), a_message()
    send(store, first)
    send(store, second)
    assert send(store, second).state == "duplicate"
    assert [state(store, m.id) for m in (first, second)] == ["ready", "ready"]
    assert counts(store).overflowed == 0


@pytest.mark.parametrize("switch", [r.Switch.END, r.Switch.DRAIN])
def test_repeating_a_send_answers_duplicate_although_its_recipient_has_ended(
    store: Engine, switch: r.Switch
) -> None:
    register(store, "worker/a")
    message = a_message()
    send(store, message)
    do(store, r.Control("worker/a", switch), r.Changed)
    assert send(store, message).state == "duplicate"
    assert isinstance(refusal(store, r.Send(a_message())), InboxEnded)


def test_a_repeat_in_one_batch_takes_no_room(store: Engine) -> None:
    register(store, "worker/a", bound=2)
    message = a_message()
    answers = transact(store, [r.Send(message), r.Send(message), r.Send(a_message())])
    assert [getattr(a, "state", a) for a in answers] == ["accepted", "duplicate", "accepted"]


def test_mail_that_expired_makes_room_for_all_of_a_batch(store: Engine, clock: ManualClock) -> None:
    register(store, "worker/a", bound=2)
    register(store, "worker/b", bound=1)
    send(store, a_message("worker/a", ttl_us=SECOND))
    send(store, a_message("worker/b", ttl_us=SECOND))
    clock.advance(2)
    answers = transact(store, [r.Send(a_message(to)) for to in ("worker/a", "worker/b", "worker/a")])
    assert [getattr(a, "state", a) for a in answers] == ["accepted"] * 3


def test_drop_oldest_drops_from_its_own_batch_too(store: Engine) -> None:
    register(store, "worker/a", bound=2, policy="drop-oldest")
    messages = [a_message() for _ in range(3)]
    answers = transact(store, [r.Send(m) for m in messages])
    assert [getattr(a, "state", a) for a in answers] == ["accepted"] * 3
    assert [state(store, m.id) for m in messages] == ["dead", "ready", "ready"]


def test_a_group_of_which_one_refuses_leaves_the_others_as_they_are(store: Engine) -> None:
    register(store, "worker/a", bound=1, policy="drop-oldest")
    register(store, "worker/b", bound=1)
    waiting = a_message("worker/a")
    send(store, waiting)
    send(store, a_message("worker/b"))
    assert isinstance(refusal(store, r.Send(a_message("all:worker"))), InboxFull)
    assert state(store, waiting.id) == "ready"


def test_a_conflict_of_one_copy_sends_no_other_copy(store: Engine) -> None:
    register(store, "worker/a")
    id = an_id()
    send(store, a_message("all:worker", id=id))
    register(store, "worker/b")
    assert isinstance(refusal(store, r.Send(a_message("all:worker", b"1", id=id))), Conflict)
    assert counts(store, "worker/b").accepted == 0


def test_copies_name_the_live_message_where_one_is_kept_out_by_its_dedup_key(store: Engine) -> None:
    register(store, "worker/a", "worker/b")
    live = a_message("worker/a", dedup_key="once")
    send(store, live)
    copies = send(store, a_message("all:worker", dedup_key="once")).copies
    assert copies[0] == live.id
    assert all(store.message(id) is not None for id in copies)


def test_a_dedup_key_is_free_when_its_message_has_expired(store: Engine, clock: ManualClock) -> None:
    register(store, "worker/a")
    send(store, a_message(dedup_key="once", ttl_us=SECOND))
    clock.advance(2)
    assert send(store, a_message(dedup_key="once")).state == "accepted"


def test_mail_held_for_a_role_before_its_first_member_makes_the_shared_inbox_no_member(store: Engine) -> None:
    send(store, a_message("any:worker"), unrouted=r.Unrouted.HOLD)
    register(store, "worker/a")
    send(store, a_message("all:worker"))
    assert counts(store, "any:worker").accepted == 1


def test_mail_held_for_a_role_without_members_is_ready_when_one_comes(store: Engine) -> None:
    register(store, "worker/a")
    do(store, r.Control("worker/a", r.Switch.END), r.Changed)
    held = send(store, a_message("any:worker"), unrouted=r.Unrouted.HOLD)
    assert held.state == "held"
    register(store, "worker/b")
    assert state(store, held.id) == "ready"


def test_an_inbox_that_is_no_member_stays_none_when_mail_was_held_for_it(store: Engine) -> None:
    send(store, a_message("worker/x"), unrouted=r.Unrouted.HOLD)
    register(store, "worker/a")
    register(store, "worker/x", member=False)
    send(store, a_message("all:worker"))
    assert counts(store, "worker/x").accepted == 1


def test_held_mail_that_is_delayed_waits_until_it_is_due(store: Engine, clock: ManualClock) -> None:
    sent = send(store, a_message(delay_us=60 * SECOND), unrouted=r.Unrouted.HOLD)
    register(store, "worker/a")
    assert claim(store) == []
    clock.advance(61)
    assert [d.id for d in claim(store)] == [sent.id]


def test_a_paused_key_holds_mail_that_is_requeued(store: Engine) -> None:
    register(store, "worker/a")
    send(store, a_message(correlation_id="red"))
    (dead,) = claim(store)
    transact(store, [settlement(dead, r.Verdict.DEAD)])
    do(store, r.Control("worker/a", r.Switch.PAUSE, "red"), r.Changed)
    do(store, r.Requeue((dead.id,)), r.Changed)
    assert claim(store) == []
    assert state(store, dead.id) == "held"


def test_two_outputs_of_one_ack_with_one_id_and_other_content_are_a_conflict(store: Engine) -> None:
    register(store, "worker/a", "out/put")
    send(store)
    (delivery,) = claim(store)
    id = an_id()
    outputs = [r.Send(a_message("out/put", body, id=id), bounded=False) for body in (b"1", b"2")]
    assert isinstance(refusal(store, settlement(delivery, outputs=outputs)), Conflict)
    assert state(store, delivery.id) == "leased"
