"""When to look at what: one time for each key, the earliest that was asked for."""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf

import trio


class Alarms:
    """Keys, each with the time at which it is due. Costs by the number of alarms, not of keys."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []
        self._at: dict[str, float] = {}
        self._moved = trio.Event()

    def set(self, key: str, at: float) -> None:
        """Have ``key`` due at a time, unless it is due before."""
        if at < self._at.get(key, inf):
            if at < self.next():
                self._moved.set()
            self._at[key] = at
            heappush(self._heap, (at, key))

    def later(self, key: str, seconds: float) -> None:
        """Have ``key`` due in so many seconds, unless it is due before."""
        self.set(key, trio.current_time() + seconds)

    async def wait(self) -> None:
        """Until one is due; at once if one is."""
        while (at := self.next()) > trio.current_time():
            self._moved = trio.Event()
            with trio.move_on_at(at):
                await self._moved.wait()

    def next(self) -> float:
        """When the next is due; infinity if none is."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)  # an earlier time was asked for since
        return self._heap[0][0] if self._heap else inf

    def due(self, now: float) -> list[str]:
        """The keys that are due, in the order of their times; they have no alarm any more."""
        found: list[str] = []
        while self.next() <= now:
            key = heappop(self._heap)[1]
            del self._at[key]
            found.append(key)
        return found

    def __contains__(self, key: str) -> bool:
        return key in self._at
