"""Several systems on one store: one activation, and what becomes of the mail of those that end or hang."""

from __future__ import annotations

from collections import Counter

import pytest
import trio
from faulty import Failure, FaultyStore, having
from fleet import Process, fleet
from trio.testing import MockClock
from troupe import Adder, Echo, Job, final, state_of, verified

from postroom import Actor, handles
from postroom.store.clock import MICROS, ManualClock
from postroom.store.errors import Conflict, LostLease, OutcomeUnknown
from postroom.store.events import LeaseLost
from postroom.store.memory import MemoryStore
from postroom.store.records import (
    Accepted,
    Activate,
    Claim,
    Claimed,
    InboxSpec,
    NewMessage,
    OpenSession,
    Register,
    RenewSession,
    Send,
    Session,
)
from postroom.store.transact import transact, transact_one
from postroom.testing import memory_store, open_testing_postroom, settled

SESSION = 60.0
SOON = 30.0
"""Virtual seconds: less than a session lasts."""


class Watch:
    """Counts leases that are reported as lost."""

    def __init__(self) -> None:
        self.lost: Counter[str] = Counter()

    def __call__(self, event: object) -> None:
        if isinstance(event, LeaseLost):
            self.lost[event.role] += 1


class Stuck(Adder):
    """Adds up; a job with a word goes on for ever, and the first time only."""

    begun: Counter[int]

    @handles(Job)
    async def add(self, job: Job) -> None:
        self.begun[job.n] += 1
        if job.word and self.begun[job.n] == 1:
            await trio.sleep_forever()
        await super().add(job)


def stuck() -> type[Stuck]:
    """The class with a count of its own."""
    return type("Stuck", (Stuck,), {"begun": Counter[int]()})


def holder(store: MemoryStore, address: str) -> str:
    """The name of the system in which an actor is alive."""
    names = {session.id: session.name for session in store.sessions() if session.live}
    (term,) = [term for term in store.activations() if term.name == address]
    return names[term.session]


async def with_five_in_hand(autojump_clock: MockClock, one: Process, kind: type[Adder]) -> list[str]:
    """The first of five jobs is begun and goes on for ever; the others wait in the hands of its actor."""
    office = one.office
    await office.start("adder/main", kind)
    for n in range(30):  # the actor proves to be quick, and so gets several messages at a time
        await final(office, await office.send("adder/main", Job(100 + n)))
    await office.pause("adder/main")
    ids = [await office.send("adder/main", Job(n, "" if n else "stuck")) for n in range(5)]
    await office.resume("adder/main")
    with trio.fail_after(SOON):
        while office.store.counts("adder/main")[0].leased < 5:  # noqa: ASYNC110  # no event tells
            await trio.sleep(0.01)
    return ids


async def test_an_actor_with_a_state_is_alive_in_one_system_only(autojump_clock: MockClock) -> None:
    async with fleet(memory_store()) as us:
        one, two = await us.join("p1"), await us.join("p2")
        await one.office.start("adder/main", Adder)
        await two.office.start("adder/main", Adder)
        for n in range(10):
            await (one, two)[n % 2].office.send("adder/main", Job(n))
        await settled(one.office)
        assert holder(us.store, "adder/main") == "on-p1"
        assert state_of(two.office, "adder/main").seen == list(range(10))


async def test_another_system_takes_over_with_the_state_when_the_first_ends(
    autojump_clock: MockClock,
) -> None:
    async with fleet(memory_store()) as us:
        one, two = await us.join("p1"), await us.join("p2")
        await one.office.start("adder/main", Adder)
        await two.office.start("adder/main", Adder)
        await final(two.office, await two.office.send("adder/main", Job(1)))
        await one.end()
        ended = trio.current_time()
        await final(two.office, await two.office.send("adder/main", Job(2)))
        assert trio.current_time() - ended < 2
        assert holder(us.store, "adder/main") == "on-p2"
        assert state_of(two.office, "adder/main").seen == [1, 2]


