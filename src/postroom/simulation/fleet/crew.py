"""The app threads of a fleet: asleep until a wake arrives, then at work until their inbox is empty.

Asleep, a thread is a row in a table; only while it is awake is it a task. It knows nothing of the
store but what its verbs answer, and nothing of how it is woken.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from random import Random
from typing import Protocol, TypeVar

import msgspec
import trio
from msgspec import Struct

from ...actors.clerk import Clerk
from ...mailbox import heartbeats
from ...mailbox.ids import id_text
from ...store.clock import MICROS
from ...store.errors import Conflict, LostLease
from ...store.memory import MemoryStore
from ...store.records import Delivery, Settled, Write
from ..checkers import EFFECT
from .agenda import Agenda, after, now
from .ledger import Ledger
from .options import Options
from .spreads import draw

T = TypeVar("T")
TASK, REPORT = "task", "report"
TRIES = 3
"""How often a record is read and written again that somebody else has changed meanwhile."""


class World(Protocol):
    """What those who live in it need to know of a simulated world."""

    options: Options
    store: MemoryStore
    agenda: Agenda
    ledger: Ledger
    calm: bool
    nursery: trio.Nursery

    def note(self, event: str, /, **what: object) -> None: ...

    async def use(self, verb: Callable[[Clerk], Awaitable[T]], /) -> T:
        """Do something through the serving process, again and again until it answers."""
        ...

    def slept(self, address: str, found: bool, /) -> None:
        """A thread has gone to sleep after a wake that found mail, or none."""
        ...


class State(Enum):
    """What an app thread is doing."""

    ASLEEP = "asleep"
    AWAKE = "awake"
    DOWN = "down"


class AppThread(Struct):
    """One app thread. ``pace`` multiplies its turns; ``since`` is when it last fell asleep.

    ``leased_until`` is until when it holds the lease of the turn it is in, as far as it was told.
    """

    address: str
    role: str
    task: str
    pace: float
    state: State = State.ASLEEP
    since: float = 0.0
    leased_until: float = 0.0


class Body(Struct, frozen=True):
    """What a message says: which task it is about. A task that follows another has its name and a ``+``."""

    task: str


class Crew:
    """All app threads of a fleet, by address."""

    def __init__(self, world: World, members: dict[str, AppThread]) -> None:
        self._world = world
        self._fleet = world.options.fleet
        self.members = members
        self._rng = Random(f"{world.options.seed}/restarts")
        self._body = msgspec.json.Decoder(Body)

    def holds_lease(self, address: str) -> bool:
        """Whether a thread is in a turn whose lease lives."""
        return now() < self.members[address].leased_until

    # Waking

    def wake(self, address: str) -> None:
        """A wake has arrived."""
        thread, world = self.members[address], self._world
        world.note("wake", thread=address, state=thread.state.value)
        if thread.state is State.DOWN:
            world.ledger.wakes["lost"] += 1
        elif thread.state is State.AWAKE:  # it comes as one more prompt and finds nothing new
            world.ledger.happened["wakes into a turn"] += 1
            world.ledger.wakes["empty"] += 1
        else:
            thread.state = State.AWAKE
            world.ledger.awake += 1
            world.nursery.start_soon(self._be_awake, thread)

    async def _be_awake(self, thread: AppThread) -> None:
        """Poll and work until there is nothing left; then sleep."""
        world, found_any = self._world, False
        while (delivery := await self._poll(thread)) is not None:
            if not found_any:
                found_any = True
                self._woken_for(thread, delivery)
            if not await self._work(thread, delivery):
                self._crash(thread)
                return
        if not found_any:
            world.ledger.wakes["empty"] += 1
            await self._beat(thread, busy=False)
        thread.state = State.ASLEEP
        thread.since = now()
        world.ledger.awake -= 1
        world.slept(thread.address, found_any)

    def _woken_for(self, thread: AppThread, delivery: Delivery) -> None:
        """The wake was of use; mail waited for it since it came, or since the thread fell asleep."""
        self._world.ledger.wakes["useful"] += 1
        clock = self._world.store.clock
        waited = (clock.now().wall - delivery.ready_at) / MICROS
        self._world.ledger.waited(min(waited, now() - thread.since))

    async def _poll(self, thread: AppThread) -> Delivery | None:
        lease = self._fleet.threads.lease

        async def poll(clerk: Clerk) -> list[Delivery]:
            try:
                return await clerk.poll(thread.address, lease=lease)
            finally:  # a poll whose answer is lost with the process has answered the wake all the same
                self._world.ledger.answered(thread.address)

        found = await self._world.use(poll)
        if not found:
            self._world.note("poll", thread=thread.address, found=0)
            return None
        thread.leased_until = now() + lease
        self._world.note(
            "poll", thread=thread.address, found=1, fence=found[0].fence, attempt=found[0].attempt
        )
        return found[0]

    # Working

    async def _work(self, thread: AppThread, delivery: Delivery) -> bool:
        """One turn; False if the thread dies in it."""
        fate = self._fate(delivery)
        turns, calm = self._fleet.turns, self._world.calm
        seconds = draw(fate, turns.worker if delivery.type == TASK else turns.manager) * thread.pace
        crashes = fate.random() < self._fleet.threads.crashes and not calm
        fails = fate.random() < turns.fails and not calm
        ends = after(seconds * fate.random() if crashes else seconds)
        try:
            await self._keep_on(thread, delivery, ends)
            if crashes:
                return False
            settled = await (self._fail(delivery) if fails else self._finish(thread, delivery, fate))
        except LostLease:
            self._world.note("lease lost", thread=thread.address)
            self._world.ledger.turns["lost"] += 1
        else:
            self._world.note("settled", thread=thread.address, state=settled.state)
            self._world.ledger.ended(settled.state, ours=delivery.type in (TASK, REPORT))
        thread.leased_until = 0.0
        return True

    def _fate(self, delivery: Delivery) -> Random:
        """What decides about a turn: the same in every run of this seed, whatever the policy."""
        task = self._body.decode(delivery.body).task
        return Random(f"{self._world.options.seed}/{delivery.type}/{task}/{delivery.attempt}")

    async def _keep_on(self, thread: AppThread, delivery: Delivery, ends: float) -> None:
        """Show signs of life until the turn ends; the lease is made longer before it could lapse."""
        threads = self._fleet.threads
        await self._beat(thread, busy=True)
        while (beat := after(threads.heartbeat)) < ends:
            await trio.sleep_until(beat)
            await self._beat(thread, busy=True)
            if thread.leased_until - now() < 2 * threads.heartbeat:
                await self._extend(thread, delivery)
        await trio.sleep_until(ends)

    async def _extend(self, thread: AppThread, delivery: Delivery) -> None:
        lease = self._fleet.threads.lease
        asked = now()
        await self._world.use(lambda clerk: clerk.extend(delivery.id, delivery.fence, lease))
        thread.leased_until = asked + lease

    async def _fail(self, delivery: Delivery) -> Settled:
        return await self._world.use(
            lambda clerk: clerk.nack(delivery.id, delivery.fence, reason="it failed")
        )

    async def _finish(self, thread: AppThread, delivery: Delivery, fate: Random) -> Settled:
        """Acknowledge: a worker reports, a manager has heard of it and may ask for more."""
        if delivery.type == TASK:
            settled = await self._ack(thread, delivery, reply=delivery.body)
            self._world.ledger.live += 1
            return settled
        if delivery.type == REPORT:
            return await self._hear(thread, delivery, fate)
        return await self._ack(thread, delivery)

    async def _hear(self, thread: AppThread, delivery: Delivery, fate: Random) -> Settled:
        task = self._body.decode(delivery.body).task
        if fate.random() >= self._fleet.arrivals.follow_up:
            settled = await self._ack(thread, delivery)
        else:
            following = f"{task}+"
            body = {"task": following}
            asks = {"to": delivery.sender, "type": TASK, "body": body, "reply_to": thread.address}
            settled = await self._ack(thread, delivery, sends=[asks])
            self._world.ledger.asked(following)
        self._world.ledger.reported(task)
        return settled

    async def _ack(
        self,
        thread: AppThread,
        delivery: Delivery,
        reply: bytes | None = None,
        sends: Sequence[Mapping[str, object]] = (),
    ) -> Settled:
        writes = self._effect(thread, delivery) if self._world.options.thorough else ()

        async def ack(clerk: Clerk) -> Settled:
            return await clerk.ack(
                delivery.id, delivery.fence, reply, sends, reply_type=REPORT, writes=writes
            )

        return await self._world.use(ack)

    def _effect(self, thread: AppThread, delivery: Delivery) -> tuple[Write, ...]:
        """What the turn does, for the checker of effects: one more than was there before."""
        key = id_text(delivery.id)
        found = self._world.store.records(thread.address, EFFECT, key)
        times = int(found[0].value) + 1 if found else 1
        return (Write(thread.address, EFFECT, key, b"%d" % times),)

    async def _beat(self, thread: AppThread, *, busy: bool) -> None:
        """A sign of life. One that collides with another is as good as that one."""
        store = self._world.store

        async def beat(clerk: Clerk) -> None:
            for _ in range(TRIES):
                _, write = heartbeats.beat(
                    store, thread.role, thread.task, thread_id=thread_id(thread.address), busy=busy
                )
                try:
                    return await clerk.put((write,))
                except Conflict:
                    continue

        await self._world.use(beat)

    # Dying

    def _crash(self, thread: AppThread) -> None:
        """The thread dies with its lease, and can be woken again once somebody has restarted it."""
        world = self._world
        thread.state = State.DOWN
        thread.leased_until = 0.0
        world.ledger.awake -= 1
        world.ledger.turns["crashed"] += 1
        world.note("thread crashed", thread=thread.address)
        world.agenda.put(draw(self._rng, self._fleet.threads.restart), partial(self._restart, thread))

    def _restart(self, thread: AppThread) -> None:
        thread.state = State.ASLEEP
        thread.since = now()
        self._world.note("thread restarted", thread=thread.address)


def thread_id(address: str) -> str:
    """What the app of a fleet calls the thread behind an address."""
    return f"thread-{address.replace('/', '-')}"
