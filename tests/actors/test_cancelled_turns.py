"""A handler that is cancelled by a shutdown, at each of its awaits: as if its turn had never begun."""

from __future__ import annotations

from collections import Counter

import pytest
import trio
from trio.testing import MockClock
from troupe import Adder, Answer, Echo, Job, Sum, final, state_of, verified

from postroom import Actor, handles
from postroom.mailbox.ids import parse_id
from postroom.testing import MemoryStore, memory_store, open_testing_postroom, settled

MAIN = "work/main"
PLACES = pytest.mark.parametrize("place", range(6))
GRACES = pytest.mark.parametrize("grace", [0.0, 1.0])


class Places:
    """The awaits of a handler: it stays at one of them for very long, the first time it comes there."""

    def __init__(self, stay_at: int) -> None:
        self.stay_at = stay_at
        self.come = trio.Event()
        self.done: list[int] = []

    async def reach(self, place: int) -> None:
        if place == self.stay_at and not self.come.is_set():
            self.come.set()
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()

    async def work(self, actor: Actor, job: Job, state: Sum | None) -> Answer:
        """Everything that a turn can want to have happened, with awaits all over."""
        await self.reach(0)
        actor.send("echo/main", job)
        await self.reach(1)
        actor.records.put("note", "a", job.n)
        await self.reach(2)
        if state is not None:
            state.total += job.n
        await self.reach(3)
        actor.after(0.1, Job(7), type="Later")
        try:
            await self.reach(4)
        finally:
            actor.send("echo/main", Job(8))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.reach, 5)
        self.done.append(job.n)
        return Answer(job.n)

    def stateless(self) -> type[Actor]:
        places = self

        class Worker(Actor):
            @handles(Job)
            async def handle(self, job: Job) -> Answer:
                return await places.work(self, job, None)

        return Worker

    def stateful(self) -> type[Actor]:
        places = self

        class Worker(Actor):
            state: Sum

            @handles(Job)
            async def handle(self, job: Job) -> Answer:
                return await places.work(self, job, self.state)

        return Worker


def nothing_was_kept(store: MemoryStore, id: str) -> None:
    """The message waits as if it had never been begun, and nothing else is there."""
    message, proof = store.message(parse_id(id)), store.verify(deep=True)
    assert message is not None
    assert (message.state, message.attempts) == ("ready", 0)
    assert message.history[-1].event == "release"
    assert not store.records(MAIN)
    assert proof.ok
    assert +Counter(proof.counts) == {"ready": 1}


@GRACES
@PLACES
@pytest.mark.parametrize("state", [False, True], ids=["stateless", "state"])
async def test_a_turn_that_a_shutdown_cancels_leaves_nothing_and_is_run_anew(
    autojump_clock: MockClock, state: bool, place: int, grace: float
) -> None:
    places, store = Places(place), memory_store()
    kind = places.stateful() if state else places.stateless()
    async with open_testing_postroom(store=store, grace=grace) as office:
        await office.start("echo/main", Echo)
        await office.start(MAIN, kind)
        id = await office.send(MAIN, Job(3), reply_to="echo/main")
        await places.come.wait()
    nothing_was_kept(store, id)
    assert places.done == []
    async with open_testing_postroom(store=store, seed=1) as office:
        await office.start("echo/main", Echo)
        await office.start(MAIN, kind)
        message = await final(office, id)
        assert (message.state, message.attempts) == ("done", 1)
        await settled(office)
        assert places.done == [3]
        assert office.store.records(MAIN, "note")
        assert state_of(office, MAIN).total == (3 if state else 0)
    store.close()


@PLACES
async def test_a_turn_that_is_cancelled_together_with_its_system_leaves_nothing(
    autojump_clock: MockClock, place: int
) -> None:
    places, store = Places(place), memory_store()
    ids: list[str] = []
    with trio.CancelScope() as scope:
        async with open_testing_postroom(store=store) as office:
            await office.start("echo/main", Echo)
            await office.start(MAIN, places.stateful())
            ids.append(await office.send(MAIN, Job(3)))
            await places.come.wait()
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    nothing_was_kept(store, ids[0])
    assert not [session for session in store.sessions() if session.live]
    store.close()


async def test_a_turn_that_ends_within_the_grace_is_kept(autojump_clock: MockClock) -> None:
    begun = trio.Event()

    class Worker(Actor):
        @handles(Job)
        async def handle(self, job: Job) -> None:
            begun.set()
            await trio.sleep(2)

    store = memory_store()
    async with open_testing_postroom(store=store, grace=3) as office:
        await office.start(MAIN, Worker)
        id = await office.send(MAIN, Job(3))
        await begun.wait()
    assert office.show(id).state == "done"
    store.close()


async def test_mail_behind_a_turn_that_is_cancelled_goes_back_with_its_attempts(
    autojump_clock: MockClock,
) -> None:
    places, store = Places(0), memory_store()
    async with open_testing_postroom(store=store, grace=0) as office:
        await office.start("echo/main", Echo)
        await office.start(MAIN, places.stateful())
        ids = [await office.send(MAIN, Job(n)) for n in range(5)]
        await places.come.wait()
        await office.send_many(MAIN, [Job(n) for n in range(5, 50)])
    assert [office.show(id).attempts for id in ids] == [0] * 5
    assert +verified(office) == {"ready": 50}
    store.close()


async def test_a_turn_that_a_deadline_cancels_in_a_nursery_of_its_own_leaves_the_state(
    autojump_clock: MockClock,
) -> None:
    class Worker(Adder):
        @handles(Job)
        async def add(self, job: Job) -> None:
            self.state.total += job.n
            if job.word == "hang":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio.sleep_forever)

    async with open_testing_postroom() as office:
        await office.start(MAIN, Worker)
        hangs = await office.send(MAIN, Job(1, "hang"), max_attempts=1)
        await office.send(MAIN, Job(10))
        message = await final(office, hangs)
        assert (message.state, message.attempts) == ("dead", 1)
        assert message.error is not None
        assert "TooSlowError" in message.error
        await settled(office)
        assert state_of(office, MAIN).total == 10


async def test_an_error_beside_a_cancellation_is_the_message_s_failure_and_nobody_else_s(
    autojump_clock: MockClock,
) -> None:
    async def break_down() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("on the way out")

    class Worker(Actor):
        @handles(Job)
        async def handle(self, job: Job) -> None:
            if job.word == "hang":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(break_down)
                    await trio.sleep_forever()

    async with open_testing_postroom() as office:
        await office.start(MAIN, Worker)
        hangs = await office.send(MAIN, Job(1, "hang"), max_attempts=1)
        assert (await final(office, hangs)).state == "dead"
        assert (await final(office, await office.send(MAIN, Job(2)))).state == "done"


async def test_a_turn_that_breaks_down_when_a_shutdown_cancels_it_does_not_break_the_shutdown(
    autojump_clock: MockClock,
) -> None:
    begun = trio.Event()

    async def break_down() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("on the way out")

    class Worker(Actor):
        @handles(Job)
        async def handle(self, job: Job) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(break_down)
                begun.set()
                await trio.sleep_forever()

    store = memory_store()
    async with open_testing_postroom(store=store, grace=0) as office:
        await office.start(MAIN, Worker)
        await office.send(MAIN, Job(1))
        await begun.wait()
    assert not [session for session in store.sessions() if session.live]
    assert verified(office)["leased"] == 0
    store.close()
