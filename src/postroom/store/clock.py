"""Time, as an argument: nothing else in postroom asks the operating system what time it is.

A lease is measured on CLOCK_BOOTTIME, which no NTP step moves and which runs on through suspend;
people's dates are wall time. An instant therefore holds both, in whole microseconds.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple, Protocol

from .errors import StoreUnavailable

MICROS = 1_000_000


class Instant(NamedTuple):
    """One moment: microseconds since 1970 (UTC), and microseconds since this machine booted."""

    wall: int
    boot: int


class Clock(Protocol):
    """A source of time. ``boot_id`` changes when the boot clock starts again from zero."""

    @property
    def boot_id(self) -> str: ...

    def now(self) -> Instant: ...


class SystemClock:
    """The clocks of this machine."""

    def __init__(self) -> None:
        if not hasattr(time, "CLOCK_BOOTTIME"):
            raise StoreUnavailable(
                "no CLOCK_BOOTTIME on this system",
                "leases are measured on the boot clock",
                "run postroom on Linux",
            )
        self.boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def now(self) -> Instant:
        return Instant(time.time_ns() // 1000, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000)


class ManualClock:
    """A clock that moves only when told to; for tests and for simulation."""

    def __init__(self, wall: int = 1_767_225_600 * MICROS, boot: int = 3600 * MICROS) -> None:
        self._wall = wall
        self._boot = boot
        self.boot_id = "boot-1"

    def now(self) -> Instant:
        return Instant(self._wall, self._boot)

    def advance(self, seconds: float) -> None:
        """Let this much time pass on both clocks."""
        self._wall += round(seconds * MICROS)
        self._boot += round(seconds * MICROS)

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back, as NTP or a person would."""
        self._wall += round(seconds * MICROS)

    def reboot(self) -> None:
        """Start the boot clock again from zero under a new boot id."""
        self._boot = 0
        self.boot_id = f"boot-{int(self.boot_id.removeprefix('boot-')) + 1}"
