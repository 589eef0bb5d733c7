"""The system: one process's share of a store, with its actors in one tree of nurseries.

The outer nursery runs the group commit, which must outlive whoever still settles. In it are the
services: session renewal, the ear for other processes, the dispatcher. In them are the lanes, which
run the turns.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import Random

import trio

from ..mailbox.doorbell import listen
from ..mailbox.ids import IdMaker
from ..store.clock import MICROS, Clock
from ..store.commit import GroupCommit
from ..store.errors import LostLease, StoreUnavailable, UnknownInbox
from ..store.events import Observer, ignore
from ..store.looking import look
from ..store.port import Store
from ..store.process import this_process
from ..store.records import (
    Changed,
    CloseSession,
    Control,
    InboxSpec,
    OpenSession,
    Register,
    RenewSession,
    Session,
    Switch,
)
from ..store.shown import is_remote
from ..store.urls import DEFAULT_URL, open_store
from .actor import Actor
from .dispatcher import dispatch
from .keeper import Keeper
from .office import Office
from .runtime import Runtime
from .soon import Soon
from .supervisor import ChildSpec, Intensity, Strategy
from .wire import Wire, make_wire

SESSION_SECONDS = 60.0
GRACE_SECONDS = 10.0
PAUSE_SECONDS = 0.5
SERVE_AGAIN_SECONDS = 1.0
GIVEN_BACK = 16
"""Leases that are given back in one transaction when a session ends."""

FEW = 4
"""So many claims cost a server about as much as the question who has mail, and one round trip less."""


class System(Office):
    """What ``open_postroom`` gives: send, ask and start actors on one store."""

    def __init__(
        self, store: Store, *, name: str, process: str, wire: Wire, observer: Observer, rng: Random
    ) -> None:
        runtime = Runtime(store, GroupCommit(store, observer=observer, rng=rng), wire, observer)
        super().__init__(runtime, name, IdMaker(store.clock, rng))
        self._keeper = Keeper(runtime, observer)
        self._process = process
        self._doubt = trio.Event()

    async def start(
        self,
        address: str,
        actor: Callable[[], Actor],
        *,
        concurrency: int = 1,
        bound: int | None = None,
        policy: str | None = None,
        ordered: bool | None = None,
        intensity: Intensity | None = None,
    ) -> None:
        """Start an actor under an address; its inbox exists when this returns.

        ``actor`` is its class or anything that makes an instance. ``concurrency`` is how many of its
        turns may run at once, for actors without a state. An actor with a state that is alive in
        another process starts here as soon as that one ends; until then its mail is handled there.
        """
        spec = ChildSpec(address, actor, concurrency=concurrency, bound=bound, policy=policy, ordered=ordered)
        await self.supervise([spec], intensity=intensity)

    async def supervise(
        self,
        specs: Sequence[ChildSpec],
        *,
        strategy: Strategy | str = Strategy.ONE_FOR_ONE,
        intensity: Intensity | None = None,
    ) -> None:
        """Start actors in order, supervised together by a strategy and an intensity.

        All or none. Raises ``Conflict`` where one of the addresses is started already, ``BadInput``,
        ``StoreUnavailable``, and what a ``start`` raises that makes an instance to learn its class.
        """
        kinds = await self._keeper.supervise(specs, Strategy(strategy), intensity or Intensity())
        for kind in kinds:
            self._kinds.update({h.type: h.kind for h in kind.handlers.values()})

    async def stop(self, address: str) -> None:
        """Stop an actor: turns that run are finished, the rest of its mail stays in its inbox."""
        await self._keeper.stop(address)

    async def pause(self, inbox: str, key: str | None = None) -> None:
        """Accept but deliver nothing, until resumed; mail handed over but not begun goes back."""
        await super().pause(inbox, key)
        await self._keeper.release_paused()

    def at_rest(self) -> bool:
        """Whether the actors here have nothing to do: no mail that is ready or leased, nothing under way.

        Mail that is delayed or held, or waits in a paused inbox, does not count. A server is waited for, a
        second at most, by the whole event loop; not so by ``is_at_rest``.
        """
        return self._keeper.at_rest()

    async def is_at_rest(self) -> bool:
        """The same, found out beside the event loop where the store is on a server; as ``look``."""
        return await self._keeper.is_at_rest()

    async def _run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the session and everything else going until cancelled."""
        self.commit.on_rung = self._runtime.ring
        self.commit.on_doubt = self._doubted
        soon = Soon(self.commit)
        self.commit.on_delayed = soon.note
        async with trio.open_nursery() as services:
            services.start_soon(self._steadily, self._renew)
            services.start_soon(self._steadily, self._watch_pauses)
            services.start_soon(self._steadily, partial(listen, self.store, self._heard))
            services.start_soon(self._steadily, soon.run)
            services.start_soon(dispatch, self.store, self.commit, lambda: self._runtime.session)
            async with trio.open_nursery() as lanes:
                self._runtime.open(lanes)
                task_status.started()
                await trio.sleep_forever()

    async def _open_session(self) -> None:
        """Begin a session. Shielded: one that was opened and that nobody knows of would stay open."""
        lasts = round(SESSION_SECONDS * MICROS)
        with trio.CancelScope(shield=True):
            opened = await self.commit.submit(OpenSession(self.name, "runtime", self._process, lasts))
            assert isinstance(opened, Session)
            self._runtime.session = opened.id
            self._runtime.marks = self.store.turn_marks(opened.id)
        await self.commit.submit(Register((InboxSpec(self._replies, member=False),)))

    async def _steadily(self, service: Callable[[], Awaitable[None]]) -> None:
        """Run a service for ever: a store that is away for a while does not end the system."""
        while True:
            try:
                await service()
            except StoreUnavailable:
                await trio.sleep(SERVE_AGAIN_SECONDS)

    async def _renew(self) -> None:
        """Keep the session. A loop that hangs does not come here, and so loses its leases."""
        while True:
            try:
                if self._doubt.is_set():
                    await self._rejoin()
                await self.commit.submit(RenewSession(self._runtime.session, round(SESSION_SECONDS * MICROS)))
            except LostLease:
                await self._rejoin()
            with trio.move_on_after(SESSION_SECONDS / 4):
                await self._doubt.wait()
            self._runtime.report()

    def _doubted(self, _: object) -> None:
        """A commit of unknown outcome may have leased mail to our session that nobody here knows of."""
        self._doubt.set()

    async def _rejoin(self) -> None:
        """Begin anew under another session: what the old one held is ready again, for anybody."""
        self._doubt = trio.Event()
        try:
            self._keeper.suspend()
            self._runtime.marks.close()
            await self._close_session()
            await self._open_session()
            await self._keeper.rejoin()
            self._questions.ring()
        except StoreUnavailable:
            self._doubt.set()
            raise

    async def _heard(self) -> None:
        """Another process has committed: see who has mail. Of a server, a few just ask for theirs."""
        listening = self._runtime.receivers
        if self.store.is_remote and len(listening) <= FEW:
            self._runtime.ring(set(listening))
        else:
            self._runtime.ring(await look(self.store, self.store.ready_inboxes))

    async def _watch_pauses(self) -> None:
        """Anybody may pause an inbox: mail of it that was not begun goes back within half a second."""
        while True:
            await trio.sleep(PAUSE_SECONDS)
            await self._keeper.release_paused()

    @asynccontextmanager
    async def opened(self, grace: float) -> AsyncGenerator[None, None]:
        """Everything that runs, around what the caller does.

        A cancellation from outside must end the body first, then what serves it, so it is passed on
        to the body alone. What the body raises is kept out of the nurseries, which would wrap it in
        a group.
        """
        raised: BaseException | None = None
        body = trio.CancelScope()
        async with trio.open_nursery() as watch:
            watch.start_soon(_cancel_with, body)
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as outer:
                    await outer.start(self.commit.run)
                    try:
                        await self._open_session()
                        async with trio.open_nursery() as inner:
                            await inner.start(self._run)
                            try:
                                with body:
                                    yield
                            except BaseException as error:  # noqa: BLE001  # it is raised again below
                                raised = error
                            await self._keeper.shut_down(grace)
                            inner.cancel_scope.cancel()
                    except StoreUnavailable as error:
                        raised = error
                    finally:
                        await self._leave()
                        outer.cancel_scope.cancel()
            watch.cancel_scope.cancel()
        if raised is not None:
            raise raised

    async def _close_session(self) -> None:
        """End the session in steps: giving back very much at once might not fit on a full disk."""
        over = Changed(0)
        while not over.count:
            answer = await self.commit.submit(CloseSession(self._runtime.session, GIVEN_BACK))
            assert isinstance(answer, Changed)
            over = answer

    async def _leave(self) -> None:
        try:
            await self.commit.submit(Control(self._replies, Switch.END))
            if self._runtime.session:
                await self._close_session()
        except (StoreUnavailable, UnknownInbox):
            pass  # reported as a failed commit, or not quite opened; the session lapses or is seen to be gone
        self._runtime.marks.close()


