"""A server answers a while after it has looked: who is woken is decided by what holds when it is done."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio
from slow_looks import slow_looks
from trio.testing import MockClock
from wake_stage import Process, new_stage, one_pair, waking

from postroom.store.memory import MemoryStore


class Late(Random):
    """Chance that always has a look take as long as it may, before it reads and after it."""

    def random(self) -> float:
        return 1.0


@asynccontextmanager
async def two(store: MemoryStore) -> AsyncGenerator[tuple[Process, Process]]:
    """Two processes that wake the same addresses, each with its own knowledge of them."""
    async with waking(store) as first, waking(store.another_handle(), seed=1) as second:
        yield first, second


async def test_of_two_who_find_the_same_at_once_one_wakes(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_looks(monkeypatch, autojump_clock, Late(), 1.0)
    async with two(one_pair()) as processes:
        await trio.sleep(10)
        await processes[0].send("worker/w")
        for process in processes:
            process.ring({"worker/w"})
        await trio.sleep(100)
    assert [len(process.driver.orders) for process in processes] in ([1, 0], [0, 1])


async def test_who_polls_while_it_is_looked_at_is_not_woken(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_looks(monkeypatch, autojump_clock, Late(), 1.0)
    async with waking(one_pair()) as process:
        await trio.sleep(10)
        await process.send("worker/w")
        await trio.sleep(2)  # the look has read, and has not been answered yet
        assert await process.clerk.poll("worker/w", lease=600)
        await trio.sleep(100)
    assert process.driver.orders == []


async def test_mail_that_comes_while_its_address_is_looked_at_wakes_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_looks(monkeypatch, autojump_clock, Late(), 1.0)
    async with waking(one_pair()) as process:
        await trio.sleep(10)
        process.ring({"worker/w"})
        await trio.sleep(2)
        await process.send("worker/w")
        await trio.sleep(20)
    assert process.driver.woken == ["worker/w"]


@pytest.mark.parametrize("seed", range(3))
async def test_everybody_with_mail_is_woken_once_however_long_looks_take(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    stage = new_stage()
    for n in range(6):
        stage.pair(f"t{n}", "m", f"w{n}")
    slow_looks(monkeypatch, autojump_clock, Random(seed), 0.2)
    async with two(stage.store) as processes:
        for n in range(6):
            await processes[n % 2].send(f"worker/w{n}")
            await processes[1].send("manager/m")
        await trio.sleep(100)
    woken = [address for process in processes for address in process.driver.woken]
    assert sorted(woken) == ["manager/m", *(f"worker/w{n}" for n in range(6))]
