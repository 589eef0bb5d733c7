"""Messages and actors that several tests of the actors floor share, and ways to watch them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

import attrs
import trio

from postroom import Actor, System, handles
from postroom.store.records import StoredMessage


@attrs.frozen
class Job:
    n: int = 0
    word: str = ""


@attrs.frozen
class Answer:
    n: int


@attrs.define
class Sum:
    total: int = 0
    seen: list[int] = attrs.Factory(list[int])


class Echo(Actor):
    """Answers each job with its number."""

    @handles(Job)
    async def answer(self, job: Job) -> Answer:
        return Answer(job.n)


class Adder(Actor):
    """Adds up the numbers of its jobs and keeps their order."""

    state: Sum

    @handles(Job)
    async def add(self, job: Job) -> None:
        self.state.total += job.n
        self.state.seen.append(job.n)


def making(function: Callable[[Actor, Job], Awaitable[object]]) -> type[Actor]:
    """An actor whose one handler, of jobs, does what an async function says."""

    class Made(Actor):
        @handles(Job)
        async def handle(self, job: Job) -> object:
            return await function(self, job)

    return Made


async def final(system: System, id: str) -> StoredMessage:
    """A message once it is in a final state."""
    gap = 0.01
    with trio.fail_after(1000):
        while (found := system.show(id)).state in ("ready", "leased", "delayed", "held"):
            await trio.sleep(gap)
            gap = min(gap * 1.2, 0.5)
    return found


def verified(system: System) -> Counter[str]:
    """The counts of a store in which nothing is lost."""
    proof = system.store.verify(deep=True)
    assert proof.ok, proof.faults
    return Counter(proof.counts)


def state_of(system: System, address: str) -> Sum:
    """What is committed of an adder's state."""
    found = system.store.records(address, "state", "")
    state: Sum = system.wire.decode(found[0].value, Sum) if found else Sum()
    return state
