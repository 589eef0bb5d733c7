"""Crashes of the wakener, more than one of it, and workers that went stale with work in hand."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock
from wake_stage import Process, counted, new_stage, one_pair, waking

from postroom.mailbox import heartbeats, wakes
from postroom.mailbox.wakes import WakeState
from postroom.store.memory import MemoryStore
from postroom.store.records import Put
from postroom.testing import memory_store

DAY = 86_400


async def test_after_a_crash_another_goes_on_from_the_records(autojump_clock: MockClock) -> None:
    stage = new_stage()
    stage.pair("t1")
    stage.pair("t2", "n", "v")
    async with waking(stage.store.another_handle()) as first:
        await first.send("worker/w")
        await trio.sleep(1)
        await first.send("worker/v")
    assert first.driver.woken == ["worker/w"]
    async with waking(stage.store.another_handle(), seed=1) as second:
        await trio.sleep(170)
        assert second.driver.woken == ["worker/v"]
        await trio.sleep(12)
    assert second.driver.woken[1] == "worker/w"
    assert second.driver.times[1] == 180.5


async def test_a_crash_between_reserving_and_waking_loses_the_wake_for_one_window_only(
    autojump_clock: MockClock,
) -> None:
    stage = new_stage()
    stage.pair("t1")
    async with waking(stage.store.another_handle()) as first:
        first.driver.seconds = 10_000
        await first.send("worker/w")
        await trio.sleep(1)
    assert wakes.find(stage.store, "worker/w")[0].state is WakeState.SENDING
    async with waking(stage.store.another_handle(), seed=1) as second:
        await trio.sleep(400)
    assert second.driver.times == [180.5]
    assert counted(stage.store) == (0, 0, 1)


@pytest.mark.parametrize("seed", range(5))
async def test_two_wakeners_at_once_never_wake_twice(seed: int, autojump_clock: MockClock) -> None:
    store = memory_store(seed, commit_delay=0.01)
    stage = new_stage()
    stage.store, stage.desk.store = store, store
    for n in range(6):
        stage.pair(f"t{n}", f"m{n}", f"w{n}")
    async with (
        waking(store.another_handle(), seed=seed) as one,
        waking(store.another_handle(seed=2), seed=seed + 50) as two,
    ):

        def ring(inboxes: set[str]) -> None:
            one.wakener.ring(inboxes)
            two.wakener.ring(inboxes)

        one.commit.on_rung = two.commit.on_rung = ring
        for n in range(6):
            await one.send(f"worker/w{n}")
        await trio.sleep(170)
        assert sorted(one.driver.woken + two.driver.woken) == [f"worker/w{n}" for n in range(6)]
        for _ in range(3):
            await two.send("any:manager")
        await trio.sleep(5)
    shared = [address for address in one.driver.woken + two.driver.woken if address.startswith("manager")]
    assert len(shared) == len(set(shared)) == 3


# Workers that went stale


async def beat(process: Process) -> None:
    await process.clerk.put([heartbeats.beat(process.store, "worker", "t1")[1]])


def told(store: MemoryStore) -> int:
    return sum(message.type == "worker_stale" for message in store.peek("manager/m", 100))


async def test_a_manager_is_told_once_of_a_worker_that_went_stale_with_work(
    autojump_clock: MockClock,
) -> None:
    async with waking(one_pair()) as process:
        await process.send("worker/w")
        await beat(process)
        await process.clerk.poll("worker/w", lease=5000)
        await trio.sleep(179)
        assert told(process.store) == 0
        await trio.sleep(1.2)
        assert told(process.store) == 1
        assert "manager/m" not in process.driver.woken
        await trio.sleep(2000)
        assert told(process.store) == 1
        assert process.driver.woken[0] == "manager/m"
        await beat(process)
        await trio.sleep(600)
        assert told(process.store) == 2
    last = process.store.peek("manager/m", 100)[-1]
    assert (last.correlation_id, last.sender) == ("t1", "postroom/dispatcher")


async def test_of_two_wakeners_only_one_message_comes(autojump_clock: MockClock) -> None:
    store = one_pair()
    async with waking(store.another_handle()) as one, waking(store.another_handle(), seed=1) as two:
        await one.send("worker/w")
        two.ring({"worker/w"})
        await beat(one)
        await one.clerk.poll("worker/w", lease=5000)
        await trio.sleep(600)
        assert told(store) == 1


async def test_a_worker_that_holds_nothing_may_be_as_quiet_as_it_likes(autojump_clock: MockClock) -> None:
    async with waking(one_pair()) as process:
        await beat(process)
        await process.send("worker/w")
        (taken,) = await process.clerk.poll("worker/w", lease=5000)
        await process.clerk.ack(taken.id, taken.fence)
        await trio.sleep(DAY)
        assert told(process.store) == 0


async def test_a_manager_that_is_gone_stops_nothing(autojump_clock: MockClock) -> None:
    async with waking(one_pair()) as process:
        await beat(process)
        await process.send("worker/w")
        await process.clerk.poll("worker/w", lease=5000)
        stage = new_stage()
        stage.store, stage.desk.store = process.store, process.store
        stage.desk.end("manager/m")
        await trio.sleep(400)
        await process.send("worker/w")
        await trio.sleep(5000)
    assert "worker/w" in process.driver.woken


async def test_what_others_write_meanwhile_is_newer(autojump_clock: MockClock) -> None:
    """Somebody records a wake by hand just when the wakener reserves one."""
    async with waking(one_pair()) as process:
        await process.send("worker/w")
        await trio.sleep(0.4999)
        wake, version = wakes.find(process.store, "worker/w")
        sent = wakes.sent(process.store.clock, wake, "by-hand", "worker-w")
        await process.commit.submit(Put((wakes.write("worker/w", sent, version),)))
        await trio.sleep(100)
    assert process.driver.orders == []
