"""Play a run in this process: start its actors, and see it to its end, its pause or its interruption."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio

from ...mailbox.doorbell import Bell
from ...store.clock import MICROS
from ...store.errors import Conflict
from ...store.looking import look
from ...store.port import Store
from ...store.records import Control, InboxSpec, Register, Switch
from ..system import System
from .ledger import Ledger, Report
from .living import player_of
from .manager import Manager
from .messages import Begin, Interrupt, Noted
from .names import checker_of, crew_of, manager_of, worker_of
from .plan import Convoy
from .record.ndjson import NAME, follow, settle
from .review.starting import start_reviewing
from .rules.standing import Standing
from .rules.states import ACTIVE, ConvoyStatus, TaskStatus
from .work.calls import Calls
from .work.checker import Checker
from .work.commands import KILL_AFTER, kill_leftovers
from .work.halts import Halts
from .work.jobs import Jobs
from .work.worker import Worker

LOG = logging.getLogger("postroom.convoys")

ANSWER_SECONDS = 60.0
"""How long the manager may take to answer; it never works, it only judges."""

CHECKS_AT_ONCE = 4
"""Tasks whose gates and hooks run at the same time."""

LOOK_SECONDS = 1.0
"""How often to look although the bell, which is only a hint, was not rung."""

FIRST_GAP, LONGEST_GAP = 0.001, 0.05
"""Seconds between looks for a commit that is under way."""

JOURNAL_AGAIN_SECONDS = 5.0

LEAVE_SECONDS = 5.0
"""How long those who were cut short may take to say so, once their commands are gone."""

LOOKING_SHARE, LEAST_PAUSE = 30, 0.05
"""A report of many tasks takes a while: of the time, at most one part in so many goes into them, and
there are no more of them than anybody could follow."""


RUNNING = TaskStatus.RUNNING
"""Of those who pull, one that runs does so elsewhere, and goes on whoever plays the convoy."""


class Bells:
    """``changed`` rings when anything has, ``still`` when perhaps nothing more will, ``journal`` for it."""

    def __init__(self) -> None:
        self.changed, self.still, self.journal = Bell(), Bell(), Bell()
        self.late = False

    def ring(self, status: ConvoyStatus) -> None:
        """The manager has had a turn, after which the convoy stands so."""
        self.changed.ring()
        self.journal.ring()
        if status is not ConvoyStatus.RUNNING:
            self.still.ring()


async def play(
    office: System,
    run: str,
    convoy: Convoy,
    logs: Path,
    *,
    stop: trio.Event,
    watch: Callable[[Report], None],
    ledger: Ledger | None = None,
) -> Report:
    """Play a run that was entered, from its beginning or from where it was, until it is over.

    ``logs`` is an existing folder, which also gets the record as ``events.ndjson``. ``watch`` gets a
    report of every change. Once ``stop`` is set, what runs is cut short and the run is left interrupted;
    a run that pauses is left so once nothing runs. Cancelled, or killed, it can be resumed all the same.
    A ``ledger`` that has read the run already spares reading it again. Raises ``Conflict`` if another
    process plays it.
    """
    bells, halts = Bells(), Halts()
    await office.start(
        manager_of(run), partial(Manager, bells.ring, partial(wall_of, office.store), halts.halt)
    )
    await _check_ours(office, run)
    await trio.to_thread.run_sync(kill_leftovers, run, str(logs))
    # Mail for the others waits until the manager has looked over what was left from last time.
    inboxes = (*crew_of(run), convoy.budget.owner)
    await office.commit.submit(Register(tuple(InboxSpec(address) for address in inboxes)))
    await _tell(office, run, Begin(str(logs)))
    ledger = ledger or Ledger(office.store)
    life = (await look(office.store, partial(_standing, ledger, run))).life
    jobs = Jobs(run, str(logs), partial(look, office.store, partial(_plan, ledger, run)))
    worker = partial(Worker, halts, Calls(), jobs, life)
    await office.start(worker_of(run), worker, concurrency=convoy.concurrency)
    await office.start(checker_of(run), partial(Checker, halts, jobs, life), concurrency=CHECKS_AT_ONCE)
    await start_reviewing(office, run, convoy.reviewing, halts)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_interrupt_on, stop, office, run, halts, bells)
        nursery.start_soon(_keep_journal, office.store, run, logs / NAME, bells.journal)
        report = await _watch(office.store, ledger, run, convoy, stop, bells, watch)
        nursery.cancel_scope.cancel()
    await look(office.store, partial(_settle_journal, office.store, run, logs / NAME), whole=True)
    if await look(office.store, partial(ledger.is_over, run)):
        await _end(office, run)
    return report


async def _keep_journal(store: Store, run: str, path: Path, bell: Bell) -> None:
    """Write the file of events. A disk that does not take it now ends no run: the truth is in the store."""
    while True:
        try:
            await follow(store, run, path, bell)
        except OSError as error:
            LOG.warning("%s cannot be written now: %s", path, error.strerror or error)
            await trio.sleep(JOURNAL_AGAIN_SECONDS)


def _settle_journal(store: Store, run: str, path: Path) -> None:
    try:
        settle(store, run, path)
    except OSError as error:
        LOG.warning("%s lacks what came last: %s", path, error.strerror or error)


def wall_of(store: Store) -> float:
    """Wall seconds, by the clock of a store."""
    return store.clock.now().wall / MICROS


async def _check_ours(office: System, run: str) -> None:
    """The manager lives once; if it is not here, another process plays this run."""
    if await office.look(player_of, office.store, run) != office.name:
        raise Conflict(
            f"run {run} is being played", "another process does it", "wait for its end, or stop it first"
        )


async def _tell(office: System, run: str, order: Any) -> None:
    await office.ask(manager_of(run), order, timeout=ANSWER_SECONDS, reply=Noted)


async def _interrupt_on(stop: trio.Event, office: System, run: str, halts: Halts, bells: Bells) -> None:
    """First have the manager start nothing more, then cut short what runs, and wait for that no longer
    than it may take: whoever goes on takes up whatever is left.
    """
    await stop.wait()
    await _tell(office, run, Interrupt())
    halts.halt_all()
    bells.ring(ConvoyStatus.INTERRUPTED)
    await trio.sleep(KILL_AFTER + LEAVE_SECONDS)
    bells.late = True
    bells.ring(ConvoyStatus.INTERRUPTED)


async def _watch(
    store: Store,
    ledger: Ledger,
    run: str,
    convoy: Convoy,
    stop: trio.Event,
    bells: Bells,
    watch: Callable[[Report], None],
) -> Report:
    """Report every change, until the run is over or waits, and nothing runs any more."""
    while True:
        began = trio.current_time()
        report = await look(store, partial(ledger.report, run))
        assert report is not None, "the manager has answered, so the run has set out"
        watch(report)
        if bells.late or _rests(report, convoy, stop):
            return report
        with trio.move_on_after(max(LEAST_PAUSE, LOOKING_SHARE * (trio.current_time() - began))):
            await bells.still.wait()
        with trio.move_on_after(LOOK_SECONDS):
            await bells.changed.wait()
            await _committed(store, partial(_standing, ledger, run), report.standing.pages)


async def _committed(store: Store, standing: Callable[[], Standing], page: int) -> None:
    """Wait for the record of what has changed: bells ring in the turn, a moment before its commit."""
    gap = FIRST_GAP
    while (await look(store, standing)).pages == page:
        await trio.sleep(gap)
        gap = min(2 * gap, LONGEST_GAP)


def _standing(ledger: Ledger, run: str) -> Standing:
    standing = ledger.standing(run)
    assert standing is not None, "the manager has answered, so the run has set out"
    return standing


def _plan(ledger: Ledger, run: str) -> Convoy:
    plan = ledger.plan(run)
    assert plan is not None, "a run that is played was entered"
    return plan


def _rests(report: Report, convoy: Convoy, stop: trio.Event) -> bool:
    """Whether nothing will happen here any more unless somebody does something."""
    if report.status in (ConvoyStatus.DONE, ConvoyStatus.FAILED):
        return True
    interrupted = report.status is ConvoyStatus.INTERRUPTED and stop.is_set()
    if not (interrupted or report.status is ConvoyStatus.PAUSED):
        return False
    # What was being checked or reviewed is checked or reviewed again by whoever goes on.
    busy = (RUNNING,) if interrupted else ACTIVE
    active = [row.state for row in report.tasks if row.state.status in busy]
    return all(state.status is RUNNING and convoy.agent(state.agent).inbox for state in active)


async def _end(office: System, run: str) -> None:
    """The actors of a run that is over are needed no more, nor are the inboxes of those who work."""
    for address in (*crew_of(run), manager_of(run)):
        await office.stop(address)
    for address in crew_of(run):
        await office.commit.submit(Control(address, Switch.END))
