"""Fences and terms only grow, and nobody is handed a message more often than it may be tried."""

from __future__ import annotations

from collections.abc import Iterable

from ...store.identity import id_text
from ...store.port import Store
from ...store.records import Accepted, Claim, Claimed, Delivery, Send, Settle, Settled, Term
from ..witness import Committed, Fact
from .breach import Breach


class Fences:
    """Remembers the last fence of every message and the last term of every activation.

    It holds across restores too: the epoch makes every fence of the new life greater.
    """

    def __init__(self) -> None:
        self.breaches: list[Breach] = []
        self._fences: dict[bytes, int] = {}
        self._terms: dict[str, int] = {}

    def see(self, fact: Fact) -> None:
        """Take in one fact."""
        if not isinstance(fact, Committed):
            return
        match fact.operation, fact.answer:
            case Claim() as claim, Claimed(deliveries):
                self._deliver(deliveries, repeats=claim.key is not None)
            case Send(), Accepted(delivery=Delivery() as delivery):
                self._deliver((delivery,), repeats=False)
            case Settle() as settle, Settled(already=False):
                if settle.fence < self._fences.get(settle.id, 0):
                    self._blame(id_text(settle.id), "settled under a fence that is over")
            case _, Term() as term:
                if term.term <= self._terms.get(term.name, 0):
                    self._blame(term.name, f"term {term.term} after {self._terms[term.name]}")
                self._terms[term.name] = term.term
            case _:
                pass

    def _deliver(self, deliveries: Iterable[Delivery], *, repeats: bool) -> None:
        for delivery in deliveries:
            last = self._fences.get(delivery.id, 0)
            if delivery.fence < last or (delivery.fence == last and not repeats):
                self._blame(id_text(delivery.id), f"fence {delivery.fence} after {last}")
            if delivery.attempt > delivery.max_attempts:
                self._blame(id_text(delivery.id), f"attempt {delivery.attempt} of {delivery.max_attempts}")
            self._fences[delivery.id] = delivery.fence

    def finish(self, store: Store, *, drained: bool) -> None:
        """Nothing to compare: the facts alone show it."""

    def _blame(self, whose: str, what: str) -> None:
        self.breaches.append(Breach("fence", f"{whose}: {what}"))
