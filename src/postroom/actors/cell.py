"""The running side of one actor: its queue, its lanes, its turns.

An idle actor is only this object: no task, no nursery. When it has mail, one lane (a task) runs its
turns one after another; a lane that finds more waiting brings a second one along, up to the
actor's concurrency, which goes to work only if the first is held up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING

import trio

from ..store.errors import BadInput, StoreUnavailable
from ..store.looking import look
from ..store.records import Accepted, Answer, Claim, Claimed, Delivery, Settle, Term, Verdict, Write
from .actor import Actor
from .flight import AHEAD, Flight, in_turn_order
from .memory import Memory
from .pace import Pace
from .runtime import AGAIN_SECONDS
from .turn import Turn, cancellation_in, failure, released, run_handler, unpack

if TYPE_CHECKING:
    from ..store.records import Record
    from .runtime import Runtime
    from .stored import Flying
    from .supervisor import ChildSpec

IN_TURN: ContextVar[bool] = ContextVar("postroom_in_turn", default=False)
"""Whether the task is a lane, or was started by a turn."""

STRETCH_SECONDS = 0.005
"""A lane whose handlers never wait lets others run this often."""

SLACK_SECONDS = 1.0
"""A standard deadline may be this much late: it is moved once a second, not at each turn."""


class Cell:
    """One started actor."""

    __slots__ = (
        "_claiming",
        "_credit",
        "_flight",
        "_held",
        "_instances",
        "_lane_comes",
        "_lanes",
        "_mending",
        "_pace",
        "_queue",
        "_running",
        "_runtime",
        "_waiting",
        "address",
        "kind",
        "open",
        "role",
        "sources",
        "spec",
        "term",
    )

    def __init__(self, runtime: Runtime, spec: ChildSpec, kind: type[Actor], role: str) -> None:
        self._runtime = runtime
        self.spec = spec
        self.address = spec.address
        self.kind = kind
        self.role = role
        self.sources = (spec.address, f"any:{role}")
        self.open = False
        self.term: Term | None = None
        self._flight = Flight(runtime, spec.address, role, self._landed, self._overflowed)
        self._queue: deque[Delivery] | tuple[Delivery, ...] = ()
        self._instances: list[Actor] = []
        self._credit = self._held = self._lanes = self._running = 0
        self._waiting = self._claiming = self._lane_comes = self._mending = False
        self._pace = Pace(spec.concurrency)

    @property
    def memory(self) -> Memory | None:
        """The state of an actor that has one."""
        return self._flight.memory

    @property
    def flying(self) -> Flying:
        """Keyed records that turns have written and whose commits are under way."""
        return self._flight.flying

    def remember(self, memory: Memory) -> None:
        """This actor has a state."""
        self._flight.memory = memory

    # Mail comes in

    @property
    def busy(self) -> bool:
        """Whether turns are running or their settlements are under way."""
        return bool(self._lanes or self._flight.air)

    @property
    def queued(self) -> int:
        """How much mail is here that was not begun."""
        return len(self._queue)

    @property
    def instances(self) -> list[Actor]:
        """The instances that no lane uses now."""
        return self._instances

    @property
    def working(self) -> bool:
        """Whether a next turn may begin."""
        return self.open and not self._held and not self._flight.stale

    def offer(self) -> int:
        """The session to hand a message to that is sent now and could start now; 0 for none."""
        if not self.working or self._room() <= 0:
            return 0
        self._credit += 1
        return self._runtime.session

    def handed(self, delivery: Delivery | None) -> None:
        """The outcome of an offer: the message, or nothing because others wait before it."""
        self._credit -= 1
        if delivery is not None:
            self._take([delivery])

    def heard(self, answer: Answer) -> None:
        """The outcome of a send that was offered."""
        self.handed(answer.delivery if isinstance(answer, Accepted) else None)

    def ring(self) -> None:
        """There may be mail in the store."""
        self._waiting = True
        self.pump()

    def _room(self) -> int:
        """How much more mail this actor should have at hand."""
        return self._pace.at_hand() - len(self._queue) - self._credit - self._running

    def pump(self) -> None:
        """Claim, if there may be mail and there is room for it."""
        if not self._waiting or self._claiming or not self.working:
            return
        room = self._room()
        if room <= len(self._queue):
            return
        self._waiting, self._claiming = False, True
        alone_ok = not self._runtime.alone.locked()
        claim = Claim(self.sources, room, self._runtime.session, alone_ok=alone_ok)
        if not alone_ok:
            self._runtime.denied[self] = None
        self._runtime.commit.submit_nowait(claim, partial(self._claimed, room))

    def _claimed(self, room: int, answer: Answer) -> None:
        self._claiming = False
        if isinstance(answer, Claimed):
            taken = answer.deliveries
            self._waiting |= answer.more or len(taken) == room or any(d.alone for d in taken)
            self._take(taken)
            self.pump()
        else:
            self._runtime.start_soon(self._runtime.again, self.ring)

    def _take(self, deliveries: list[Delivery]) -> None:
        if not deliveries:
            return
        if not self.open:
            self._runtime.start_soon(self._runtime.give_back, deliveries)
            return
        if isinstance(self._queue, tuple):
            self._queue = deque()
        urgent = bool(self._queue) and deliveries[0].priority > self._queue[-1].priority
        self._queue.extend(deliveries)
        if urgent:
            self._queue = deque(in_turn_order(self._queue))
        self._more_lanes()

    def _more_lanes(self) -> None:
        if self._queue and not self._lane_comes and self._lanes < self.spec.concurrency and self.working:
            self._lanes += 1
            self._lane_comes = True
            self._runtime.start_soon(self._lane)

    def close(self) -> list[Delivery]:
        """Take no more mail; answers what was not begun, which is still leased."""
        self.open = False
        return self.take_queue()

    def take_queue(self) -> list[Delivery]:
        """Let go of what was not begun, for somebody to give it back."""
        left, self._queue = [*self._queue, *self._flight.redo], ()
        self._flight.redo = []
        return left

    def take_back(self, which: Callable[[Delivery], bool]) -> list[Delivery]:
        """Let go of those that were not begun and are such."""
        taken = [delivery for delivery in self._queue if which(delivery)]
        if taken:
            self._queue = deque(delivery for delivery in self._queue if not which(delivery))
        return taken

    def reopen(self, stored: Record | None) -> None:
        """Take mail, on the state as it is ``stored``, where there is one. Raises ``BadInput``.

        What was held before was given back when this actor closed, or its session ended.
        """
        self.take_queue()
        if self.memory is not None:
            self._go_on_from(self.memory, stored)
        self.open = True
        self.ring()

    # Turns

    async def _lane(self) -> None:
        actor: Actor | None = None
        self._lane_comes = False
        IN_TURN.set(True)
        try:
            actor = self._instances.pop() if self._instances else await self._runtime.make(self)
            while actor is not None and self._queue and self.working:
                await self._stretch(actor)
        finally:
            self._lanes -= 1
            if actor is not None:
                self._instances.append(actor)
            self.pump()
            self._quiet_now()

    async def _stretch(self, actor: Actor) -> None:
        """Run turns under one cancel scope until the queue is empty or a deadline strikes."""
        delivery: Delivery | None = None
        started = yielded = trio.current_time()
        with trio.CancelScope() as scope:
            while self._queue and self.working:
                assert isinstance(self._queue, deque)
                delivery = self._queue.popleft()
                if delivery.alone:
                    await self._run_alone(actor, delivery)
                    delivery = None
                    continue
                self._more_lanes()
                started = trio.current_time()
                await self._run(actor, delivery, scope, started)
                delivery = None
                if self._flight.air >= AHEAD:
                    await self._flight.room()
                if started - yielded > STRETCH_SECONDS:
                    yielded = started
                    await trio.lowlevel.checkpoint()
        if scope.cancelled_caught and delivery is not None:
            self._settle(failure(delivery, trio.TooSlowError()), delivery, started)

    async def _run_alone(self, actor: Actor, delivery: Delivery) -> None:
        """A message that was taken back before runs with nothing else of its kind beside it."""
        async with self._runtime.alone:
            await self._flight.all_landed()
            started = trio.current_time()
            with trio.CancelScope() as scope:
                await self._run(actor, delivery, scope, started)
            if scope.cancelled_caught:
                self._settle(failure(delivery, trio.TooSlowError()), delivery, started)
            await self._flight.all_landed()
        self._runtime.alone_is_free()

    async def _run(self, actor: Actor, delivery: Delivery, scope: trio.CancelScope, started: float) -> None:
        """One turn, up to handing its settlement over."""
        runtime = self._runtime
        opened = unpack(delivery, self.kind.handlers, runtime.wire)
        if isinstance(opened, Settle):
            self._settle(opened, delivery, started)
            return
        handler, value = opened
        strikes = started + handler.timeout
        if not strikes <= scope.deadline <= strikes + SLACK_SECONDS:
            scope.deadline = strikes + SLACK_SECONDS
        turn = Turn(self.address, delivery, runtime.wire, partial(runtime.records_of, self))
        self._running += 1
        if self._waiting:
            self.pump()
        marks = runtime.marks  # another session's, if this one is given up before the turn ends
        slot = marks.begin(delivery.seq)
        actor.turn_begins(turn)
        try:
            reply = await run_handler(actor, handler, turn, value)
            if reply is not None:
                turn.reply(reply)
            settle = self._done(actor, turn)
        except BaseException as error:
            if self.memory is not None:
                self.memory.restore(actor)
            cancelled = cancellation_in(error)
            if cancelled is None:
                if not isinstance(error, Exception):
                    raise
                settle = failure(delivery, error)
            else:
                if not scope.cancel_called:
                    self._settle(released(delivery), delivery, started)
                raise cancelled from None
        finally:
            actor.turn_begins(None)
            marks.end(slot)
            self._running -= 1
        if self._flight.stale:
            self._flight.redo.append(delivery)
            return
        self._settle(settle, delivery, started)
        if self.memory is None and turn.used_records:
            await self._flight.all_landed()

    def _done(self, actor: Actor, turn: Turn) -> Settle:
        """The settlement of a turn that went well."""
        delivery = turn.delivery
        writes: list[Write] = turn.writes
        if self.memory is not None:
            write = self.memory.advance(actor, chained=self._flight.air > 0 or bool(writes))
            if write is not None:
                writes.append(write)
        return Settle(
            delivery.id,
            delivery.fence,
            Verdict.ACK,
            delivery.seq,
            outputs=turn.outputs,
            writes=writes,
            term=self.term,
        )

    # Settlements go out

    def _settle(self, settle: Settle, delivery: Delivery, started: float) -> None:
        self._pace.note(self._runtime.sample(self.role, delivery, started, settle.verdict))
        self._flight.launch(settle, delivery)

    def _landed(self) -> None:
        """One more outcome is known."""
        if not self._lanes and not self._flight.air:
            self._quiet_now()

    def _quiet_now(self) -> None:
        """Perhaps nothing is under way any more: then a state that is stale can be read again."""
        if self._flight.stale and not self.busy and not self._mending:
            self._mending = True
            self._runtime.start_soon(self._run_anew)
        self._runtime.settled_down(self)

    async def _run_anew(self) -> None:
        """Read the state again and run what was refused, before anything else."""
        assert self.memory is not None
        store = self._runtime.store
        try:
            while self.open and self._flight.stale:
                await trio.sleep(AGAIN_SECONDS)
                if self.busy:  # what is under way runs on the state of before
                    continue
                try:
                    stored = await look(store, partial(self.memory.stored, store))
                except StoreUnavailable:
                    continue
                if self._rests():
                    self._go_on_from(self.memory, stored)
        except BadInput as error:
            self._runtime.on_failure(self, error)
        finally:
            self._mending = False
        self._more_lanes()
        self.ring()

    def _rests(self) -> bool:
        """Whether its state may be replaced: it could have been closed, or opened again, meanwhile."""
        return self.open and self._flight.stale and not self.busy

    def _go_on_from(self, memory: Memory, stored: Record | None) -> None:
        memory.load(stored)
        for actor in self._instances:
            memory.restore(actor)
        redo = self._flight.again()
        if redo:
            self._queue = deque([*redo, *self._queue])

    def _overflowed(self, inboxes: set[str]) -> None:
        self._held += 1
        self._runtime.start_soon(self._hold_for, inboxes)

    async def _hold_for(self, inboxes: set[str]) -> None:
        """No next turn until the recipients that overflowed are below their bounds, or for 5 s."""
        await self._runtime.room_in(inboxes)
        self._held -= 1
        self._more_lanes()
        self.ring()
