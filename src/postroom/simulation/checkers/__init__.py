"""The promises of postroom, each as an object that judges it.

A checker is given facts (what participants were told, see ``simulation.witness``) and, whenever one
likes, the store to compare them with. ``Checkers`` is all of them as one.
"""

from __future__ import annotations

from ...store.port import Store
from ..witness import Fact
from .breach import KINDS, Breach, Checker
from .effects import EFFECT, Effects
from .fences import Fences
from .leases import Leases
from .order import Order
from .queue import TotalQueue
from .stored import Conservation, Liveness

__all__ = [
    "EFFECT",
    "KINDS",
    "Breach",
    "Checker",
    "Checkers",
    "Conservation",
    "Effects",
    "Fences",
    "Leases",
    "Liveness",
    "Order",
    "TotalQueue",
]


class Checkers:
    """Every promise at once. It is plain data: a copy of it judges another future of the same past."""

    def __init__(self, *, effects: str = EFFECT) -> None:
        self.queue = TotalQueue()
        self.effects = Effects(effects)
        self._all: tuple[Checker, ...] = (
            self.queue,
            self.effects,
            Leases(),
            Fences(),
            Order(),
            Conservation(),
            Liveness(),
        )

    @property
    def breaches(self) -> list[Breach]:
        """All that was found so far."""
        return [breach for checker in self._all for breach in checker.breaches]

    @property
    def messages(self) -> int:
        """How many accepted messages are followed."""
        return len(self.queue.accepted)

    def count(self, kind: str) -> int:
        """How many breaches of one kind were found."""
        return sum(breach.kind == kind for breach in self.breaches)

    def see(self, fact: Fact) -> None:
        """Give one fact to all of them."""
        for checker in self._all:
            checker.see(fact)

    def finish(self, store: Store, *, drained: bool) -> None:
        """Have all of them compare what was told with what is stored; may be called repeatedly."""
        for checker in self._all:
            checker.finish(store, drained=drained)
