"""Testing one's own actors on virtual time: an hour passes in an instant, and each run is the same.

Everything runs on the memory engine and on trio's clock. Under ``trio.testing.MockClock`` with an
autojump threshold of 0 (the fixture ``autojump_clock`` of pytest-trio) timers, retries and deadlines
come as soon as nothing else is left to do::

    async def test_the_words_are_counted(autojump_clock: MockClock) -> None:
        async with open_testing_postroom() as office:
            await office.start("counter/main", Counter)
            counted = await office.ask("counter/main", CountWords("one two"), timeout=5)
            assert counted.words == 2

A test must name ``autojump_clock`` itself: asked for by another fixture alone, pytest-trio would run
the test on real time.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from random import Random

import trio

from .actors.system import System, open_postroom
from .store.clock import MICROS, Instant
from .store.events import Observer, ignore
from .store.memory import MemoryStore

__all__ = ["MemoryStore", "VirtualClock", "memory_store", "open_testing_postroom", "settled"]

EPOCH_US = 1_767_225_600 * MICROS
"""Where the wall clock of a test stands when trio's clock is at 0: the beginning of 2026, UTC."""

UPTIME_US = 3600 * MICROS
"""How long the machine of a test has been up then."""

LOOK_SECONDS = 0.01
COMMIT_SECONDS = 0.001


class VirtualClock:
    """A clock that goes as trio's does. Outside of trio it stands still where it was last read."""

    def __init__(self) -> None:
        self.boot_id = "virtual"
        self._seconds: float = 0.0
        self._last = Instant(EPOCH_US, UPTIME_US)

    def now(self) -> Instant:
        try:
            seconds: float = trio.current_time()
        except RuntimeError:  # outside of trio
            return self._last
        if seconds != self._seconds:
            passed = round(seconds * MICROS)
            self._seconds, self._last = seconds, Instant(EPOCH_US + passed, UPTIME_US + passed)
        return self._last


def memory_store(seed: int = 0, commit_delay: float = COMMIT_SECONDS) -> MemoryStore:
    """A store in memory on a virtual clock; a commit takes about ``commit_delay`` virtual seconds.

    ``another_handle()`` gives what a second process on the same data would have, and ``kill()`` makes
    a handle as dead as SIGKILL would.
    """
    return MemoryStore(VirtualClock(), seed=seed, commit_delay=commit_delay)


@asynccontextmanager
async def open_testing_postroom(
    *,
    seed: int = 0,
    store: MemoryStore | None = None,
    name: str | None = None,
    process: str | None = None,
    observer: Observer = ignore,
    grace: float = 10.0,
) -> AsyncGenerator[System, None]:
    """Open a postroom in memory: a ``System`` like that of ``open_postroom``, and deterministic.

    All chance comes from ``seed``. Without a ``store`` it has one of its own, which is closed at the
    end. Give several systems handles of one store, and each its own ``process``, to test what happens
    between processes. ``grace`` is in (virtual) seconds. Raises what ``open_postroom`` does.
    """
    opened = memory_store(seed) if store is None else store
    try:
        async with open_postroom(
            opened, name=name, process=process, observer=observer, rng=Random(seed), grace=grace
        ) as system:
            yield system
    finally:
        if store is None:
            opened.close()


async def settled(system: System, *, timeout: float = 600.0) -> None:
    """Wait until the actors of this system have nothing to do: no mail ready or leased, nothing under way.

    Mail that is not due yet, that is held, or that waits in a paused inbox is not waited for, nor is
    mail for actors of other systems. Raises ``trio.TooSlowError`` after ``timeout`` seconds.
    """
    with trio.fail_after(timeout):
        while not await system.is_at_rest():  # noqa: ASYNC110  # others may change the store, untold
            await trio.sleep(LOOK_SECONDS)
