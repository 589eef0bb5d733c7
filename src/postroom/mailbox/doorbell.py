"""Doorbells: hints that mail has come, within the process at once and from others by a watch.

Nothing depends on a bell being heard. Whoever hears it asks the store, and every listener also
looks by itself now and then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial

import trio

from ..store.port import LOOK_AGAIN, CommitWatch, Store

FIRST_GAP, LONGEST_GAP = 0.005, 0.020
"""Seconds between looks where the store says nothing by itself."""

SILENCE = 1.0
"""Seconds after which a store that does is looked at although nothing was heard."""

Ear = Callable[[], Awaitable[bool]]
"""Waits for a hint, or for a while; whether another handle may have committed."""


async def listen(store: Store, heard: Callable[[], None]) -> None:
    """Call ``heard`` whenever another process may have committed; for ever, until cancelled."""
    with _ear(store) as listens:
        while True:
            if await listens():
                heard()


def each_of(*rings: Callable[[set[str]], None]) -> Callable[[set[str]], None]:
    """One bell that rings several, each given the inboxes that may have mail."""

    def ring(inboxes: set[str]) -> None:
        for each in rings:
            each(inboxes)

    return ring


@contextmanager
def _ear(store: Store) -> Generator[Ear]:
    """The best way to hear this store."""
    bell = _Bell(store)
    off = store.on_commit(bell.ring)
    watch = store.watch() if off is None and store.commits_in_thread else None
    try:
        if off is not None:
            yield bell.wait
        elif watch is not None:
            yield partial(_watch, watch, store)
        else:
            yield _Looks(store).wait
    finally:
        if off is not None:
            off()
        if watch is not None:
            watch.close()


class _Bell:
    """Rung by the store itself."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rung = trio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self) -> bool:
        with trio.move_on_after(SILENCE):
            await self._rung.wait()
        self._rung = trio.Event()
        return self._store.changed_elsewhere()


async def _watch(watch: CommitWatch, store: Store) -> bool:
    with trio.move_on_after(SILENCE):
        await trio.lowlevel.wait_readable(watch)
    watch.drain()
    for pause in LOOK_AGAIN:
        if store.changed_elsewhere():
            return True
        await trio.sleep(pause)
    return False


class _Looks:
    """Looks again and again, more often where something happens."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._gap = FIRST_GAP

    async def wait(self) -> bool:
        await trio.sleep(self._gap)
        changed = self._store.changed_elsewhere()
        self._gap = FIRST_GAP if changed else min(self._gap * 1.5, LONGEST_GAP)
        return changed
