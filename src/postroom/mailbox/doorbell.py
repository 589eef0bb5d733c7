"""Doorbells: hints that mail has come, within the process at once and from others by a watch.

Nothing depends on a bell being heard. Whoever hears it asks the store, and every listener also
looks by itself now and then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from ..store.port import LOOK_AGAIN, CommitWatch, Store

Heard = Callable[[], Awaitable[object]]

FIRST_GAP, LONGEST_GAP = 0.005, 0.020
"""Seconds between looks where the store says nothing by itself."""

SILENCE = 1.0
"""Seconds after which a store that does is looked at although nothing was heard."""


async def listen(store: Store, heard: Heard) -> None:
    """Call ``heard`` whenever another process may have committed; for ever, until cancelled."""
    bell = Bell()
    off = store.on_commit(bell.ring)
    if off is not None:
        try:
            await _by_bell(store, bell, heard)
        finally:
            off()
    watch = store.watch() if store.commits_in_thread else None
    if watch is None:
        await _by_looking(store, heard)
    else:
        try:
            await _by_watch(store, watch, heard)
        finally:
            watch.close()


def each_of(*rings: Callable[[set[str]], None]) -> Callable[[set[str]], None]:
    """One bell that rings several, each given the inboxes that may have mail."""

    def ring(inboxes: set[str]) -> None:
        for each in rings:
            each(inboxes)

    return ring


class Bell:
    """Wakes the one who waits; ringing it again before that changes nothing."""

    def __init__(self) -> None:
        self._rung = trio.Event()

    def ring(self) -> None:
        """Let whoever waits, or waits next, go on."""
        self._rung.set()

    async def wait(self) -> None:
        """Wait until it was rung since the last time."""
        await self._rung.wait()
        self._rung = trio.Event()


async def _by_bell(store: Store, bell: Bell, heard: Heard) -> None:
    while True:
        with trio.move_on_after(SILENCE):
            while True:
                await bell.wait()
                if store.changed_elsewhere():
                    await heard()
        if store.changed_elsewhere():
            await heard()


async def _by_watch(store: Store, watch: CommitWatch, heard: Heard) -> None:
    while True:
        with trio.move_on_after(SILENCE):
            await trio.lowlevel.wait_readable(watch)
        watch.drain()
        for pause in LOOK_AGAIN:
            if store.changed_elsewhere():
                await heard()
                break
            await trio.sleep(pause)


async def _by_looking(store: Store, heard: Heard) -> None:
    gap = FIRST_GAP
    while True:
        await trio.sleep(gap)
        changed = store.changed_elsewhere()
        if changed:
            await heard()
        gap = FIRST_GAP if changed else min(gap * 1.5, LONGEST_GAP)
