"""Random walks over the store port: the same rules for hypothesis and for a seeded walk.

A ``World`` holds a store, the model of it and all checkers. ``do`` applies a batch to both and
compares everything that can be seen of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from choosing import Chooser
from model_letters import ENDED, LIVE, Expected, Told
from model_told import told
from store_model import Model

from postroom.simulation.checkers import Checkers
from postroom.simulation.witness import Committed, Fact, Gone, witnessed
from postroom.store import records as r
from postroom.store.backoff import BASE_US, CAP_US, JITTER
from postroom.store.clock import ManualClock
from postroom.store.identity import id_text
from postroom.store.port import Store
from postroom.store.states import State, may_move

SECOND = 1_000_000
INBOXES = ("worker/a", "worker/b", "boss/x")
PLACES = (*INBOXES, "any:worker")
KEYS = ("red", "blue")
NAMES = ("actor/one", "actor/two")
LEASES = (SECOND, 10 * SECOND)
PHASES = (r.Settle, r.Send, r.Claim)
PAIR_TASK = "t1"
IDS = 2000 * SECOND
"""How long ids are remembered."""


class World:
    """A store and its model. ``reopen`` gives the store anew, as after a crash of its handle."""

    def __init__(
        self, store: Store, clock: ManualClock, reopen: Callable[[], Store], *, here: str, dead: str
    ) -> None:
        self.clock, self._reopen, self.here, self.dead = clock, reopen, here, dead
        self.checkers = Checkers()
        self.store = witnessed(store, self._see)
        now = clock.now()
        self.model = Model(now.boot, (now.wall // SECOND - 1_577_836_800) // 60, {dead})
        self._offset = now.wall - now.boot
        self._sent: list[tuple[int, r.NewMessage]] = []
        self._held: list[tuple[bytes, int]] = []
        self._terms: list[r.Term] = [r.Term("actor/none", 1, 1)]
        self._number = 0
        self.do(r.Register((r.InboxSpec("worker/a"),)))
        self.do(r.Register((r.InboxSpec("boss/x", ordered=True),)))

    # What may happen

    def step(self, choose: Chooser) -> None:
        """One thing happens: mostly operations, now and then time passes or a handle is lost."""
        what = choose.number(0, 99)
        if what < 62:
            self.do(self.operation(choose))
        elif what < 82:
            self.do(*(self.operation(choose) for _ in range(choose.number(2, 5))))
        elif what < 94:
            self.pass_time(choose)
        elif what < 97:
            self.undo(*(self.operation(choose) for _ in range(choose.number(1, 3))))
        else:
            self.lose_handle()

    def lose_handle(self) -> None:
        """The handle is lost with what it had not committed; there is another one."""
        self.store = witnessed(self._reopen(), self._see)

    def pass_time(self, choose: Chooser) -> None:
        """Mostly to just before, at or after a moment at which something ends."""
        moments = [m.lease for m in self.model.letters.values() if m.state == "leased" and m.lease]
        moments += [s.expires for s in self.model.seats.values() if s.live]
        moments += [m.expires for m in self.model.letters.values() if m.state in LIVE and m.expires]
        moments += [m.due for m in self.model.letters.values() if m.state == "delayed" and m.due]
        ahead = sorted({at - self.model.now for at in moments if at > self.model.now})[:4]
        until = choose.of([*ahead, SECOND, 400 * SECOND]) + choose.number(-1, 1)
        self.clock.advance(max(0, until) / SECOND)
        self.model.now = self.clock.now().boot

    def operation(self, choose: Chooser) -> r.Operation:
        """One operation of the port."""
        make = choose.of(RULES)
        return make(self, choose)

    def message(self, choose: Chooser) -> r.NewMessage:
        self._number += 1
        raw = bytearray(self._number.to_bytes(16))
        raw[6] = raw[8] = 0x80
        to = choose.of((*PLACES, *PLACES, "all:worker", "manager-of:t1", "nobody/here"))
        made = r.NewMessage(bytes(raw), to, choose.of((*INBOXES, "operator/cli")), "job", b"{}")
        made.max_attempts = choose.number(1, 3)
        made.priority = choose.of((0, 1, 1, 1, 2, 3))
        made.correlation_id = choose.of((None, None, *KEYS))
        made.dedup_key = choose.of((None, None, None, None, "once"))
        made.ttl_us = choose.of((None, None, None, SECOND, 30 * SECOND))
        if to.count("/"):  # a copied message that is delayed has a test of its own
            made.delay_us = choose.of((0, 0, 0, 0, SECOND))
        made.reply_to = choose.of((None, None, None, *INBOXES))
        self._sent.append((self.model.now, made))
        return made

    def send(self, choose: Chooser) -> r.Send:
        recent = [m for at, m in self._sent if at > self.model.now - IDS // 2]
        message = choose.of(recent) if recent and choose.number(0, 7) == 0 else self.message(choose)
        unrouted = choose.of((*r.Unrouted, r.Unrouted.REFUSE))
        bounded = choose.number(0, 4) > 0
        hand_to = choose.of((0, 0, *self.model.seats)) if message.recipient.count("/") else 0
        return r.Send(message, unrouted, bounded, hand_to)

    def claim(self, choose: Chooser) -> r.Claim:
        inboxes = choose.of((("worker/a",), ("worker/a", "any:worker"), INBOXES, ("worker/b", "worker/b")))
        session = choose.of((0, 0, *self.model.seats))
        key = choose.of((None, None, None, "claim-1"))
        return r.Claim(inboxes, choose.number(1, 4), session, choose.of(LEASES), choose.number(0, 3) > 0, key)

    def settle(self, choose: Chooser) -> r.Operation:
        if not self._held:
            return self.claim(choose)
        id, fence = choose.of(self._held[-12:])
        verdict = choose.of((r.Verdict.ACK, *r.Verdict))
        settle = r.Settle(id, fence, verdict, delay_us=choose.of((None, 0, SECOND)))
        m = self.model.letters.get(id)
        settle.seq = choose.of((0, m.seq)) if m is not None else 0
        if verdict is r.Verdict.ACK:
            settle.outputs = [self._output(choose) for _ in range(choose.of((0, 0, 1, 2)))]
            settle.writes = self._writes(choose, id)
            settle.term = choose.of((None, None, None, choose.of(self._terms[-4:])))
        return settle

    def _output(self, choose: Chooser) -> r.Send:
        return r.Send(self.message(choose), choose.of(tuple(r.Unrouted)), bounded=False)

    def _writes(self, choose: Chooser, id: bytes) -> list[r.Write]:
        times, _ = self.model.records.get(("ledger", "effect", id_text(id)), (0, b""))
        effect = r.Write("ledger", "effect", id_text(id), str(times + 1).encode())
        return [effect, *self._some_writes(choose, choose.of((0, 0, 1)))]

    def _some_writes(self, choose: Chooser, count: int) -> list[r.Write]:
        writes: list[r.Write] = []
        for _ in range(count):
            key = choose.of(KEYS)
            version = self.model.records.get(("owner", "state", key), (0, b""))[0]
            expect = choose.of((None, version, version + 1))
            writes.append(r.Write("owner", "state", key, choose.of((b"1", b"2", None)), expect))
        return writes

    def extend(self, choose: Chooser) -> r.Operation:
        if not self._held:
            return self.claim(choose)
        return r.Extend(*choose.of(self._held[-6:]), choose.of(LEASES))

    def register(self, choose: Chooser) -> r.Register:
        spec = r.InboxSpec(choose.of(INBOXES))
        spec.bound = choose.of((None, None, 2, 3, 50))
        spec.policy = choose.of((None, None, "reject", "block", "bounce", "drop-oldest"))
        return r.Register((spec,))

    def control(self, choose: Chooser) -> r.Control:
        switches = (*r.Switch, r.Switch.RESUME, r.Switch.RESUME)
        key = choose.of((None, None, *KEYS))
        return r.Control(choose.of(PLACES), choose.of(switches), key)

    def open_session(self, choose: Chooser) -> r.OpenSession:
        return r.OpenSession("s", "runtime", choose.of((*(self.here,) * 3, self.dead)), choose.of(LEASES))

    def _seat(self, choose: Chooser) -> int:
        return choose.of((99, *self.model.seats, *self.model.seats))

    def renew(self, choose: Chooser) -> r.RenewSession:
        return r.RenewSession(self._seat(choose), choose.of(LEASES))

    def close_session(self, choose: Chooser) -> r.CloseSession:
        return r.CloseSession(self._seat(choose))

    def activate(self, choose: Chooser) -> r.Activate:
        return r.Activate(choose.of(NAMES), self._seat(choose))

    def deactivate(self, choose: Chooser) -> r.Deactivate:
        return r.Deactivate(choose.of(self._terms[-4:]))

    def put(self, choose: Chooser) -> r.Put:
        term = choose.of((None, None, choose.of(self._terms[-4:])))
        if choose.number(0, 5) == 0:
            value = choose.of((b'{"manager":"boss/x","state":"active"}', None))
            return r.Put((r.Write("postroom/pairs", "binding", PAIR_TASK, value),), term)
        return r.Put(tuple(self._some_writes(choose, choose.number(1, 2))), term)

    def _ids(self, choose: Chooser, *states: str) -> tuple[bytes, ...]:
        fit = [m.id for m in self.model.letters.values() if m.state in states]
        every = fit or list(self.model.letters) or [bytes(16)]
        return tuple(choose.of(every) for _ in range(choose.of((1, 1, 2))))

    def requeue(self, choose: Chooser) -> r.Requeue:
        return r.Requeue(self._ids(choose, "dead"))

    def drop(self, choose: Chooser) -> r.Drop:
        return r.Drop(self._ids(choose, "dead"))

    def cancel(self, choose: Chooser) -> r.Cancel:
        return r.Cancel(self._ids(choose, "delayed", "held"))

    def tick(self, choose: Chooser) -> r.Tick:
        return r.Tick()

    def sweep(self, choose: Chooser) -> r.Sweep:
        return r.Sweep(choose.of((SECOND, 100 * SECOND)), IDS)

    def _see(self, fact: Fact) -> None:
        """Tell the checkers; a session of a process that is dead already is gone as soon as it is open."""
        if isinstance(fact, Committed) and isinstance(fact.operation, r.OpenSession):
            process = fact.operation.process
            self.checkers.see(Committed(fact.at, process, fact.operation, fact.answer))
            if process == self.dead:
                self.checkers.see(Gone(fact.at, process))
        else:
            self.checkers.see(fact)

    # Doing it, here and there

    def do(self, *operations: r.Operation) -> None:
        """Apply one batch to the store and to the model; the answers must be the same."""
        batch = sorted(operations, key=lambda op: PHASES.index(type(op)) if type(op) in PHASES else -1)
        if any(isinstance(op, r.Claim) for op in batch):
            for op in batch:  # whether a message was handed over is only known when the batch is done
                if isinstance(op, r.Send):
                    op.hand_to = 0
        expected = self.model.apply(batch)
        self.store.begin()
        try:
            answers = self.store.apply(batch)
            self.store.commit()
        except BaseException:
            self.store.rollback()
            raise
        got = [told(answer) for answer in answers]
        expected = [self._not_handed(wanted, answer) for wanted, answer in zip(expected, got, strict=True)]
        for operation, wanted, told_here in zip(batch, expected, got, strict=True):
            assert told_here == wanted, f"{operation}\n answered {told_here}\n   wanted {wanted}"
        self.learn()
        for source, target in self.model.moved:
            known = None if source is None else State[source.upper()]
            assert may_move(known, State[target.upper()]), f"{source} -> {target}"
        for answer in answers:
            self._note(answer)

    def _not_handed(self, wanted: Expected, answer: Expected) -> Expected:
        """To hand a message over is the store's privilege: it may as well leave it in the inbox."""
        if isinstance(wanted, Told) and isinstance(answer, Told) and wanted.kind == answer.kind == "accepted":
            id, word, handed, *rest = wanted.what
            if handed is not None and answer.what[2] is None and isinstance(id, bytes):
                self.model.let_lie(self.model.letters[id])
                return Told("accepted", (id, word, None, *rest))
        return wanted

    def _note(self, answer: r.Answer) -> None:
        if isinstance(answer, r.Claimed):
            self._held += [(d.id, d.fence) for d in answer.deliveries]
        elif isinstance(answer, r.Accepted) and answer.delivery is not None:
            self._held.append((answer.delivery.id, answer.delivery.fence))
        elif isinstance(answer, r.Term):
            self._terms.append(answer)

    def undo(self, *operations: r.Operation) -> None:
        """A batch that is rolled back, which changes nothing."""
        self.store.begin()
        self.store.apply(list(operations))
        self.store.rollback()

    def learn(self) -> None:
        """What only the store can know: numbers, and the jitter of backoffs, which has its bounds."""
        for m in self.model.letters.values():
            if m.seq >= 1 << 40:
                found = self.store.message(m.id)
                assert found is not None, f"{id_text(m.id)} was accepted and is not there"
                m.seq = found.seq
            if m.state == "delayed" and m.due is None:
                found = self.store.message(m.id)
                assert found is not None
                assert found.due_at is not None
                m.due = found.due_at - self._offset
                plain = min(CAP_US, BASE_US << (m.pause - 1))
                assert abs(m.due - self.model.now - plain) <= plain * JITTER + 1

        self._learn_expired()

    def _learn_expired(self) -> None:
        """The store is free to end what has expired whenever it looks."""
        past = [m for m in self.model.letters.values() if m.state in LIVE and self.model.word(m) == "expired"]
        for inbox in {m.inbox for m in past}:
            there = {m.id for m in self.store.peek(inbox, 500)}
            for m in past:
                if m.inbox == inbox and m.id not in there:
                    self.model.move(m, "expired")

    # Looking at both

    def check(self) -> None:
        """Everything that can be seen of the store is as in the model."""
        model = self.model
        for m in model.letters.values():
            found = self.store.message(m.id)
            assert found is not None, f"{id_text(m.id)} is gone"
            seen = (found.state, found.attempts, found.fence, found.recipient)
            assert seen == (model.word(m), m.attempts, m.fence, m.inbox), f"{id_text(m.id)} {seen}"
        counts = {c.inbox: c for c in self.store.counts()}
        named = {c.inbox for c in counts.values() if not c.accepted}  # by a send that was refused
        assert set(counts) - named <= set(model.boxes) <= set(counts), f"{sorted(counts)} {list(model.boxes)}"
        for box in model.boxes.values():
            self._check_counts(counts[box.address], model.counts(box))
            flags = (box.paused, box.draining, box.life == ENDED, box.bound, box.policy, box.ordered)
            c = counts[box.address]
            shown = (c.paused, c.draining, c.ended, c.bound, c.policy, c.ordered)
            assert shown == flags, f"{box.address}: {shown}, not {flags}"
        pausing: set[tuple[str, str | None]] = {(b.address, None) for b in model.boxes.values() if b.paused}
        pausing |= {(b.address, key) for b in model.boxes.values() for key in b.keys}
        assert self.store.paused() == pausing
        assert {t.name: (t.session, t.term) for t in self.store.activations()} == {
            name: term for name, term in model.terms.items() if term[0]
        }
        assert {s.id: s.expires for s in self.store.sessions()} == {
            i: s.expires for i, s in model.seats.items() if s.live
        }
        self._check_peek()
        records = self.store.records("owner")
        assert {("owner", x.kind, x.key): (x.version, x.value) for x in records} == {
            key: value for key, value in model.records.items() if key[0] == "owner"
        }
        verified = self.store.verify()
        assert verified.ok, verified.faults
        assert verified.accepted == sum(b.tally["accepted"] for b in model.boxes.values())

    def _check_counts(self, c: r.InboxCounts, wanted: Any) -> None:
        for field in (
            "accepted", "ready", "leased", "delayed", "held", "done", "dead", "expired", "bounced",
            "cancelled", "overflowed", "retried",
        ):  # fmt: skip
            assert getattr(c, field) == wanted[field], (
                f"{c.inbox}: {getattr(c, field)} {field}, not {wanted[field]}"
            )
        assert c.lost_leases == wanted["lost"], (
            f"{c.inbox}: {c.lost_leases} lost leases, not {wanted['lost']}"
        )

    def _check_peek(self) -> None:
        for box in self.model.boxes.values():
            ready = sorted(self.model.of(box.address, "ready"), key=lambda m: (-m.message.priority, m.seq))
            seen = [m.id for m in self.store.peek(box.address, 500, state="ready")]
            wanted = [m.id for m in ready]
            assert seen == wanted, f"{box.address}: peek shows {seen}, not {wanted}"
            live = {m.id for m in self.model.of(box.address, *LIVE)}
            there = {m.id for m in self.store.peek(box.address, 500)}
            assert there == live, f"{box.address}: {there ^ live}"
        ready_boxes = {
            b.address for b in self.model.boxes.values() if not b.paused and self.model.of(b.address, "ready")
        }
        assert self.store.ready_inboxes() == ready_boxes

    def judge(self) -> None:
        """The end of a walk: all checkers are asked."""
        self.checkers.finish(self.store, drained=False)
        assert not self.checkers.breaches, self.checkers.breaches[:5]

    def close(self) -> None:
        self.store.close()


RULES: tuple[Callable[[World, Chooser], r.Operation], ...] = (
    *(World.send,) * 8, *(World.claim,) * 6, *(World.settle,) * 8, *(World.extend,) * 2,
    *(World.register,) * 2, *(World.control,) * 2, *(World.open_session,) * 2, World.renew,
    World.close_session, *(World.activate,) * 2, World.deactivate, *(World.put,) * 2, World.requeue,
    World.drop, World.cancel, *(World.tick,) * 2, World.sweep,
)  # fmt: skip
