"""Random histories of the whole port against a tiny model, on every engine.

Every operation, single and in batches, with time that passes to just before, at and after each moment
at which something ends, handles that are lost, and batches that are undone: answers and everything
that can be seen must be as in the model, and no checker may find a breach.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from choosing import Dice
from hypothesis import settings
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
    session,
    settle,
    settlement,
    state,
)
from store_machine import PortMachine
from store_walk import World
from worlds import file_world, memory_world

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.errors import Conflict, LostLease
from postroom.store.transact import transact


class FileMachine(PortMachine):
    """The same on a file."""

    def open(self) -> World:
        self.directory = tempfile.TemporaryDirectory()
        return file_world(Path(self.directory.name) / "p.db")

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "directory"):
            self.directory.cleanup()


TestMemoryEngine = PortMachine.TestCase
TestMemoryEngine.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
TestFileEngine = FileMachine.TestCase
TestFileEngine.settings = settings(max_examples=8, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize("seed", range(8))
def test_a_long_walk_on_the_memory_engine_is_as_the_model(seed: int) -> None:
    world, dice = memory_world(), Dice(seed)
    for _ in range(120):
        world.step(dice)
    world.check()
    world.judge()
    world.close()


@pytest.mark.parametrize("seed", range(3))
def test_a_long_walk_on_a_file_is_as_the_model(seed: int, tmp_path: Path) -> None:
    world, dice = file_world(tmp_path / "p.db"), Dice(seed)
    for _ in range(60):
        world.step(dice)
    world.check()
    world.judge()
    world.close()


# What the walks have found, as single cases


@pytest.mark.parametrize("first", [r.Verdict.RETRY, r.Verdict.RELEASE, r.Verdict.DEAD])
def test_of_two_verdicts_on_one_lease_in_one_batch_only_the_first_stands(
    store: Engine, first: r.Verdict
) -> None:
    register(store, INBOX)
    send(store)
    (delivery,) = claim(store)
    effect = r.Write("ledger", "effect", "it", b"1")
    ack = settlement(delivery, writes=[effect])
    answers = transact(store, [settlement(delivery, first), ack, settlement(delivery, first)])
    assert isinstance(answers[1], LostLease)
    assert answers[2] == r.Settled(state(store, delivery.id), already=True)
    assert store.records("ledger") == []


def test_a_nack_that_is_repeated_after_its_pause_has_been_heard_before(store: Engine) -> None:
    register(store, INBOX)
    send(store)
    (delivery,) = claim(store)
    nack = settlement(delivery, r.Verdict.RETRY, delay_us=0)
    assert [do(store, nack, r.Settled).already, do(store, r.Tick(), r.Ticked).promoted] == [False, 1]
    assert do(store, nack, r.Settled) == r.Settled("ready", already=True)


@pytest.mark.parametrize("word", ["held", "bounced"])
def test_a_release_answers_the_state_that_its_message_has_then(store: Engine, word: str) -> None:
    register(store, INBOX)
    send(store, a_message(correlation_id="red"))
    (delivery,) = claim(store)
    end = r.Control(INBOX, r.Switch.PAUSE, "red") if word == "held" else r.Control(INBOX, r.Switch.END)
    do(store, end, r.Changed)
    released = settle(store, delivery, r.Verdict.RELEASE)
    assert (released.state, state(store, delivery.id)) == (word, word)
    assert settle(store, delivery, r.Verdict.RELEASE).already


@pytest.mark.parametrize("kind", [r.Requeue, r.Drop])
def test_naming_a_dead_message_twice_is_naming_it_once(
    store: Engine, kind: type[r.Requeue] | type[r.Drop]
) -> None:
    (id,) = _dead(store, a_message())
    assert do(store, kind((id, id)), r.Changed).count == 1


def test_naming_a_message_twice_cancels_it_once(store: Engine) -> None:
    register(store, INBOX)
    id = send(store).id
    assert do(store, r.Cancel((id, id)), r.Changed).count == 1


def test_of_two_dead_messages_with_one_dedup_key_not_both_are_requeued(store: Engine) -> None:
    ids = _dead(store, a_message(dedup_key="once"), a_message(dedup_key="once"))
    assert isinstance(refusal(store, r.Requeue(ids)), Conflict)
    assert [state(store, id) for id in ids] == ["dead", "dead"]


def test_a_repeated_claim_says_what_is_left_of_the_lease(store: Engine, clock: ManualClock) -> None:
    register(store, INBOX)
    send(store)
    claim(store, key="k", lease_us=10 * SECOND)
    clock.advance(4)
    assert [d.lease_us for d in claim(store, key="k", lease_us=10 * SECOND)] == [6 * SECOND]


def test_a_message_that_travels_alone_has_no_company_from_another_inbox(
    store: Engine, clock: ManualClock
) -> None:
    register(store, INBOX, "worker/b")
    send(store, a_message("worker/b"))
    claim(store, inbox="worker/b", lease_us=SECOND)
    clock.advance(2)
    send(store)
    both = do(store, r.Claim((INBOX, "worker/b"), 10), r.Claimed).deliveries
    assert [d.alone for d in both] == [False]
    assert [d.alone for d in claim(store, inbox="worker/b")] == [True]


def test_a_session_that_ends_in_a_batch_claims_nothing_in_it(store: Engine, clock: ManualClock) -> None:
    register(store, INBOX)
    sent = send(store)
    mine = session(store)
    batch: list[r.Operation] = [r.Activate("actor/a", mine), r.CloseSession(mine), r.Claim((INBOX,), 1, mine)]
    assert isinstance(transact(store, batch)[2], LostLease)
    clock.advance(1000)
    do(store, r.Tick(), r.Ticked)
    assert state(store, sent.id) == "ready"


@pytest.mark.parametrize("unknown", [0, 99])
def test_closing_a_session_that_was_never_opened_takes_nothing_back(store: Engine, unknown: int) -> None:
    register(store, INBOX)
    send(store)
    (delivery,) = claim(store)
    do(store, r.CloseSession(unknown), r.Changed)
    assert settle(store, delivery).state == "done"


def test_a_message_of_a_lapsed_session_is_shown_as_it_is_counted(store: Engine, clock: ManualClock) -> None:
    register(store, INBOX)
    sent = send(store)
    claim(store, session=session(store, lease_us=SECOND))
    clock.advance(2)
    assert (counts(store).ready, state(store, sent.id)) == (1, "ready")


def _dead(store: Engine, *messages: r.NewMessage) -> tuple[bytes, ...]:
    """The ids of these messages, each sent and rejected."""
    register(store, INBOX)
    for message in messages:
        send(store, message)
        settle(store, claim(store)[0], r.Verdict.DEAD)
    return tuple(message.id for message in messages)
