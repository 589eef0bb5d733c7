"""Tasks from outside: at random moments, more by day than by night, sent as anybody would send them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import trio
from msgspec import Struct

from ...actors.clerk import Clerk
from ...mailbox.ids import IdMaker, id_text
from ...store.records import Accepted
from .crew import TASK, World
from .spec import Arrivals

SENDER = "operator/desk"
ANY_WORKER = "any:worker"
HOUR = 3600.0


class Pair(Struct, frozen=True):
    """Where the tasks of a pair go, and where its reports go."""

    task: str
    manager: str
    worker: str


def daily(arrivals: Arrivals) -> float:
    """For how many hours of full arrivals a day counts."""
    begins, ends = arrivals.day
    hours = 24.0 if (begins, ends) == (0, 24) else (ends - begins) % 24
    return hours + (24 - hours) * arrivals.night


def by_day(arrivals: Arrivals, hour: float) -> bool:
    """Whether an hour of the day, from 0 to 24, is a busy one; a busy time may run past midnight."""
    begins, ends = arrivals.day
    return begins <= hour < ends if begins <= ends else hour >= begins or hour < ends


class Source:
    """Sends the tasks of all pairs, until its time is over."""

    def __init__(self, world: World, pairs: Sequence[Pair]) -> None:
        self._world = world
        self._pairs = pairs
        self._rng = Random(f"{world.options.seed}/arrivals")
        self._ids = IdMaker(world.store.clock, Random(f"{world.options.seed}/ids"))

    async def run(self) -> None:
        """Send what arrives within the run's time; ends with it, when all of it is accepted."""
        arrivals, seconds = self._world.options.fleet.arrivals, self._world.options.seconds
        bursts = len(self._pairs) * arrivals.tasks_per_day * (1 - arrivals.follow_up) / arrivals.burst
        if not bursts:
            return await trio.sleep_until(seconds)
        rate = bursts / daily(arrivals) / HOUR * max(1.0, arrivals.night)
        at = 0.0
        async with trio.open_nursery() as nursery:
            while (at := at + self._rng.expovariate(rate)) < seconds:
                share = 1.0 if by_day(arrivals, at / HOUR % 24) else arrivals.night
                if self._rng.random() * max(1.0, arrivals.night) >= share:
                    continue
                if math.ceil(at) > trio.current_time():
                    await trio.sleep_until(math.ceil(at))
                pair = self._rng.choice(self._pairs)
                for _ in range(arrivals.burst):
                    to = ANY_WORKER if self._rng.random() < arrivals.shared else pair.worker
                    nursery.start_soon(self._send, pair, to, self._ids.new())
            await trio.sleep_until(seconds)

    async def _send(self, pair: Pair, to: str, id: bytes) -> None:
        """Send one task; again with the same id where it is not known whether it was accepted."""
        task = id_text(id)[-12:]
        flags = {
            "to": to,
            "type": TASK,
            "body": {"task": task},
            "id": id_text(id),
            "reply_to": pair.manager,
            "correlation": pair.task,
        }

        async def send(clerk: Clerk) -> Accepted:
            return await clerk.send(flags, sender=SENDER)

        accepted = await self._world.use(send)
        self._world.note("task", task=task, to=to, state=accepted.state)
        self._world.ledger.asked(task)
