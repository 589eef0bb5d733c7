"""Cancelling every public operation at each of its awaits: it happened, or it did not."""

from __future__ import annotations

from collections import Counter

import pytest
from cutting import Cut, at_every_step
from handled import Log, known, new_id
from trio.testing import MockClock
from troupe import Answer, Job, final

from postroom.store.errors import Conflict
from postroom.testing import open_testing_postroom, settled

MAIN = "log/main"


# Messages


async def test_a_send_that_is_cancelled_has_happened_or_not(autojump_clock: MockClock) -> None:
    fates = Counter[bool]()

    async def trial(cut: Cut) -> None:
        log = Log()
        async with open_testing_postroom() as office:
            await office.start(MAIN, log.actor())
            id = new_id(office)
            await cut.through(lambda: office.send(MAIN, Job(1), id=id))
            await log.proves(office, MAIN)
            fates[known(office, id)] += 1
            assert log.handled[1] == known(office, id)
            assert await office.send(MAIN, Job(1), id=id) == id
            await settled(office)
            assert log.handled == {1: 1}

    await at_every_step(trial)
    assert set(fates) == {True, False}


async def test_a_send_to_an_actor_that_is_busy_has_happened_or_not(autojump_clock: MockClock) -> None:
    async def trial(cut: Cut) -> None:
        log = Log(seconds=0.01)
        async with open_testing_postroom() as office:
            await office.start(MAIN, log.actor())
            for n in range(10, 15):
                await office.send(MAIN, Job(n))
            id = new_id(office)
            await cut.through(lambda: office.send(MAIN, Job(1), id=id))
            await log.proves(office, MAIN)
            assert log.handled[1] == known(office, id)
            await office.send(MAIN, Job(1), id=id)
            await settled(office)
            assert log.handled == dict.fromkeys([1, *range(10, 15)], 1)

    await at_every_step(trial)


async def test_of_many_sends_that_are_cancelled_each_has_happened_or_not(autojump_clock: MockClock) -> None:
    jobs = [Job(n) for n in range(20)]

    async def trial(cut: Cut) -> None:
        log = Log()
        async with open_testing_postroom() as office:
            await office.start(MAIN, log.actor())
            await cut.through(lambda: office.send_many(MAIN, jobs))
            await log.proves(office, MAIN)
            accepted = office.store.counts(MAIN)[0].accepted - 1
            assert set(log.handled.values()) <= {1}
            assert len(log.handled) == accepted
            assert cut.fell or accepted == len(jobs)

    await at_every_step(trial)


async def test_a_question_that_is_cancelled_can_be_asked_again(autojump_clock: MockClock) -> None:
    async def trial(cut: Cut) -> None:
        log = Log(seconds=0.01)
        async with open_testing_postroom() as office:
            await office.start(MAIN, log.actor())
            id = new_id(office)
            await cut.through(lambda: office.ask(MAIN, Job(1), timeout=5, id=id))
            await log.proves(office, MAIN)
            assert log.handled[1] == known(office, id)
            assert await office.ask(MAIN, Job(1), timeout=5, reply=Answer, id=id) == Answer(1)
            assert log.handled == {1: 1}

    await at_every_step(trial, least=8)


async def test_a_question_that_is_cancelled_can_be_asked_again_at_once(autojump_clock: MockClock) -> None:
    async def trial(cut: Cut) -> None:
        log = Log(seconds=0.01)
        async with open_testing_postroom() as office:
            await office.start(MAIN, log.actor())
            id = new_id(office)
            await cut.through(lambda: office.ask(MAIN, Job(1), timeout=5, id=id))
            assert await office.ask(MAIN, Job(1), timeout=5, reply=Answer, id=id) == Answer(1)
            assert log.handled == {1: 1}
            await log.proves(office, MAIN)

    await at_every_step(trial, least=8)


async def test_a_cancel_that_is_cancelled_has_happened_or_not(autojump_clock: MockClock) -> None:
    fates = Counter[str]()

    async def trial(cut: Cut) -> None:
        log = Log()
        async with open_testing_postroom() as office:
            await office.start(MAIN, log.actor())
            timer = await office.send(MAIN, Job(1), delay=30)
            await cut.through(lambda: office.cancel(timer))
            await log.proves(office, MAIN)
            message = await final(office, timer)
            fates[message.state] += 1
            assert log.handled[1] == (message.state == "done")
            with pytest.raises(Conflict):
                await office.cancel(timer)

    await at_every_step(trial)
    assert set(fates) == {"done", "cancelled"}
