"""A task with its loop, as tests of loops handle it; naps only move its clock."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

from postroom.actors.loops.change import Change, changed
from postroom.actors.loops.evidence import read_evidence
from postroom.actors.loops.iterations import checked_terms, go_on, start
from postroom.actors.loops.pairing import pair
from postroom.actors.loops.records import Loop, loop_of
from postroom.mailbox import pairs
from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import IdMaker
from postroom.store.clock import ManualClock
from postroom.store.memory import MemoryStore
from postroom.store.records import StoredMessage

T = TypeVar("T")
PASS = '{"checked": "tests", "how": "pytest -q", "result": "pass"}'
FAIL = '{"checked": "tests", "how": "pytest -q", "result": "fail"}'


class Task:
    """Task ``t`` of ``manager/m`` and ``worker/w``, and what can be done with it."""

    def __init__(self, store: MemoryStore, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.desk = Desk(store, IdMaker(clock, Random(7)), nap=clock.advance)

    def pair(self, task: str = "t", worker: str = "w", **options: Any) -> pairs.Binding:
        wanted = pairs.new_binding(task, "m", worker, self.clock.now().wall, **options)
        return pair(self.store, wanted, nap=self.clock.advance).binding

    def change(self, decide: Callable[[Change], T], task: str = "t") -> T:
        return changed(self.store, task, decide, nap=self.clock.advance)

    def start(
        self, *required: str, nudge_seconds: float | None = None, acks: bool = False, **limits: int
    ) -> bool:
        terms = checked_terms(limits, required, require_acks=acks, nudge_seconds=nudge_seconds)
        return self.change(lambda change: start(change, terms))

    def go_on(self, iteration: int, evidence: str | None = PASS) -> dict[str, Any]:
        given = () if evidence is None else read_evidence(evidence)
        return self.change(lambda change: go_on(change, iteration, given))

    @property
    def binding(self) -> pairs.Binding:
        binding, _ = pairs.find(self.store, "t")
        assert binding is not None
        return binding

    @property
    def loop(self) -> Loop:
        return loop_of(self.store, self.binding)[0]

    def mail(self, inbox: str) -> list[StoredMessage]:
        return self.store.peek(inbox, 1000)

    def types(self, inbox: str) -> list[str]:
        return [message.type for message in self.mail(inbox)]

    def settle_all(self) -> None:
        """Take and ack everything that lies in both inboxes."""
        for inbox in ("manager/m", "worker/w"):
            for delivery in self.desk.poll(inbox, max=1000):
                self.desk.ack(delivery.id, delivery.fence)
