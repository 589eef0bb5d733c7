"""The actors of a simulated fleet. Together they do whatever a turn can do, and each notes its effects."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

import attrs
import trio

from ..actors.actor import Actor, handles
from ..actors.errors import Reject
from ..mailbox.ids import id_text
from .checkers import EFFECT

WORKERS, EVERY_WORKER = "any:worker", "all:worker"
LEDGER, LINE, PULL, SENDER = "ledger/main", "line/main", "pull/main", "sender/main"


class Nature(StrEnum):
    """What is special about a job."""

    PLAIN = "plain"
    SLOW = "slow"
    FLAKY = "flaky"
    POISON = "poison"
    FATAL = "fatal"
    REJECT = "reject"
    TIMER = "timer"


@attrs.frozen
class Job:
    """Something to do, numbered."""

    n: int = 0
    nature: str = Nature.PLAIN


@attrs.frozen
class Done:
    """The answer to a job."""

    n: int


@attrs.frozen
class Note:
    """A worker's word to the ledger that a job is done."""

    n: int


@attrs.frozen
class Tock:
    """What a timer sends."""

    n: int


@attrs.frozen
class Step:
    """One of many for an inbox whose order is strict."""

    n: int
    nature: str = Nature.PLAIN


@attrs.define
class Sum:
    """The state of ``Ledger`` and ``Line``: how many messages, and their numbers added up."""

    count: int = 0
    total: int = 0


class Place(Protocol):
    """What an actor knows of the node it runs on."""

    @property
    def sick(self) -> bool:
        """Whether poison is still poison."""
        ...

    def die(self) -> None:
        """Kill the process that runs this."""
        ...


class _Noting(Actor):
    """Notes that a message has had its effect, once more than before."""

    place: Place

    def note(self) -> None:
        """Let the message of this turn have its effect once more."""
        key = id_text(self.message.id)
        times = self.records.get(EFFECT, key, int) or 0
        self.records.put(EFFECT, key, times + 1)


class Worker(_Noting):
    """Without a state: does jobs, several at once, and tells the ledger of each."""

    @handles(Job)
    async def work(self, job: Job) -> Done | None:
        if job.nature != Nature.PLAIN:
            await self._be(job.nature)
        self.note()
        self.send(LEDGER, Note(job.n))
        if job.nature == Nature.TIMER:
            self.after(0.2, Tock(job.n))
        return Done(job.n) if self.message.reply_to else None

    @handles(Tock)
    async def tock(self, tock: Tock) -> None:
        self.note()

    async def _be(self, nature: str) -> None:
        match nature:
            case Nature.SLOW:
                await trio.sleep(0.05 * self.message.attempt)
            case Nature.FLAKY if self.message.attempt <= 1:
                raise OSError("not at the first attempt")
            case Nature.POISON if self.place.sick:
                raise ValueError("poison")
            case Nature.FATAL if self.place.sick:
                self.place.die()
                await trio.sleep_forever()
            case Nature.REJECT:
                raise Reject("nobody can do this")
            case _:
                pass


class Ledger(_Noting):
    """With a state: one in the whole fleet, which sums up what the workers say."""

    state: Sum

    @handles(Note)
    async def add(self, note: Note) -> None:
        self.state.count += 1
        self.state.total += note.n
        self.note()
        if note.n % 16 == 0:
            self.after(0.3, Tock(note.n))

    @handles(Tock)
    async def tock(self, tock: Tock) -> None:
        self.state.count += 1
        self.note()


class Line(_Noting):
    """With a state and an inbox whose order is strict: a step that fails holds back the others."""

    state: Sum

    @handles(Step)
    async def step(self, step: Step) -> None:
        self.state.count += 1
        self.state.total += step.n
        self.note()
        await trio.lowlevel.checkpoint()
        if step.nature == Nature.FLAKY and self.message.attempt <= 1:
            raise OSError("not at the first attempt")


NOTING = frozenset(kind.__name__ for kind in (Job, Note, Tock, Step))
"""Types of messages whose every turn that is done notes an effect."""


def made(kind: type[_Noting], place: Place) -> Callable[[], Actor]:
    """What makes an actor that knows its place."""

    def make() -> Actor:
        actor = kind()
        actor.place = place
        return actor

    return make
