"""Actors whose life can be watched and broken, and an observer that can be waited for."""

from __future__ import annotations

from collections import Counter

import trio
from trio.testing import MockClock
from troupe import Answer, Job

from postroom import Actor, System, handles
from postroom.store.events import ActorParked, ActorRestarted


async def pause(seconds: float, autojump_clock: MockClock) -> None:
    """Let virtual time pass: who has no virtual clock cannot ask for it."""
    await trio.sleep(seconds)


class Witness:
    """An observer that keeps the roles of those started again and those parked."""

    def __init__(self) -> None:
        self.restarted: list[str] = []
        self.parked: list[str] = []
        self._parked = trio.Event()

    def __call__(self, event: object) -> None:
        if isinstance(event, ActorRestarted):
            self.restarted.append(event.role)
        elif isinstance(event, ActorParked):
            self.parked.append(event.role)
            self._parked.set()

    async def someone_parked(self) -> None:
        """Wait until an actor was parked."""
        with trio.fail_after(60):
            await self._parked.wait()


class Stage:
    """What actors have told of their lives, and how many of their next starts fail, by address."""

    def __init__(self, clock: MockClock) -> None:
        self.clock = clock
        self.told: list[tuple[str, str]] = []
        self.broken = Counter[str]()
        self.rehearsal = 0.0
        self.failed = trio.Event()

    def who(self, what: str) -> list[str]:
        """The addresses that told this, in order."""
        return [address for told, address in self.told if told == what]

    def player(self) -> type[Actor]:
        """An actor that tells of its starts, its jobs and its stops."""
        stage = self

        class Player(Actor):
            async def on_start(self) -> None:
                await pause(stage.rehearsal, stage.clock)
                if stage.broken[self.address]:
                    stage.broken[self.address] -= 1
                    stage.failed.set()
                    raise OSError("not today")
                stage.told.append(("starts", self.address))

            async def on_stop(self) -> None:
                stage.told.append(("stops", self.address))

            @handles(Job)
            async def play(self, job: Job) -> None:
                await pause(job.n, stage.clock)
                stage.told.append(("plays", self.address))

        return Player


ALWAYS = 10**6
"""More starts than a test waits for."""


async def answers(office: System, address: str) -> bool:
    """Whether an echo there gives its answer."""
    found: Answer = await office.ask(address, Job(7), timeout=5, reply=Answer)
    return found == Answer(7)
