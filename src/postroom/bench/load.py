"""The load that rows put on a system: one kind of message, senders that never rest, a sink."""

from __future__ import annotations

import time

import attrs
import trio

from .. import Actor, System, handles
from .figures import padding, raw_body

FIRST_SERIAL = 100_000


@attrs.frozen
class Job:
    """A message whose body is as long as the run asks for."""

    pad: str
    serial: int


class Tally:
    """How many turns have run, and a bell for when they are enough."""

    def __init__(self) -> None:
        self.handled = 0
        self._wanted: int | None = None
        self._reached = trio.Event()

    def count(self) -> None:
        self.handled += 1
        if self.handled == self._wanted:
            self._reached.set()

    async def reaches(self, wanted: int) -> None:
        """Wait until this many turns have run in all."""
        if self.handled < wanted:
            self._wanted, self._reached = wanted, trio.Event()
            await self._reached.wait()


def sink(tally: Tally) -> type[Actor]:
    """An actor that only counts what it is given."""

    class Sink(Actor):
        @handles(Job)
        async def take(self, job: Job) -> None:
            tally.count()

    return Sink


def pad_for(body_bytes: int) -> str:
    """The padding that makes the body of a ``Job`` this long."""
    return padding(raw_body(FIRST_SERIAL, ""), body_bytes)


async def keep_sending(office: System, inbox: str, pad: str, senders: int, seconds: float) -> list[float]:
    """``senders`` tasks that each await a durable send before the next; how long each send took."""
    taken: list[float] = []
    end = time.perf_counter() + seconds

    async def one_sender(serial: int) -> None:
        while (began := time.perf_counter()) < end:
            await office.send(inbox, Job(pad, serial))
            taken.append(time.perf_counter() - began)

    async with trio.open_nursery() as nursery:
        for number in range(senders):
            nursery.start_soon(one_sender, FIRST_SERIAL + number)
    return taken