async def _cancel_with(scope: trio.CancelScope) -> None:
    """Cancel a scope when this task is cancelled."""
    try:
        await trio.sleep_forever()
    finally:
        scope.cancel()


@asynccontextmanager
async def open_postroom(
    store: str | Store = DEFAULT_URL,
    *,
    name: str | None = None,
    process: str | None = None,
    clock: Clock | None = None,
    wire: Wire | None = None,
    observer: Observer = ignore,
    rng: Random | None = None,
    grace: float = GRACE_SECONDS,
) -> AsyncGenerator[System, None]:
    """Open a store and join it: an async context manager that gives a ``System``.

    ``store`` is a URL, made if there is none, or an open store, which is not closed then. On leaving,
    no further turns begin, those that run have ``grace`` seconds, and whatever is still held goes
    back to its inbox. ``process`` stands for this process where several are simulated in one. Raises
    ``StoreUnavailable``.
    """
    opened = await _opened(store, clock) if isinstance(store, str) else store
    chance = rng or Random()
    system = System(
        opened,
        name=name or f"{chance.getrandbits(48):012x}",
        process=process or this_process(),
        wire=wire or make_wire(),
        observer=observer,
        rng=chance,
    )
    try:
        async with system.opened(grace):
            yield system
    finally:
        if isinstance(store, str):
            with trio.CancelScope(shield=True):
                await look(opened, opened.close, whole=True)


async def _opened(url: str, clock: Clock | None) -> Store:
    """The store of a URL; a server is connected to in a thread. Cancelled, that is waited for."""
    opening = partial(open_store, url, create=True, clock=clock)
    return await trio.to_thread.run_sync(opening) if is_remote(url) else opening()
