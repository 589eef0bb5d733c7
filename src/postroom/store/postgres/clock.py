"""The server's clock, which decides when there are several machines."""

from __future__ import annotations

from typing import Protocol

from ..clock import Clock, Instant, SystemClock

NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
"""What time the server has, in microseconds since 1970."""


class ServerTime(Protocol):
    """A clock that is told what time the server has. Both times of its instants are the server's."""

    boot_id: str

    def now(self) -> Instant: ...

    def heard(self, micros: int) -> None:
        """It is this time, in microseconds since 1970, by the server."""
        ...


class ServerClock:
    """The server's time, reckoned on from when it was last heard."""

    boot_id = "server"

    def __init__(self, here: Clock | None = None) -> None:
        self._here = here or SystemClock()
        now = self._here.now()
        self._ahead = now.wall - now.boot  # until the server is heard

    def now(self) -> Instant:
        at = self._here.now().boot + self._ahead
        return Instant(at, at)

    def heard(self, micros: int) -> None:
        self._ahead = micros - self._here.now().boot
