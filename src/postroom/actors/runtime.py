"""What the cells of one system share: the way to the store, the session, the marks, the nursery."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

import trio

from ..store.clock import MICROS
from ..store.commit import GroupCommit
from ..store.errors import StoreUnavailable
from ..store.events import Observer, TurnsEnded, ignore
from ..store.looking import look
from ..store.port import Store, TurnMarks
from ..store.records import Answer, Delivery, Send, Settle, Verdict
from .actor import Actor
from .memory import Memory
from .stored import Flying, StoredRecords
from .supervisor import ChildSpec
from .turn import TurnRecords
from .wire import Wire

HOLD_SECONDS = 5.0
"""The longest that an actor pauses because a recipient of its is full."""

AGAIN_SECONDS = 0.1
"""The pause before something is done again that the store refused."""

SAMPLES = 256
"""Turns that are reported to the observer together."""


class Receiver(Protocol):
    """Whoever takes mail in this process: an actor's cell, or the box for answers."""

    def offer(self) -> int:
        """The session to hand a message to that is sent now, 0 for none; followed by ``handed``."""
        ...

    def handed(self, delivery: Delivery | None) -> None:
        """The outcome of an offer: the message, or nothing because others wait before it."""
        ...

    def heard(self, answer: Answer) -> None:
        """The outcome of an offer, as the answer to the send."""
        ...

    def ring(self) -> None:
        """There may be mail in the store."""
        ...


class Cell(Receiver, Protocol):
    """What the runtime needs to know of the running side of an actor."""

    @property
    def address(self) -> str: ...

    @property
    def role(self) -> str: ...

    @property
    def spec(self) -> ChildSpec: ...

    @property
    def memory(self) -> Memory | None: ...

    @property
    def flying(self) -> Flying: ...

    @property
    def busy(self) -> bool: ...


