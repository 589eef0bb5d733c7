"""Waiting for mail in a store file without holding a thread: bells, which are only hints.

It is what ``mailbox.waiting`` is without an event loop; the times are those it uses.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager

import anyio

from ..mailbox.desk import RECLAIM_SECONDS
from ..mailbox.waiting import FIRST_NAP, LONGEST_NAP, SHORTEST_GAP
from ..store.errors import StoreUnavailable
from ..store.port import LOOK_AGAIN, CommitWatch, Store
from .hands import Hands


class Bell:
    """What one who waits listens to."""

    def __init__(self) -> None:
        self._rung = anyio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def heard(self, seconds: float) -> None:
        """Wait until it has rung since the last call, at most so long."""
        with anyio.move_on_after(seconds):
            await self._rung.wait()
        self._rung = anyio.Event()


class Bells:
    """Wakes those who wait for mail: at once after own commits, and after others' when the kernel
    reports them. While nobody waits, nothing is listened to.
    """

    def __init__(self, store: Store, hands: Hands) -> None:
        self._store = store
        self._hands = hands
        self._waiting: dict[str, set[Bell]] = {}
        self._wanted = anyio.Event()

    def ring(self, inboxes: Iterable[str]) -> None:
        """There may be mail in these inboxes."""
        for inbox in inboxes:
            for bell in self._waiting.get(inbox, ()):
                bell.ring()

    @contextmanager
    def listening(self, *inboxes: str) -> Generator[Bell]:
        """A bell for mail in these inboxes that comes inside the block."""
        bell = Bell()
        for inbox in inboxes:
            self._waiting.setdefault(inbox, set()).add(bell)
        self._wanted.set()
        try:
            yield bell
        finally:
            for inbox in inboxes:
                self._waiting[inbox].discard(bell)
                if not self._waiting[inbox]:
                    del self._waiting[inbox]

    async def run(self) -> None:
        """Listen while somebody waits; for ever, until cancelled."""
        watch = self._store.watch()
        try:
            while True:
                if not self._waiting:
                    self._wanted = anyio.Event()
                    await self._wanted.wait()
                try:
                    await self._listen(watch)
                except StoreUnavailable:  # whoever waits looks by itself, and is told then
                    await anyio.sleep(RECLAIM_SECONDS)
        finally:
            if watch is not None:
                watch.close()

    async def _listen(self, watch: CommitWatch | None) -> None:
        """Hear other processes' commits until nobody waits any more.

        Hints that follow each other closely are for somebody else, so each is let wait a little longer
        than the one before.
        """
        gap = 0.0
        while self._waiting:
            if await self._hands.do(self._store.changed_elsewhere):
                self.ring(await self._hands.do(self._store.ready_inboxes))
                gap = min(max(SHORTEST_GAP, gap * 2), LONGEST_NAP)
                await anyio.sleep(gap)
            elif watch is None:
                gap = min(max(FIRST_NAP, gap * 1.5), LONGEST_NAP)
                await anyio.sleep(gap)
            else:
                gap = 0.0
                await self._hint(watch)

    async def _hint(self, watch: CommitWatch) -> None:
        """Wait for a report of the kernel, which comes before its commit is complete."""
        await anyio.wait_readable(watch)
        watch.drain()
        for pause in LOOK_AGAIN:
            if await self._hands.do(self._store.changed_elsewhere):
                self.ring(await self._hands.do(self._store.ready_inboxes))
                return
            await anyio.sleep(pause)
