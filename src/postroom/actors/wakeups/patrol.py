"""Patrols: looking at everything now and then, since a bell may go unheard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from ...store.errors import StoreUnavailable
from ...store.looking import look
from ...store.port import Store
from ...store.records import InboxCounts

PATROL_SECONDS = 60.0
AGAIN_SECONDS = 1.0


async def patrol(look_around: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Look around at the start and every so many seconds, infinity for never again; until cancelled.

    Soon again if the store was away.
    """
    while True:
        try:
            await look_around()
        except StoreUnavailable:
            await trio.sleep(AGAIN_SECONDS)
            continue
        await trio.sleep(seconds)


async def counted(store: Store) -> list[InboxCounts]:
    """The counts of all inboxes, read beside the event loop where a read may take long."""
    if store.commits_in_thread and not store.is_remote:
        return await trio.to_thread.run_sync(store.counts)
    return await look(store, store.counts)