class Runtime:
    """The shared side of all cells. ``session`` changes when the old one has lapsed."""

    def __init__(
        self,
        store: Store,
        commit: GroupCommit,
        wire: Wire,
        observer: Observer,
    ) -> None:
        self.store = store
        self.commit = commit
        self.wire = wire
        self.observer = observer
        self.session = 0
        self.marks: TurnMarks = _NoMarks()
        self.alone = trio.Lock()
        self.denied: dict[Receiver, None] = {}
        self.cells: dict[str, Cell] = {}
        self.receivers: dict[str, Receiver] = {}
        self.roles: dict[str, list[Cell]] = defaultdict(list)
        self.on_failure: Callable[[Cell, Exception], None] = _unheard
        self.on_lost_term: Callable[[str], None] = ignore
        self._nursery: trio.Nursery | None = None
        self._samples: dict[tuple[str, Verdict], list[tuple[float, float]]] = defaultdict(list)
        self._changed = trio.Event()
        self._wall_offset = 0.0

    def open(self, nursery: trio.Nursery) -> None:
        """Give the lanes their nursery."""
        self._nursery = nursery
        self.report()

    def start_soon(self, function: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Run a lane's function in the nursery; after its end, nothing runs any more."""
        if self._nursery is not None and not self.ended:
            self._nursery.start_soon(function, *args)

    def cancel_lanes(self) -> None:
        """Cancel the turns that run; nothing begins any more."""
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def ring(self, inboxes: set[str]) -> None:
        """Tell the cells concerned that there may be mail."""
        for inbox in sorted(inboxes):  # in an order that no hash decides
            receiver = self.receivers.get(inbox)
            if receiver is not None:
                receiver.ring()
            elif inbox.startswith("any:"):
                for member in self.roles.get(inbox.removeprefix("any:"), ()):
                    member.ring()

    async def again(self, call: Callable[..., None], *args: Any) -> None:
        """The store did not do what this call asks of it: make the same call soon."""
        await trio.sleep(AGAIN_SECONDS)
        call(*args)

    def alone_is_free(self) -> None:
        """Tell those who had to leave their struck mail where it was that they may have it now."""
        denied, self.denied = self.denied, {}
        for cell in denied:
            cell.ring()

    def offer_to(self, send: Send) -> Receiver | None:
        """Ask a local recipient whether it could take this message now; note it on the send."""
        message = send.message
        receiver = self.receivers.get(message.recipient)
        if receiver is None or message.delay_us or message.due_at is not None:
            return None
        send.hand_to = receiver.offer()
        return receiver if send.hand_to else None

    def add(self, cell: Cell) -> None:
        """Let a cell be found by its address and its role."""
        self.cells[cell.address] = self.receivers[cell.address] = cell
        self.roles[cell.role].append(cell)

    def remove(self, cell: Cell) -> None:
        if self.cells.pop(cell.address, None) is not None:
            self.receivers.pop(cell.address)
            self.roles[cell.role].remove(cell)

    async def make(self, cell: Cell) -> Actor | None:
        """A new instance, started. An error here is the actor's failure, and there is none."""
        try:
            actor = cell.spec.start()
            actor.address = cell.address
            if cell.memory is not None:
                cell.memory.restore(actor)
            await actor.on_start()
        except Exception as error:  # noqa: BLE001  # whatever an actor's own code raises is for its supervisor
            self.on_failure(cell, error)
            return None
        return actor

    async def give_back(self, deliveries: list[Delivery]) -> None:
        """Release mail that was not begun, however often the store has to be asked.

        Shielded: this mail is in nobody's hands but the caller's. What cannot be released before the
        end comes back with the session.
        """
        with trio.CancelScope(shield=True):
            left = [Settle(d.id, d.fence, Verdict.RELEASE, d.seq, reason="stopped") for d in deliveries]
            while left:
                answers = await self.commit.submit_many(left)
                if self.ended:
                    return
                pairs = zip(left, answers, strict=True)
                left = [settle for settle, answer in pairs if isinstance(answer, StoreUnavailable)]
                if left:
                    await trio.sleep(AGAIN_SECONDS)

    @property
    def ended(self) -> bool:
        """Whether no turn can begin any more."""
        return self._nursery is None or self._nursery.cancel_scope.cancel_called

    def records_of(self, cell: Cell) -> TurnRecords:
        """The keyed records of an actor, as a turn that begins now sees them."""
        return TurnRecords(cell.address, self.wire, StoredRecords(self.store, cell.address, cell.flying))

    def sample(self, role: str, delivery: Delivery, started: float, verdict: Verdict) -> float:
        """Note how long a message waited and how long its turn took; answers the latter, in seconds."""
        took = trio.current_time() - started
        waited = max(0.0, started + self._wall_offset - delivery.ready_at / MICROS)
        samples = self._samples[role, verdict]
        samples.append((waited, took))
        if len(samples) >= SAMPLES:
            self.report()
        return took

    def report(self) -> None:
        """Give the observer what was noted since the last time."""
        self._wall_offset = self.store.clock.now().wall / MICROS - trio.current_time()
        samples, self._samples = self._samples, defaultdict(list)
        for (role, verdict), taken in samples.items():
            self.observer(TurnsEnded(role, str(verdict), taken))

    def settled_down(self, cell: Cell) -> None:
        """A cell has nothing running any more: whoever waits for quiet may look."""
        if not cell.busy:
            changed, self._changed = self._changed, trio.Event()
            changed.set()

    async def room_in(self, inboxes: set[str]) -> None:
        """Wait until these inboxes are below their bounds, for ``HOLD_SECONDS`` at most."""
        with trio.move_on_after(HOLD_SECONDS):
            while not await look(self.store, partial(self._has_room, inboxes)):  # noqa: ASYNC110  # no event tells
                await trio.sleep(HOLD_SECONDS / 100)

    def _has_room(self, inboxes: set[str]) -> bool:
        try:
            found = [counts for inbox in inboxes for counts in self.store.counts(inbox)]
        except StoreUnavailable:
            return False
        return all(c.ready + c.delayed + c.leased < c.bound for c in found)

    async def quiet(self, *cells: Cell) -> None:
        """Wait until none of these cells runs a turn or has a settlement under way."""
        while any(cell.busy for cell in cells):
            await self._changed.wait()


class _NoMarks:
    """Before the session is open, no turn runs."""

    def begin(self, seq: int) -> int:
        return -1

    def end(self, slot: int) -> None:
        return None

    def close(self) -> None:
        return None


def _unheard(cell: Cell, error: Exception) -> None:
    """Before there is a supervisor, an actor's failure ends everything."""
    raise RuntimeError(f"{cell.address} failed without a supervisor") from error
