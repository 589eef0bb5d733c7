"""Who stands outside the actors: senders, askers, those who poll, and an operator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Protocol, TypeVar

import trio

from ..actors.system import System
from ..mailbox.desk import Desk
from ..mailbox.ids import IdMaker, id_text
from ..store.errors import LostLease, NoAnswer, OutcomeUnknown, PostroomError, Refused, StoreUnavailable
from ..store.port import Store
from ..store.records import Delivery, Settle, Verdict, Write
from ..store.transact import transact_one
from .cast import LINE, PULL, SENDER, WORKERS, Done, Job, Nature, Note, Step
from .checkers import EFFECT
from .node import Node
from .options import Options

T = TypeVar("T")
HOPELESS = frozenset({"rejected", "no handler"})
"""Why a message is dead for which another chance is none."""

AGAIN_SECONDS = 0.05
PATIENCE_SECONDS = 5.0
"""How long a sender waits for one answer before it asks somebody else, with the same id."""


class Town(Protocol):
    """What those outside know of the world."""

    options: Options
    nodes: list[Node]
    over: bool
    calm: bool

    def note(self, event: str, **what: object) -> None: ...

    def happened(self, what: str, times: int = 1) -> None: ...

    def broken(self, kind: str, what: str) -> None: ...


async def surely(town: Town, rng: Random, do: Callable[[System], Awaitable[T]]) -> T | None:
    """Do something through any node that is up, again and again until the answer is known.

    None if it was refused for good. ``do`` must be safe to repeat: what it sends has an id.
    """
    while True:
        offices = [node.office for node in town.nodes if node.office is not None]
        if offices:
            try:
                with trio.fail_after(PATIENCE_SECONDS):
                    return await do(rng.choice(offices))
            except StoreUnavailable:
                town.happened("tried again")
            except trio.TooSlowError:
                town.happened("lost patience")
            except Refused as error:
                town.note("refused", code=error.code, what=error.what)
                town.happened("refused")
                return None
        await trio.sleep(AGAIN_SECONDS)


class Sender:
    """Sends jobs in bursts, each with an id of its own that it keeps until it knows."""

    def __init__(self, town: Town, ids: IdMaker, rng: Random, jobs: range, steps: range) -> None:
        self._town = town
        self._ids = ids
        self._rng = rng
        self._jobs = [self._job(n) for n in jobs] + [self._step(n) for n in steps]

    async def run(self) -> None:
        """Send all of them, spread over the seconds of the load."""
        options, rng = self._town.options, self._rng
        rng.shuffle(self._jobs)
        gap = options.seconds * options.burst / (2 * max(1, len(self._jobs)))
        while self._jobs:
            size = rng.randint(1, options.burst)
            burst, self._jobs = self._jobs[:size], self._jobs[size:]
            async with trio.open_nursery() as nursery:
                for job in burst:
                    nursery.start_soon(surely, self._town, rng, job)
            await trio.sleep(rng.uniform(0, 2 * gap))

    def _job(self, n: int) -> Callable[[System], Awaitable[str]]:
        nature, id = self._nature(), id_text(self._ids.new())
        attempts = 3 if nature in (Nature.POISON, Nature.FATAL) else 5
        urgent = self._rng.randrange(100) < self._town.options.shares.urgent
        priority = "urgent" if urgent else "normal"
        to = WORKERS if self._rng.randrange(4) else f"worker/{self._rng.choice(self._town.options.nodes)}"

        async def send(office: System) -> str:
            return await office.send(
                to, Job(n, nature), sender=SENDER, id=id, max_attempts=attempts, priority=priority
            )

        return send

    def _step(self, n: int) -> Callable[[System], Awaitable[str]]:
        nature = Nature.FLAKY if self._rng.randrange(48) == 0 else Nature.PLAIN
        id = id_text(self._ids.new())

        async def send(office: System) -> str:
            return await office.send(LINE, Step(n, nature), sender=SENDER, id=id)

        return send

    def _nature(self) -> str:
        dice = self._rng.randrange(100)
        for nature in Nature:
            share = getattr(self._town.options.shares, nature, 0)
            if dice < share:
                return nature
            dice -= share
        return Nature.PLAIN


class Asker:
    """Asks one node's actors, and asks again with the same id until it has an answer."""

    def __init__(self, town: Town, node: Node, ids: IdMaker, rng: Random, questions: range) -> None:
        self._town = town
        self._node = node
        self._ids = ids
        self._rng = rng
        self._questions = questions

    async def run(self) -> None:
        """Ask one question after the other."""
        for n in self._questions:
            await trio.sleep(self._rng.uniform(0, 0.3))
            await self._ask(n, id_text(self._ids.new()))

    async def _ask(self, n: int, id: str) -> None:
        town = self._town
        while not town.over:
            office = self._node.office
            if office is not None:
                try:
                    answer: Done = await office.ask(
                        WORKERS, Job(n), timeout=PATIENCE_SECONDS, id=id, reply=Done
                    )
                except (StoreUnavailable, trio.TooSlowError):
                    town.happened("asked again")
                except (NoAnswer, Refused) as error:
                    town.note("no answer", question=n, code=error.code, what=error.what)
                    town.happened("no answer")
                    return
                else:
                    town.happened("answered")
                    if answer.n != n:
                        town.broken("unexpected", f"question {n} was answered with {answer.n}")
                    return
            await trio.sleep(AGAIN_SECONDS)


