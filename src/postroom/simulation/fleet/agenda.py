"""What the world outside will do, and when: one trio task for all of it, however many wait.

A thread that sleeps, a wake on its way and a restart to come are each an entry of a heap. Everything
outside happens at whole seconds of virtual time: nobody asks for more, and what happens in the same
second shares its transactions, as it does in a busy system.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush

import trio


def now() -> float:
    """Virtual seconds since the beginning."""
    return trio.current_time()


def after(seconds: float) -> float:
    """The whole second in which ``seconds`` from now will have passed."""
    return float(math.ceil(trio.current_time() + seconds))


class Agenda:
    """Calls what was put into it at its time, in the order of times and then of entry."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._entered = 0
        self._scope = trio.CancelScope()

    def put(self, seconds: float, act: Callable[[], None]) -> None:
        """Call ``act`` in ``seconds`` from now, rounded up to a whole second."""
        at = after(seconds)
        self._entered += 1
        heappush(self._entries, (at, self._entered, act))
        if at < self._scope.deadline:
            self._scope.deadline = at

    async def run(self) -> None:
        """For ever, until cancelled."""
        while True:
            self._scope = trio.CancelScope(deadline=self._entries[0][0] if self._entries else math.inf)
            with self._scope:
                await trio.sleep_forever()
            while self._entries and self._entries[0][0] <= trio.current_time():
                heappop(self._entries)[2]()
