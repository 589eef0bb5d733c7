"""Where to begin to look, for as long as a server reads past much that is gone to find anything.

While somebody keeps a transaction open, the entries of all that was claimed since stay in the indexes, before
the mail that waits and the leases that last. Each claim read them anew: after 100,000 of them, 22 ms for the
mail and 35 ms for the leases. So after a slow look for mail, claims begin where that one has found mail. What
comes to lie before it meanwhile (mail that was given back, mail of a higher priority) is found when there is
too little behind, or by the next look from the beginning: after ten times as long as the last one took, so
that such looks take a tenth of the time at most. Leases that have ended are looked for from where they could
have ended since all were looked at, not long ago.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import monotonic
from typing import NamedTuple

SLOW_SECONDS = 0.02
REST = 10

WHOLE_SECONDS = 10.0
"""How often all leases are looked at."""

MARGIN_US = 30_000_000
"""For so long a transaction may have been open in which a lease was made; the server ends it after 20 s."""

AHEAD_US = 10_000_000
"""By so much the server's time may be ahead of what is thought of it."""


class Head(NamedTuple):
    """The first place in the order of an inbox at which a claim looks."""

    rank: int
    seq: int


FIRST = Head(-1, 0)


class Lapsing(NamedTuple):
    """A time of the server from which, and one until which, leases have ended that are looked for."""

    since: int
    until: int


class Heads:
    """Those of one handle. ``slow`` is from how many seconds on a look counts as slow."""

    def __init__(self, clock: Callable[[], float] = monotonic, slow: float = SLOW_SECONDS) -> None:
        self._clock = clock
        self._slow = slow
        self._known: dict[int, tuple[Head, float]] = {}
        self._doubted: set[int] = set()
        self._leases = -inf, 0

    def of(self, inbox: int) -> Head:
        """Where to begin now."""
        head, until = self._known.get(inbox, (FIRST, 0.0))
        if self._clock() < until:
            return head
        self._known.pop(inbox, None)
        return FIRST

    def lapsing(self, now: int) -> Lapsing:
        """From when until when leases have ended that are looked for at about this time of the server."""
        until, since = self._leases
        whole = self._clock() >= until or now + MARGIN_US < since
        return Lapsing(0 if whole else since, now + AHEAD_US)

    def lapsed(self, looked: Lapsing, first: int) -> None:
        """When the first lease ended that was found there; later than that if none was.

        After a look at all of them, one that is left out has not ended: it would have been the first, or was
        made since.
        """
        if not looked.since:
            since = min(first, looked.until - AHEAD_US - MARGIN_US)
            self._leases = self._clock() + WHOLE_SECONDS, since

    def in_doubt(self, inbox: int) -> bool:
        """Whether the last look there took long, perhaps because of what had to be done before it."""
        return inbox in self._doubted

    def found(self, inbox: int, begun: Head, first: Head | None, seconds: float, *, alone: bool) -> None:
        """What a look that began there has found first, if anything, and how long it took.

        ``alone`` says that the server had nothing to do before it.
        """
        slow = seconds >= self._slow
        if begun != FIRST:
            if first is not None:
                self._known[inbox] = first, self._known.get(inbox, (FIRST, 0.0))[1]
        elif slow and not alone:
            self._doubted.add(inbox)
        else:
            self._doubted.discard(inbox)
            if slow and first is not None:
                self._known[inbox] = first, self._clock() + REST * seconds
