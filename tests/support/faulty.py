"""A handle of a store in memory whose storage fails when it is told to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

import attrs

from postroom.mailbox.ids import parse_id
from postroom.store.clock import MICROS
from postroom.store.errors import OutcomeUnknown, StoreUnavailable
from postroom.store.memory import MemoryStore
from postroom.store.records import Answer, Claim, Operation, Send, Settle
from postroom.testing import VirtualClock

Batch = Sequence[Operation]


class Failure(Enum):
    """How a transaction fails."""

    REFUSED = "nothing of it is kept, and that is known"
    LOST = "nothing of it is kept, and nobody knows"
    KEPT = "all of it is kept, and nobody knows"


@attrs.define
class Plan:
    """The next ``times`` transactions that are ``meant`` fail in this way."""

    failure: Failure
    meant: Callable[[Batch], bool]
    times: int = 1


class FaultyStore(MemoryStore):
    """Fails by plan: transactions that are meant, or everything for a while."""

    def __init__(
        self, store: MemoryStore | None = None, *, seed: int = 0, commit_delay: float = 0.001
    ) -> None:
        """A new store, or one more handle on the data of another."""
        self._plans: list[Plan] = []
        self._meant: Plan | None = None
        self._away_until = 0
        self.failures = 0
        clock = VirtualClock() if store is None else store.clock
        shared = None if store is None else store._shared
        super().__init__(clock, seed=seed, commit_delay=commit_delay, shared=shared)

    def plan(self, failure: Failure, meant: Callable[[Batch], bool], *, times: int = 1) -> Plan:
        """Let the next transactions fail that are meant; what is left of the plan can be watched."""
        plan = Plan(failure, meant, times)
        self._plans.append(plan)
        return plan

    def go_away(self, seconds: float) -> None:
        """Answer nothing for so long, neither transactions nor reading."""
        self._away_until = self.clock.now().boot + round(seconds * MICROS)

    def apply(self, batch: Batch) -> list[Answer]:
        self._meant = next((plan for plan in self._plans if plan.times and plan.meant(batch)), None)
        if self._meant is not None:
            self._meant.times -= 1
            self.failures += 1
            if self._meant.failure is Failure.REFUSED:
                raise _unavailable()
        return super().apply(batch)

    def commit(self) -> None:
        if self._meant is None or self._meant.failure is Failure.REFUSED:
            super().commit()
            return
        if self._meant.failure is Failure.KEPT:
            super().commit()
        raise OutcomeUnknown("the commit failed", "the test says so", "repeat it with the same id")

    def _check_process(self) -> None:
        super()._check_process()
        if self.clock.now().boot < self._away_until:
            self.failures += 1
            raise _unavailable()


def _unavailable() -> StoreUnavailable:
    return StoreUnavailable("the store does not answer", "the test says so", "try again")


def having(*kinds: type[Operation]) -> Callable[[Batch], bool]:
    """Transactions with an operation of such a kind."""
    return lambda batch: any(isinstance(operation, kinds) for operation in batch)


def settling(id: str) -> Callable[[Batch], bool]:
    """Transactions that settle this message."""
    raw = parse_id(id)
    return lambda batch: any(isinstance(one, Settle) and one.id == raw for one in batch)


def sending(to: str) -> Callable[[Batch], bool]:
    """Transactions that send to an inbox, from outside turns."""
    return lambda batch: any(isinstance(one, Send) and one.message.recipient == to for one in batch)


def leasing(inbox: str) -> Callable[[Batch], bool]:
    """Transactions that claim from an inbox, unless something is sent in them too."""
    return lambda batch: (
        not having(Send)(batch) and any(isinstance(one, Claim) and inbox in one.inboxes for one in batch)
    )
