"""Several systems on one store in memory, each in a task of its own as processes would be."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from postroom import System
from postroom.store.events import Observer, ignore
from postroom.store.memory import MemoryStore
from postroom.testing import open_testing_postroom


class Process:
    """One system and its handle of the store, which can be ended in good order or as by SIGKILL."""

    def __init__(self, name: str, store: MemoryStore) -> None:
        self.name = name
        self.store = store
        self.scope = trio.CancelScope()
        self.over = trio.Event()
        self._system: System | None = None

    @property
    def office(self) -> System:
        assert self._system is not None
        return self._system

    async def run(
        self,
        seed: int,
        grace: float,
        observer: Observer,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Be the process until its scope is cancelled."""
        try:
            with self.scope:
                async with open_testing_postroom(
                    seed=seed,
                    store=self.store,
                    name=f"on-{self.name}",
                    process=self.name,
                    observer=observer,
                    grace=grace,
                ) as self._system:
                    task_status.started()
                    await trio.sleep_forever()
        finally:
            self.over.set()

    async def end(self) -> None:
        """End it in good order, and wait for that."""
        self.scope.cancel()
        await self.over.wait()

    async def kill(self, *, seen: bool = True) -> None:
        """Kill it, and wait until nothing of it runs. If not ``seen``, only its lapsed session tells."""
        self.store.kill(self.name if seen else "")
        self.scope.cancel()
        await self.over.wait()


class Fleet:
    """Starts processes on one store, which is theirs in common."""

    def __init__(self, store: MemoryStore, nursery: trio.Nursery) -> None:
        self.store = store
        self.processes: list[Process] = []
        self._nursery = nursery

    async def join(
        self,
        name: str,
        *,
        store: MemoryStore | None = None,
        grace: float = 10.0,
        observer: Observer = ignore,
    ) -> Process:
        """A process more, on a handle of its own; it has joined when this returns."""
        n = len(self.processes)
        process = Process(name, store or self.store.another_handle(seed=n + 1))
        self.processes.append(process)
        await self._nursery.start(process.run, n, grace, observer)
        return process


@asynccontextmanager
async def fleet(store: MemoryStore) -> AsyncGenerator[Fleet, None]:
    """A fleet on one store; what still runs at the end is ended in good order."""
    async with trio.open_nursery() as nursery:
        them = Fleet(store, nursery)
        yield them
        for process in them.processes:
            await process.end()
