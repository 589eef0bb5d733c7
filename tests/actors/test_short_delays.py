"""Delays below a second: whoever has put mail aside looks when it is due, and nobody else does more often."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import pytest
import trio
from trio.testing import MockClock
from troupe import Job

from postroom import Actor, System, handles
from postroom.actors.errors import RetryAfter
from postroom.store.memory import MemoryStore
from postroom.store.records import Answer, Operation, Tick
from postroom.testing import memory_store, open_testing_postroom

CAME = "came/main"
LATE = 0.02


class Came(Actor):
    """Notes when it is given what."""

    times: ClassVar[list[float]] = []

    @handles(Job)
    async def work(self, job: Job) -> None:
        Came.times.append(trio.current_time())


@pytest.fixture(autouse=True)
def nothing_came() -> None:
    Came.times = []


class Looks:
    """When a store was told to look what is due."""

    def __init__(self, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times: list[float] = []
        apply = store.apply

        def watched(batch: Sequence[Operation]) -> list[Answer]:
            self.times += [trio.current_time() for operation in batch if isinstance(operation, Tick)]
            return apply(batch)

        monkeypatch.setattr(store, "apply", watched)


async def sent(office: System, delay: float) -> float:
    """Send a message with a delay; when it is due."""
    await office.send(CAME, Job(), delay=delay)
    return trio.current_time() + delay


@pytest.mark.parametrize("delay", [0.001, 0.2, 0.45, 0.999])
async def test_a_message_with_a_short_delay_comes_when_it_is_due(
    delay: float, autojump_clock: MockClock
) -> None:
    async with open_testing_postroom() as office:
        await office.start(CAME, Came)
        await trio.sleep(10.05)  # the dispatcher has just looked
        due = await sent(office, delay)
        await trio.sleep(3)
    (came,) = Came.times
    assert due <= came < due + LATE


async def test_what_is_due_earlier_does_not_wait_for_what_was_sent_first(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.start(CAME, Came)
        await trio.sleep(10.05)
        due = sorted([await sent(office, delay) for delay in (0.9, 0.3, 0.6, 0.3)])
        await trio.sleep(3)
    assert Came.times == pytest.approx(due, abs=LATE)


async def test_a_timer_of_a_fraction_of_a_second_is_as_good_as_a_long_one(autojump_clock: MockClock) -> None:
    class Timed(Actor):
        @handles(Job)
        async def work(self, job: Job) -> None:
            Came.times.append(trio.current_time())
            if job.n:
                self.after(0.2, Job(job.n - 1))

    async with open_testing_postroom() as office:
        await office.start(CAME, Timed)
        await office.send(CAME, Job(9))
        await trio.sleep(5)
    gaps = [later - earlier for earlier, later in pairwise(Came.times)]
    assert gaps == pytest.approx([0.2] * 9, abs=LATE)


async def test_a_handler_that_asks_to_be_tried_again_soon_is(autojump_clock: MockClock) -> None:
    class Reluctant(Actor):
        @handles(Job)
        async def work(self, job: Job) -> None:
            Came.times.append(trio.current_time())
            if len(Came.times) < 3:
                raise RetryAfter(0.3)

    async with open_testing_postroom() as office:
        await office.start(CAME, Reluctant)
        await office.send(CAME, Job())
        await trio.sleep(5)
    gaps = [later - earlier for earlier, later in pairwise(Came.times)]
    assert gaps == pytest.approx([0.3] * 2, abs=LATE)


async def test_mail_for_an_actor_of_another_process_is_due_in_time_too(autojump_clock: MockClock) -> None:
    store = memory_store()
    async with (
        open_testing_postroom(store=store.another_handle(), process="one") as there,
        open_testing_postroom(store=store.another_handle(), process="two") as here,
    ):
        await there.start(CAME, Came)
        await trio.sleep(10.05)
        due = await sent(here, 0.2)
        await trio.sleep(3)
    (came,) = Came.times
    assert due <= came < due + 2 * LATE


async def test_a_store_without_such_mail_is_looked_at_no_more_often(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = memory_store()
    looks = Looks(store, monkeypatch)
    async with open_testing_postroom(store=store) as office:
        await office.start(CAME, Came)
        await trio.sleep(10.5)
        await sent(office, 0)
        for n in range(20):
            await sent(office, 1.5 + n * 0.3)
        await trio.sleep(10)
        assert len(Came.times) == 21
    # Once a second, and whenever something is due.
    assert len(looks.times) <= 21 + 20


async def test_however_much_is_put_aside_looks_are_a_few_milliseconds_apart(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = memory_store()
    looks = Looks(store, monkeypatch)
    async with open_testing_postroom(store=store) as office:
        await office.start(CAME, Came)
        for n in range(500):
            await sent(office, 0.1 + n / 10_000)
        await trio.sleep(3)
        assert len(Came.times) == 500
    span = Came.times[-1] - Came.times[0]
    assert span < 2
    # The dispatcher, which is here too, looks as often at most.
    assert len([at for at in looks.times if at <= Came.times[-1]]) <= 2 * (span / 0.005 + 10)
