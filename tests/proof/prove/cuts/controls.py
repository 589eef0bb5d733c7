"""Stores that sync too little, and one that does as it must: the first lose mail, the other does not."""

from __future__ import annotations

from prove.cuts.medium import the_medium
from prove.outcome import Outcome, Tell
from prove.powercuts import WEAK, control


def run(amount: int, seed: int, tell: Tell) -> Outcome:
    """Judge so many weak stores, and one that is strong."""
    the_medium()
    outcome = Outcome(amount)
    for number in range(amount):
        synchronous = WEAK[number % len(WEAK)]
        if not control(seed + number, synchronous)[1]:
            outcome.wrong(f"seed {seed + number}: nothing is lost with synchronous={synchronous}")
        tell(number + 1)
    if control(seed, "FULL", scripts=1)[1]:
        outcome.wrong(f"seed {seed}: mail is lost with synchronous=FULL")
    return outcome
