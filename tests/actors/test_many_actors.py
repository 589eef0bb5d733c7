"""Very many actors, several actors of one role, several turns of one actor at once."""

from __future__ import annotations

from collections import Counter

import pytest
import trio
from stage import answers, pause
from trio.testing import MockClock, wait_all_tasks_blocked
from troupe import Adder, Echo, Job, state_of, verified

from postroom import Actor, System, handles
from postroom.testing import memory_store, open_testing_postroom, settled

MANY = 10_000


def tasks() -> int:
    """How many tasks there are."""
    return trio.lowlevel.current_statistics().tasks_living


async def start_many(office: System, role: str, count: int, kind: type[Actor]) -> None:
    """Start ``role/0`` and so on, many at a time."""
    async with trio.open_nursery() as nursery:
        for n in range(count):
            nursery.start_soon(office.start, f"{role}/{n}", kind)


class Crew:
    """Workers of one kind, each job of theirs, and how many jobs are under way."""

    def __init__(self, seconds: float, clock: MockClock) -> None:
        self.clock = clock
        self.did: list[tuple[str, int]] = []
        self.now = self.most = 0
        self.seconds = seconds

    def kind(self) -> type[Actor]:
        crew = self

        class Worker(Actor):
            @handles(Job)
            async def work(self, job: Job) -> None:
                crew.now += 1
                crew.most = max(crew.most, crew.now)
                await pause(crew.seconds, crew.clock)
                crew.now -= 1
                crew.did.append((self.address, job.n))

        return Worker


@pytest.mark.parametrize("kind", [Echo, Adder])
async def test_ten_thousand_idle_actors_cost_no_task_and_each_can_get_mail(
    kind: type[Actor], autojump_clock: MockClock
) -> None:
    async with open_testing_postroom(store=memory_store(commit_delay=0)) as office:
        await wait_all_tasks_blocked()
        before = tasks()
        await start_many(office, "idle", MANY, kind)
        await settled(office)
        assert tasks() == before
        for n in (0, 4711, MANY - 1):
            await office.send(f"idle/{n}", Job(7))
        await settled(office)
        assert verified(office)["done"] == (6 if kind is Echo else 3)
        assert tasks() == before
        if kind is Adder:
            assert [state_of(office, f"idle/{n}").total for n in (0, 1, 4711)] == [7, 0, 7]


async def test_an_actor_that_has_done_its_turns_costs_no_task_again(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await start_many(office, "echo", 50, Echo)
        await settled(office)
        before = tasks()
        for n in range(50):
            assert await answers(office, f"echo/{n}")
        await settled(office)
        await wait_all_tasks_blocked()
        assert tasks() == before


async def test_the_actors_of_a_role_share_its_mail_and_each_message_is_handled_once(
    autojump_clock: MockClock,
) -> None:
    crew = Crew(1, autojump_clock)
    async with open_testing_postroom() as office:
        await start_many(office, "worker", 20, crew.kind())
        await settled(office)
        started = trio.current_time()
        await office.send_many("any:worker", [Job(n) for n in range(100)])
        await settled(office)
        took = trio.current_time() - started
        assert verified(office)["done"] == 100
    assert sorted(n for _, n in crew.did) == list(range(100))
    assert len({address for address, _ in crew.did}) == 20
    assert crew.most == 20
    assert took < 10


async def test_mail_to_a_role_goes_to_whoever_is_free(autojump_clock: MockClock) -> None:
    crew = Crew(10, autojump_clock)
    async with open_testing_postroom() as office:
        await start_many(office, "worker", 3, crew.kind())
        await office.send("worker/0", Job(0))
        await trio.sleep(1)
        await office.send("any:worker", Job(1))
        await office.send("any:worker", Job(2))
        await settled(office)
    assert crew.most == 3
    assert Counter(address for address, _ in crew.did) == Counter(["worker/0", "worker/1", "worker/2"])


async def test_an_actor_takes_its_own_mail_and_that_of_its_role(autojump_clock: MockClock) -> None:
    crew = Crew(0, autojump_clock)
    async with open_testing_postroom() as office:
        await office.start("worker/main", crew.kind())
        for n in range(40):
            await office.send("worker/main" if n % 2 else "any:worker", Job(n))
        await settled(office)
    assert sorted(n for _, n in crew.did) == list(range(40))


async def test_actors_of_a_role_in_two_systems_share_its_mail(autojump_clock: MockClock) -> None:
    crew, store = Crew(0.5, autojump_clock), memory_store()
    async with (
        open_testing_postroom(store=store, process="one") as first,
        open_testing_postroom(store=store.another_handle(), process="two") as second,
    ):
        await first.start("worker/first", crew.kind())
        await second.start("worker/second", crew.kind())
        await first.send_many("any:worker", [Job(n) for n in range(60)])
        await settled(first)
        await settled(second)
        assert verified(first)["done"] == 60
    assert sorted(n for _, n in crew.did) == list(range(60))
    assert min(Counter(address for address, _ in crew.did).values()) >= 20


@pytest.mark.parametrize("concurrency", [1, 2, 7])
async def test_as_many_turns_run_at_once_as_an_actor_is_told_and_not_more(
    concurrency: int, autojump_clock: MockClock
) -> None:
    crew = Crew(1, autojump_clock)
    async with open_testing_postroom() as office:
        await office.start("worker/main", crew.kind(), concurrency=concurrency)
        started = trio.current_time()
        await office.send_many("worker/main", [Job(n) for n in range(21)])
        await settled(office)
        took = trio.current_time() - started
        assert verified(office)["done"] == 21
    assert crew.most == concurrency
    assert sorted(n for _, n in crew.did) == list(range(21))
    assert took == pytest.approx(-(-21 // concurrency), abs=0.5)


async def test_quick_turns_before_do_not_make_more_run_at_once(autojump_clock: MockClock) -> None:
    crew = Crew(0, autojump_clock)
    async with open_testing_postroom() as office:
        await office.start("worker/main", crew.kind(), concurrency=3)
        await office.send_many("worker/main", [Job(n) for n in range(100)])
        await settled(office)
        crew.seconds, crew.most = 1, 0
        await office.send_many("worker/main", [Job(n) for n in range(100, 112)])
        await settled(office)
    assert crew.most == 3
    assert sorted(n for _, n in crew.did) == list(range(112))


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_one_slow_turn_holds_up_only_its_own_lane(concurrency: int, autojump_clock: MockClock) -> None:
    done: list[int] = []

    class Uneven(Actor):
        @handles(Job)
        async def work(self, job: Job) -> None:
            await trio.sleep(100 if job.n == 0 else 0.1)
            done.append(job.n)

    async with open_testing_postroom() as office:
        await office.start("uneven/main", Uneven, concurrency=concurrency)
        for n in range(20):
            await office.send("uneven/main", Job(n))
        await trio.sleep(50)
        assert len(done) == (0 if concurrency == 1 else 19)
        await settled(office)
    assert sorted(done) == list(range(20))
