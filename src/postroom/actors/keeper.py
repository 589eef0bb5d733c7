"""Keeping actors: starting, stopping and mending them, as their supervision says."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from ..store.errors import BadInput, Conflict, StoreUnavailable
from ..store.events import ActorParked, ActorRestarted, Observer
from ..store.records import (
    Activate,
    Deactivate,
    Delivery,
    InboxSpec,
    Register,
    Settle,
    Term,
    Verdict,
)
from .actor import Actor
from .cell import Cell
from .memory import Memory
from .runtime import Runtime
from .supervisor import RESTARTS, ChildSpec, Intensity, Reason, RestartLog, Strategy, affected

ACTIVATION_SECONDS = 0.5
"""How often an actor that is alive elsewhere is tried again."""


class Group:
    """Actors that are supervised together."""

    def __init__(self, specs: Sequence[ChildSpec], strategy: Strategy, intensity: Intensity) -> None:
        self.specs = {spec.address: spec for spec in specs}
        self.strategy = strategy
        self.log = RestartLog(intensity)


class Keeper:
    """The actors of one system."""

    def __init__(self, runtime: Runtime, observer: Observer) -> None:
        self.cells: dict[str, Cell] = {}
        self._runtime = runtime
        self._commit = runtime.commit
        self._observer = observer
        self._groups: dict[str, Group] = {}
        self._stopping = False

    async def supervise(self, specs: Sequence[ChildSpec], strategy: Strategy, intensity: Intensity) -> None:
        """Start actors in order, supervised together. Raises ``Conflict`` and ``BadInput``."""
        group = Group(specs, strategy, intensity)
        for spec in specs:
            if spec.address in self.cells:
                raise Conflict(
                    f"{spec.address} is started already", "one system runs it once", "stop it first"
                )
        for spec in specs:
            self._groups[spec.address] = group
            await self._start(spec)

    async def stop(self, address: str) -> None:
        """Stop an actor: turns that run are finished, the rest of its mail stays in its inbox."""
        cell = self.cells.get(address)
        if cell is None:
            return
        self._groups.pop(address, None)
        await self._end(cell)

    async def _start(self, spec: ChildSpec) -> None:
        kind = _kind_of(spec)
        role = spec.address.partition("/")[0]
        if kind.state_type is not None and spec.concurrency > 1:
            raise BadInput(
                f"{spec.address} has a state and concurrency {spec.concurrency}",
                "turns on one state follow one another",
                "leave concurrency out",
            )
        cell = Cell(self._runtime, spec, kind, role)
        await self._commit.submit(Register((InboxSpec(spec.address, spec.bound, spec.policy, spec.ordered),)))
        self.cells[spec.address] = cell
        self._runtime.add(cell)
        if kind.state_type is not None:
            cell.remember(Memory(spec.address, kind.state_type, self._runtime.wire))
        await self._open(cell)

    async def _open(self, cell: Cell) -> None:
        """Let an actor take mail: now, or when it is alive nowhere else."""
        if not await self._opened(cell):
            self._runtime.start_soon(self._open_later, cell)

    async def _opened(self, cell: Cell) -> bool:
        """Whether an actor could be activated and takes mail now, or has failed for good."""
        try:
            if cell.memory is not None:
                term = await self._commit.submit(Activate(cell.address, self._runtime.session))
                assert isinstance(term, Term)
                cell.term = term
            cell.reopen()
        except (Conflict, StoreUnavailable):
            return False
        except BadInput as error:
            self.failed(cell.address, error)
        return True

    async def _open_later(self, cell: Cell) -> None:
        while self.cells.get(cell.address) is cell and not self._stopping:
            await trio.sleep(ACTIVATION_SECONDS)
            if await self._opened(cell):
                return

    async def _end(self, cell: Cell) -> None:
        """Close a cell, let its turns finish, give back what it had not begun."""
        left = cell.close()
        self._forget(cell)
        await self._runtime.quiet(cell)
        await self.give_back(left + cell.take_queue())
        if cell.term is not None:
            await self._commit.submit(Deactivate(cell.term))
        for actor in cell.instances:
            await actor.on_stop()

    async def give_back(self, deliveries: list[Delivery]) -> None:
        await self._commit.submit_many(
            [Settle(d.id, d.fence, Verdict.RELEASE, d.seq, reason="stopped") for d in deliveries]
        )

    def failed(self, address: str, error: Exception) -> None:
        """An actor's own code (not a handler) has failed: its supervisor decides what now."""
        cell = self.cells[address]
        self._runtime.start_soon(self._mend, cell, cell.close())

    async def _mend(self, cell: Cell, left: list[Delivery]) -> None:
        group = self._groups.get(cell.address)
        await self.give_back(left)
        if group is None or self._stopping:
            return
        spec = group.specs[cell.address]
        if not RESTARTS[spec.restart, Reason.ERROR]:
            return
        if not group.log.allows(trio.current_time()):
            self._observer(ActorParked(cell.role))
            return
        again = affected(group.strategy, list(group.specs), cell.address)
        for address in reversed(again):
            found = self.cells.get(address)
            if found is not None and found is not cell:
                await self._end(found)
        self._forget(cell)
        for address in again:
            self._observer(ActorRestarted(group.specs[address].address.partition("/")[0], "error"))
            await self._start(group.specs[address])

    def _forget(self, cell: Cell) -> None:
        self.cells.pop(cell.address, None)
        self._runtime.remove(cell)

    async def rejoin(self) -> None:
        """Begin anew under another session: what was held is others' now."""
        for cell in list(self.cells.values()):
            cell.close()
            await self._open(cell)

    async def release_paused(self) -> None:
        """Give back mail of paused inboxes that was not begun."""
        for inbox in self._runtime.store.paused_inboxes():
            cell = self.cells.get(inbox)
            if cell is not None:
                await self.give_back(cell.take_queue())

    def at_rest(self) -> bool:
        """Whether no actor here has a turn to run or to settle."""
        if any(cell.busy or cell.queued for cell in self.cells.values()):
            return False
        served = {source for cell in self.cells.values() for source in cell.sources}
        return not any(
            counts.leased or (counts.ready and not counts.paused)
            for counts in self._runtime.store.counts()
            if counts.inbox in served
        )

    async def shut_down(self, grace: float) -> None:
        """No new turns; those that run may finish within the grace; the rest of the mail goes back."""
        self._stopping = True
        cells = list(self.cells.values())
        left = [delivery for cell in cells for delivery in cell.close()]
        with trio.move_on_after(grace):
            await self._runtime.quiet(*cells)
            for cell in cells:
                for actor in cell.instances:
                    await actor.on_stop()
        self._runtime.report()
        await self.give_back(left + [delivery for cell in cells for delivery in cell.take_queue()])


def _kind_of(spec: ChildSpec) -> type[Actor]:
    """The class of an actor, by what makes its instances."""
    if isinstance(spec.start, type):
        return spec.start
    return type(spec.start())
