"""Group commit: batching, cancellation, errors of the storage, and the lock of another process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import apsw
import pytest
import trio
import trio.testing

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.commit import LEAST_BATCH, GroupCommit
from postroom.store.errors import OutcomeUnknown, StoreBusy, StoreUnavailable, UnknownInbox
from postroom.store.events import BatchCommitted
from postroom.store.memory import MemoryStore
from postroom.store.sqlite.file import open_file

INBOX = "worker/a"


def message(number: int, to: str = INBOX) -> r.Send:
    raw = bytearray(number.to_bytes(16))
    raw[6], raw[8] = 0x80, 0x80
    return r.Send(r.NewMessage(bytes(raw), to, "operator/cli", "t", b"1"))


class Fixture:
    """A running group commit over a store in memory with a commit delay of one virtual second."""

    def __init__(self, commit_delay: float = 1.0) -> None:
        self.store = MemoryStore(ManualClock(), commit_delay=commit_delay)
        self.events: list[object] = []
        self.commit = GroupCommit(self.store, observer=self.events.append, rng=Random(0))

    @property
    def batches(self) -> list[int]:
        return [e.operations for e in self.events if isinstance(e, BatchCommitted)]

    def fail_once(self, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
        """Let the next commit fail, and those after it work again."""
        real: Callable[[], None] = self.store.commit

        def fail() -> None:
            monkeypatch.setattr(self.store, "commit", real)
            raise OutcomeUnknown("the commit failed", why, "repeat it")

        monkeypatch.setattr(self.store, "commit", fail)

    async def start(self, nursery: trio.Nursery) -> None:
        await nursery.start(self.commit.run)
        await self.commit.submit(r.Register((r.InboxSpec(INBOX),)))


async def test_what_gathers_during_a_commit_shares_the_next_transaction(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fixture = Fixture()
    await fixture.start(nursery)
    async with trio.open_nursery() as senders:
        for number in range(1, 51):
            senders.start_soon(fixture.commit.submit, message(number))
    assert sum(fixture.batches) == 51
    assert len(fixture.batches) <= 4
    assert fixture.store.counts(INBOX)[0].accepted == 50


async def test_a_refused_operation_raises_for_its_caller_alone(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fixture = Fixture()
    await fixture.start(nursery)
    good, bad = await fixture.commit.submit_many([message(1), message(2, "worker/none")])
    assert isinstance(good, r.Accepted)
    assert isinstance(bad, UnknownInbox)
    with pytest.raises(UnknownInbox):
        await fixture.commit.submit(message(3, "worker/none"))


async def test_a_send_cancelled_before_its_batch_never_happens(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fixture = Fixture()
    await fixture.start(nursery)
    nursery.start_soon(fixture.commit.submit, message(1))
    await trio.testing.wait_all_tasks_blocked()
    with trio.move_on_after(0.1) as scope:
        await fixture.commit.submit(message(2))
    assert scope.cancelled_caught
    await fixture.commit.submit(message(3))
    assert [m.id[-1] for m in fixture.store.peek(INBOX, 10)] == [1, 3]


async def test_a_send_cancelled_during_its_commit_leaves_the_batch_whole(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fixture = Fixture()
    await fixture.start(nursery)
    with trio.move_on_after(0.1):
        await fixture.commit.submit(message(1))
    assert (await fixture.commit.submit(message(1))) == r.Accepted(message(1).message.id, "duplicate")


async def test_a_settlement_under_way_is_shielded_and_gets_its_answer(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fixture = Fixture()
    await fixture.start(nursery)
    await fixture.commit.submit(message(1))
    claimed = await fixture.commit.submit(r.Claim((INBOX,), 1))
    assert isinstance(claimed, r.Claimed)
    (delivery,) = claimed.deliveries
    answers: list[r.Result] = []
    with trio.move_on_after(0.1):
        settle = r.Settle(delivery.id, delivery.fence, r.Verdict.ACK)
        answers.append(await fixture.commit.submit(settle))
    assert answers == [r.Settled("done")]


async def test_what_waits_when_the_committer_ends_is_told_that_it_never_happened(
    autojump_clock: trio.testing.MockClock,
) -> None:
    fixture = Fixture()
    errors: list[r.Answer] = []
    async with trio.open_nursery() as running:
        await fixture.start(running)
        fixture.commit.submit_nowait(message(1), errors.append)
        running.cancel_scope.cancel()
    assert len(errors) == 1
    with pytest.raises(StoreUnavailable, match="closed"):
        await fixture.commit.submit(message(2))


async def test_an_error_at_commit_is_an_unknown_outcome_for_the_whole_batch_and_the_next_one_works(
    autojump_clock: trio.testing.MockClock,
    nursery: trio.Nursery,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fixture = Fixture()
    await fixture.start(nursery)
    fixture.fail_once(monkeypatch, "disk I/O error")
    with pytest.raises(OutcomeUnknown):
        await fixture.commit.submit(message(1))
    assert isinstance(await fixture.commit.submit(message(1)), r.Accepted)


async def test_after_a_failure_it_goes_on_in_small_batches_that_grow_with_each_success(
    autojump_clock: trio.testing.MockClock,
    nursery: trio.Nursery,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fixture = Fixture()
    await fixture.start(nursery)
    fixture.fail_once(monkeypatch, "the disk is full")
    with pytest.raises(OutcomeUnknown):
        await fixture.commit.submit(message(1))
    fixture.events.clear()
    await fixture.commit.submit_many([message(number) for number in range(2, 102)])
    assert fixture.batches == [LEAST_BATCH, 2 * LEAST_BATCH, 100 - 3 * LEAST_BATCH]


async def test_doorbells_ring_after_the_commit(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fixture = Fixture()
    rung: list[set[str]] = []
    fixture.commit.on_rung = rung.append
    await fixture.start(nursery)
    await fixture.commit.submit(message(1))
    assert rung == [{INBOX}]


async def test_a_lock_that_stays_taken_is_reported_as_busy_and_nothing_is_kept(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    store = open_file(tmp_path / "p.db", create=True)
    commit = GroupCommit(store)
    await nursery.start(commit.run)
    foreign = apsw.Connection(
        f"file:{tmp_path}/p.db", flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI
    )
    foreign.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy):
        await commit.submit(r.Register((r.InboxSpec(INBOX),)))
    foreign.execute("ROLLBACK")
    foreign.close()
    await commit.submit(r.Register((r.InboxSpec(INBOX),)))
    assert [c.inbox for c in store.counts()] == ["any:worker", INBOX]
    nursery.cancel_scope.cancel()
    store.close()
