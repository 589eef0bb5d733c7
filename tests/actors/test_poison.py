"""Messages whose lease was lost: they travel alone, end as dead, and harm nobody else."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock
from troupe import Echo, Job, final, verified

from postroom import Actor, System, handles
from postroom.store.errors import StoreUnavailable
from postroom.store.events import LeaseLost
from postroom.store.memory import MemoryStore
from postroom.testing import memory_store, open_testing_postroom, settled

POISON = "poison"
QUICK = 40
"""Jobs that make an actor so quick that it takes more mail at hand than it can begin at once."""


class Life:
    """One process with actors, up to its death; poison is the death of it."""

    def __init__(self, house: House, process: str) -> None:
        self.process = process
        self.seed = len(house.lives) + 1
        self.handle = house.store.another_handle(seed=self.seed)
        self.scope = trio.CancelScope()
        self.over = trio.Event()

    def die(self) -> None:
        """Be gone between two instructions, as by SIGKILL."""
        self.handle.kill(self.process)
        self.scope.cancel()


class House:
    """Processes that come and go on one store, and what they did: process, word, attempt, alone."""

    def __init__(self, nursery: trio.Nursery, store: MemoryStore, desk: System) -> None:
        self.store = store
        self.desk = desk
        self.lives: list[Life] = []
        self.begun: list[tuple[str, str, int, bool]] = []
        self.running: list[bool] = []
        self.times: list[float] = []
        self.crowds: list[tuple[int, int]] = []
        self._nursery = nursery

    async def live(self, process: str, *addresses: str, concurrency: int = 1) -> Life:
        """Let a process join, with an actor under each address, ``work/main`` if none is given."""
        life = Life(self, process)
        self.lives.append(life)
        await self._nursery.start(self._run, life, addresses or ("work/main",), concurrency)
        return life

    async def _run(
        self, life: Life, addresses: tuple[str, ...], concurrency: int, task_status: trio.TaskStatus[None]
    ) -> None:
        try:
            with life.scope:
                async with open_testing_postroom(
                    store=life.handle, process=life.process, seed=life.seed, grace=0
                ) as office:
                    for address in addresses:
                        await office.start(address, self._kind(life), concurrency=concurrency)
                    task_status.started()
                    await trio.sleep_forever()
        except* StoreUnavailable:
            pass  # nobody hears what a process says that is gone
        finally:
            life.over.set()

    def _kind(self, life: Life) -> type[Actor]:
        house = self

        class Work(Actor):
            @handles(Job)
            async def work(self, job: Job) -> None:
                message = self.message
                house.begun.append((life.process, job.word, message.attempt, message.alone))
                house.times.append(trio.current_time())
                house.running.append(message.alone)
                house.crowds.append((house.running.count(True), house.running.count(False)))
                try:
                    await trio.sleep(job.n)
                    if job.word == POISON:
                        life.die()
                        await trio.sleep_forever()
                finally:
                    house.running.remove(message.alone)

        return Work

    async def make_quick(self) -> None:
        """Let the actor take more mail at hand than it can begin at once."""
        last = [await self.desk.send("work/main", Job(0, "quick")) for _ in range(QUICK)][-1]
        await final(self.desk, last)
        self.begun.clear()
        self.crowds.clear()

    async def send(self, *jobs: Job, to: str = "work/main") -> list[str]:
        """Send jobs in order; they are held for a process that comes later."""
        return [await self.desk.send(to, job, hold=True) for job in jobs]

    async def poisoned(self, process: str, concurrency: int = 1) -> None:
        """A process that joins, takes the poison and is gone."""
        life = await self.live(process, concurrency=concurrency)
        with trio.fail_after(60):
            await life.over.wait()


@asynccontextmanager
async def open_house() -> AsyncGenerator[House, None]:
    """A house whose desk, which runs no actors, stays whatever becomes of the processes."""
    store = memory_store()
    async with (
        open_testing_postroom(store=store.another_handle(), process="desk") as desk,
        trio.open_nursery() as nursery,
    ):
        yield House(nursery, store, desk)
        nursery.cancel_scope.cancel()


async def test_a_message_whose_process_died_in_its_turn_runs_alone_in_another(
    autojump_clock: MockClock,
) -> None:
    async with open_house() as house:
        (sent,) = await house.send(Job(5, "hit"))
        first = await house.live("one")
        await trio.sleep(1)
        first.die()
        await house.live("two")
        message = await final(house.desk, sent)
        assert (message.state, message.attempts) == ("done", 2)
        assert house.begun == [("one", "hit", 1, False), ("two", "hit", 2, True)]
        assert verified(house.desk)["done"] == 1


async def test_of_the_messages_of_a_dead_process_one_runs_at_a_time(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        sent = await house.send(*(Job(5, f"{n}") for n in range(4)))
        first = await house.live("one", concurrency=4)
        await trio.sleep(1)
        assert house.crowds[-1] == (0, 4)
        first.die()
        await house.live("two", concurrency=4)
        assert [(await final(house.desk, id)).attempts for id in sent] == [2] * 4
        assert house.crowds[4:] == [(1, 0)] * 4


async def test_also_of_two_actors_only_one_runs_such_a_message_at_a_time(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        sent = [*await house.send(Job(5, "a")), *await house.send(Job(5, "b"), to="work/other")]
        first = await house.live("one", "work/main", "work/other")
        await trio.sleep(1)
        assert house.crowds[-1] == (0, 2)
        first.die()
        await house.live("two", "work/main", "work/other")
        for id in sent:
            assert (await final(house.desk, id)).state == "done"
        assert house.crowds[2:] == [(1, 0)] * 2


async def test_a_message_that_travels_alone_waits_for_no_strangers(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        hit, *_ = await house.send(Job(5, "hit"))
        first = await house.live("one", concurrency=2)
        await trio.sleep(1)
        first.die()
        others = await house.send(*(Job(1, f"{n}") for n in range(6)))
        await house.live("two", concurrency=2)
        assert [(await final(house.desk, id)).state for id in (hit, *others)] == ["done"] * 7
        assert max(alone for alone, _ in house.crowds) == 1
        assert {alone for _, word, _, alone in house.begun if word != "hit"} == {False}


async def test_poison_is_dead_after_exactly_five_attempts(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        (poison,) = await house.send(Job(1, POISON))
        for n in range(5):
            assert house.desk.show(poison).state != "dead"
            await house.poisoned(f"process-{n}")
        message = await final(house.desk, poison)
        assert (message.state, message.reason, message.attempts) == ("dead", "attempts", 5)
        assert message.error == "its holder was gone"
        await house.live("last")
        await trio.sleep(100)
        assert [(attempt, alone) for _, _, attempt, alone in house.begun] == [
            (1, False),
            *((n, True) for n in range(2, 6)),
        ]
        assert verified(house.desk)["dead"] == 1


async def test_poison_comes_back_at_once_and_then_with_growing_pauses(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        (poison,) = await house.send(Job(0, POISON))
        for n in range(5):
            await house.poisoned(f"process-{n}")
        assert (await final(house.desk, poison)).state == "dead"
    pauses = [later - earlier for earlier, later in pairwise(house.times)]
    assert pauses[0] < 0.1
    for pause, plain in zip(pauses[1:], (1, 2, 4), strict=True):
        assert 0.7 * plain <= pause <= 1.3 * plain + 0.1


async def test_a_poison_s_own_number_of_attempts_counts(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        poison = await house.desk.send("work/main", Job(0, POISON), hold=True, max_attempts=2)
        for n in range(2):
            await house.poisoned(f"process-{n}")
        message = await final(house.desk, poison)
        assert (message.state, message.attempts) == ("dead", 2)


async def test_what_waited_behind_poison_keeps_its_attempts(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        life = await house.live("one")
        await house.make_quick()
        poison, *others = await house.send(Job(1, POISON), *(Job(0, f"{n}") for n in range(5)))
        await trio.sleep(0.5)
        assert {house.desk.show(id).state for id in (poison, *others)} == {"leased"}
        await life.over.wait()
        for n in range(4):
            await house.poisoned(f"process-{n}")
        await house.live("last")
        assert (await final(house.desk, poison)).state == "dead"
        for id in others:
            message = await final(house.desk, id)
            assert (message.state, message.attempts) == ("done", 1)
        assert {alone for _, word, _, alone in house.begun if word != POISON} == {False}


async def test_what_ran_beside_poison_meets_it_only_once(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        poison, *others = await house.send(Job(1, POISON), *(Job(2, f"{n}") for n in range(2)))
        for n in range(5):
            await house.poisoned(f"process-{n}", concurrency=3)
        await house.live("last", concurrency=3)
        assert (await final(house.desk, poison)).attempts == 5
        for id in others:
            message = await final(house.desk, id)
            assert (message.state, message.attempts) == ("done", 2)


async def test_new_mail_is_handled_while_poison_goes_round(autojump_clock: MockClock) -> None:
    async with open_house() as house:
        await house.send(Job(5, POISON))
        for n in range(5):
            life = await house.live(f"process-{n}", "work/main", "work/other")
            (sent,) = await house.send(Job(0, f"{n}"), to="work/other")
            message = await final(house.desk, sent)
            assert (message.state, message.attempts, life.over.is_set()) == ("done", 1, False)
            await life.over.wait()


async def test_a_message_that_was_taken_back_and_then_done_leaves_nothing_behind(
    autojump_clock: MockClock,
) -> None:
    async with open_house() as house:
        (hit,) = await house.send(Job(5, "hit"))
        first = await house.live("one", concurrency=3)
        await trio.sleep(1)
        first.die()
        await house.live("two", concurrency=3)
        await final(house.desk, hit)
        later = await house.send(*(Job(5, f"{n}") for n in range(3)))
        for id in later:
            await final(house.desk, id)
        assert house.crowds[-1] == (0, 3)


class Absent:
    """A store handle that can be out of reach for a while, as to a loop that hangs."""

    def __init__(self, handle: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.away = False
        begin = handle.begin

        def guarded() -> None:
            if self.away:
                raise StoreUnavailable("out of reach", "", "")
            begin()

        monkeypatch.setattr(handle, "begin", guarded)


async def test_a_turn_that_lost_its_lease_has_no_effects_and_is_run_alone_elsewhere(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = memory_store()
    handle = store.another_handle()
    absent = Absent(handle, monkeypatch)
    lost: list[LeaseLost] = []
    begun: list[tuple[str, int, bool]] = []

    def observe(event: object) -> None:
        if isinstance(event, LeaseLost):
            lost.append(event)

    def working(process: str, seconds: float) -> type[Actor]:
        class Work(Actor):
            @handles(Job)
            async def work(self, job: Job) -> None:
                begun.append((process, self.message.attempt, self.message.alone))
                await trio.sleep(seconds)
                self.send("echo/main", job, reply_to="nobody/else")
                self.records.put("by", process, job.n)

        return Work

    async with open_testing_postroom(store=store.another_handle(), process="two", seed=2) as second:
        async with open_testing_postroom(store=handle, process="one", observer=observe) as first:
            await second.start("echo/main", Echo)
            await first.start("work/main", working("one", 100))
            sent = await first.send("work/main", Job(1))
            await trio.sleep(1)
            absent.away = True
            await trio.sleep(62)
            await second.start("work/main", working("two", 1))
            message = await final(second, sent)
            assert (message.state, message.attempts) == ("done", 2)
            await trio.sleep(10)
            absent.away = False
            await trio.sleep(100)
        await settled(second)
        assert begun == [("one", 1, False), ("two", 2, True)]
        assert [event.role for event in lost] == ["work"]
        assert [record.key for record in store.records("work/main", "by")] == ["two"]
        echoes = second.counts("echo/main")
        assert echoes is not None
        assert echoes.accepted == 1
        verified(second)


async def test_a_system_that_lost_its_session_goes_on_under_another(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = memory_store()
    handle = store.another_handle()
    absent = Absent(handle, monkeypatch)
    async with (
        open_testing_postroom(store=store.another_handle(), process="two", seed=2),
        open_testing_postroom(store=handle, process="one") as first,
    ):
        await first.start("echo/main", Echo)
        absent.away = True
        await trio.sleep(100)
        absent.away = False
        await trio.sleep(20)
        assert (await final(first, await first.send("echo/main", Job(1)))).state == "done"
        assert [session.live for session in store.sessions() if session.process == "one"].count(True) == 1
