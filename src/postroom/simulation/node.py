"""A node: a process that runs actors, dies, and comes back; each of its lives has a handle of its own."""

from __future__ import annotations

from random import Random
from typing import Any, Protocol

import trio

from ..actors.system import System, open_postroom
from ..store.errors import StoreUnavailable
from ..store.memory import MemoryStore
from .cast import LEDGER, LINE, Ledger, Line, Worker, made
from .faults import Trouble
from .options import Options
from .planning import Fault
from .witness import Fact, Gone, witnessed

GRACE_SECONDS = 1.0
REST_SECONDS = 0.25
"""How long a node is down whose store did not let it open."""


class World(Protocol):
    """What a node needs to know of the world it lives in."""

    options: Options
    store: MemoryStore
    sick: bool
    over: bool
    nursery: trio.Nursery

    def tell(self, fact: Fact, /) -> None: ...

    def note(self, event: str, **what: object) -> None: ...

    def fired(self, fault: Fault, where: str) -> None: ...

    def broke(self, who: str, error: BaseException) -> None: ...


class _Life:
    """From one start of a process to its end."""

    def __init__(self, node: Node, number: int) -> None:
        self.node = node
        self.name = f"{node.name}.{number}"
        self.handle = node.world.store.another_handle(seed=hash_free(node.world.options.seed, self.name))
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self.office: System | None = None
        self.down = REST_SECONDS

    @property
    def sick(self) -> bool:
        return self.node.world.sick

    @property
    def alive(self) -> bool:
        return not self.ended.is_set()

    def die(self) -> None:
        """Be killed by what this process does itself."""
        self.kill(seen=True, down=0.1)

    def kill(self, *, seen: bool, down: float) -> None:
        """As SIGKILL: first the handle is dead, then what still runs is cancelled."""
        if self.ended.is_set():
            return
        world = self.node.world
        world.note("killed", process=self.name, seen=seen)
        self._be_gone(self.name if seen else "")
        self.down = down
        self.office = None
        self.scope.cancel()
        self.ended.set()

    def _be_gone(self, process: str) -> None:
        self.handle.kill(process)
        self.node.world.tell(Gone(self.handle.clock.now().boot, self.name))

    def stop(self, down: float) -> None:
        """As SIGTERM: end in good order."""
        self.node.world.note("stopped", process=self.name)
        self.down = down
        self.office = None
        self.scope.cancel()

    async def run(self) -> None:
        """Be a process until killed or stopped."""
        world, node = self.node.world, self.node
        store = witnessed(node.trouble.wrap(self.handle, self), world.tell, self.name)
        rng = Random(f"{world.options.seed}/{self.name}")
        try:
            with self.scope:
                async with open_postroom(
                    store, name=node.name, process=self.name, rng=rng, grace=GRACE_SECONDS
                ) as office:
                    await self._start(office)
                    if not self.scope.cancel_called:
                        self.office = office
                    await trio.sleep_forever()
        except StoreUnavailable as error:
            world.note("not opened", process=self.name, error=str(error))
        except BaseExceptionGroup as group:
            cancelled, rest = group.split((trio.Cancelled, KeyboardInterrupt))
            if rest is not None:
                world.broke(self.name, rest)
            if cancelled is not None:
                raise cancelled from None
        except Exception as error:  # noqa: BLE001  # whatever else ends a process is a finding, and told as one
            world.broke(self.name, error)
        finally:
            self.office = None
            if not self.ended.is_set():
                self._be_gone(self.name)
                self.ended.set()
            self.handle.close()

    async def _start(self, office: System) -> None:
        options = self.node.world.options
        await office.start(f"worker/{self.node.name}", made(Worker, self), concurrency=options.concurrency)
        await office.start(LEDGER, made(Ledger, self))
        await office.start(LINE, made(Line, self), ordered=True)


class Node:
    """A process that is started again whenever it has ended."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.trouble = Trouble(trio.current_time, world.fired)
        self.lives = 0
        self._life: _Life | None = None

    @property
    def office(self) -> System | None:
        """What one can talk to; None while it is down."""
        return None if self._life is None else self._life.office

    @property
    def running(self) -> str:
        """The name of the life that has not ended; empty if it has."""
        return self._life.name if self._life is not None and self._life.alive else ""

    def give_up(self) -> None:
        """End what does not end by itself, so that the simulation can."""
        if self._life is not None:
            _unshield(self._life.scope)

    async def run(self) -> None:
        """Live, again and again, until the world is over."""
        while not self.world.over:
            self.lives += 1
            self._life = life = _Life(self, self.lives)
            self.world.nursery.start_soon(life.run)
            await life.ended.wait()
            if not self.world.over:
                await trio.sleep(life.down)

    def crash(self, fault: Fault) -> None:
        """Kill it now."""
        if self._life is not None and not self._life.ended.is_set():
            self.world.fired(fault, "")
            self._life.kill(seen=fault.seen, down=fault.amount)

    def stop(self, down: float = 0.0) -> bool:
        """End it in good order, also while it opens its store; whether it was there to be ended."""
        if not self.running or self._life is None or self._life.scope.cancel_called:
            return False
        self._life.stop(down)
        return True


def _unshield(scope: Any) -> None:
    """Let a cancellation reach everything below a scope, whatever shields it.

    Trio has no public way to find the scopes below another one; only what hangs for ever comes here.
    """
    below: list[Any] = [scope._cancel_status]
    while below:
        status = below.pop()
        if status is not None:
            status._scope.shield = False
            below += status._children
    scope.cancel()


def hash_free(seed: int, name: str) -> int:
    """A number from a seed and a name that is the same in every process."""
    return Random(f"{seed}/{name}").getrandbits(32)
