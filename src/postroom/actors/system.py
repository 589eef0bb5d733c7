"""The system: one process's share of a store, with its actors in one tree of nurseries.

outer nursery    the group commit, which must outlive whoever still settles
└── services     session renewal, the ear for other processes, the dispatcher
    └── lanes    the turns
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import trio

from ..mailbox.doorbell import listen
from ..mailbox.envelope import compose
from ..mailbox.ids import IdMaker, id_text, parse_id
from ..store.clock import MICROS, Clock
from ..store.commit import GroupCommit
from ..store.errors import BadInput, Conflict, LostLease, PostroomError, UnknownMessage
from ..store.events import ActorParked, ActorRestarted, Observer, ignore
from ..store.port import Store
from ..store.process import this_process
from ..store.records import (
    Accepted,
    Activate,
    Cancel,
    CloseSession,
    Control,
    Deactivate,
    Delivery,
    InboxCounts,
    InboxSpec,
    OpenSession,
    Register,
    RenewSession,
    Send,
    Session,
    Settle,
    StoredMessage,
    Switch,
    Term,
    Unrouted,
    Verdict,
)
from ..store.urls import DEFAULT_URL, open_store
from .actor import Actor
from .asking import Questions, stored_answer
from .cell import IN_TURN, Cell
from .dispatcher import dispatch
from .errors import AskInsideTurn
from .memory import Memory
from .runtime import Runtime
from .supervisor import RESTARTS, ChildSpec, Intensity, Reason, RestartLog, Strategy, affected
from .wire import Wire, make_wire, type_name

SESSION_SECONDS = 60.0
GRACE_SECONDS = 10.0
PAUSE_SECONDS = 0.5
ACTIVATION_SECONDS = 0.5
"""How often an actor that is alive elsewhere is tried again."""


class Group:
    """Actors that are supervised together."""

    def __init__(self, specs: Sequence[ChildSpec], strategy: Strategy, intensity: Intensity) -> None:
        self.specs = {spec.address: spec for spec in specs}
        self.strategy = strategy
        self.log = RestartLog(intensity)


class System:
    """What ``open_postroom`` gives: send, ask and start actors on one store."""

    def __init__(self, store: Store, *, name: str, wire: Wire, observer: Observer, rng: Random) -> None:
        self.store = store
        self.name = name
        self.wire = wire
        self.commit = GroupCommit(store, observer=observer, rng=rng)
        self.ids = IdMaker(store.clock, rng)
        self._observer = observer
        self._runtime = Runtime(store, self.commit, self.ids, wire, observer, self._failed)
        self._groups: dict[str, Group] = {}
        self._replies = f"reply/{name}"
        self._questions = Questions(self._runtime, self._replies)
        self._runtime.receivers[self._replies] = self._questions
        self._nursery: trio.Nursery | None = None
        self._stopping = False

    # Sending

    async def send(self, to: str, message: object, *, sender: str | None = None, **envelope: Any) -> str:
        """Send a message; durable when this returns its id.

        ``envelope`` takes ``type``, ``id`` (text), ``priority``, ``correlation``, ``reply_to``,
        ``dedup_key``, ``headers``, ``delay``, ``expires``, ``due_at``, ``expires_at``, ``max_attempts``
        and ``hold``. Cancelled before its batch began, nothing was sent; later it may have been:
        send again with the same id to know. Raises ``BadInput``, ``UnknownInbox``, ``InboxEnded``,
        ``InboxFull``, ``EmptyGroup``, ``Conflict``, ``StoreUnavailable``.
        """
        return id_text((await self._send(self._compose(to, message, sender, envelope))).id)

    async def send_many(
        self, to: str, messages: Sequence[object], **envelope: Any
    ) -> list[Accepted | PostroomError]:
        """Send many messages to one recipient in few transactions; each is answered by itself."""
        sends = [self._compose(to, message, None, dict(envelope)) for message in messages]
        answers = await self.commit.submit_many(sends)
        return [a for a in answers if isinstance(a, (Accepted, PostroomError))]

    async def ask(
        self,
        to: str,
        message: object,
        *,
        timeout: float,
        reply: Any = None,
        id: str | None = None,
        **envelope: Any,
    ) -> Any:
        """Send a question and wait for its answer, ``timeout`` seconds at most.

        The answer is given as ``reply``, or as the class of its type if that is known here, or as
        plain JSON. Asking again with the same ``id`` gives the stored answer. Not for turns: use
        ``self.send`` and a reply handler. Raises ``TooSlowError`` (the question stays in its inbox),
        ``NoAnswer`` and what ``send`` raises.
        """
        if IN_TURN.get():
            raise AskInsideTurn
        asked = self.ids.new() if id is None else parse_id(id)
        send = self._compose(to, message, self._replies, {**envelope, "id": id_text(asked)})
        send.message.reply_to = self._replies
        question = self._questions.ask(asked)
        try:
            with trio.fail_after(timeout):
                accepted = await self._send(send)
                answer: Delivery | StoredMessage | None = None
                if accepted.state == "duplicate":
                    answer = stored_answer(self.store, asked)
                while answer is None:
                    with trio.move_on_after(1):
                        answer = await question.wait()
                    if answer is None:
                        answer = stored_answer(self.store, asked)
        finally:
            self._questions.drop(asked)
        return self.wire.decode(answer.body, self._known(answer.type) if reply is None else reply)

    async def cancel(self, id: str) -> None:
        """Cancel a message that nobody has claimed yet, such as a timer. Raises ``Conflict``."""
        await self.commit.submit(Cancel((parse_id(id),)))

    def _compose(self, to: str, message: object, sender: str | None, envelope: dict[str, Any]) -> Send:
        """A send of a typed message, offered to its recipient if that is an actor here."""
        given = envelope.pop("id", None)
        hold = envelope.pop("hold", False)
        made = compose(
            id=self.ids.new() if given is None else parse_id(given),
            recipient=to,
            sender=sender or self._replies,
            type=envelope.pop("type", None) or type_name(type(message)),
            body=self.wire.encode(message),
            **envelope,
        )
        return Send(made, Unrouted.HOLD if hold else Unrouted.REFUSE)

    async def _send(self, send: Send) -> Accepted:
        cell = self._runtime.offer_to(send)
        if cell is None:
            answer = await self.commit.submit(send)
            assert isinstance(answer, Accepted)
            return answer
        answer = await self.commit.submit(send, cell.heard)
        assert isinstance(answer, Accepted)
        return answer

    # Actors

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
        """Start actors in order, supervised together by a strategy and an intensity."""
        group = Group(specs, Strategy(strategy), intensity or Intensity())
        for spec in specs:
            if spec.address in self._runtime.cells:
                raise Conflict(
                    f"{spec.address} is started already", "one system runs it once", "stop it first"
                )
        for spec in specs:
            self._groups[spec.address] = group
            await self._start(spec)

    async def stop(self, address: str) -> None:
        """Stop an actor: turns that run are finished, the rest of its mail stays in its inbox."""
        cell = self._runtime.cells.get(address)
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
        await self.commit.submit(Register((InboxSpec(spec.address, spec.bound, spec.policy, spec.ordered),)))
        self._runtime.add(cell)
        if kind.state_type is not None:
            cell.memory = Memory(spec.address, kind.state_type, self.wire)
            if not await self._activate(cell):
                self._runtime.start_soon(self._activate_later, cell)
                return
        self._open(cell)

    def _open(self, cell: Cell) -> None:
        if cell.memory is not None:
            try:
                cell.memory.load(self.store)
            except BadInput as error:
                self._failed(cell, error)
                return
        cell.open = True
        cell.ring()

    async def _activate(self, cell: Cell) -> bool:
        try:
            term = await self.commit.submit(Activate(cell.address, self._runtime.session))
        except Conflict:
            return False
        assert isinstance(term, Term)
        cell.term = term
        return True

    async def _activate_later(self, cell: Cell) -> None:
        while self._runtime.cells.get(cell.address) is cell and not self._stopping:
            await trio.sleep(ACTIVATION_SECONDS)
            if await self._activate(cell):
                self._open(cell)
                return

    async def _end(self, cell: Cell) -> None:
        """Close a cell, let its turns finish, give back what it had not begun."""
        left = cell.close()
        self._runtime.remove(cell)
        while cell.busy:
            await trio.sleep(0.01)
        await self._give_back(left)
        if cell.term is not None:
            await self.commit.submit(Deactivate(cell.term))
        for actor in cell.instances:
            await actor.on_stop()

    async def _give_back(self, deliveries: list[Delivery]) -> None:
        await self.commit.submit_many(
            [Settle(d.id, d.fence, Verdict.RELEASE, d.seq, reason="stopped") for d in deliveries]
        )

    # Supervision

    def _failed(self, cell: Cell, error: Exception) -> None:
        """An actor's own code (not a handler) has failed: its supervisor decides what now."""
        left = cell.close()
        self._runtime.start_soon(self._mend, cell, left)

    async def _mend(self, cell: Cell, left: list[Delivery]) -> None:
        group = self._groups.get(cell.address)
        await self._give_back(left)
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
            found = self._runtime.cells.get(address)
            if found is not None and found is not cell:
                await self._end(found)
        self._runtime.remove(cell)
        for address in again:
            self._observer(ActorRestarted(group.specs[address].address.partition("/")[0], "error"))
            await self._start(group.specs[address])

    # Inboxes

    async def pause(self, inbox: str, key: str | None = None) -> None:
        """Accept but deliver nothing, until resumed; mail handed over but not begun goes back."""
        await self.commit.submit(Control(inbox, Switch.PAUSE, key))
        await self._release_paused()

    async def resume(self, inbox: str, key: str | None = None) -> None:
        """End a pause."""
        await self.commit.submit(Control(inbox, Switch.RESUME, key))

    def counts(self, inbox: str) -> InboxCounts | None:
        """The counts of an inbox as of now; None if there is none."""
        found = self.store.counts(inbox)
        return found[0] if found else None

    def show(self, id: str) -> StoredMessage:
        """A message with its history. Raises ``UnknownMessage``."""
        message = self.store.message(parse_id(id))
        if message is None:
            raise UnknownMessage("no such message", "its id is not known here", "check the id")
        return message

    async def _release_paused(self) -> None:
        for inbox in self.store.paused_inboxes():
            cell = self._runtime.cells.get(inbox)
            if cell is not None:
                await self._give_back(cell.take_queue())

    # The life of the system

    async def _run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Open the session, then keep it and everything else going until cancelled."""
        await self._open_session()
        self.commit.on_rung = self._runtime.ring
        async with trio.open_nursery() as services:
            services.start_soon(self._renew)
            services.start_soon(self._watch_pauses)
            services.start_soon(listen, self.store, self._heard)
            services.start_soon(dispatch, self.store, self.commit, lambda: self._runtime.session)
            async with trio.open_nursery() as lanes:
                self._runtime.open(lanes)
                task_status.started()
                await trio.sleep_forever()

    async def _open_session(self) -> None:
        opened = await self.commit.submit(
            OpenSession(self.name, "runtime", this_process(), round(SESSION_SECONDS * MICROS))
        )
        assert isinstance(opened, Session)
        self._runtime.session = opened.id
        self._runtime.marks = self.store.turn_marks(opened.id)
        await self.commit.submit(Register((InboxSpec(self._replies, member=False),)))

    async def _renew(self) -> None:
        """Keep the session. A loop that hangs does not come here, and so loses its leases."""
        while True:
            await trio.sleep(SESSION_SECONDS / 4)
            self._runtime.report()
            try:
                await self.commit.submit(RenewSession(self._runtime.session, round(SESSION_SECONDS * MICROS)))
            except LostLease:
                await self._rejoin()

    async def _rejoin(self) -> None:
        """The session has lapsed: all that was held is others' now. Begin anew under another one."""
        cells = list(self._runtime.cells.values())
        for cell in cells:
            cell.close()
        self._runtime.marks.close()
        await self._open_session()
        for cell in cells:
            if cell.memory is None or await self._activate(cell):
                self._open(cell)
            else:
                self._runtime.start_soon(self._activate_later, cell)

    def _heard(self) -> None:
        """Another process has committed: see who has mail."""
        self._runtime.ring(self.store.ready_inboxes())

    async def _watch_pauses(self) -> None:
        """Anybody may pause an inbox: mail of it that was not begun goes back within half a second."""
        while True:
            await trio.sleep(PAUSE_SECONDS)
            if any(cell.queued for cell in self._runtime.cells.values()):
                await self._release_paused()

    async def _shut_down(self, grace: float) -> None:
        """No new turns; those that run may finish; then everything that is held goes back."""
        self._stopping = True
        cells = list(self._runtime.cells.values())
        left = [delivery for cell in cells for delivery in cell.close()]
        with trio.move_on_after(grace):
            await self._runtime.quiet()
            for cell in cells:
                for actor in cell.instances:
                    await actor.on_stop()
        self._runtime.report()
        await self._give_back(left)

    async def _leave(self) -> None:
        await self.commit.submit(Control(self._replies, Switch.END))
        await self.commit.submit(CloseSession(self._runtime.session))
        self._runtime.marks.close()

    def _known(self, type: str) -> Any:
        for cell in self._runtime.cells.values():
            handler = cell.kind.handlers.get(type)
            if handler is not None:
                return handler.kind
        return Any


