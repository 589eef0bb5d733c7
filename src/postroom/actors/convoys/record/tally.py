"""What a run's facts add up to, counted in one pass over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from attrs import define, field

from .facts import Fact, fault_of

MOST_FAULTS = 20
"""Facts with something wrong that are told one by one; a damaged record may have very many."""


@define
class Tally:
    """Counts over the facts of a run. ``faults`` are in words, each with the number of its fact.

    ``begun`` are attempts by task, those given back taken off; ``judged`` names what each gate and hook
    has said of an attempt, by (task, attempt, name); ``ended`` is the last end of the convoy, empty while
    it goes on.
    """

    count: int = 0
    begun: Counter[str] = field(factory=Counter[str])
    judged: dict[tuple[str, int, str], str] = field(factory=dict[tuple[str, int, str], str])
    ended: str = ""
    faults: list[str] = field(factory=list[str])

    def add(self, fact: Fact) -> None:
        """Count one more fact; one that is no event is a fault and counts for nothing else."""
        self.count += 1
        if fact.seq != self.count:
            self._wrong(f"fact {fact.seq} is in the place of fact {self.count}")
        if fault := fault_of(fact):
            self._wrong(f"fact {fact.seq}: {fault}")
            return
        data = fact.data
        match fact.type:
            case "task.started":
                self.begun[data["task"]] += 1
            case "task.requeued":
                self.begun[data["task"]] -= 1
            case "gate.passed" | "gate.failed" | "gate.skipped":
                self.judged[data["task"], data["attempt"], data["gate"]] = fact.type
            case "convoy.ended":
                self.ended = data["status"]
            case "convoy.reopened":
                self.ended = ""
            case _:
                pass

    def _wrong(self, fault: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)


def tally_of(facts: Iterable[Fact]) -> Tally:
    """What these facts, from the first on, add up to."""
    tally = Tally()
    for fact in facts:
        tally.add(fact)
    return tally
