"""Actors of the crew: a worker that leaves keyed effects, and the ledger that adds up."""

from __future__ import annotations

import os
import signal
from typing import Protocol

import trio
from attrs import define, frozen
from crew import LEDGER, digest

from postroom import Actor, handles

WAITS_EVERY = 64


class Tell(Protocol):
    """Reports one event; see ``crew.tell``."""

    def __call__(self, event: str, **facts: object) -> None: ...


@frozen
class Job:
    """A number; a hard one costs a millisecond of work in a thread."""

    n: int
    hard: bool = False


@frozen
class Done:
    """Job n has been done."""

    n: int


@frozen
class Poison:
    """Kills the process that handles it."""


@frozen
class Linger:
    """Is handled for so many seconds."""

    seconds: float


@define
class Totals:
    """What must add up: how many jobs were noted, and the sum of their numbers."""

    count: int = 0
    total: int = 0


class Ledger(Actor):
    """Notes every job once, with the sums after it. Lives in one process at a time, and moves when that one
    is killed.
    """

    state: Totals

    @handles(Done)
    async def note(self, done: Done) -> None:
        self.state.count += 1
        self.state.total += done.n
        self.records.put("seen", str(done.n), [self.state.count, self.state.total, self.message.fence])

    @handles(Poison)
    async def die(self, poison: Poison) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


async def _wait(seconds: float) -> None:
    with trio.move_on_after(seconds):
        await trio.sleep_forever()


def worker_kind(tell: Tell, pace: float = 0.0) -> type[Actor]:
    """A worker that tells of its process's first turn, and of each that lingers.

    Jobs wait for ``pace`` seconds on average, as work does that is done elsewhere: one in
    ``WAITS_EVERY`` for all of them, so that mail of quick turns waits in the process's hands.
    """
    told: list[int] = []

    class Worker(Actor):
        @handles(Job)
        async def work(self, job: Job) -> None:
            if not told:
                told.append(job.n)
                tell("first", n=job.n)
            if pace and job.n % WAITS_EVERY == 0:
                await _wait(pace * WAITS_EVERY)
            if job.hard:
                await trio.to_thread.run_sync(digest, job.n)
            self.records.put("effect", str(job.n), self.message.fence)
            self.send(LEDGER, Done(job.n))

        @handles(Linger)
        async def linger(self, message: Linger) -> None:
            tell("lingering")
            await _wait(message.seconds)

        @handles(Poison)
        async def die(self, poison: Poison) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

    return Worker
