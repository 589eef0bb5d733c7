"""Mail that is due in less than a second is looked at when it is due, by the process that has put it aside.

The dispatcher, which may be in another process, learns what is due when it looks, and does that once a
second where nothing happens. Who has put nothing aside does not wake for this.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from math import ceil

import trio

from ..mailbox.doorbell import Bell
from ..store.clock import MICROS
from ..store.commit import GroupCommit
from ..store.records import Tick
from .dispatcher import LONGEST_SECONDS, SHORTEST_SECONDS


class Soon:
    """When to look. Connect ``note`` to ``GroupCommit.on_delayed``.

    Moments lie ``SHORTEST_SECONDS`` apart, so that however much is put aside, looks are as far apart.
    """

    def __init__(self, commit: GroupCommit) -> None:
        self._commit = commit
        self._moments: list[int] = []
        self._bell = Bell()

    def note(self, delays_us: Iterable[int]) -> None:
        """Mail was put aside just now, for so many microseconds each."""
        now = trio.current_time()
        for delay_us in delays_us:
            if delay_us < LONGEST_SECONDS * MICROS:
                self._look_at(ceil((now + delay_us / MICROS) / SHORTEST_SECONDS))

    def _look_at(self, moment: int) -> None:
        if moment not in self._moments:
            heappush(self._moments, moment)
            if self._moments[0] == moment:
                self._bell.ring()

    async def run(self) -> None:
        """Look whenever something is due, for ever, until cancelled. Raises ``StoreUnavailable``."""
        while True:
            if not self._moments:
                await self._bell.wait()
            with trio.move_on_at(self._moments[0] * SHORTEST_SECONDS):
                await self._bell.wait()  # for what is due earlier
                continue
            while self._moments and self._moments[0] * SHORTEST_SECONDS <= trio.current_time():
                heappop(self._moments)
            await self._commit.submit(Tick())