async def test_another_system_takes_over_when_the_actor_is_stopped(autojump_clock: MockClock) -> None:
    async with fleet(memory_store()) as us:
        one, two = await us.join("p1"), await us.join("p2")
        await one.office.start("adder/main", Adder)
        await two.office.start("adder/main", Adder)
        await final(one.office, await one.office.send("adder/main", Job(1)))
        await one.office.stop("adder/main")
        await final(one.office, await one.office.send("adder/main", Job(2)))
        assert holder(us.store, "adder/main") == "on-p2"
        assert state_of(one.office, "adder/main").seen == [1, 2]


async def test_another_system_takes_over_at_once_when_the_first_is_seen_to_be_gone(
    autojump_clock: MockClock,
) -> None:
    async with fleet(memory_store()) as us:
        one, two = await us.join("p1", grace=0), await us.join("p2")
        await one.office.start("adder/main", Adder)
        await two.office.start("adder/main", Adder)
        await final(two.office, await two.office.send("adder/main", Job(1)))
        await one.kill()
        killed = trio.current_time()
        await final(two.office, await two.office.send("adder/main", Job(2)))
        assert trio.current_time() - killed < 2
        assert state_of(two.office, "adder/main").seen == [1, 2]


async def test_another_system_takes_over_when_the_session_of_the_first_lapses(
    autojump_clock: MockClock,
) -> None:
    async with fleet(memory_store()) as us:
        one, two = await us.join("p1", grace=0), await us.join("p2")
        await one.office.start("adder/main", Adder)
        await two.office.start("adder/main", Adder)
        await final(two.office, await two.office.send("adder/main", Job(1)))
        await one.kill(seen=False)
        killed = trio.current_time()
        sent = await two.office.send("adder/main", Job(2))
        await trio.sleep(SESSION / 2)
        assert two.office.show(sent).state == "ready"
        await final(two.office, sent)
        assert SESSION * 3 / 4 <= trio.current_time() - killed <= SESSION + 2
        assert state_of(two.office, "adder/main").seen == [1, 2]


@pytest.mark.parametrize("seen", [True, False])
async def test_only_the_turn_that_ran_in_a_killed_system_is_charged(
    autojump_clock: MockClock, seen: bool
) -> None:
    kind = stuck()
    async with fleet(memory_store()) as us:
        one, two = await us.join("p1", grace=0), await us.join("p2")
        ids = await with_five_in_hand(autojump_clock, one, kind)
        await two.office.start("adder/main", kind)
        await one.kill(seen=seen)
        await settled(two.office, timeout=SESSION + SOON)
        assert [two.office.show(id).attempts for id in ids] == [2, 1, 1, 1, 1]
        assert sorted(state_of(two.office, "adder/main").seen[30:]) == list(range(5))
        assert verified(two.office)["done"] == 35


async def test_mail_in_hand_goes_back_at_no_charge_when_a_system_ends(autojump_clock: MockClock) -> None:
    kind = stuck()
    async with fleet(memory_store()) as us:
        one, two = await us.join("p1", grace=1), await us.join("p2")
        ids = await with_five_in_hand(autojump_clock, one, kind)
        await two.office.start("adder/main", kind)
        await one.end()
        await settled(two.office, timeout=SOON)
        assert [two.office.show(id).attempts for id in ids] == [1, 1, 1, 1, 1]
        assert sorted(state_of(two.office, "adder/main").seen[30:]) == list(range(5))


async def test_a_message_that_kills_each_process_is_dead_in_the_end(autojump_clock: MockClock) -> None:
    begun = [trio.Event() for _ in range(3)]

    class Deadly(Actor):
        @handles(Job)
        async def hang(self, job: Job) -> None:
            begun[self.message.attempt - 1].set()
            await trio.sleep_forever()

    async with fleet(memory_store()) as us:
        last = await us.join("last")
        sent = ""
        for n in range(3):
            one = await us.join(f"p{n}", grace=0)
            await one.office.start("deadly/main", Deadly)
            sent = sent or await one.office.send("deadly/main", Job(), max_attempts=3)
            with trio.fail_after(SOON):
                await begun[n].wait()
            await one.kill()
        message = await final(last.office, sent)
        assert (message.state, message.reason, message.attempts) == ("dead", "attempts", 3)


