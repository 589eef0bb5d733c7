"""While the server does not answer: who may try again, and when; and one line in the log for each change.

Pauses grow to half a minute with jitter (the AWS Architecture Blog's "Exponential Backoff and Jitter"),
so that many processes do not come back at the same moment. All connections of a handle share one, so that
only one of them tries at a time and an outage is told once: when the second try has failed too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from random import Random
from threading import Lock

import psycopg

from ..errors import StoreUnavailable, one_line
from .patience import Connection

LOG = logging.getLogger("postroom.store")

FIRST_SECONDS, LONGEST_SECONDS = 0.1, 30.0


class Outage:
    """What one handle knows of its server. It is told of each connection that was made, lost or refused."""

    def __init__(self, rng: Random, of: str = "server") -> None:
        self._rng = rng
        self._of = of
        self._lock = Lock()
        self._known = self._told = False
        self._failures = 0
        self._since = self._not_before = 0.0
        self._why = ""

    @property
    def lasts(self) -> bool:
        """Whether the last try has failed."""
        return self._failures > 0

    @property
    def left(self) -> float:
        """Seconds until the next try; 0.0 if it may be now."""
        return max(0.0, self._not_before - time.monotonic())

    def ended_by(self, connect: Callable[[], Connection]) -> Connection:
        """Connect. Raises ``psycopg.Error``; ``StoreUnavailable`` while it is too early for another try."""
        if self.left:
            raise self.refusal()
        try:
            conn = connect()
        except psycopg.OperationalError as error:
            self.failed(one_line(error))
            raise
        self.over()
        return conn

    def refusal(self) -> StoreUnavailable:
        """What is said to whoever asks while it lasts."""
        return StoreUnavailable(
            "the store does not answer", self._why, f"the server is asked again in {self.left:.1f} s"
        )

    def failed(self, why: str) -> None:
        """A connection could not be made, or has fallen silent."""
        with self._lock:
            self._why = why
            if self.left:
                return  # somebody else has just found the same
            now = time.monotonic()
            self._failures += 1
            if self._failures == 1:
                self._since = now
            elif self._known and not self._told:  # who has never had an answer is told by the error
                self._told = True
                LOG.warning("the %s does not answer: %s", self._of, why)
            self._not_before = now + self._pause()

    def _pause(self) -> float:
        most = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(self._failures, 16))
        return most * (0.5 + 0.5 * self._rng.random())

    def over(self) -> None:
        """The server has answered."""
        with self._lock:
            if self._told:
                seconds = time.monotonic() - self._since
                LOG.warning("the %s answers again after %.1f s", self._of, seconds)
            self._known, self._told = True, False
            self._failures, self._not_before = 0, 0.0
