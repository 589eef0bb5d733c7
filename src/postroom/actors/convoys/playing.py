"""Play a run in this process: start its actors, and see it to its end or its interruption."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio

from ...store.errors import Conflict
from ...store.port import Store
from ...store.records import Control, InboxSpec, Register, Switch
from ..actor import Actor, handles
from ..system import System
from .commands import kill_leftovers
from .ledger import Ledger, Report, RunRecord, registration
from .manager import Manager
from .messages import Begin, Interrupt, Moved, Noted
from .names import manager_of, watcher_of, worker_of
from .plan import Convoy
from .states import TaskStatus
from .worker import Worker

ANSWER_SECONDS = 60.0
"""How long the manager may take to answer; it never works, it only judges."""

LOOK_SECONDS = 1.0
"""How often to look although the bell, which is only a hint, was not rung."""


class Watcher(Actor):
    """Hears from the manager that something has changed. The truth is in the ledger."""

    def __init__(self, ring: Callable[[], None]) -> None:
        super().__init__()
        self._ring = ring

    @handles(Moved)
    async def look(self, _: Moved) -> None:
        """Ring the bell of this process."""
        self._ring()


class Bell:
    """Wakes the one who waits; ringing it again before that changes nothing."""

    def __init__(self) -> None:
        self._rung = trio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self) -> None:
        await self._rung.wait()
        self._rung = trio.Event()


async def enter(office: System, run: RunRecord) -> None:
    """Enter a new run in the index. From then on it can be resumed, whatever happens."""
    await office.commit.submit(registration(run))


async def play(
    office: System,
    run: str,
    convoy: Convoy,
    logs: Path,
    *,
    stop: trio.Event,
    watch: Callable[[Report], None],
) -> Report:
    """Play a run that was entered, from its beginning or from where it was, until it is over.

    ``logs`` is an existing folder. ``watch`` gets a report of every change. Once ``stop`` is set, what
    runs is cut short and the run is left interrupted. Cancelled, or killed, it can be resumed all the
    same. Raises ``Conflict`` if another process plays it.
    """
    bell, cut = Bell(), trio.Event()
    await office.start(watcher_of(run), partial(Watcher, bell.ring))
    await office.start(manager_of(run), Manager)
    _check_ours(office, run)
    await trio.to_thread.run_sync(kill_leftovers, run)
    # Mail for the worker waits until the manager has looked over what was left from last time.
    await office.commit.submit(Register((InboxSpec(worker_of(run)),)))
    await _tell(office, run, Begin(convoy, str(logs)))
    await office.start(worker_of(run), partial(Worker, cut), concurrency=convoy.concurrency)
    ledger = Ledger(office.store)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_interrupt_on, stop, office, run, cut, bell)
        report = await _watch(ledger, run, cut, bell, watch)
        nursery.cancel_scope.cancel()
    if ledger.is_over(run):
        await _end(office, run)
    return report


def _check_ours(office: System, run: str) -> None:
    """The manager lives once; if it is not here, another process plays this run."""
    if not _manager_is_at(office.store, run, office.name):
        raise Conflict(
            f"run {run} is being played", "another process does it", "wait for its end, or stop it first"
        )


def _manager_is_at(store: Store, run: str, session: str) -> bool:
    names = {found.id: found.name for found in store.sessions()}
    return any(
        term.name == manager_of(run) and names.get(term.session) == session for term in store.activations()
    )


async def _tell(office: System, run: str, order: Any) -> None:
    await office.ask(manager_of(run), order, timeout=ANSWER_SECONDS, reply=Noted)


async def _interrupt_on(stop: trio.Event, office: System, run: str, cut: trio.Event, bell: Bell) -> None:
    """First have the manager start nothing more, then cut short what runs."""
    await stop.wait()
    await _tell(office, run, Interrupt())
    cut.set()
    bell.ring()


async def _watch(
    ledger: Ledger, run: str, cut: trio.Event, bell: Bell, watch: Callable[[Report], None]
) -> Report:
    """Report every change, until the run is over or has been interrupted and nothing runs any more."""
    while True:
        report = ledger.report(run)
        assert report is not None, "the manager has answered, so the run has set out"
        watch(report)
        quiet = all(row.status != TaskStatus.RUNNING for row in report.tasks)
        if ledger.is_over(run) or (cut.is_set() and quiet):
            return report
        with trio.move_on_after(LOOK_SECONDS):
            await bell.wait()


async def _end(office: System, run: str) -> None:
    """The actors of a run that is over are needed no more, nor are their inboxes."""
    for address in (worker_of(run), manager_of(run), watcher_of(run)):
        await office.stop(address)
        await office.commit.submit(Control(address, Switch.END))
