"""A process that wakes: the wakener with the drivers of the settings, and a dispatcher beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from random import Random

import trio

from ...mailbox import pairs
from ...mailbox.doorbell import listen
from ...mailbox.heartbeats import WORKER
from ...mailbox.ids import IdMaker
from ...store.clock import MICROS
from ...store.commit import GroupCommit
from ...store.errors import Conflict, LostLease, StoreUnavailable
from ...store.port import Store
from ...store.records import CloseSession, OpenSession, Put, RenewSession, Session
from ...store.transact import transact_one
from ..dispatcher import dispatch
from ..loops import budgets
from ..loops.records import loop_of
from . import autopilot
from .commands import CommandDriver
from .drivers import ByRole, Driver
from .wakener import DEBOUNCE_SECONDS, Wakener
from .webhooks import WebhookDriver

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


async def drive(
    store: Store,
    driver: ByRole,
    *,
    process: str,
    rng: Random,
    everything: bool = False,
    debounce: float = DEBOUNCE_SECONDS,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Wake the roles that have a driver, of all tasks whose autopilot runs; for ever, until cancelled.

    ``everything``: of those too whose autopilot nobody has started or stopped. ``process`` stands for
    this process. Raises ``StoreUnavailable`` if the store cannot be joined.
    """
    member = _Member(store, process)
    member.join()
    commit = GroupCommit(store, rng=rng)

    def wanted(task: str, role: str) -> bool:
        if role not in driver or not autopilot.runs(store, task, unless_stopped=everything):
            return False
        return role != WORKER or not _wakes_spent(store, task)

    ids = IdMaker(store.clock, rng)
    wakener = Wakener(store, commit, ids, driver, rng=rng, wanted=wanted, debounce=debounce)
    commit.on_rung = wakener.ring
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(commit.run)
            nursery.start_soon(_steadily, partial(member.stay, commit))
            nursery.start_soon(_steadily, partial(_hear, store, wakener))
            nursery.start_soon(_steadily, partial(_rest, store, commit))
            nursery.start_soon(dispatch, store, commit, lambda: member.session, wakener)
            task_status.started()
    finally:
        member.leave()


def _wakes_spent(store: Store, task: str) -> bool:
    """Whether the loop of a task has no wakes left for its worker."""
    binding = pairs.find(store, task)[0]
    if binding is None:
        return False
    loop, _ = loop_of(store, binding)
    return "wakes" in loop.limits and budgets.usage(store, binding, loop)["wakes"].spent


class _Member:
    """This process's session, on which its activations hang."""

    def __init__(self, store: Store, process: str) -> None:
        self._store = store
        self._opening = OpenSession("wakener", "wakener", process, SESSION_US)
        self.session = 0

    def join(self) -> None:
        """Open the session; one commit in this thread, before anything else runs."""
        opened = transact_one(self._store, self._opening)
        assert isinstance(opened, Session)
        self.session = opened.id

    async def stay(self, commit: GroupCommit) -> None:
        """Keep the session. One that has lapsed all the same is followed by another."""
        while True:
            await trio.sleep(SESSION_US / MICROS / 4)
            try:
                await commit.submit(RenewSession(self.session, SESSION_US))
            except LostLease:
                opened = await commit.submit(self._opening)
                assert isinstance(opened, Session)
                self.session = opened.id

    def leave(self) -> None:
        """Close the session, so that another process need not wait for its end."""
        with suppress(StoreUnavailable):  # it is seen to be gone, or lapses
            transact_one(self._store, CloseSession(self.session))


async def _steadily(service: Callable[[], Awaitable[None]]) -> None:
    """Run a service for ever: a store that is away for a while does not end it."""
    while True:
        try:
            await service()
        except StoreUnavailable:
            await trio.sleep(AGAIN_SECONDS)


async def _hear(store: Store, wakener: Wakener) -> None:
    """Tell the wakener when another process has committed."""
    await listen(store, lambda: wakener.ring(store.ready_inboxes()))


async def _rest(store: Store, commit: GroupCommit) -> None:
    """End the autopilots of tasks in which nothing happens, also if no heartbeat has done so."""
    while True:
        await trio.sleep(REST_SECONDS)
        for task, (pilot, _) in autopilot.PILOTS.all(store).items():
            if pilot.state is not autopilot.PilotState.RUNNING:
                continue
            binding = pairs.find(store, task)[0]
            write = None if binding is None else autopilot.rested(store, binding)
            if write is not None:
                with suppress(Conflict):  # somebody has just said otherwise
                    await commit.submit(Put((write,)))