async def test_a_late_settlement_of_a_lapsed_session_is_refused_and_counted(
    autojump_clock: MockClock,
) -> None:
    """The first system can renew nothing, so the second handles what the first is still at."""
    came: list[str] = []

    class Slow(Actor):
        @handles(Job)
        async def work(self, job: Job) -> None:
            came.append(self.message.recipient)
            self.records.put("done", str(len(came)), job.n)
            self.send("echo/main", job)
            if len(came) == 1:
                await trio.sleep(SESSION + 40)

    watch = Watch()
    store = memory_store()
    sick = FaultyStore(store)
    async with fleet(store) as us:
        one = await us.join("p1", store=sick, observer=watch)
        two = await us.join("p2")
        await two.office.start("echo/main", Echo)
        await one.office.start("slow/one", Slow)
        await two.office.start("slow/two", Slow)
        sent = await one.office.send("slow/one", Job(7))
        await trio.sleep(1)
        sick.plan(Failure.REFUSED, having(RenewSession), times=100)
        await one.office.send("slow/one", Job(7), id=sent)
        await trio.sleep(SESSION + 60)
        await final(one.office, sent)
        assert us.store.counts("slow/one")[0].lost_leases == 1
        assert watch.lost == {"slow": 1}
        assert len(us.store.records("slow/one", "done")) == 1
        assert us.store.counts("echo/main")[0].accepted == 1


@pytest.mark.parametrize("failing", [None, OpenSession, Register])
async def test_a_system_whose_session_lapsed_joins_again_and_works_on(
    autojump_clock: MockClock, failing: type[OpenSession] | type[Register] | None
) -> None:
    store = FaultyStore()
    async with open_testing_postroom(store=store) as office:
        await office.start("echo/main", Echo)
        await office.start("adder/main", Adder)
        await final(office, await office.send("adder/main", Job(1)))
        before = store.sessions()[0].id
        if failing is not None:
            store.plan(Failure.REFUSED, having(failing), times=2)
        autojump_clock.jump(SESSION + 5)
        await trio.sleep(5)
        (after,) = [session.id for session in store.sessions() if session.live]
        assert after != before
        await office.send("adder/main", Job(2))
        await settled(office, timeout=SOON)
        assert state_of(office, "adder/main").seen == [1, 2]
        assert await office.ask("echo/main", Job(3), timeout=5) == {"n": 3}


async def test_a_loop_that_was_held_loses_what_it_held(autojump_clock: MockClock) -> None:
    """A turn that blocks the loop for longer than a session cannot settle, and is run again."""
    watch = Watch()
    held: list[int] = []

    class Blocking(Adder):
        @handles(Job)
        async def add(self, job: Job) -> None:
            await super().add(job)
            if job.word and not held:
                held.append(job.n)
                autojump_clock.jump(SESSION + 1)

    async with open_testing_postroom(observer=watch) as office:
        await office.start("blocking/main", Blocking)
        for n in range(5):
            await office.send("blocking/main", Job(n, "block" if n == 2 else ""))
        await settled(office, timeout=SOON)
        assert sorted(state_of(office, "blocking/main").seen) == list(range(5))
        assert verified(office)["done"] == 5
    assert held == [2]


async def test_both_systems_of_a_machine_that_slept_work_on(autojump_clock: MockClock) -> None:
    async with fleet(memory_store()) as us:
        one, two = await us.join("p1"), await us.join("p2")
        for process in (one, two):
            await process.office.start("adder/main", Adder)
            await process.office.start(f"echo/{process.name}", Echo)
        for n in range(10):
            await one.office.send("adder/main", Job(n))
        autojump_clock.jump(3600)
        for n in range(10, 20):
            await two.office.send("adder/main", Job(n))
        await trio.sleep(5)
        await settled(one.office, timeout=SOON)
        await settled(two.office, timeout=SOON)
        assert sorted(state_of(one.office, "adder/main").seen) == list(range(20))
        assert len([session for session in us.store.sessions() if session.live]) == 2
        for process in (one, two):
            assert await process.office.ask(f"echo/{process.name}", Job(3), timeout=5) == {"n": 3}


