"""The clock of a simulated host: it goes as trio's virtual one does, until somebody sets it."""

from __future__ import annotations

from ..store.clock import MICROS, Clock, Instant


class HostClock:
    """Another clock, with its wall time set forward or back, or with a sleep of the whole host."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall = 0
        self._boot = 0

    @property
    def boot_id(self) -> str:
        return self._clock.boot_id

    def now(self) -> Instant:
        true = self._clock.now()
        return Instant(true.wall + self._wall, true.boot + self._boot)

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock, as NTP or a person would."""
        self._wall += round(seconds * MICROS)

    def suspend(self, seconds: float) -> None:
        """Let the host have slept: both clocks went on, and nobody did anything."""
        self._wall += round(seconds * MICROS)
        self._boot += round(seconds * MICROS)
