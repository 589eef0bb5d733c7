"""Waiting for other processes' commits without an event loop."""

from __future__ import annotations

from collections.abc import Callable
from select import select
from types import TracebackType
from typing import TYPE_CHECKING

from ..store.clock import MICROS
from ..store.port import LOOK_AGAIN

if TYPE_CHECKING:
    from ..store.clock import Clock
    from ..store.port import Store

FIRST_NAP, LONGEST_NAP = 0.005, 0.020
SHORTEST_GAP = 0.001


class Patience:
    """How much is left of a time one is ready to wait, on the boot clock."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._until = clock.now().boot + round(seconds * MICROS)

    def left(self) -> float:
        """Seconds that are left; 0.0 when it is over."""
        return max(0.0, (self._until - self._clock.now().boot) / MICROS)


class Hints:
    """Hints that another process may have committed. They are never the truth, only cheap.

    Where the store can be watched, a waiting process sleeps until the kernel reports a write;
    elsewhere it looks every 5 to 20 ms. ``nap`` sleeps for so many seconds.
    """

    def __init__(self, store: Store, nap: Callable[[float], None]) -> None:
        self._store = store
        self._nap = nap
        self._watch = store.watch()
        self._gap = 0.0

    def __enter__(self) -> Hints:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._watch is not None:
            self._watch.close()

    def wait(self, seconds: float) -> bool:
        """Wait for a hint, at most so long; whether there was one.

        Hints that follow each other closely are for somebody else, so each is let wait a little
        longer than the one before, up to 20 ms.
        """
        if self._gap:
            self._nap(min(self._gap, seconds))
        patience = Patience(self._store.clock, seconds - self._gap)
        heard = self._store.changed_elsewhere() or self._sleep(patience)
        self._gap = min(max(SHORTEST_GAP, self._gap * 2), LONGEST_NAP) if heard else 0.0
        return heard

    def _sleep(self, patience: Patience) -> bool:
        if self._watch is None:
            return self._sleep_by_naps(patience)
        while left := patience.left():
            if not select([self._watch.fileno()], [], [], left)[0]:
                return self._store.changed_elsewhere()
            self._watch.drain()
            for pause in LOOK_AGAIN:
                if self._store.changed_elsewhere():
                    return True
                self._nap(pause)
        return self._store.changed_elsewhere()

    def _sleep_by_naps(self, patience: Patience) -> bool:
        pause = FIRST_NAP
        while left := patience.left():
            self._nap(min(pause, left))
            if self._store.changed_elsewhere():
                return True
            pause = min(pause * 1.5, LONGEST_NAP)
        return False
