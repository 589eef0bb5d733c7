"""An actor with a state goes on under a new session only when nothing of before is under way."""

from __future__ import annotations

import trio
from trio.testing import MockClock
from troupe import Job, Sum

from postroom import Actor, handles
from postroom.store.errors import OutcomeUnknown
from postroom.testing import open_testing_postroom, settled


async def test_a_state_is_not_read_again_under_a_turn_that_runs_on_it(autojump_clock: MockClock) -> None:
    begun, go_on = trio.Event(), trio.Event()

    class Slow(Actor):
        state: Sum

        @handles(Job)
        async def add(self, job: Job) -> None:
            self.state.total += job.n
            if job.n == 1 and not begun.is_set():
                begun.set()
                await go_on.wait()

    async with open_testing_postroom() as office:
        await office.start("slow/main", Slow)
        (cell,) = office._keeper.cells  # pyright: ignore[reportPrivateUsage]  # what must not happen shows only here

        def is_open() -> bool:
            return cell.open

        await office.send("slow/main", Job(1))
        await begun.wait()
        office.commit.on_doubt(OutcomeUnknown("the commit failed", "the test says so", ""))
        await trio.sleep(5)
        assert not is_open()
        go_on.set()
        await office.send_many("slow/main", [Job(n) for n in (10, 100)])
        await settled(office)
        assert is_open()
        (stored,) = office.store.records("slow/main", "state")
        assert b'"total":111' in stored.value
