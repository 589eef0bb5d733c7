"""Doorbells: hints that mail has come, within the process at once and from others by a watch.

Nothing depends on a bell being heard. Whoever hears it asks the store, and every listener also
looks by itself now and then.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from ..store.port import LOOK_AGAIN, CommitWatch, Store

FIRST_GAP, LONGEST_GAP = 0.005, 0.020
"""Seconds between looks where the store cannot be watched."""

SILENCE = 1.0
"""Seconds after which a watched store is looked at although nothing was heard."""


async def listen(store: Store, heard: Callable[[], None]) -> None:
    """Call ``heard`` whenever another process may have committed; for ever, until cancelled."""
    watch = store.watch() if store.commits_in_thread else None
    try:
        gap = FIRST_GAP
        while True:
            if watch is None:
                await trio.sleep(gap)
                changed = store.changed_elsewhere()
                gap = FIRST_GAP if changed else min(gap * 1.5, LONGEST_GAP)
            else:
                changed = await _hear(watch, store)
            if changed:
                heard()
    finally:
        if watch is not None:
            watch.close()


async def _hear(watch: CommitWatch, store: Store) -> bool:
    with trio.move_on_after(SILENCE):
        await trio.lowlevel.wait_readable(watch)
    watch.drain()
    for pause in LOOK_AGAIN:
        if store.changed_elsewhere():
            return True
        await trio.sleep(pause)
    return False
