"""One dispatcher in a fleet: who it is, who comes after it, and what it makes happen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock
from troupe import Echo, Job, final, verified

from postroom import Actor, System, handles
from postroom.mailbox.ids import parse_id
from postroom.store.clock import MICROS, Instant
from postroom.store.errors import Conflict, Refused, StoreUnavailable, UnknownMessage
from postroom.store.memory import MemoryStore
from postroom.store.records import Answer, Claim, InboxSpec, Operation, Register, Tick
from postroom.testing import EPOCH_US, VirtualClock, memory_store, open_testing_postroom

DAY = 86_400


class Fleet:
    """Systems on one store, each as in a process of its own, and the times at which each has ticked."""

    def __init__(self, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = memory_store()
        self.ticks: dict[str, list[float]] = {}
        self.systems: dict[str, System] = {}
        self._handles: dict[str, MemoryStore] = {}
        self._scopes: dict[str, trio.CancelScope] = {}
        self._ends: dict[str, trio.Event] = {}
        self._nursery = nursery
        self._monkeypatch = monkeypatch

    async def add(self, process: str) -> System:
        """Let one more process join."""
        handle = self.store.another_handle()
        self._watch(handle, process)
        self._handles[process] = handle
        self._scopes[process], self._ends[process] = trio.CancelScope(), trio.Event()
        system: System = await self._nursery.start(self._run, process)
        self.systems[process] = system
        return system

    def end(self, process: str) -> None:
        """Let a process end in order."""
        self._ends[process].set()

    def cancel(self, process: str) -> None:
        """Let the task around a system be cancelled."""
        self._scopes[process].cancel()

    def kill(self, process: str) -> None:
        """Let a process be gone between two instructions."""
        self._handles[process].kill(process)
        self._scopes[process].cancel()

    def dispatchers(self, since: float) -> set[str]:
        """Who has ticked after a moment."""
        return {process for process, times in self.ticks.items() if times and times[-1] > since}

    async def _run(self, process: str, task_status: trio.TaskStatus[System]) -> None:
        with self._scopes[process], suppress(StoreUnavailable):
            async with open_testing_postroom(store=self._handles[process], process=process) as system:
                task_status.started(system)
                await self._ends[process].wait()

    def _watch(self, handle: MemoryStore, process: str) -> None:
        times = self.ticks[process] = []
        apply = handle.apply

        def watched(batch: Sequence[Operation]) -> list[Answer]:
            if any(isinstance(operation, Tick) for operation in batch):
                times.append(trio.current_time())
            return apply(batch)

        self._monkeypatch.setattr(handle, "apply", watched)


async def test_of_many_systems_one_is_the_dispatcher(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with trio.open_nursery() as nursery:
        fleet = Fleet(nursery, monkeypatch)
        for process in ("one", "two", "three"):
            await fleet.add(process)
        await trio.sleep(200)
        assert fleet.dispatchers(0) == {"one"}
        assert len(fleet.ticks["one"]) >= 200
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("how", ["end", "cancel", "kill"])
async def test_another_system_takes_over_within_seconds_when_the_dispatcher_s_is_gone(
    how: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with trio.open_nursery() as nursery:
        fleet = Fleet(nursery, monkeypatch)
        for process in ("one", "two", "three"):
            await fleet.add(process)
        await trio.sleep(20)
        gone = trio.current_time()
        getattr(fleet, how)("one")
        await trio.sleep(5)
        (successor,) = fleet.dispatchers(gone + 0.1)
        assert successor in ("two", "three")
        await trio.sleep(200)
        assert fleet.dispatchers(gone + 0.1) == {successor}
        nursery.cancel_scope.cancel()


def history(system: System, id: str) -> dict[str, float]:
    """When what happened to a message, in virtual seconds; the last time of each verb."""
    return {event.event: (event.at - EPOCH_US) / MICROS for event in system.show(id).history}


async def test_without_anybody_who_claims_due_mail_is_made_ready(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.commit.submit(Register((InboxSpec("idle/main"),)))
        sent = await office.send("idle/main", Job(), delay=30.4)
        await trio.sleep(32)
        assert history(office, sent)["due"] == pytest.approx(30.4, abs=0.1)


async def test_without_anybody_who_claims_old_mail_expires(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.commit.submit(Register((InboxSpec("idle/main"),)))
        sent = await office.send("idle/main", Job(), expires=30.4)
        await trio.sleep(32)
        assert history(office, sent)["expire"] == pytest.approx(30.4, abs=0.1)
        assert verified(office)["expired"] == 1


async def test_without_anybody_who_claims_a_lapsed_lease_is_taken_back(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.commit.submit(Register((InboxSpec("idle/main"),)))
        sent = await office.send("idle/main", Job())
        await office.commit.submit(Claim(("idle/main",), 1, lease_us=30_400_000))
        assert office.show(sent).state == "leased"
        await trio.sleep(32)
        message = office.show(sent)
        assert (message.state, message.attempts) == ("ready", 1)
        assert history(office, sent)["take back"] == pytest.approx(30.4, abs=0.1)


@pytest.mark.parametrize("envelope", [{"delay": 30.0}, {}])
async def test_an_actor_elsewhere_gets_what_the_dispatcher_makes_ready(
    envelope: dict[str, Any], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    came: list[float] = []

    class Timed(Actor):
        @handles(Job)
        async def come(self, job: Job) -> None:
            came.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        fleet = Fleet(nursery, monkeypatch)
        first, second = await fleet.add("one"), await fleet.add("two")
        await second.start("timed/main", Timed)
        sent = await first.send("timed/main", Job(), **envelope)
        await final(first, sent)
        assert came == [pytest.approx(envelope.get("delay", 0.0), abs=0.1)]
        nursery.cancel_scope.cancel()


class LeapingClock(VirtualClock):
    """A virtual clock on which days pass in which nothing runs."""

    def __init__(self) -> None:
        super().__init__()
        self.leapt = 0

    def now(self) -> Instant:
        now = super().now()
        return Instant(now.wall + self.leapt, now.boot + self.leapt)

    def leap(self, seconds: float) -> None:
        self.leapt += round(seconds * MICROS)


async def old_mail(store: MemoryStore) -> tuple[str, str]:
    """The ids of a message that was handled and of one that is dead, each as old as the other."""
    async with open_testing_postroom(store=store) as office:
        await office.start("echo/main", Echo)
        done = await office.send("echo/main", Job())
        dead = await office.send("echo/main", {}, type="Unknown")
        assert (await final(office, done)).state == "done"
        assert (await final(office, dead)).state == "dead"
        await final(office, await office.send("echo/main", Job()))
    return done, dead


@pytest.mark.parametrize(("days", "kept"), [(6.99, True), (7.01, False)])
async def test_a_final_message_is_forgotten_after_seven_days_and_stays_counted(
    days: float, kept: bool, autojump_clock: MockClock
) -> None:
    clock = LeapingClock()
    store = MemoryStore(clock, commit_delay=0.001)
    done, dead = await old_mail(store)
    before = {counts.inbox: (counts.accepted, counts.done, counts.dead) for counts in store.counts()}
    proven = Counter(store.verify(deep=True).counts)
    clock.leap(days * DAY)
    async with open_testing_postroom(store=store, name="later") as office:
        await trio.sleep(10)
        assert (store.message(parse_id(done)) is not None) is kept
        assert office.show(dead).state == "dead"
        for inbox, counted in before.items():
            counts = office.counts(inbox)
            assert counts is not None
            assert (counts.accepted, counts.done, counts.dead) == counted
        assert before["echo/main"] == (3, 2, 1)
        assert verified(office) == proven


async def test_the_id_of_a_forgotten_message_is_remembered_for_two_weeks(autojump_clock: MockClock) -> None:
    clock = LeapingClock()
    store = MemoryStore(clock, commit_delay=0.001)
    done, _ = await old_mail(store)
    clock.leap(7.01 * DAY)
    async with open_testing_postroom(store=store, name="later") as office:
        await trio.sleep(10)
        with pytest.raises(UnknownMessage):
            office.show(done)
        with pytest.raises(Conflict):
            await office.send("echo/main", Job(99), id=done)
    clock.leap(6.9 * DAY)
    async with open_testing_postroom(store=store, name="still") as office:
        await trio.sleep(10)
        with pytest.raises(Conflict):
            await office.send("echo/main", Job(99), id=done)
    clock.leap(DAY)
    async with open_testing_postroom(store=store, name="last") as office:
        await trio.sleep(10)
        with pytest.raises(Refused, match="old"):
            await office.send("echo/main", Job(), id=done)
        verified(office)
