"""Histograms that take many samples at once.

The client library's own histogram costs about half a microsecond a sample, with a lock. Turns
report in batches from one thread, so plain lists and a bisection do, at a tenth of that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

WAIT_SECONDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 21600.0, 86400.0,
)  # fmt: skip
"""A message may wait for a millisecond or, with its worker away, for a day."""

WORK_SECONDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0,
)  # fmt: skip
"""A handler may count words or wait two hours for a coding agent."""

COMMIT_SECONDS = (
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip

BATCH_OPERATIONS = tuple(float(1 << n) for n in range(13))
"""1 to 4096."""

LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Samples counted by bucket, and their sum. ``bounds`` are rising, inclusive upper bounds."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count one sample. Below zero, as after a step of a clock, counts as zero."""
        value = max(value, 0.0)
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def add_all(self, values: Iterable[float]) -> None:
        """Count many samples."""
        bounds, counts, total = self._bounds, self._counts, 0.0
        for value in values:
            if value > 0.0:
                counts[bisect_left(bounds, value)] += 1
                total += value
            else:
                counts[0] += 1
        self._sum += total

    def cumulative(self) -> tuple[list[tuple[str, float]], float]:
        """``(le, count so far)`` per bucket with ``+Inf`` last, and the sum: what is exposed.

        Works on a copy, so it may run in another thread than ``add``; a batch that is being added
        at that moment may show in the counts and not yet in the sum.
        """
        counts = self._counts.copy()
        so_far = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip((*map(repr, self._bounds), "+Inf"), counts, strict=True):
            so_far += count
            buckets.append((bound, so_far))
        return buckets, self._sum