async def test_workers_of_one_role_in_two_systems_share_its_mail(autojump_clock: MockClock) -> None:
    who: Counter[str] = Counter()

    class Worker(Actor):
        @handles(Job)
        async def work(self, job: Job) -> None:
            who[self.address] += 1
            await trio.sleep(0.1)

    async with fleet(memory_store()) as us:
        one, two = await us.join("p1"), await us.join("p2")
        await one.office.start("worker/one", Worker)
        await two.office.start("worker/two", Worker)
        await one.office.send_many("any:worker", [Job(n) for n in range(40)])
        await settled(one.office)
        assert verified(one.office)["done"] == 40
    assert sum(who.values()) == 40
    assert min(who["worker/one"], who["worker/two"]) >= 15


async def test_an_actor_that_waits_for_its_turn_to_live_is_opened_once(autojump_clock: MockClock) -> None:
    """Its system joins anew and opens it, and whoever waited to open it leaves it alone then."""

    class Brisk(Adder):
        @handles(Job)
        async def add(self, job: Job) -> None:
            await trio.sleep(0.003)
            await super().add(job)

    store = memory_store()
    sick = FaultyStore(store)
    async with fleet(store) as us:
        one, two = await us.join("p1"), await us.join("p2", store=sick)
        await one.office.start("brisk/main", Brisk)
        await two.office.start("brisk/main", Brisk)
        await two.office.start("echo/main", Echo)
        await trio.sleep(3)
        await one.end()
        sick.plan(Failure.LOST, having(Send))  # after this, the session of the second is in doubt
        with pytest.raises(OutcomeUnknown):
            await two.office.send("echo/main", Job())
        answers = await two.office.send_many("brisk/main", [Job(n) for n in range(400)])
        await settled(two.office, timeout=SOON)
        assert len(answers) == 400
        assert state_of(two.office, "brisk/main").seen == list(range(400))
        (term,) = [term.term for term in store.activations() if term.name == "brisk/main"]
        assert term == 2


def after_its_session_has_lapsed() -> tuple[MemoryStore, int]:
    """A store with an inbox, and a session in it that nobody has renewed or ended."""
    clock = ManualClock()
    store = MemoryStore(clock)
    transact_one(store, Register((InboxSpec("a/b"),)))
    opened = transact_one(store, OpenSession("late", "runtime", "p1", 60 * MICROS))
    assert isinstance(opened, Session)
    clock.advance(61)
    return store, opened.id


def test_a_session_that_has_lapsed_can_claim_nothing() -> None:
    store, late = after_its_session_has_lapsed()
    transact_one(store, Send(NewMessage(bytes(15) + b"1", "a/b", "c/d", "Job", b"1")))
    answer = transact(store, [Claim(("a/b",), 1, late)])[0]
    assert isinstance(answer, LostLease) or answer == Claimed([])
    (claimed,) = transact(store, [Claim(("a/b",), 1)])
    assert isinstance(claimed, Claimed)
    assert len(claimed.deliveries) == 1


def test_a_session_that_has_lapsed_is_handed_nothing() -> None:
    store, late = after_its_session_has_lapsed()
    send = Send(NewMessage(bytes(15) + b"1", "a/b", "c/d", "Job", b"1"), hand_to=late)
    accepted = transact_one(store, send)
    assert isinstance(accepted, Accepted)
    assert accepted.delivery is None
    (claimed,) = transact(store, [Claim(("a/b",), 1)])
    assert isinstance(claimed, Claimed)
    assert len(claimed.deliveries) == 1


def test_a_session_that_has_lapsed_activates_nothing() -> None:
    store, late = after_its_session_has_lapsed()
    assert isinstance(transact(store, [Activate("a/b", late)])[0], Conflict)
    assert not store.activations()
