"""Waking one address: reserve, judge again, let a driver try, write what became of it.

The reservation is durable before the driver acts. Whoever crashes in between leaves a wake that may
have had its effect: it stays pending, and counts as lost when its window has ended without a poll.
"""

from __future__ import annotations

import logging
from functools import partial
from math import inf

import trio

from ...mailbox import wakes
from ...mailbox.ids import IdMaker, id_text
from ...mailbox.wakes import Wake
from ...store.clock import MICROS
from ...store.commit import GroupCommit
from ...store.errors import Conflict, StoreUnavailable
from ...store.looking import look
from ...store.port import Store
from ...store.records import Put, Write
from ...store.urls import from_anywhere
from . import planning, rules
from .drivers import Delivered, Driver, Order
from .planning import Look
from .rules import Status

TRIES, PAUSE_SECONDS = 3, 0.5
AT_ONCE = 16
"""Drivers that may be at work at the same time."""

SOON_SECONDS = 0.5
AGAIN_SECONDS = 1.0
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 30.0, 3600.0
"""When a driver is tried again that failed all its tries; each time twice as long after."""

LONGEST_DRIVE_SECONDS = 150.0
"""The longest that any driver may take: less than the shortest window of a wake."""

log = logging.getLogger("postroom.wakeups")


class Waking:
    """Wakes addresses, each once for a reservation."""

    def __init__(self, store: Store, commit: GroupCommit, ids: IdMaker, driver: Driver) -> None:
        self._store = store
        self._commit = commit
        self._ids = ids
        self._driver = driver
        self._slots = trio.CapacityLimiter(AT_ONCE)
        self._url = from_anywhere(store.url)
        self._failures: dict[str, int] = {}

    async def wake(self, found: Look) -> float:
        """Wake whoever was found ready, unless it turns out needless.

        Returns in how many seconds it is to be looked at again; infinity for not until a bell rings.
        """
        try:
            async with self._slots:
                order = await self._reserve(found)
                return SOON_SECONDS if order is None else await self._drive(order)
        except StoreUnavailable as error:
            log.warning("%s is not woken: %s", found.address, error)
            return AGAIN_SECONDS

    async def _reserve(self, found: Look) -> Order | None:
        """Make the wake ours, durably; None if it polled meanwhile, or somebody else wakes it."""
        assert found.thread_id is not None, "only who has a thread is ready"
        receipt = id_text(self._ids.new())
        reserved = wakes.reserved(self._store.clock, found.wake, receipt, found.thread_id)
        writes = [wakes.write(found.address, reserved, found.version), *planning.share_taken(found)]
        try:
            await self._commit.submit(Put(tuple(writes)))
        except Conflict:
            return None
        except StoreUnavailable:
            if await self._ours(found.address, receipt) is None:
                raise
        text = rules.prompt(found.task, found.role, found.address, self._url)
        return Order(found.task, found.role, found.address, found.thread_id, text, receipt)

    async def _ours(self, address: str, receipt: str) -> tuple[Wake, int] | None:
        """The wake of an address and its version, if it is still the one of this receipt."""
        wake, version = await look(self._store, partial(wakes.find, self._store, address))
        return (wake, version) if wake.receipt == receipt else None

    async def _drive(self, order: Order) -> float:
        """Try until it is sent, or may be; up to so many times if it surely is not."""
        delivered, deadline = Delivered.FAILED, trio.current_time() + LONGEST_DRIVE_SECONDS
        for attempt in range(TRIES):
            if attempt:
                await trio.sleep(PAUSE_SECONDS)
            if trio.current_time() >= deadline:
                break
            if not await self._still_ready(order):
                await self._end(order, Delivered.FAILED)
                return SOON_SECONDS
            delivered = await self._ask(order, deadline)
            if delivered is not Delivered.FAILED:
                break
        await self._end(order, delivered)
        if delivered is Delivered.FAILED:
            failures = self._failures[order.address] = self._failures.get(order.address, 0) + 1
            return min(FIRST_RETRY_SECONDS * (1 << min(failures - 1, 16)), LONGEST_RETRY_SECONDS)
        self._failures.pop(order.address, None)
        found = await self._ours(order.address, order.receipt)
        return inf if found is None else wakes.left_us(self._store.clock, found[0]) / MICROS

    async def _still_ready(self, order: Order) -> bool:
        """Whether the rules still say so, not counting our own reservation."""
        if await self._ours(order.address, order.receipt) is None:
            return False
        again = partial(planning.look, self._store, order.task, order.role, order.address)
        found = await look(self._store, again)
        if found.thread_id != order.thread_id:
            return False
        return planning.without_pending(found).verdict[0] is Status.READY

    async def _ask(self, order: Order, deadline: float) -> Delivered:
        with trio.move_on_at(deadline):
            try:
                return await self._driver.wake(order)
            except Exception:  # a driver of others may raise anything, and have woken before
                log.exception("the driver that wakes %s raised", order.address)
        return Delivered.UNKNOWN

    async def _end(self, order: Order, delivered: Delivered) -> None:
        """Write what became of a wake, unless its address has polled meanwhile. Unknown stays as it is."""
        found = await self._ours(order.address, order.receipt)
        if found is None or delivered is Delivered.UNKNOWN:
            return
        wake, version = found
        if delivered is Delivered.SENT:
            after = wakes.sent(self._store.clock, wake, order.receipt, order.thread_id)
        else:
            after = wakes.failed(wake)
        await self.note(wakes.write(order.address, after, version))

    async def note(self, write: Write) -> None:
        """Write a record unless somebody else has changed it meanwhile: their word is newer."""
        try:
            await self._commit.submit(Put((write,)))
        except Conflict:
            return
        except StoreUnavailable as error:
            log.warning("what became of a wake of %s could not be written: %s", write.key, error)
