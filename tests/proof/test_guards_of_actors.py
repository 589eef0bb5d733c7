"""Guards of the running side that nothing else would miss."""

from __future__ import annotations

import socket
import threading
from typing import Any, cast

import trio
from attrs import frozen
from faulty import Failure, FaultyStore
from handled import Log
from trio.testing import MockClock
from troupe import Adder, Answer, Echo, Job, final, state_of

from postroom import Actor, handles
from postroom.actors.wire import message as named
from postroom.mailbox import doorbell
from postroom.mailbox.ids import parse_id
from postroom.mailbox.outputs import BOUNCE
from postroom.store import records as r
from postroom.store.port import Store
from postroom.store.transact import transact
from postroom.testing import memory_store, open_testing_postroom, settled


async def test_an_actor_that_lost_its_term_stops_taking_mail(autojump_clock: MockClock) -> None:
    store = memory_store()
    async with open_testing_postroom(store=store) as office:
        await office.start("adder/main", Adder)
        await office.send("adder/main", Job(1))
        await settled(office)
        (session,) = transact(store, [r.OpenSession("thief", "test", "thief", 3_600_000_000)])
        assert isinstance(session, r.Session)
        (term,) = [term for term in store.activations() if term.name == "adder/main"]
        _, taken = transact(store, [r.Deactivate(term), r.Activate("adder/main", session.id)])
        assert isinstance(taken, r.Term)
        sent = await office.send("adder/main", Job(2))
        await trio.sleep(5)
        found = store.message(parse_id(sent))
        assert found is not None
        assert (found.state, found.attempts) == ("ready", 0)
        (counts,) = store.counts("adder/main")
        assert counts.lost_leases == 1
        transact(store, [r.Deactivate(taken)])
        await settled(office)
        assert state_of(office, "adder/main").total == 3
    store.close()


@named(BOUNCE)
@frozen
class Bounced:
    """What a sender is told whose mail bounced."""

    id: str


class Polite(Actor):
    """Answers whatever it gets."""

    @handles(Bounced)
    async def answer(self, bounce: Bounced) -> Answer:
        return Answer(1)


async def test_a_bounce_is_not_answered_by_an_actor(autojump_clock: MockClock) -> None:
    store = memory_store()
    async with open_testing_postroom(store=store) as office:
        await office.start("polite/main", Polite)
        await office.start("echo/main", Echo)
        bounce = r.NewMessage(
            bytes(6) + b"\x80\x00\x80" + bytes(7), "polite/main", "echo/main", BOUNCE, b'{"id":"x"}'
        )
        transact(store, [r.Send(bounce)])
        await settled(office)
        (counts,) = store.counts("echo/main")
        assert counts.accepted == 0
    store.close()


async def test_mail_is_given_back_although_the_store_is_away_for_a_moment(
    autojump_clock: MockClock,
) -> None:
    store, log = FaultyStore(), Log()

    def releasing(batch: Any) -> bool:
        return any(isinstance(op, r.Settle) and op.verdict is r.Verdict.RELEASE for op in batch)

    async with open_testing_postroom(store=store) as office:
        await office.start("log/main", log.actor())
        sent = await log.burden(office, "log/main", slow=2.0)
        await trio.sleep(1)
        (before,) = store.counts("log/main")
        assert before.leased > 1, "some of it has to be at hand"
        plan = store.plan(Failure.REFUSED, releasing)
        await office.stop("log/main")
        assert plan.times == 0
        (counts,) = store.counts("log/main")
        assert (counts.leased, counts.ready + counts.done) == (0, len(sent) + 60)


async def test_mail_that_reaches_a_closed_cell_is_given_back(autojump_clock: MockClock) -> None:
    store = memory_store(commit_delay=1.0)
    async with open_testing_postroom(store=store) as office:
        await office.start("echo/main", Echo)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(office.send, "echo/main", Job(1))
            await trio.sleep(0.1)
            nursery.start_soon(office.stop, "echo/main")
        await trio.sleep(10)
        (counts,) = store.counts("echo/main")
        assert (counts.leased, counts.accepted) == (0, 1)
        assert counts.ready + counts.done == 1
    store.close()


async def test_urgent_mail_goes_before_what_is_at_hand_already(autojump_clock: MockClock) -> None:
    order: list[int] = []

    class Slow(Actor):
        @handles(Job)
        async def note(self, job: Job) -> None:
            await trio.sleep(1.0)
            order.append(job.n)

    async with open_testing_postroom() as office:
        await office.start("slow/main", Slow)
        for n in range(3):
            await office.send("slow/main", Job(n))
        last = await office.send("slow/main", Job(9), priority="urgent")
        await final(office, last)
        await settled(office)
    assert order[0] == 0
    assert order.index(9) == 1


class Deaf:
    """A store that has changed, and whose watch never says so."""

    commits_in_thread = True

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()

    def on_commit(self, ring: object) -> None:
        """It tells nobody."""

    def watch(self) -> Deaf:
        return self

    def fileno(self) -> int:
        return self._ours.fileno()

    def drain(self) -> None:
        """There is nothing."""

    def changed_elsewhere(self) -> bool:
        return True

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()


async def test_a_commit_whose_bell_was_lost_is_heard_all_the_same(autojump_clock: MockClock) -> None:
    heard = trio.Event()

    async def hear() -> None:
        heard.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(doorbell.listen, cast(Store, Deaf()), hear)
        with trio.fail_after(2 * doorbell.SILENCE):
            await heard.wait()
        nursery.cancel_scope.cancel()


async def test_a_thread_that_outlives_its_deadline_does_nothing_to_the_next_turn(
    autojump_clock: MockClock,
) -> None:
    next_begun, gone_on = threading.Event(), threading.Event()

    class Blocking(Actor):
        @handles(Job, timeout=1)
        def work(self, job: Job) -> None:
            if job.n == 1:
                next_begun.wait(30)
                try:
                    self.send("echo/main", job)
                finally:
                    gone_on.set()
            else:
                next_begun.set()
                gone_on.wait(30)

    async with open_testing_postroom() as office:
        await office.start("echo/main", Echo)
        await office.start("blocking/main", Blocking)
        first = await office.send("blocking/main", Job(1), max_attempts=1)
        assert (await final(office, first)).state == "dead"
        await office.send("blocking/main", Job(2))
        await trio.to_thread.run_sync(gone_on.wait)
        await settled(office)
        assert office.store.counts("echo/main")[0].accepted == 0
