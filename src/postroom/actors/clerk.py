"""The clerk: serves those who fetch their mail themselves, inside a trio program.

It is what ``Desk`` is without an event loop, with the verbs of ``mailbox.verbs``. Who waits for mail
costs nothing until a bell rings for its inbox. Several who wait for one inbox are woken one by one, for
as long as each of them finds something.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TypeVar

import trio

from ..mailbox import verbs
from ..mailbox.address import shared_inbox
from ..mailbox.doorbell import listen
from ..mailbox.ids import IdMaker
from ..mailbox.outputs import read_flags
from ..mailbox.verbs import LEASE
from ..store.commit import GroupCommit
from ..store.errors import Conflict, StoreUnavailable, UnknownInbox
from ..store.looking import look
from ..store.port import Store
from ..store.records import (
    Accepted,
    Claimed,
    Delivery,
    Extended,
    Operation,
    Put,
    Settled,
    Tick,
    Write,
)

LOOK_SECONDS = 1.0
"""How often all who wait are compared with what is ready, as no bell need ever be heard."""

T = TypeVar("T")


class _Waiter:
    """Somebody who waits for a bell."""

    __slots__ = ("heard", "inboxes", "rung")

    def __init__(self, inboxes: tuple[str, ...]) -> None:
        self.inboxes = inboxes
        self.rung = trio.Event()
        self.heard = False


class Clerk:
    """The verbs of an inbox on a running ``GroupCommit``; each is durable when it returns.

    Connect ``ring`` to ``GroupCommit.on_rung``. ``run`` hears other processes; without it only this
    process's own commits are heard.
    """

    def __init__(self, store: Store, commit: GroupCommit, ids: IdMaker) -> None:
        self.store = store
        self.ids = ids
        self._commit = commit
        self._waiting: dict[str, dict[_Waiter, None]] = {}

    # Bells

    def ring(self, inboxes: set[str]) -> None:
        """There may be mail in these inboxes: the first who waits for each looks."""
        for inbox in sorted(inboxes & self._waiting.keys()):
            self._ring(inbox)

    def _ring(self, inbox: str) -> None:
        for waiter in self._waiting.get(inbox, ()):
            if not waiter.rung.is_set():
                waiter.rung.set()
                return

    async def run(self) -> None:
        """Hear the commits of other processes, and look now and then; for ever, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hear)
            while True:
                await trio.sleep(LOOK_SECONDS)
                with suppress(StoreUnavailable):  # whoever asks is told; this only looks
                    if self._waiting:  # what falls due or lapses commits nothing by itself
                        await self._commit.submit(Tick())
                    await self._look()

    async def _hear(self) -> None:
        while True:
            with suppress(StoreUnavailable):  # it is heard again once the store answers
                await listen(self.store, self._look)
            await trio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        if self._waiting:
            self.ring(await look(self.store, self.store.ready_inboxes))

    # Verbs

    async def send(self, flags: Mapping[str, object], *, sender: str) -> Accepted:
        """Send one message, whose flags are the JSON keys of ``send``; a full inbox is not waited for.

        Raises ``BadInput`` and what ``Refused`` stands for.
        """
        return await self._one(read_flags(flags).send(self.ids.new(), sender=sender), Accepted)

    async def poll(
        self, inbox: str, wait: float = 0.0, max: int = 1, lease: float = LEASE, key: str | None = None
    ) -> list[Delivery]:
        """Lease messages as ``Desk.poll`` does, waiting up to ``wait`` seconds for the first.

        Cancelled while it waits, nothing was leased; a claim that has begun is brought to its end and
        answered. Raises ``UnknownInbox``, ``InboxEnded``, ``BadInput``.
        """
        verbs.check_poll(inbox, wait, max, lease, key)
        if not wait:
            return await self._claim(inbox, max, lease, key)
        over = trio.current_time() + wait
        while True:
            with self._listening(inbox) as waiter:
                found = await self._claim(inbox, max, lease, key)
                if found or trio.current_time() >= over:
                    return found
                with trio.move_on_at(over):
                    await waiter.rung.wait()
                    waiter.heard = True

    @contextmanager
    def _listening(self, inbox: str) -> Generator[_Waiter]:
        """Hear bells from before a claim on, so that none is missed between the claim and the waiting.

        Who was rung for and then has no use for it, being served or cancelled, passes it on.
        """
        shared = shared_inbox(inbox)
        waiter = _Waiter((inbox,) if shared is None else (inbox, shared))
        for one in waiter.inboxes:
            self._waiting.setdefault(one, {})[waiter] = None  # in the order of their coming
        try:
            yield waiter
        finally:
            self._forget(waiter)
            if waiter.rung.is_set() and not waiter.heard:
                self.ring(set(waiter.inboxes))

    def _forget(self, waiter: _Waiter) -> None:
        for one in waiter.inboxes:
            queue = self._waiting[one]
            del queue[waiter]
            if not queue:
                del self._waiting[one]

    async def _claim(self, inbox: str, most: int, lease: float, key: str | None) -> list[Delivery]:
        """One claim, brought to its end: who is cancelled meanwhile is still told what was leased."""
        for claim in await look(self.store, lambda: list(verbs.claims(self.store, inbox, most, lease, key))):
            with suppress(UnknownInbox), trio.CancelScope(shield=True):  # perhaps only the shared one
                found = (await self._one(claim, Claimed)).deliveries
                await self._notice(inbox, found)
                if found:
                    self.ring(set(claim.inboxes))  # a bell for the other one may have been spent on us
                    return found
                break
        await look(self.store, lambda: verbs.check_open(self.store, inbox))
        return []

    async def _notice(self, inbox: str, found: Sequence[Delivery]) -> None:
        """Tell whoever wakes this address that it has polled."""
        # What was claimed is told in any case; a wake that nobody answers for is counted as lost.
        with suppress(StoreUnavailable):
            puts = verbs.notices(self.store, inbox, found)
            while (put := await look(self.store, lambda: next(puts, None))) is not None:
                with suppress(Conflict):
                    await self._commit.submit(put)
                    return

    async def ack(
        self,
        id: bytes,
        fence: int,
        reply: bytes | None = None,
        sends: Sequence[Mapping[str, object]] = (),
        *,
        reply_type: str = "reply",
        writes: Sequence[Write] = (),
    ) -> Settled:
        """End a lease as done, with its reply, sends and writes, as ``Desk.ack`` does; not cancelled."""
        ack = partial(verbs.ack_of, self.store, id, fence, reply, sends)
        settle = await look(self.store, lambda: ack(reply_type=reply_type, writes=writes))
        return await self._one(settle, Settled)

    async def nack(
        self,
        id: bytes,
        fence: int,
        delay: float | None = None,
        reason: str | None = None,
        dead: bool = False,
        release: bool = False,
    ) -> Settled:
        """End a lease as not done, as ``Desk.nack`` does; not cancelled once it has begun."""
        settle = verbs.nack_of(id, fence, delay, reason, dead=dead, release=release)
        return await self._one(settle, Settled)

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        """Give mail back that nobody saw, with its attempts; what is no longer held is left alone."""
        await self._commit.submit_many(
            [verbs.nack_of(d.id, d.fence, None, None, dead=False, release=True) for d in deliveries]
        )

    async def extend(self, id: bytes, fence: int, lease: float = LEASE) -> Extended:
        """Make a lease last ``lease`` seconds from now. Raises ``UnknownMessage``, ``LostLease``."""
        return await self._one(verbs.extend_of(id, fence, lease), Extended)

    async def put(self, writes: Sequence[Write]) -> None:
        """Write keyed records: all of them, or none and a ``Conflict``."""
        await self._commit.submit(Put(tuple(writes)))

    async def do(self, operation: Operation) -> None:
        """Have one operation of any kind committed; raises the error that refuses it."""
        await self._commit.submit(operation)

    async def _one(self, operation: Operation, kind: type[T]) -> T:
        answer = await self._commit.submit(operation)
        assert isinstance(answer, kind), f"a {type(operation).__name__} was answered by {answer!r}"
        return answer
