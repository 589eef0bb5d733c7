"""Simulated fleets: seeds of the built-in scenario of faults, each checked message by message.

A unit is a run in which at least ``MESSAGES`` messages were accepted and ``FAULTS`` faults met something;
a seed that falls short of that is checked all the same, and does not count.
"""

from __future__ import annotations

from collections import Counter

from prove.outcome import Outcome, Tell

from postroom.simulation.options import expand
from postroom.simulation.running import run_untraced
from postroom.simulation.scenario import load
from postroom.simulation.tally import EXPECTED

SCENARIO = "faults"
MESSAGES, FAULTS = 300, 3
ENOUGH = 100
"""Runs after which everything that only faults bring about must have happened."""


def run(amount: int, seed: int, tell: Tell) -> Outcome:
    """Run seeds from ``seed`` on until ``amount`` of them were hard enough."""
    outcome = Outcome(amount)
    scenario = load(SCENARIO)
    happened, faults = Counter[str](), Counter[str]()
    done = tried = redelivered = 0
    virtual = 0.0
    while done < amount:
        result = run_untraced(expand(SCENARIO, scenario, seed + tried))
        tried += 1
        outcome.messages += result.messages
        outcome.blame(result.breaches, result.options.command)
        happened.update(result.happened)
        faults.update(result.faults)
        redelivered += result.redelivered
        virtual += result.virtual_seconds
        if result.messages >= MESSAGES and sum(result.faults.values()) >= FAULTS:
            done += 1
            tell(done)
        elif tried >= 2 * amount + ENOUGH:
            outcome.wrong(f"of {tried} seeds only {done} were hard enough to count")
            break
    _never_happened(outcome, tried, happened, faults)
    outcome.figures |= {"seeds": tried, "virtual_seconds": virtual, "redeliveries": redelivered}
    outcome.figures |= {f"fault_{name}": times for name, times in sorted(faults.items())}
    outcome.figures |= {f"happened_{name.replace(' ', '_')}": n for name, n in sorted(happened.items())}
    return outcome


def _never_happened(outcome: Outcome, tried: int, happened: Counter[str], faults: Counter[str]) -> None:
    """A fault path that was never taken was not tested."""
    if tried < ENOUGH:
        return
    kinds = {kind for kind, weight in load(SCENARIO).faults.weights.items() if weight}
    met = {MET_AS.get(kind, kind) for kind in kinds}
    for name in sorted({*EXPECTED, *met}):
        if not happened[name] and not faults[name]:
            outcome.wrong(f"in {tried} runs it never happened: {name}")


MET_AS = {"clock-hour": "clock", "clock-decade": "clock", "refuse-reading": "refuse"}
"""Kinds of faults in a scenario that are drawn as another one."""
