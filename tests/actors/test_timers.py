"""Timers: messages of an actor to itself, due later."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock
from troupe import Job

from postroom import Actor, handles
from postroom.testing import open_testing_postroom, settled


async def test_a_timer_comes_when_it_is_due(autojump_clock: MockClock) -> None:
    came: list[float] = []

    class Timed(Actor):
        @handles(Job)
        async def work(self, job: Job) -> None:
            came.append(trio.current_time())
            if job.n:
                self.after(30, Job(job.n - 1))

    async with open_testing_postroom() as office:
        await office.start("timed/main", Timed)
        await office.send("timed/main", Job(2))
        await trio.sleep(100)
        assert [later - earlier for earlier, later in pairwise(came)] == pytest.approx([30, 30], abs=0.05)


async def test_a_timer_that_is_cancelled_does_not_come(autojump_clock: MockClock) -> None:
    class Timed(Actor):
        timer = ""
        came = 0

        @handles(Job)
        async def work(self, job: Job) -> None:
            Timed.came += 1
            Timed.timer = self.after(30, job)

    async with open_testing_postroom() as office:
        await office.start("timed/main", Timed)
        await office.send("timed/main", Job())
        await settled(office)
        await office.cancel(Timed.timer)
        await trio.sleep(100)
        assert office.show(Timed.timer).state == "cancelled"
    assert Timed.came == 1
