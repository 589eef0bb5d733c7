"""A store with pairs, mail and app threads, and a driver that does as it is told."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from math import inf
from random import Random

import trio

from postroom.actors.clerk import Clerk
from postroom.actors.wakeups import planning
from postroom.actors.wakeups.drivers import Delivered, Order
from postroom.actors.wakeups.rules import Reason, Status
from postroom.actors.wakeups.wakener import Wakener, everybody
from postroom.actors.wakeups.watch import StaleWatch
from postroom.mailbox import heartbeats, threads, wakes
from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import IdMaker
from postroom.mailbox.wakes import Wake
from postroom.store.commit import GroupCommit
from postroom.store.events import ignore
from postroom.store.memory import MemoryStore
from postroom.store.records import Delivery, Put
from postroom.store.transact import transact_one
from postroom.testing import memory_store

JOB = b'{"n":1}'


class Stage:
    """One store and the verbs on it, at a given moment; nothing here waits."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.ids = IdMaker(store.clock, Random(7))
        self.desk = Desk(store, self.ids, nap=ignore)

    def pair(self, task: str, manager: str = "m", worker: str = "w", *, threads: bool = True) -> None:
        """Pair a task; its app threads are called by their addresses, with hyphens for the slashes."""
        self.desk.pair(task, manager, worker)
        if threads:
            for address in (f"manager/{manager}", f"worker/{worker}"):
                self.assign(address, address.replace("/", "-"))

    def assign(self, address: str, thread_id: str) -> None:
        _, write = threads.assign(self.store, address, thread_id)
        if write is not None:
            transact_one(self.store, Put((write,)))

    def beat(self, role: str, task: str, *, busy: bool = True) -> None:
        transact_one(self.store, Put((heartbeats.beat(self.store, role, task, busy=busy)[1],)))

    def mail(self, to: str) -> bytes:
        return self.desk.send(to, "job", JOB).id

    def poll(self, inbox: str, lease: float = 60.0) -> list[Delivery]:
        return self.desk.poll(inbox, lease=lease)

    def wake(self, address: str) -> Wake:
        return wakes.find(self.store, address)[0]

    def put(self, address: str, change: Callable[[Wake], Wake]) -> None:
        """Change what is known of an address's waking."""
        wake, version = wakes.find(self.store, address)
        transact_one(self.store, Put((wakes.write(address, change(wake), version),)))

    def sent(self, address: str) -> None:
        """Let a wake of the address have been sent just now."""
        self.put(address, lambda wake: wakes.sent(self.store.clock, wake, "r", "t"))

    def said(self, task: str, role: str) -> tuple[Status, Reason]:
        """What the plan says of a role."""
        (action,) = (one for one in planning.plan(self.store, task).actions if one.role == role)
        return action.status, action.reason


class Puppet:
    """A driver. It notes the orders and answers as told, ``SENT`` when nothing was said."""

    def __init__(self) -> None:
        self.orders: list[tuple[float, Order]] = []
        self.answers: deque[Delivered | Exception] = deque()
        self.seconds = 0.0
        self.then: Callable[[Order], None] = ignore

    async def wake(self, order: Order) -> Delivered:
        self.orders.append((trio.current_time(), order))
        await trio.lowlevel.checkpoint()
        with trio.move_on_after(self.seconds):
            await trio.sleep_forever()
        answer = self.answers.popleft() if self.answers else Delivered.SENT
        if isinstance(answer, Exception):
            raise answer
        self.then(order)
        return answer

    @property
    def woken(self) -> list[str]:
        """The addresses, in the order in which somebody tried to wake them."""
        return [order.address for _, order in self.orders]

    @property
    def times(self) -> list[float]:
        """When that was, in whole milliseconds."""
        return [round(at, 3) for at, _ in self.orders]

    def receipts(self) -> Counter[str]:
        return Counter(order.receipt for _, order in self.orders)


class Process:
    """What one process has: a handle on the store, its group commit, a clerk and a wakener."""

    def __init__(self, store: MemoryStore, seed: int, wanted: Callable[[str, str], bool]) -> None:
        self.store = store
        self.driver = Puppet()
        self.commit = GroupCommit(store, rng=Random(seed))
        self.clerk = Clerk(store, self.commit, IdMaker(store.clock, Random(seed + 100)))
        ids = IdMaker(store.clock, Random(seed + 200))
        self.wakener = Wakener(
            store, self.commit, ids, self.driver, rng=Random(seed), wanted=wanted, patrol=inf
        )
        self.watch = StaleWatch(store, self.commit, patrol=inf)
        self.commit.on_rung = self.ring

    def ring(self, inboxes: set[str]) -> None:
        self.clerk.ring(inboxes)
        self.wakener.ring(inboxes)
        self.watch.ring(inboxes)

    async def send(self, to: str) -> None:
        await self.clerk.send({"to": to, "type": "job", "body": 1}, sender="operator/cli")


@asynccontextmanager
async def waking(
    store: MemoryStore, *, seed: int = 0, wanted: Callable[[str, str], bool] = everybody, run: bool = True
) -> AsyncGenerator[Process]:
    """A process whose wakener runs, unless it is told not to."""
    process = Process(store, seed, wanted)
    async with trio.open_nursery() as nursery:
        await nursery.start(process.commit.run)
        if run:
            nursery.start_soon(process.wakener.run)
            nursery.start_soon(process.watch.run)
        yield process
        nursery.cancel_scope.cancel()


def new_stage() -> Stage:
    """A stage whose store commits at once."""
    return Stage(memory_store(commit_delay=0.0))


def one_pair() -> MemoryStore:
    stage = new_stage()
    stage.pair("t1")
    return stage.store


def counted(store: MemoryStore, address: str = "worker/w") -> tuple[int, int, int]:
    """How many wakes of the address were useful, empty, lost."""
    wake = wakes.find(store, address)[0]
    return wake.useful, wake.empty, wake.lost
