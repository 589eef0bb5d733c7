"""Small arithmetic over samples, and the body that every row sends."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import msgspec


def quantile(samples: Sequence[float], share: float) -> float:
    """The sample below which ``share`` of all lie (nearest rank); 0.0 for no samples."""
    if not samples:
        return 0.0
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def milliseconds(samples: Sequence[float], share: float) -> float:
    """``quantile`` of samples in seconds, as milliseconds."""
    return quantile(samples, share) * 1000


def padding(encoded_empty: bytes, body_bytes: int) -> str:
    """The text that makes a body, which is ``encoded_empty`` without it, ``body_bytes`` long."""
    return "x" * max(0, body_bytes - len(encoded_empty))


def raw_body(serial: int, pad: str) -> bytes:
    """The body of the baseline, encoded anew for each message."""
    return msgspec.json.encode({"pad": pad, "serial": serial})


class Pairs:
    """Baseline and subject measured in turns; the figure is the median of their ratios.

    A machine that slows down for a minute slows both of a pair, so it moves the ratio little.
    """

    def __init__(self) -> None:
        self._pairs: list[tuple[float, float]] = []

    def measure(self, rounds: int, baseline: Callable[[], float], subject: Callable[[], float]) -> None:
        """Alternate which of the two goes first, ``rounds`` times."""
        for turn in range(rounds):
            if turn % 2:
                later = subject()
                self._pairs.append((baseline(), later))
            else:
                first = baseline()
                self._pairs.append((first, subject()))

    @property
    def ratio(self) -> float:
        return statistics.median(subject / base for base, subject in self._pairs)

    @property
    def baseline(self) -> float:
        return statistics.median(base for base, _ in self._pairs)

    @property
    def subject(self) -> float:
        return statistics.median(subject for _, subject in self._pairs)
