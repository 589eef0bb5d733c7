"""What the store alone shows: the balance of all states, and whether anything is left to do."""

from __future__ import annotations

from ...store.port import Store
from ...store.states import LIVE
from ..witness import Fact
from .breach import Breach


class Conservation:
    """Accepted equals the sum of all nine states, for every inbox and for all time."""

    def __init__(self) -> None:
        self.breaches: list[Breach] = []

    def see(self, fact: Fact) -> None:
        """Facts say nothing of it: the store counts by itself."""

    def finish(self, store: Store, *, drained: bool) -> None:
        """Have the store prove it."""
        found = store.verify()
        self.breaches += [Breach("balance", fault) for fault in found.faults]
        if found.ok == bool(found.faults):
            self.breaches.append(Breach("balance", f"verify says {found.ok} and names {found.faults}"))


class Liveness:
    """When the faults have ended and there was time enough, nothing is left to do."""

    def __init__(self) -> None:
        self.breaches: list[Breach] = []

    def see(self, fact: Fact) -> None:
        """Only the end of a run tells."""

    def finish(self, store: Store, *, drained: bool) -> None:
        """Look for live messages, if there should be none."""
        if not drained:
            return
        for counts in store.counts():
            for state in LIVE:
                left = getattr(counts, state.word)
                if left:
                    self.breaches.append(Breach("stuck", f"{counts.inbox}: {left} {state.word}"))
