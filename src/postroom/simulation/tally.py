"""How often each thing happened in a run that only faults bring about.

A run in which nothing was lost proves little if nothing went wrong. These counts say what did: a set of
seeds in which one of ``EXPECTED`` never happened has not tested what it seems to.
"""

from __future__ import annotations

from collections import Counter

from ..store.errors import LostLease, LostTerm, PostroomError
from ..store.records import (
    Accepted,
    Claim,
    Claimed,
    Delivery,
    OpenSession,
    RenewSession,
    Requeue,
    Send,
    Settle,
    Settled,
    Term,
    Ticked,
)
from .witness import Committed, Doubted, Fact, Gone

EXPECTED = (
    "activation moved",
    "already settled",
    "claim doubted",
    "duplicate send",
    "lease lost",
    "process gone",
    "redelivered",
    "requeued",
    "retried",
    "send doubted",
    "session lost",
    "settlement doubted",
    "turned dead",
)
"""What has to happen now and then under the faults that come with postroom."""


class Tally:
    """Counts by reading facts."""

    def __init__(self) -> None:
        self.counts = Counter[str]()

    def see(self, fact: Fact) -> None:
        """Take in one fact."""
        match fact:
            case Committed(operation=operation, answer=answer):
                self._committed(operation, answer)
            case Doubted(operation=operation):
                self._doubted(operation)
            case Gone():
                self.counts["process gone"] += 1
            case _:
                pass

    def _committed(self, operation: object, answer: object) -> None:
        counts = self.counts
        match operation, answer:
            case Send(), Accepted(state="duplicate"):
                counts["duplicate send"] += 1
            case Settle(), LostTerm():
                counts["term lost"] += 1
            case Settle(), LostLease():
                counts["lease lost"] += 1
            case Settle(), Settled(already=True):
                counts["already settled"] += 1
            case Settle(), Settled(state="delayed"):
                counts["retried"] += 1
            case Settle(), Settled(state="dead"):
                counts["turned dead"] += 1
            case Settle(), PostroomError():
                counts["settlement refused"] += 1
            case RenewSession(), LostLease():
                counts["session lost"] += 1
            case _, Claimed(deliveries):
                for delivery in deliveries:
                    self._delivered(delivery)
            case _, Term(term=term) if term > 1:
                counts["activation moved"] += 1
            case _, Ticked() as ticked:
                counts["taken back by a tick"] += ticked.taken_back
            case Requeue(ids), _:
                counts["requeued"] += len(ids)
            case OpenSession(), _:
                counts["sessions"] += 1
            case _:
                pass

    def _delivered(self, delivery: Delivery) -> None:
        if delivery.attempt > 1:
            self.counts["redelivered"] += 1
        if delivery.alone:
            self.counts["travelled alone"] += 1

    def _doubted(self, operation: object) -> None:
        match operation:
            case Send():
                self.counts["send doubted"] += 1
            case Settle():
                self.counts["settlement doubted"] += 1
            case Claim():
                self.counts["claim doubted"] += 1
            case _:
                self.counts["other operation doubted"] += 1
