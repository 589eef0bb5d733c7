"""Looking at a store from a trio program, which has other things to do while a server answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

from .port import Store

T = TypeVar("T")

MOST_AT_ONCE = 4
"""Threads that look at the same time: each has a connection, and a server that is silent keeps them all."""

_limit: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("postroom_looking")


async def look(store: Store, read: Callable[[], T], *, whole: bool = False) -> T:
    """What ``read`` finds in the store: in a thread where it is on a server, else here and now.

    Only in a thread is this a checkpoint. Cancelled, the thread finishes by itself and its result is
    dropped; ``whole`` waits for its end instead, for what does more than read.
    """
    if not store.is_remote:
        return read()
    return await trio.to_thread.run_sync(read, abandon_on_cancel=not whole, limiter=_looking())


def _looking() -> trio.CapacityLimiter:
    try:
        return _limit.get()
    except LookupError:
        limit = trio.CapacityLimiter(MOST_AT_ONCE)
        _limit.set(limit)
        return limit
