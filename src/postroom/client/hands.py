"""One store handle, used by one thread at a time and never by the event loop."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


class Hands:
    """Runs what touches the store, one after the other, each in a worker thread.

    The limiter keeps all but one from occupying a thread. The lock is for a task that asyncio cancels
    behind anyio's back: its thread works on, and the next one waits for that to end.
    """

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(1)
        self._lock = Lock()

    async def do(self, work: Callable[[], T]) -> T:
        """Run ``work`` and answer what it does. Cancelled before it began, it never runs; after that it
        runs to its end, and its answer is given."""
        return await anyio.to_thread.run_sync(self._locked, work, limiter=self._limiter)

    def _locked(self, work: Callable[[], T]) -> T:
        with self._lock:
            return work()
