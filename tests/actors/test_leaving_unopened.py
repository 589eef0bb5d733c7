"""Leaving while an actor was about to take mail: it takes none any more, and the end comes in time."""

from __future__ import annotations

import pytest
import trio
from logbook import Log
from trio.testing import MockClock
from troupe import Adder, Echo, Job, final

from postroom import System
from postroom.actors.supervisor import ChildSpec, Strategy
from postroom.store.errors import OutcomeUnknown
from postroom.testing import memory_store, open_testing_postroom

MOMENTS = [n / 2000 for n in range(24)]
"""Seconds after which a system leaves that has begun to replace its session; a commit takes 0.001."""


def doubt(office: System) -> None:
    """Let a system replace its session."""
    office.commit.on_doubt(OutcomeUnknown("the commit failed", "the test says so", ""))


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("grace", [0.0, 3.0])
async def test_a_system_that_is_joining_again_begins_nothing_new_and_ends_within_its_grace(
    autojump_clock: MockClock, grace: float, moment: float
) -> None:
    store, log = memory_store(), Log()
    async with open_testing_postroom(store=store, grace=grace) as office:
        await office.start("log/main", log.actor)
        await office.start("adder/main", Adder)
        await office.send_many("log/main", [Job(10, f"{n}") for n in range(5)])
        await trio.sleep(1)
        doubt(office)
        await trio.sleep(moment)
        begun, left = log.begun, trio.current_time()
    assert trio.current_time() - left <= grace + 0.1
    assert log.begun == begun
    assert {counts.leased for counts in store.counts()} == {0}
    assert not any(session.live for session in store.sessions())


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_system_with_nothing_under_way_leaves_no_session_that_it_was_just_opening(
    autojump_clock: MockClock, moment: float
) -> None:
    store = memory_store()
    async with open_testing_postroom(store=store, grace=0) as office:
        await office.start("echo/main", Echo)
        await trio.sleep(1)
        doubt(office)
        await trio.sleep(moment)
    assert not any(session.live for session in store.sessions())


async def test_an_actor_that_waited_for_its_name_does_not_come_alive_while_its_system_leaves(
    autojump_clock: MockClock,
) -> None:
    store = memory_store()
    waiting, leave = trio.Event(), trio.Event()

    async def wait_and_leave() -> None:
        async with open_testing_postroom(store=store, process="two", seed=2, grace=30) as second:
            await second.start("log/main", Log().actor)
            await second.start("adder/main", Adder)
            await second.send("log/main", Job(20, "long"))
            waiting.set()
            await leave.wait()

    async with (
        open_testing_postroom(store=store.another_handle(), process="three", seed=3) as third,
        trio.open_nursery() as nursery,
    ):
        async with open_testing_postroom(store=store.another_handle(), process="one") as first:
            await first.start("adder/main", Adder)
            nursery.start_soon(wait_and_leave)
            await waiting.wait()
            leave.set()
            await trio.sleep(0.1)
        sent = await third.send("adder/main", Job(1))
        await trio.sleep(5)
        assert third.show(sent).state == "ready"
        await third.start("adder/main", Adder)
        assert (await final(third, sent)).state == "done"
        assert nursery.child_tasks


async def test_an_actor_whose_restart_waits_for_a_turn_is_not_started_once_its_system_leaves(
    autojump_clock: MockClock,
) -> None:
    store, log = memory_store(), Log()

    class Broken(Echo):
        async def on_start(self) -> None:
            raise OSError("nothing to start with")

    async with open_testing_postroom(store=store, grace=30) as office:
        specs = [ChildSpec("log/main", log.actor), ChildSpec("broken/main", Broken)]
        await office.supervise(specs, strategy=Strategy.ONE_FOR_ALL)
        await office.start("slow/main", Log().actor)
        await office.send("slow/main", Job(20, "slow"))
        await office.send("log/main", Job(10, "long"))
        await office.send("broken/main", Job(0))
        await trio.sleep(1)
        await office.send("log/main", Job(0, "next"))
    assert log.begun == ["long"]
    assert not any(session.live for session in store.sessions())
