"""How much mail an actor should have at hand."""

from __future__ import annotations

MOST_AT_HAND = 512
AT_HAND_SECONDS = 0.02
"""An actor holds as much mail as its lanes begin within this time, judged by its recent turns, and
at least one message for each lane: what waits here could be begun elsewhere."""

SHORTEST_SECONDS = 1e-5


class Pace:
    """The recent length of an actor's turns, as an average that forgets."""

    __slots__ = ("_lanes", "_seconds")

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._seconds = AT_HAND_SECONDS

    def note(self, seconds: float) -> None:
        """A turn took so long."""
        self._seconds += (max(seconds, SHORTEST_SECONDS) - self._seconds) / 8

    def at_hand(self) -> int:
        """Messages to hold, those whose turns run included."""
        return min(MOST_AT_HAND, max(self._lanes, int(self._lanes * AT_HAND_SECONDS / self._seconds)))