def _kind_of(spec: ChildSpec) -> type[Actor]:
    """The class of an actor, by what makes its instances."""
    if isinstance(spec.start, type):
        return spec.start
    return type(spec.start())


@asynccontextmanager
async def open_postroom(
    store: str | Store = DEFAULT_URL,
    *,
    name: str | None = None,
    clock: Clock | None = None,
    wire: Wire | None = None,
    observer: Observer = ignore,
    rng: Random | None = None,
    grace: float = GRACE_SECONDS,
) -> AsyncIterator[System]:
    """Open a store and join it: an async context manager that gives a ``System``.

    ``store`` is a URL, made if there is none, or an open store, which is not closed then. On leaving,
    no further turns begin, those that run have ``grace`` seconds, and whatever is still held goes
    back to its inbox. Raises ``StoreUnavailable``.
    """
    opened = open_store(store, create=True, clock=clock) if isinstance(store, str) else store
    chance = rng or Random()
    system = System(
        opened,
        name=name or f"{chance.getrandbits(48):012x}",
        wire=wire or make_wire(),
        observer=observer,
        rng=chance,
    )
    try:
        async with trio.open_nursery() as outer:
            await outer.start(system.commit.run)
            try:
                async with trio.open_nursery() as inner:
                    await inner.start(system._run)
                    try:
                        yield system
                    finally:
                        with trio.CancelScope(shield=True):
                            await system._shut_down(grace)
                        inner.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    await system._leave()
            finally:
                outer.cancel_scope.cancel()
    finally:
        if isinstance(store, str):
            opened.close()
