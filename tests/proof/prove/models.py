"""Random walks over the whole port against the model: one unit is one walk.

The rules are those of the hypothesis machine of ``tests/store``; here a seed drives them. Every walk is
on the memory engine; one in ``ONE_ON_A_FILE`` also runs on a file.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from choosing import Dice
from store_walk import World
from worlds import file_world, memory_world

from .outcome import Outcome, Tell

STEPS = 60
LOOK_EVERY = 8
"""Steps between looks at everything; answers are compared at each."""

ONE_ON_A_FILE = 10


def walk(world: World, seed: str) -> tuple[int, str | None]:
    """One walk; (the messages it had, and what was not as in the model)."""
    dice = Dice(seed)
    step = -1
    try:
        for step in range(STEPS):
            world.step(dice)
            if step % LOOK_EVERY == LOOK_EVERY - 1:
                world.check()
        world.check()
        world.judge()
    except AssertionError as error:
        return world.checkers.messages, f"walk {seed} step {step}: {str(error)[:600]}"
    finally:
        world.close()
    return world.checkers.messages, None


def run(amount: int, seed: int, tell: Tell) -> Outcome:
    """So many walks."""
    outcome = Outcome(0)
    for number in range(amount):
        of = f"{seed} {number}"
        if number % ONE_ON_A_FILE == 0:
            with tempfile.TemporaryDirectory() as directory:
                found = walk(file_world(Path(directory) / "walk.db"), of)
        else:
            found = walk(memory_world(), of)
        messages, wrong = found
        outcome.messages += messages
        outcome.amount += 1
        if wrong is not None:
            outcome.wrong(wrong)
        if number % 50 == 49:
            tell(outcome.amount)
    outcome.figures["steps"] = amount * STEPS
    return outcome
