"""Keeping actors: starting, stopping and mending them, as their supervision says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

import trio

from ..store.errors import BadInput, Conflict, StoreUnavailable
from ..store.events import ActorParked, ActorRestarted, Observer
from ..store.looking import look
from ..store.records import (
    Activate,
    Deactivate,
    Delivery,
    InboxCounts,
    InboxSpec,
    Record,
    Register,
    Term,
)
from .actor import Actor
from .cell import Cell
from .memory import Memory
from .runtime import Cell as AnyCell
from .runtime import Runtime
from .supervisor import (
    RESTARTS,
    ChildSpec,
    Intensity,
    Reason,
    Restart,
    RestartLog,
    Strategy,
    affected,
)

LOG = logging.getLogger("postroom.actors")

FAREWELL_SECONDS = 1.0
"""What is left at least for ``on_stop`` when turns have used up the grace."""

OPEN_AGAIN_SECONDS = 0.5
"""How often an actor is tried again that is alive elsewhere or whose store is away."""


class Group:
    """Actors that are supervised together, in starting order. ``mending`` is one failure at a time."""

    def __init__(self, strategy: Strategy, intensity: Intensity) -> None:
        self.children: dict[str, Child] = {}
        self.strategy = strategy
        self.log = RestartLog(intensity)
        self.mending = trio.Lock()


class Child:
    """One supervised actor: how to start it, and its running side; None while it is down."""

    __slots__ = ("cell", "ended", "failing", "group", "kind", "role", "spec")

    def __init__(self, spec: ChildSpec, group: Group) -> None:
        self.spec = spec
        self.group = group
        self.kind = _kind_of(spec)
        self.role = spec.address.partition("/")[0]
        self.cell: Cell | None = None
        self.failing = False
        self.ended: trio.Event | None = None

    @property
    def wanted(self) -> bool:
        """Whether nobody has stopped it."""
        return self.ended is None


class Keeper:
    """The actors of one system, in starting order."""

    def __init__(self, runtime: Runtime, observer: Observer) -> None:
        self._runtime = runtime
        self._commit = runtime.commit
        self._observer = observer
        self._children: dict[str, Child] = {}
        self._ending: set[Cell] = set()
        self._stopping = False
        runtime.on_failure = self._failed
        runtime.on_lost_term = self._lost_term

    @property
    def cells(self) -> list[Cell]:
        """The running sides of all actors that are not down."""
        return [child.cell for child in self._children.values() if child.cell is not None]

    # Starting and stopping

    async def supervise(
        self, specs: Sequence[ChildSpec], strategy: Strategy, intensity: Intensity
    ) -> list[type[Actor]]:
        """Start actors in order, supervised together; answers their classes.

        All or none: if one cannot be started, or on cancellation, those before it are stopped again.
        Raises ``Conflict``, ``BadInput``, ``StoreUnavailable``, and what a ``start`` raises.
        """
        group = Group(strategy, intensity)
        for spec in specs:
            if spec.address in self._children or spec.address in group.children:
                raise Conflict(
                    f"{spec.address} is started already", "one system runs it once", "stop it first"
                )
            group.children[spec.address] = Child(spec, group)
        self._children |= group.children
        try:
            await self._commit.submit(Register(tuple(_inbox_of(spec) for spec in specs)))
            for child in group.children.values():
                await self._start(child)
        except BaseException:
            with trio.CancelScope(shield=True):
                for address in reversed(list(group.children)):
                    await self.stop(address)
            raise
        return [child.kind for child in group.children.values()]

    async def stop(self, address: str) -> None:
        """Stop an actor. Cancelled while it waits for turns to finish, the actor stops all the same."""
        child = self._children.get(address)
        if child is None or self._stopping:
            return
        if child.ended is None:
            child.ended = trio.Event()
            self._runtime.start_soon(self._end_for_good, child, child.ended)
        await child.ended.wait()

    async def _end_for_good(self, child: Child, ended: trio.Event) -> None:
        try:
            await self._end(child)
        finally:
            del self._children[child.spec.address]
            del child.group.children[child.spec.address]
            ended.set()

    async def _start(self, child: Child) -> None:
        child.failing = False
        child.cell = cell = Cell(self._runtime, child.spec, child.kind, child.role)
        if child.kind.state_type is not None:
            cell.remember(Memory(cell.address, child.kind.state_type, self._runtime.wire))
        self._runtime.add(cell)
        await self._open(child, cell)

    async def _open(self, child: Child, cell: Cell) -> None:
        """Let an actor take mail: now, or when it is alive nowhere else."""
        if not await self._opened(child, cell):
            self._runtime.start_soon(self._open_later, child, cell)

    async def _opened(self, child: Child, cell: Cell) -> bool:
        """Whether an actor takes mail now, or need not any more, or has failed.

        Nobody is opened once the end has begun, whatever was on its way then: a new session, a restart,
        an instance elsewhere that stepped down.
        """
        if self._stopping:
            return True
        stored: Record | None = None
        try:
            if cell.memory is not None:
                with trio.move_on_after(OPEN_AGAIN_SECONDS):
                    await self._runtime.quiet(cell)
                if cell.busy:  # a lane has the state of before: it must not be written over what is read
                    return False
                if not await self._activated(child, cell):
                    return child.cell is not cell
                session, term = self._runtime.session, cell.term
                stored = await look(self._runtime.store, partial(cell.memory.stored, self._runtime.store))
                if child.cell is not cell or (session, term) != (self._runtime.session, cell.term):
                    return child.cell is not cell  # what was read may be of before
            if not (cell.open or self._stopping):
                cell.reopen(stored)
        except (Conflict, StoreUnavailable):
            return False
        except BadInput as error:
            self._failed(cell, error)
        return True

    async def _activated(self, child: Child, cell: Cell) -> bool:
        """Become the one living instance; False if that came too late for this cell, session or system."""
        session = self._runtime.session
        term = await self._commit.submit(Activate(cell.address, session))
        assert isinstance(term, Term)
        if child.cell is not cell or self._stopping:
            await self._step_down(term)
            return False
        cell.term = term
        return session == self._runtime.session

    async def _open_later(self, child: Child, cell: Cell) -> None:
        while child.cell is cell:
            await trio.sleep(OPEN_AGAIN_SECONDS)
            if cell.open or (child.cell is cell and await self._opened(child, cell)):
                return

    def _lost_term(self, address: str) -> None:
        """An actor is alive elsewhere: give back what it holds here, and wait for its turn to live."""
        child = self._children.get(address)
        if child is None or child.cell is None or not child.cell.open or child.failing:
            return
        self._runtime.start_soon(self._runtime.give_back, child.cell.close())
        self._runtime.start_soon(self._open_later, child, child.cell)

    async def _end(self, child: Child) -> None:
        """Close a cell, let its turns finish, give back what it had not begun, let others activate it."""
        cell, child.cell = child.cell, None
        if cell is None:
            return
        self._ending.add(cell)
        left = cell.close()
        self._runtime.remove(cell)
        await self._runtime.quiet(cell)
        await self._runtime.give_back(left + cell.take_queue())
        if cell.term is not None:
            await self._step_down(cell.term)
        await _farewell(cell)
        self._ending.discard(cell)

    async def _step_down(self, term: Term) -> None:
        while True:
            try:
                await self._commit.submit(Deactivate(term))
            except StoreUnavailable:
                await trio.sleep(OPEN_AGAIN_SECONDS)
            else:
                return

    # Failures

    def _failed(self, cell: AnyCell, error: Exception) -> None:
        """An actor's own code (not a handler) has failed: its supervisor decides what now."""
        child = self._children.get(cell.address)
        if child is None or child.cell is None or child.cell is not cell or child.failing or not child.wanted:
            return
        child.failing = True
        LOG.error("actor %s failed", cell.address, exc_info=error)
        self._runtime.start_soon(self._mend, child, child.cell, child.cell.close())

    async def _mend(self, child: Child, cell: Cell, left: list[Delivery]) -> None:
        """What a supervisor does about a failure: who ends, who is started again."""
        await self._runtime.give_back(left)
        group = child.group
        async with group.mending:
            if child.cell is not cell or not child.wanted or self._stopping:
                return
            again = self._to_restart(child)
            for one in reversed(again or [child]):
                await self._end(one)
            for one in again:
                if one.wanted and one.spec.restart is not Restart.TEMPORARY:
                    self._observer(ActorRestarted(one.role, "error"))
                    await self._start(one)

    def _to_restart(self, child: Child) -> list[Child]:
        """Who ends with this one and, unless temporary, starts again; nobody if it stays down."""
        group = child.group
        if not RESTARTS[child.spec.restart, Reason.ERROR]:
            return []
        if not group.log.allows(trio.current_time()):
            LOG.error("actor %s fails too often: parked", child.spec.address)
            self._observer(ActorParked(child.role))
            return []
        children = {address: one for address, one in group.children.items() if one.wanted}
        return [children[a] for a in affected(group.strategy, list(children), child.spec.address)]

    # All of them

    def suspend(self) -> None:
        """Take no more mail, and forget what was not begun: it is others' now."""
        for cell in self.cells:
            cell.close()

    async def rejoin(self) -> None:
        """Go on after ``suspend``, under another session."""
        for child in list(self._children.values()):
            if child.cell is not None and not child.failing and child.wanted:
                await self._open(child, child.cell)

    async def release_paused(self) -> None:
        """Give back mail that was not begun and is paused now."""
        cells = [cell for cell in self.cells if cell.queued]
        if not cells:
            return
        paused = await look(self._runtime.store, self._runtime.store.paused)

        def is_paused(delivery: Delivery) -> bool:
            inbox, key = delivery.recipient, delivery.correlation_id
            return (inbox, None) in paused or (inbox, key) in paused

        if paused:
            await self._runtime.give_back([d for cell in cells for d in cell.take_back(is_paused)])

    def at_rest(self) -> bool:
        """Whether no actor here has a turn to run or to settle."""
        return not self._works() and self._all_done(self._runtime.store.counts())

    async def is_at_rest(self) -> bool:
        """The same, with the counts read aside. What came after them was not there yet."""
        if self._works():
            return False
        found = await look(self._runtime.store, self._runtime.store.counts)
        return not self._works() and self._all_done(found)

    def _works(self) -> bool:
        return any(cell.busy or cell.queued for cell in (*self.cells, *self._ending))

    def _all_done(self, found: list[InboxCounts]) -> bool:
        served = {source for cell in self.cells for source in cell.sources}
        return not any(
            counts.leased or (counts.ready and not counts.paused)
            for counts in found
            if counts.inbox in served
        )

    async def shut_down(self, grace: float) -> None:
        """No new turns; those that run may finish within the grace; the rest of the mail goes back."""
        self._stopping = True
        cells = [*self.cells, *self._ending]
        left = [delivery for cell in cells for delivery in cell.close()]
        ends = trio.current_time() + grace
        with trio.move_on_at(ends):
            await self._runtime.quiet(*cells)
        self._runtime.cancel_lanes()
        await self._runtime.quiet(*cells)
        with trio.move_on_at(max(ends, trio.current_time() + FAREWELL_SECONDS)):
            for cell in reversed(self.cells):
                await _farewell(cell)
        self._runtime.report()
        await self._runtime.give_back(left + [delivery for cell in cells for delivery in cell.take_queue()])


def _inbox_of(spec: ChildSpec) -> InboxSpec:
    return InboxSpec(spec.address, spec.bound, spec.policy, spec.ordered)


def _kind_of(spec: ChildSpec) -> type[Actor]:
    """The class of an actor, by what makes its instances. Raises ``BadInput``."""
    kind = _class_of(spec.start)
    if kind.state_type is not None and spec.concurrency > 1:
        raise BadInput(
            f"{spec.address} has a state and concurrency {spec.concurrency}",
            "turns on one state follow one another",
            "leave concurrency out",
        )
    return kind


def _class_of(start: Callable[[], Actor]) -> type[Actor]:
    if isinstance(start, type):
        return start
    return type(start())


async def _farewell(cell: Cell) -> None:
    """Tell the instances that they have had their last turn."""
    for actor in cell.instances:
        try:
            await actor.on_stop()
        except Exception:
            LOG.exception("on_stop of actor %s failed", cell.address)
