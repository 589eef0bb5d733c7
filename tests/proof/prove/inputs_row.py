"""The row of bad inputs: every one is taken faithfully or refused in one plain line."""

from __future__ import annotations

import resource
from collections import Counter
from random import Random

from .inputs.areas import attempt, opened, pick
from .outcome import Outcome, Tell

TELL_EVERY = 1000
MOST_GROWTH = 64 * 1024
"""KiB by which the process may grow meanwhile."""


def run(amount: int, seed: int, tell: Tell) -> Outcome:
    """Hand ``amount`` bad inputs to the parsers. Input ``n`` is made from ``seed`` and ``n`` alone."""
    outcome = Outcome(amount)
    done: Counter[str] = Counter()
    with opened() as areas:
        before = _most_memory()
        for n in range(amount):
            rng = Random(f"{seed}/{n}")
            name = pick(rng)
            complaint = attempt(areas[name], rng)
            if complaint is not None:
                outcome.wrong(f"seed {seed}, input {n}, {name}: {complaint}")
            done[name] += 1
            if n % TELL_EVERY == 0:
                tell(n)
        growth = _most_memory() - before
    if growth > MOST_GROWTH:
        outcome.wrong(f"the process grew by {growth} KiB")
    outcome.figures = {
        f"{name.replace(' ', '_')}_inputs": float(count) for name, count in sorted(done.items())
    }
    outcome.figures["growth_mib"] = growth / 1024
    tell(amount)
    return outcome


def _most_memory() -> int:
    """The most that this process has held so far, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
