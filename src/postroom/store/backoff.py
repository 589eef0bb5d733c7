"""How long a message waits before it is tried again: the one retry schedule."""

from __future__ import annotations

from random import Random

BASE_US = 1_000_000
CAP_US = 300_000_000
JITTER = 0.3


def backoff_us(attempt: int, rng: Random) -> int:
    """The pause after failed attempt ``attempt`` (from 1): 1 s doubling up to 300 s, +-30 %.

    Jitter keeps messages that failed together from coming back together; its share is symmetric,
    so the mean schedule is the plain one.
    """
    plain = min(CAP_US, BASE_US << min(max(attempt, 1) - 1, 20))
    return round(plain * (1 + JITTER * (2 * rng.random() - 1)))
