"""Guards that nothing else would miss, each with the loss it prevents."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest
import trio
from trio.testing import MockClock

from postroom.store import records as r
from postroom.store.backoff import CAP_US, backoff_us
from postroom.store.backup import restore
from postroom.store.clock import ManualClock
from postroom.store.commit import GroupCommit
from postroom.store.errors import LostLease, OutcomeUnknown, PostroomError, StoreFull
from postroom.store.memory import MemoryStore
from postroom.store.rules import inboxes
from postroom.store.sqlite import ballast, opening
from postroom.store.sqlite.file import FileStore, open_file
from postroom.store.transact import transact

INBOX = "worker/a"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[FileStore]:
    opened = open_file(tmp_path / "post.db", create=True, clock=clock, rng=Random(0))
    apply(opened, r.Register((r.InboxSpec(INBOX),)))
    yield opened
    opened.close()


def apply(store: FileStore | MemoryStore, *operations: r.Operation) -> list[Any]:
    """Apply in one transaction."""
    return list(transact(store, operations))


def message(number: int, to: str = INBOX, **fields: Any) -> r.NewMessage:
    raw = bytearray(number.to_bytes(16, "big"))
    raw[6], raw[8] = 0x80, 0x80
    return r.NewMessage(bytes(raw), to, "operator/cli", "t", b"1", **fields)


def sent(store: FileStore | MemoryStore, number: int, **fields: Any) -> r.Accepted:
    (answer,) = apply(store, r.Send(message(number, **fields)))
    assert isinstance(answer, r.Accepted), answer
    return answer


def claimed(store: FileStore | MemoryStore, limit: int = 1) -> list[r.Delivery]:
    (answer,) = apply(store, r.Claim((INBOX,), limit))
    assert isinstance(answer, r.Claimed), answer
    return answer.deliveries


def counts(store: FileStore | MemoryStore) -> r.InboxCounts:
    (found,) = store.counts(INBOX)
    return found


# What is durable


def test_a_begun_transaction_has_the_write_lock(store: FileStore, tmp_path: Path) -> None:
    store.begin()
    other = apsw.Connection(str(tmp_path / "post.db"))
    other.set_busy_timeout(0)
    with pytest.raises(apsw.BusyError):
        other.execute("BEGIN IMMEDIATE")
    store.rollback()
    other.close()


async def test_a_commit_under_way_is_brought_to_its_end_although_its_system_is_cancelled(
    autojump_clock: MockClock,
) -> None:
    store = MemoryStore(ManualClock(), commit_delay=1.0)
    commit = GroupCommit(store, rng=Random(0))
    answers: list[r.Answer] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(commit.run)
        commit.submit_nowait(r.Register((r.InboxSpec(INBOX),)), answers.append)
        await trio.sleep(0.1)
        nursery.cancel_scope.cancel()
    assert answers == [r.Changed(1)]
    assert [found.inbox for found in store.counts(INBOX)] == [INBOX]


class Doubtful(MemoryStore):
    """Its first commit fails, and it counts how often it is opened anew."""

    reopened = 0
    failures = 1

    def commit(self) -> None:
        if self.failures:
            self.failures -= 1
            raise OutcomeUnknown("the commit failed", "it was told to", "")
        super().commit()

    def reopen(self) -> None:
        self.reopened += 1
        super().reopen()


async def test_after_a_commit_of_unknown_outcome_the_store_is_opened_anew(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    store = Doubtful(ManualClock())
    commit = GroupCommit(store, rng=Random(0))
    await nursery.start(commit.run)
    with pytest.raises(OutcomeUnknown):
        await commit.submit(r.Register((r.InboxSpec(INBOX),)))
    assert store.reopened == 0
    await commit.submit(r.Register((r.InboxSpec(INBOX),)))
    assert store.reopened == 1


def test_an_inbox_of_a_rolled_back_batch_is_not_remembered(store: FileStore) -> None:
    hold = r.Send(message(1, "worker/b"), r.Unrouted.HOLD)
    store.begin()
    store.apply([hold])
    store.rollback()
    (held,) = apply(store, hold)
    assert isinstance(held, r.Accepted)
    assert [found.held for found in store.counts("worker/b")] == [1]
    assert store.verify().ok


def test_an_epoch_grows_with_each_life_whatever_the_clock_says() -> None:
    wall = 1_800_000_000_000_000
    first = opening.next_epoch(0, wall)
    assert opening.next_epoch(first, wall) == first + 1
    assert opening.next_epoch(first, 0) == first + 1
    assert opening.next_epoch(first, wall + 120_000_000) == first + 2


def test_a_store_whose_file_was_replaced_is_used_no_more(
    store: FileStore, tmp_path: Path, clock: ManualClock
) -> None:
    (tmp_path / "post.db").rename(tmp_path / "elsewhere.db")
    (tmp_path / "post.db").write_bytes((tmp_path / "elsewhere.db").read_bytes())
    clock.advance(60)
    with pytest.raises(PostroomError):
        sent(store, 1)


def test_a_created_store_has_its_ballast(tmp_path: Path) -> None:
    open_file(tmp_path / "post.db", create=True, ballast=1 << 20).close()
    assert ballast.ballast_size(tmp_path / "post.db") == 1 << 20


def test_sends_are_refused_before_acks_when_room_runs_out(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "post.db"
    free = [1 << 40]
    watch = ballast.Ballast(path, room=lambda _: ballast.Room(1 << 40, free[0]))
    open_file(path, create=True, clock=clock).close()
    store = FileStore(path, clock, Random(0), watch)
    apply(store, r.Register((r.InboxSpec(INBOX),)))
    sent(store, 1)
    (delivery,) = claimed(store)
    free[0] = ballast.MIN_FREE_BYTES // 2
    clock.advance(60)
    (refused,) = apply(store, r.Send(message(2)))
    assert isinstance(refused, StoreFull)
    assert apply(store, r.Settle(delivery.id, delivery.fence, r.Verdict.ACK)) == [r.Settled("done")]
    store.close()


# Leases


def test_two_acks_in_one_batch_have_their_effects_once(store: FileStore) -> None:
    sent(store, 1)
    (delivery,) = claimed(store)
    ack = r.Settle(
        delivery.id,
        delivery.fence,
        r.Verdict.ACK,
        outputs=[r.Send(message(2), bounded=False)],
        writes=[r.Write("o", "k", "key", b"1", 0)],
    )
    first, second = apply(store, ack, ack)
    assert (first.state, first.already, second.state, second.already) == ("done", False, "done", True)
    assert counts(store).done == 1
    assert [record.version for record in store.records("o")] == [1]


@pytest.mark.parametrize("verdict", [r.Verdict.ACK, r.Verdict.DEAD, r.Verdict.RELEASE])
def test_another_settlement_under_the_same_fence_has_lost_the_lease(
    store: FileStore, verdict: r.Verdict
) -> None:
    sent(store, 1)
    (delivery,) = claimed(store)
    apply(store, r.Settle(delivery.id, delivery.fence, r.Verdict.RETRY))
    (late,) = apply(store, r.Settle(delivery.id, delivery.fence, verdict))
    assert isinstance(late, LostLease)
    assert counts(store).lost_leases == 1


def test_records_under_an_old_term_are_refused(store: FileStore) -> None:
    (first,) = apply(store, r.OpenSession("one", "test", "", 60_000_000))
    (second,) = apply(store, r.OpenSession("two", "test", "", 60_000_000))
    (old,) = apply(store, r.Activate("a", first.id))
    apply(store, r.Deactivate(old))
    (new,) = apply(store, r.Activate("a", second.id))
    write = (r.Write("a", "k", "key", b"1"),)
    (refused,) = apply(store, r.Put(write, old))
    assert isinstance(refused, LostLease)
    assert store.records("a") == []
    assert apply(store, r.Put(write, new)) == [r.Changed(1)]


def test_a_release_under_a_paused_key_gives_the_attempt_back(store: FileStore) -> None:
    sent(store, 1, correlation_id="c")
    (delivery,) = claimed(store)
    apply(store, r.Control(INBOX, r.Switch.PAUSE, "c"))
    apply(store, r.Settle(delivery.id, delivery.fence, r.Verdict.RELEASE))
    found = store.message(delivery.id)
    assert found is not None
    assert (found.state, found.attempts) == ("held", 0)


# Fates


def test_folded_counts_are_kept(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inboxes, "FOLD_AT", 2)
    monkeypatch.setattr("postroom.store.rules.tx.FOLD_AT", 2)
    for number in range(1, 8):
        sent(store, number)
    assert counts(store).accepted == 7
    assert store.verify().ok


def test_the_pause_before_a_retry_grows_to_its_cap_and_varies() -> None:
    rng = Random(1)
    pauses = [[backoff_us(attempt, rng) for _ in range(200)] for attempt in range(1, 40)]
    assert max(map(max, pauses)) <= CAP_US * 1.3
    assert min(pauses[0]) >= 700_000
    assert max(pauses[0]) <= 1_300_000
    assert min(pauses[-1]) >= CAP_US * 0.7
    assert all(len(set(some)) > 100 for some in pauses)
    means = [sum(some) / len(some) for some in pauses[:8]]
    assert all(1.8 < later / earlier < 2.2 for earlier, later in pairwise(means))


def test_mail_past_its_expiry_is_not_claimed_however_much_expires_at_once(
    store: FileStore, clock: ManualClock
) -> None:
    for first in (1, 1001):
        sends = [r.Send(message(n, ttl_us=1_000_000)) for n in range(first, first + 1000)]
        apply(store, *sends)
    clock.advance(2)
    assert claimed(store, 10) == []


def test_mail_that_becomes_ready_rings(store: FileStore, clock: ManualClock) -> None:
    sent(store, 1, delay_us=1_000_000)
    store.rung()
    clock.advance(2)
    apply(store, r.Tick())
    assert store.rung() == {INBOX}


def test_verify_finds_a_message_that_was_taken_away(store: FileStore, tmp_path: Path) -> None:
    sent(store, 1)
    sent(store, 2)
    other = opening.connect(str(tmp_path / "post.db"))
    other.execute("DELETE FROM message WHERE seq = 1")
    other.close()
    found = store.verify()
    assert not found.ok
    assert (found.accepted, found.unaccounted) == (2, 1)


@pytest.mark.parametrize("same_minute", [True, False], ids=["at once", "later"])
def test_a_lease_of_before_a_restore_settles_nothing_after_it(
    store: FileStore, tmp_path: Path, clock: ManualClock, same_minute: bool
) -> None:
    sent(store, 1)
    store.backup(str(tmp_path / "copy.db"))
    (delivery,) = claimed(store)
    store.close()
    if not same_minute:
        clock.advance(3600)
    before = opening.next_epoch(0, clock.now().wall)
    restore(tmp_path / "copy.db", f"sqlite:///{tmp_path}/post.db", force=True, clock=clock)
    again = open_file(tmp_path / "post.db", create=False, clock=clock)
    (taken,) = claimed(again)
    assert taken.fence >> 20 > delivery.fence >> 20
    assert taken.fence >> 20 >= before
    (late,) = apply(again, r.Settle(delivery.id, delivery.fence, r.Verdict.ACK))
    assert isinstance(late, LostLease)
    (accepted,) = apply(again, r.Send(message(2)))
    assert isinstance(accepted, r.Accepted)
    (fresh,) = claimed(again)
    assert fresh.fence >> 20 == taken.fence >> 20
    again.close()


def test_a_bounce_that_bounces_tells_nobody(store: FileStore) -> None:
    other = "manager/m"
    apply(store, r.Register((r.InboxSpec(other),)))
    apply(store, r.Send(r.NewMessage(message(1).id, INBOX, other, "t", b"1")))
    apply(store, r.Control(INBOX, r.Switch.END))
    assert [found.type for found in store.peek(other, 9)] == ["postroom.bounce"]
    apply(store, r.Register((r.InboxSpec(INBOX),)))
    apply(store, r.Control(other, r.Switch.END))
    assert [found.bounced for found in store.counts(other)] == [1]
    assert counts(store).accepted == 1
