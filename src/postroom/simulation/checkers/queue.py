"""Total queue: what was accepted is there, and what is delivered was accepted.

After Jepsen's checker of that name (jepsen/src/jepsen/checker.clj), with one difference: there a
duplicate is only counted; here a message that is done twice is a breach, and redeliveries, which are
legal, are counted apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ...store.identity import id_text
from ...store.port import Store
from ...store.records import (
    Accepted,
    Changed,
    Claimed,
    Delivery,
    Send,
    Settle,
    Settled,
    StoredMessage,
    Sweep,
    Verdict,
)
from ...store.rules.sending import BOUNCE_TYPE
from ..witness import Committed, Doubted, Fact
from .breach import Breach


class TotalQueue:
    """Knows every message whose acceptance somebody was told of.

    ``accepted`` are ids with the boot time of their acceptance, ``doubtful`` those of commits with an
    unknown outcome, ``redelivered`` counts deliveries after the first.
    """

    def __init__(self) -> None:
        self.breaches: list[Breach] = []
        self.accepted: dict[bytes, int] = {}
        self.doubtful: set[bytes] = set()
        self.acked: dict[bytes, int] = {}
        self.maybe_acked: set[bytes] = set()
        self.deliveries = Counter[bytes]()
        self._swept_before: int | None = None
        self._told: set[tuple[str, bytes]] = set()

    @property
    def redelivered(self) -> int:
        """How many deliveries were not the first of their message."""
        return self.deliveries.total() - len(self.deliveries)

    def see(self, fact: Fact) -> None:
        """Take in one fact."""
        if isinstance(fact, Committed | Doubted):
            self._see(fact)

    def _see(self, fact: Committed | Doubted) -> None:
        sure = isinstance(fact, Committed)
        match fact.operation, fact.answer:
            case Send(), Accepted() as answer:
                self._accept(fact.at, answer, sure)
            case Settle() as settle, Settled() as answer if not answer.already:
                self._settle(fact.at, settle, answer, sure)
            case _, Claimed(deliveries):
                self._deliver(fact.at, deliveries, sure)
            case Sweep(rows_us=rows_us), Changed():
                self._swept_before = max(self._swept_before or 0, fact.at - rows_us)
            case _:
                pass

    def _accept(self, at: int, answer: Accepted, sure: bool) -> None:
        for id in answer.copies or (answer.id,):
            if sure:
                self.accepted.setdefault(id, at)
            else:
                self.doubtful.add(id)
        if answer.delivery is not None:
            self._deliver(at, (answer.delivery,), sure)

    def _settle(self, at: int, settle: Settle, answer: Settled, sure: bool) -> None:
        for output in answer.outputs:
            self._accept(at, output, sure)
        if settle.verdict is not Verdict.ACK:
            return
        if len(answer.outputs) != len(settle.outputs):
            self._blame("lost", settle.id, f"{len(settle.outputs)} outputs sent, {len(answer.outputs)} kept")
        if not sure:
            self.maybe_acked.add(settle.id)
        elif self.acked.setdefault(settle.id, settle.fence) != settle.fence:
            self._blame("duplicated", settle.id, "done twice, under two fences")

    def _deliver(self, at: int, deliveries: Iterable[Delivery], sure: bool) -> None:
        for delivery in deliveries:
            id = delivery.id
            if delivery.type == BOUNCE_TYPE:  # the store made it itself, and told nobody
                self.accepted.setdefault(id, at)
            if id not in self.accepted and id not in self.doubtful:
                self._blame("unexpected", id, "delivered, but never accepted")
            if id in self.acked:
                self._blame("duplicated", id, "delivered again after it was done")
            if sure:
                self.deliveries[id] += 1

    def finish(self, store: Store, *, drained: bool) -> None:
        """Look for every accepted message, and for the state of every acknowledged one."""
        for id, at in self.accepted.items():
            stored = store.message(id)
            if stored is not None:
                self._judge(id, stored)
            elif self._swept_before is None or at > self._swept_before:
                self._blame("lost", id, "accepted, and nowhere to be found")

    def _judge(self, id: bytes, stored: StoredMessage) -> None:
        if id in self.acked and stored.state != "done":
            self._blame("lost", id, f"acknowledged, but {stored.state}")
        if stored.state == "done" and id not in self.acked and id not in self.maybe_acked:
            self._blame("unexpected", id, "done, but nobody has acknowledged it")

    def _blame(self, kind: str, id: bytes, what: str) -> None:
        if (what, id) not in self._told:
            self._told.add((what, id))
            self.breaches.append(Breach(kind, f"{id_text(id)}: {what}"))
