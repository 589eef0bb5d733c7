"""The serving process of a fleet: the dispatcher, the wakener, and the clerk whom app threads speak to.

All of it is what runs in production, on a store handle of its own. The process dies now and then: its
handle goes dead first, then its tasks are cancelled, and the next one starts from the records.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any, TypeVar

import trio

from ...actors.clerk import Clerk
from ...actors.dispatcher import dispatch
from ...actors.wakeups.watch import StaleWatch
from ...mailbox.doorbell import each_of
from ...mailbox.ids import IdMaker
from ...store.clock import MICROS
from ...store.commit import GroupCommit
from ...store.errors import OutcomeUnknown, StoreUnavailable
from ...store.port import Store
from ...store.records import OpenSession, RenewSession, Session
from ..between import between
from ..witness import Gone, Tell, witnessed
from .crew import World
from .policies import Waking
from .spreads import draw

T = TypeVar("T")
MakeWaking = Callable[[Store, GroupCommit, IdMaker, Random], Waking]

SESSION_SECONDS = 180.0
LOOK_SECONDS = 5.0
"""How often the dispatcher looks when nothing is due: more would cost more than a day's mail."""

PATROL_SECONDS = 600.0
DAY_SECONDS = 86_400.0


class _Life:
    """From one start of the process to its end."""

    def __init__(self, world: World, number: int, tell: Tell | None, *, torn: bool) -> None:
        self.name = f"house.{number}"
        self.torn = torn
        self.rng = Random(f"{world.options.seed}/{self.name}")
        self.handle = world.store.another_handle(seed=self.rng.getrandbits(32))
        self.scope = trio.CancelScope()
        self._world = world
        self._tell = tell
        self._tears = False

    def store(self) -> Store:
        """The handle as this process sees it; one that will be torn from it is watched for that."""
        store: Store = self.handle
        if self.torn:
            store = between(store, self._around)
        return store if self._tell is None else witnessed(store, self._tell, self.name)

    def _around(
        self, name: str, call: Callable[[], Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        answer = call()
        if self._tears and name == "commit":
            self.kill()
            raise OutcomeUnknown("the commit failed", "the process died in it", "")
        return answer

    def tear(self) -> None:
        """Die in the next commit, between its doing and its being told."""
        self._tears = True

    def kill(self) -> None:
        """As SIGKILL: first the handle is dead, then what still runs is cancelled."""
        self._tears = False
        self.handle.kill(self.name)
        if self._tell is not None:
            self._tell(Gone(self.handle.clock.now().boot, self.name))
        self.scope.cancel()


class House:
    """Serves until it dies, and is started again."""

    def __init__(self, world: World, make_waking: MakeWaking, tell: Tell | None) -> None:
        self._world = world
        self._make_waking = make_waking
        self._tell = tell
        self._rng = Random(f"{world.options.seed}/house")
        self._up = trio.Event()
        self._clerk: Clerk | None = None
        self._lives = 0

    async def use(self, verb: Callable[[Clerk], Awaitable[T]]) -> T:
        """Do something through the clerk; again when the process is back if it dies meanwhile.

        Whether the first try counted is then unknown, so ``verb`` must be one that may be repeated.
        """
        while True:
            clerk = self._clerk
            if clerk is None:
                await self._up.wait()
                continue
            try:
                return await verb(clerk)
            except StoreUnavailable:
                if self._clerk is clerk:
                    self._close()

    def _close(self) -> None:
        """Nobody is served until the next life."""
        self._clerk = None
        if self._up.is_set():
            self._up = trio.Event()

    async def run(self) -> None:
        """Live, again and again, until cancelled."""
        while True:
            self._lives += 1
            torn = self._rng.random() < self._world.options.fleet.dispatcher.torn
            life = _Life(self._world, self._lives, self._tell, torn=torn)
            try:
                await self._live(life)
            finally:
                self._close()
                life.handle.close()
            self._world.ledger.happened["process deaths"] += 1
            self._world.note("process died", process=life.name)
            down = draw(self._rng, self._world.options.fleet.dispatcher.restart)
            await trio.sleep_until(trio.current_time() + down)

    async def _live(self, life: _Life) -> None:
        store = life.store()
        with life.scope:
            async with trio.open_nursery() as nursery:
                commit = GroupCommit(store, rng=Random(life.rng.getrandbits(32)))
                ids = IdMaker(store.clock, Random(life.rng.getrandbits(64)))
                clerk = Clerk(store, commit, ids)
                waking = self._make_waking(store, commit, ids, Random(life.rng.getrandbits(32)))
                watch = StaleWatch(store, commit, patrol=PATROL_SECONDS)
                commit.on_rung = each_of(clerk.ring, waking.ring, watch.ring)
                await nursery.start(commit.run)
                session = await self._open(commit, life)
                nursery.start_soon(partial(dispatch, store, commit, lambda: session, longest=LOOK_SECONDS))
                nursery.start_soon(self._renew, commit, session)
                nursery.start_soon(waking.run)
                nursery.start_soon(watch.run)
                nursery.start_soon(self._end, life)
                self._world.note("process started", process=life.name)
                self._clerk = clerk
                self._up.set()

    async def _open(self, commit: GroupCommit, life: _Life) -> int:
        opened = OpenSession("dispatcher", "dispatcher", life.name, round(SESSION_SECONDS * MICROS))
        session = await commit.submit(opened)
        assert isinstance(session, Session)
        return session.id

    async def _renew(self, commit: GroupCommit, session: int) -> None:
        while True:
            await trio.sleep(SESSION_SECONDS / 4)
            with suppress(StoreUnavailable):  # this life is about to end
                await commit.submit(RenewSession(session, round(SESSION_SECONDS * MICROS)))

    async def _end(self, life: _Life) -> None:
        """Die after a while, if this world has such things."""
        deaths = self._world.options.fleet.dispatcher
        if not deaths.crashes_per_day:
            return
        await trio.sleep(self._rng.expovariate(deaths.crashes_per_day / DAY_SECONDS))
        if self._world.calm:
            return
        self._close()
        if life.torn:
            life.tear()
        else:
            life.kill()
