"""Distributions as a fleet file writes them, and numbers drawn from them.

A number stands for itself, ``[low, high]`` for anything between, and ``{median, p90}`` for a
log-normal distribution: most are short, some are very long, as the work of people and agents is.
"""

from __future__ import annotations

import math
from random import Random

from msgspec import Struct

Z90 = 1.2815515655446004
"""How many standard deviations above the median a tenth of a normal distribution begins."""


class Skewed(Struct, frozen=True, forbid_unknown_fields=True):
    """A log-normal distribution by its median and its 90th percentile; what is beyond is cut off."""

    median: float
    p90: float
    least: float = 0.0
    most: float = 86_400.0


Spread = float | tuple[float, float] | Skewed


def draw(rng: Random, spread: Spread) -> float:
    """A number out of a distribution."""
    if isinstance(spread, Skewed):
        sigma = math.log(spread.p90 / spread.median) / Z90
        return min(spread.most, max(spread.least, rng.lognormvariate(math.log(spread.median), sigma)))
    return rng.uniform(*spread) if isinstance(spread, tuple) else float(spread)


def flaws(key: str, spread: Spread, least: float, most: float) -> list[tuple[str, str]]:
    """What is wrong with a distribution whose numbers must lie between ``least`` and ``most``."""
    if isinstance(spread, Skewed):
        return _skewed_flaws(key, spread, least, most)
    low, high = spread if isinstance(spread, tuple) else (spread, spread)
    if low > high:
        return [(key, f"the range {low:g} to {high:g} runs backwards")]
    if not (least <= low and high <= most):  # so that what is no number is refused too
        return [(key, f"it is {_shown(spread)}, not in {least:g} to {most:g}")]
    return []


def _skewed_flaws(key: str, spread: Skewed, least: float, most: float) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name in ("median", "p90", "least", "most"):
        value = getattr(spread, name)
        if name in ("least", "most") and value == getattr(Skewed(1, 1), name):
            continue
        found += flaws(f"{key}.{name}", value, least, most)
    if found:
        return found
    if not 0 < spread.median <= spread.p90:
        return [
            (
                key,
                f"its median is {spread.median:g} and its p90 {spread.p90:g}: they must be above 0, in order",
            )
        ]
    if not spread.least <= spread.median <= spread.most:
        return [(key, f"its median {spread.median:g} is not between {spread.least:g} and {spread.most:g}")]
    return []


def _shown(spread: float | tuple[float, float]) -> str:
    return f"{spread[0]:g} to {spread[1]:g}" if isinstance(spread, tuple) else f"{spread:g}"
