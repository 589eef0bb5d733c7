"""Keeping house for a fleet: the dispatcher, the watch for stale workers, the wakener with its drivers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from random import Random

import trio
from msgspec import Struct

from ...mailbox import pairs
from ...mailbox.doorbell import listen
from ...mailbox.heartbeats import WORKER
from ...mailbox.ids import IdMaker
from ...store.clock import MICROS
from ...store.commit import GroupCommit
from ...store.errors import Conflict, LostLease, StoreUnavailable
from ...store.looking import look
from ...store.port import Store
from ...store.records import CloseSession, OpenSession, Put, RenewSession, Session, Write
from ...store.transact import transact_one
from ..dispatcher import Duty, dispatch
from ..loops import budgets
from ..loops.records import loop_of
from . import autopilot
from .commands import CommandDriver
from .drivers import ByRole, Driver
from .wakener import DEBOUNCE_SECONDS, Wakener
from .watch import StaleWatch
from .webhooks import WebhookDriver

WAKENER, WATCH = "postroom/wakener", "postroom/watch"
SESSION_US = 60 * MICROS
REST_SECONDS = 60.0
AGAIN_SECONDS = 1.0


def drivers(
    commands: Iterable[tuple[str, Sequence[str]]], webhooks: Iterable[tuple[str, str]], timeout: float
) -> ByRole:
    """A driver for each role that has a command or a webhook; ``timeout`` in seconds. Raises ``BadInput``."""
    found: dict[str, Driver] = {role: CommandDriver(template, timeout=timeout) for role, template in commands}
    found |= {role: WebhookDriver(url, timeout=timeout) for role, url in webhooks}
    return ByRole(found)


class Waking(Struct, frozen=True):
    """How a process wakes: the roles that have a driver, of all tasks whose autopilot runs.

    ``everything``: of those too whose autopilot nobody has started or stopped.
    """

    driver: ByRole
    everything: bool = False
    debounce: float = DEBOUNCE_SECONDS

    def wakener(self, store: Store, commit: GroupCommit, rng: Random) -> Wakener:
        """The wakener that does it."""

        def wanted(task: str, role: str) -> bool:
            if role not in self.driver or not autopilot.runs(store, task, unless_stopped=self.everything):
                return False
            return role != WORKER or not _wakes_spent(store, task)

        ids = IdMaker(store.clock, rng)
        return Wakener(store, commit, ids, self.driver, rng=rng, wanted=wanted, debounce=self.debounce)


class Housekeeping:
    """What one process of a fleet does for all: the dispatcher, the watch for workers that went stale and,
    where it can wake, the wakener.

    ``process`` stands for this process. Connect ``ring`` to the ``on_rung`` of ``commit``.
    """

    def __init__(
        self, store: Store, commit: GroupCommit, *, process: str, rng: Random, waking: Waking | None = None
    ) -> None:
        self._store = store
        self._commit = commit
        self._opening = OpenSession("dispatcher", "dispatcher", process, SESSION_US)
        self._session = 0
        self._watch = StaleWatch(store, commit)
        self._wakener = None if waking is None else waking.wakener(store, commit, rng)

    def ring(self, inboxes: set[str]) -> None:
        """There may be mail in these inboxes."""
        self._watch.ring(inboxes)
        if self._wakener is not None:
            self._wakener.ring(inboxes)

    async def run(self) -> None:
        """Do all of it, for ever, until cancelled; a store that is away for a while ends nothing."""
        duties = [Duty(WATCH, self._watch.run)]
        await self._keep()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._stay)
            if self._wakener is not None:
                duties.append(Duty(WAKENER, self._wakener.run))
                nursery.start_soon(_steadily, partial(_hear, self._store, self._wakener))
                nursery.start_soon(_steadily, partial(_rest, self._store, self._commit))
            nursery.start_soon(dispatch, self._store, self._commit, lambda: self._session, duties)

    async def _stay(self) -> None:
        while True:
            await trio.sleep(SESSION_US / MICROS / 4)
            await self._keep()

    async def _keep(self) -> None:
        """Renew the session on which the activations hang. One that has lapsed is followed by another."""
        while True:
            try:
                if self._session:
                    with suppress(LostLease):
                        await self._commit.submit(RenewSession(self._session, SESSION_US))
                        return
                opened = await self._commit.submit(self._opening)
            except StoreUnavailable:
                await trio.sleep(AGAIN_SECONDS)
                continue
            assert isinstance(opened, Session)
            self._session = opened.id
            return

    async def leave(self) -> None:
        """Close the session once ``commit`` has ended, so that others need not wait for its end. Shielded."""
        if self._session:
            closing = partial(transact_one, self._store, CloseSession(self._session))
            with suppress(StoreUnavailable), trio.CancelScope(shield=True):
                await look(self._store, closing, whole=True)  # else it is seen to be gone, or lapses


async def drive(
    store: Store,
    waking: Waking,
    *,
    process: str,
    rng: Random,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Keep house and wake, with a group commit of its own; for ever, until cancelled."""
    commit = GroupCommit(store, rng=rng)
    house = Housekeeping(store, commit, process=process, rng=rng, waking=waking)
    commit.on_rung = house.ring
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(commit.run)
            nursery.start_soon(house.run)
            task_status.started()
    finally:
        await house.leave()


def _wakes_spent(store: Store, task: str) -> bool:
    """Whether the loop of a task has no wakes left for its worker."""
    binding = pairs.find(store, task)[0]
    if binding is None:
        return False
    loop, _ = loop_of(store, binding)
    return "wakes" in loop.limits and budgets.usage(store, binding, loop)["wakes"].spent


async def _steadily(service: Callable[[], Awaitable[None]]) -> None:
    """Run a service for ever: a store that is away for a while does not end it."""
    while True:
        try:
            await service()
        except StoreUnavailable:
            await trio.sleep(AGAIN_SECONDS)


async def _hear(store: Store, wakener: Wakener) -> None:
    """Tell the wakener when another process has committed."""

    async def heard() -> None:
        wakener.ring(await look(store, store.ready_inboxes))

    await listen(store, heard)


async def _rest(store: Store, commit: GroupCommit) -> None:
    """End the autopilots of tasks in which nothing happens, also if no heartbeat has done so."""
    while True:
        await trio.sleep(REST_SECONDS)
        found = await look(store, partial(autopilot.PILOTS.all, store))
        for task, (pilot, _) in found.items():
            if pilot.state is not autopilot.PilotState.RUNNING:
                continue
            write = await look(store, partial(_rested, store, task))
            if write is not None:
                with suppress(Conflict):  # somebody has just said otherwise
                    await commit.submit(Put((write,)))


def _rested(store: Store, task: str) -> Write | None:
    binding = pairs.find(store, task)[0]
    return None if binding is None else autopilot.rested(store, binding)
