"""Random histories of the port against a tiny model, on both engines.

The model knows only what DESIGN promises: which messages are live, how often each was claimed, and
that a settlement stands exactly when its fence is the current one.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.errors import LostLease
from postroom.store.memory import MemoryStore
from postroom.store.port import Store
from postroom.store.sqlite.file import open_file
from postroom.store.transact import transact, transact_one

INBOXES = ("worker/a", "worker/b")
SECOND = 1_000_000
LEASE = 10 * SECOND


class Known:
    """What the model knows of one message."""

    def __init__(self, number: int, inbox: str, priority: int) -> None:
        self.number, self.inbox, self.priority = number, inbox, priority
        self.state = "ready"
        self.attempts = 0
        self.fence = 0


class PortMachine(RuleBasedStateMachine):
    """Send, claim, settle, lapse and requeue in any order; the store must agree with the model."""

    leases: Bundle[r.Delivery] = Bundle("leases")

    def open(self, clock: ManualClock) -> Store:
        return MemoryStore(clock)

    @initialize()
    def begin(self) -> None:
        self.clock = ManualClock()
        self.store = self.open(self.clock)
        self.known: dict[bytes, Known] = {}
        transact_one(self.store, r.Register(tuple(r.InboxSpec(i) for i in INBOXES)))

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()

    @rule(inbox=st.sampled_from(INBOXES), priority=st.integers(0, 3))
    def send(self, inbox: str, priority: int) -> None:
        number = len(self.known) + 1
        raw = bytearray(number.to_bytes(16))
        raw[6] = raw[8] = 0x80
        message = r.NewMessage(bytes(raw), inbox, "operator/cli", "t", b"1", priority, max_attempts=2)
        transact_one(self.store, r.Send(message))
        self.known[message.id] = Known(number, inbox, priority)

    @rule(target=leases, inbox=st.sampled_from(INBOXES), limit=st.integers(1, 4))
    def claim(self, inbox: str, limit: int) -> MultipleResults[r.Delivery]:
        claimed = transact_one(self.store, r.Claim((inbox,), limit, lease_us=LEASE))
        assert isinstance(claimed, r.Claimed)
        for delivery in claimed.deliveries:
            known = self.known[delivery.id]
            assert known.state == "ready"
            assert delivery.fence > known.fence, "fences only grow"
            known.attempts += 1
            assert delivery.attempt == known.attempts
            known.state, known.fence = "leased", delivery.fence
        fresh = [self.known[d.id] for d in claimed.deliveries if d.attempt == 1 and not d.alone]
        assert fresh == sorted(fresh, key=lambda k: (-k.priority, k.number)), "order of sending"
        return multiple(*claimed.deliveries)

    @rule(delivery=consumes(leases), verdict=st.sampled_from(list(r.Verdict)))
    def settle(self, delivery: r.Delivery, verdict: r.Verdict) -> None:
        known = self.known[delivery.id]
        settle = r.Settle(delivery.id, delivery.fence, verdict, delay_us=0)
        (answer,) = transact(self.store, [settle])
        if known.state != "leased" or known.fence != delivery.fence:
            assert isinstance(answer, LostLease)
            return
        assert isinstance(answer, r.Settled)
        if verdict is r.Verdict.ACK:
            known.state = "done"
        elif verdict is r.Verdict.RELEASE:
            known.state, known.attempts = "ready", known.attempts - 1
        elif verdict is r.Verdict.DEAD or known.attempts >= 2:
            known.state = "dead"
        else:
            known.state = "ready"
        (again,) = transact(self.store, [settle])
        assert isinstance(again, r.Settled)
        assert again.already

    @rule()
    def let_all_leases_lapse(self) -> None:
        self.clock.advance(11)
        transact_one(self.store, r.Tick())
        self.clock.advance(400)
        transact_one(self.store, r.Tick())
        for known in self.known.values():
            if known.state == "leased":
                known.state = "dead" if known.attempts >= 2 else "ready"

    @rule(pick=st.integers(0, 50))
    def requeue(self, pick: int) -> None:
        dead = [id for id, known in self.known.items() if known.state == "dead"]
        if dead:
            id = dead[pick % len(dead)]
            transact_one(self.store, r.Requeue((id,)))
            self.known[id].state, self.known[id].attempts = "ready", 0

    @rule()
    def a_batch_that_is_rolled_back_changes_nothing(self) -> None:
        self.store.begin()
        self.store.apply([r.Claim(INBOXES, 10), r.Control(INBOXES[0], r.Switch.PURGE)])
        self.store.rollback()

    @invariant()
    def the_store_agrees_with_the_model(self) -> None:
        if not hasattr(self, "store"):
            return
        for id, known in self.known.items():
            message = self.store.message(id)
            assert message is not None
            assert (message.state, message.attempts) == (known.state, known.attempts)
        found = self.store.verify()
        assert found.ok, found.faults
        assert found.accepted == len(self.known)
        ready = sum(c.ready for c in self.store.counts())
        assert ready == sum(k.state == "ready" for k in self.known.values())


class SqliteMachine(PortMachine):
    def open(self, clock: ManualClock) -> Store:
        self.directory = tempfile.TemporaryDirectory()
        return open_file(Path(self.directory.name) / "p.db", create=True, clock=clock, rng=Random(0))

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "directory"):
            self.directory.cleanup()


TestMemoryEngine = PortMachine.TestCase
TestMemoryEngine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSqliteEngine = SqliteMachine.TestCase
TestSqliteEngine.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