class Puller:
    """Somebody without an event loop, who polls with a short lease, and is late or dies at times."""

    def __init__(self, town: Town, name: str, store: Store, calm_store: Store, rng: Random) -> None:
        self._town = town
        self._name = name
        self._store = store
        self._rng = rng
        self._desk = Desk(store, IdMaker(store.clock, rng), nap=_no_nap)
        self._ledger = partial(calm_store.records, PULL, EFFECT)
        self._polls = 0

    async def run(self) -> None:
        """Poll until the world is over."""
        key: str | None = None
        while not self._town.over:
            if key is None:
                self._polls += 1
                key = f"{self._name}-{self._polls}" if self._rng.randrange(3) else None
            try:
                found = self._desk.poll(PULL, max=self._rng.randint(1, 3), lease=0.8, key=key)
            except StoreUnavailable:
                await trio.sleep(AGAIN_SECONDS)
                continue
            except Refused as error:
                self._town.note("poll refused", what=error.what)
                found = []
            key = None
            for delivery in found:
                await self._work(delivery)
            await trio.sleep(self._rng.uniform(0.05, 0.3))

    async def _work(self, delivery: Delivery) -> None:
        """Mostly in time, sometimes late, sometimes not at all; all is well once the faults stop."""
        way = 0 if self._town.calm else self._rng.randrange(12)
        if way == 1:
            self._town.happened("puller died")
            return
        if way == 2:
            await trio.sleep(1.0)
        if way == 3:
            await trio.sleep(0.5)
            await self._say(lambda: self._desk.extend(delivery.id, delivery.fence, 2.0))
            await trio.sleep(0.6)
        if way == 4:
            await self._say(lambda: self._desk.nack(delivery.id, delivery.fence, delay=0.2))
            return
        if way == 5:
            await self._say(lambda: self._desk.nack(delivery.id, delivery.fence, release=True))
            return
        key = id_text(delivery.id)
        times = sum(int(record.value) for record in self._ledger(key))
        write = Write(PULL, EFFECT, key, b"%d" % (times + 1))
        settle = Settle(delivery.id, delivery.fence, Verdict.ACK, writes=(write,))
        if await self._say(lambda: transact_one(self._store, settle)) and way == 6:
            await self._say(lambda: transact_one(self._store, settle))
            self._town.happened("acknowledged twice")

    async def _say(self, do: Callable[[], object]) -> bool:
        """Say something until it is answered; whether it was taken."""
        while True:
            try:
                do()
            except OutcomeUnknown:
                self._town.happened("said again")
            except StoreUnavailable:
                await trio.sleep(AGAIN_SECONDS)
            except LostLease:
                self._town.happened("too late")
                return False
            else:
                return True


def _no_nap(seconds: float) -> None:
    """Nobody holds the lock while time stands still: there is nothing to wait for."""


class Operator:
    """Pauses and resumes inboxes while there are faults, and looks after dead letters."""

    def __init__(self, town: Town, store: Store, rng: Random) -> None:
        self._town = town
        self._rng = rng
        self._desk = Desk(store, IdMaker(store.clock, rng), nap=_no_nap)
        self._paused: list[str] = []

    async def run(self) -> None:
        """Meddle until it is calm."""
        inboxes = [LINE, PULL, WORKERS, *(f"worker/{name}" for name in self._town.options.nodes)]
        while not self._town.calm:
            await trio.sleep(self._rng.uniform(0.2, 1.5))
            if self._paused and self._rng.randrange(2):
                self._desk.resume(self._paused.pop())
            elif self._rng.randrange(2):
                inbox = self._rng.choice(inboxes)
                if self._try(partial(self._desk.pause, inbox)):
                    self._paused.append(inbox)
                    self._town.happened("paused")
            else:
                self.requeue()
        while self._paused:
            self._desk.resume(self._paused.pop())

    def _try(self, do: Callable[[], object]) -> bool:
        """An inbox that does not exist yet cannot be paused."""
        try:
            do()
        except PostroomError as error:
            self._town.note("operator refused", what=error.what)
            return False
        return True

    def requeue(self) -> int:
        """Give dead letters another chance, but for those that nobody can do; answers how many."""
        dead = [one for one in self._desk.store.dead(None, 1000) if one.reason not in HOPELESS]
        for one in dead:
            self._try(partial(self._desk.requeue, one.id))
        return len(dead)

    def send_pulled(self, numbers: range) -> None:
        """Put mail into the inbox of those who poll."""
        for n in numbers:
            self._desk.send(PULL, Note.__name__, b'{"n":%d}' % n, sender=SENDER)
