"""Mail that a killed process held runs with no other of its kind beside it, and none of it is left behind."""

from __future__ import annotations

import trio
from fleet import fleet
from stage import pause
from trio.testing import MockClock
from troupe import Answer, Job, final

from postroom import Actor, handles
from postroom.testing import memory_store


async def test_two_actors_whose_mail_was_taken_back_both_get_it(autojump_clock: MockClock) -> None:
    class Slow(Actor):
        @handles(Job)
        async def work(self, job: Job) -> Answer:
            await pause(10, autojump_clock)
            return Answer(job.n)

    async with fleet(memory_store()) as us:
        killed = await us.join("p1", grace=0)
        sent: list[str] = []
        for address in ("slow/one", "slow/two"):
            await killed.office.start(address, Slow)
            sent.append(await killed.office.send(address, Job()))
        await trio.sleep(1)
        await killed.kill()
        office = (await us.join("p2")).office
        await office.start("slow/one", Slow)
        await trio.sleep(5)
        await office.start("slow/two", Slow)
        with trio.fail_after(60):
            found = [await final(office, id) for id in sent]
    assert [(one.state, one.attempts) for one in found] == [("done", 2), ("done", 2)]


async def test_struck_mail_that_is_not_first_comes_after_the_others(
    autojump_clock: MockClock,
) -> None:
    class Slow(Actor):
        @handles(Job)
        async def work(self, job: Job) -> Answer:
            await pause(10, autojump_clock)
            return Answer(job.n)

    async with fleet(memory_store()) as us:
        killed = await us.join("p1", grace=0)
        await killed.office.start("slow/one", Slow)
        sent = [await killed.office.send("slow/one", Job())]
        await trio.sleep(1)
        await killed.kill()
        office = (await us.join("p2")).office
        sent += [await office.send("slow/one", Job(), priority="urgent") for _ in range(2)]
        await office.start("slow/one", Slow, concurrency=8)
        with trio.fail_after(60):
            found = [await final(office, id) for id in sent]
    assert [(one.state, one.attempts) for one in found] == [("done", 2), ("done", 1), ("done", 1)]
