"""Cutting short what runs here: one attempt, also before it begins, or all of it."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from postroom.actors.convoys.work.halts import Halts


async def asleep(halts: Halts, task: str, attempt: int) -> None:
    with halts.scope(task, attempt):
        await trio.sleep_forever()


async def test_all_that_runs_of_an_attempt_is_cut_short_and_nothing_else(autojump_clock: MockClock) -> None:
    halts, ended = Halts(), list[int]()

    async def lasts(attempt: int) -> None:
        with halts.scope("a", attempt):
            await trio.sleep(5)
            ended.append(attempt)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(asleep, halts, "a", 1)
            nursery.start_soon(lasts, 2)
            await wait_all_tasks_blocked()
            halts.halt("a", 1)
    assert ended == [2]


async def test_what_was_halted_before_it_began_ends_at_once(autojump_clock: MockClock) -> None:
    halts = Halts()
    halts.halt("a", 1)
    with trio.fail_after(10):
        await asleep(halts, "a", 1)


async def test_once_everything_is_cut_short_nothing_more_begins(autojump_clock: MockClock) -> None:
    halts = Halts()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(asleep, halts, "a", 1)
            await wait_all_tasks_blocked()
            halts.halt_all()
        await asleep(halts, "b", 1)


async def test_what_takes_too_long_ends_and_nobody_has_halted_it(autojump_clock: MockClock) -> None:
    halts = Halts()
    with halts.scope("a", 1, 5) as scope:
        await trio.sleep(10)
    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(5)
    assert not halts.halted("a", 1)
    halts.halt("a", 1)
    assert [halts.halted("a", 1), halts.halted("a", 2)] == [True, False]
