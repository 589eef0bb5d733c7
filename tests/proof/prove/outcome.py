"""What one row of the proof has found."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from postroom.simulation.checkers import Breach

Tell = Callable[[int], None]
"""Takes how many units of an amount are done."""

KINDS_OF_COLUMN = {
    "lost": "lost",
    "duplicated": "duplicated",
    "effect": "duplicated",
    "double_lease": "double_leases",
    "stuck": "stuck",
}
"""The column of the table that a kind of breach counts in; any other kind counts as ``other``."""

SHOWN = 20
GREATEST = ("_s", "_ms", "_us", "_mib", "_max", "_per_cpu_second", "_per_minute")
LEAST = ("_least",)


class Outcome(Struct):
    """``amount`` units were done and ``messages`` messages checked; everything else has to be nothing.

    ``breaches`` says in words what was wrong, the first of them. ``figures`` are measurements by name:
    of those whose names end in one of ``GREATEST`` (a unit, a rate) or ``LEAST`` the greatest or the least of
    all parts is kept; others are counts, and are added.
    ``notes`` are conditions that a reader of the table must know.
    """

    amount: int
    messages: int = 0
    lost: int = 0
    duplicated: int = 0
    double_leases: int = 0
    stuck: int = 0
    other: int = 0
    breaches: list[str] = []
    figures: dict[str, float] = {}
    notes: list[str] = []

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicated or self.double_leases or self.stuck or self.other)

    def blame(self, breaches: Iterable[Breach], where: str) -> None:
        """Count breaches; ``where`` says how to see them again (a seed, a step)."""
        for breach in breaches:
            column = KINDS_OF_COLUMN.get(breach.kind, "other")
            setattr(self, column, getattr(self, column) + 1)
            if len(self.breaches) < SHOWN:
                self.breaches.append(f"{where}: {breach.kind}: {breach.what}")

    def wrong(self, what: str) -> None:
        """Count something that is not as it must be and has no column of its own."""
        self.other += 1
        if len(self.breaches) < SHOWN:
            self.breaches.append(what)

    def add(self, other: Outcome) -> None:
        """Take in the outcome of another part of the same row."""
        self.amount += other.amount
        self.messages += other.messages
        for column in (*dict.fromkeys(KINDS_OF_COLUMN.values()), "other"):
            setattr(self, column, getattr(self, column) + getattr(other, column))
        self.breaches = [*self.breaches, *other.breaches][:SHOWN]
        self.notes = list(dict.fromkeys([*self.notes, *other.notes]))
        for name, value in other.figures.items():
            old = self.figures.get(name)
            if old is None:
                self.figures[name] = value
            elif name.endswith(GREATEST):
                self.figures[name] = max(old, value)
            else:
                self.figures[name] = min(old, value) if name.endswith(LEAST) else old + value
