"""The clock of a test in the place of a server's."""

from __future__ import annotations

from postroom.store.clock import Clock, Instant


class ToldClock:
    """What the server says of the time is not heard."""

    boot_id = "server"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> Instant:
        wall = self._clock.now().wall
        return Instant(wall, wall)

    def heard(self, micros: int) -> None:
        """The test says what time it is."""
