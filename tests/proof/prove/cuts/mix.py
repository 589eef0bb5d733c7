"""Operations of every kind, in an order and a mixture that a seed decides.

It makes batches and learns from their answers: which messages it holds, which are dead, which sessions
and activations it has. What it believes may be out of date; then the store refuses, as it should.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from postroom.simulation.checkers import EFFECT
from postroom.store import records as r
from postroom.store.identity import derived_id, id_text

SECOND = 1_000_000
SENDER = "manager/m"
WORKERS = ("worker/a", "worker/b", "worker/c")
DESKS = ("desk/ordered", "desk/reject", "desk/bounce", "desk/oldest")
ABSENT = ("late/x", "late/y")
INBOXES = (SENDER, *WORKERS, *DESKS, "any:worker")
SPECS = (
    *(r.InboxSpec(address) for address in (SENDER, *WORKERS)),
    r.InboxSpec("desk/ordered", ordered=True),
    r.InboxSpec("desk/reject", bound=4, policy="reject"),
    r.InboxSpec("desk/bounce", bound=3, policy="bounce"),
    r.InboxSpec("desk/oldest", bound=3, policy="drop-oldest"),
)
RECIPIENTS = (*WORKERS, *WORKERS, *DESKS, *ABSENT, "any:worker", "all:worker")
SIZES = (10, 10, 150, 150, 150, 900, 6000)
KEYS = ("red", "blue", None, None)
Look = Callable[[str, str], int]
"""How often the effect of a message is in the ledger of an inbox already."""


class Mix:
    """A source of batches. ``look`` reads the ledger of effects."""

    def __init__(self, rng: Random, look: Look) -> None:
        self._rng = rng
        self._look = look
        self._sent: list[r.Send] = []
        self._held: list[r.Delivery] = []
        self._over: list[r.Delivery] = []
        self._dead: list[bytes] = []
        self._sessions: list[int] = []
        self._terms: list[r.Term] = []
        self._claims = 0
        self._kinds: tuple[tuple[int, Callable[[], list[r.Operation]]], ...] = (
            (30, self._sends), (25, self._claim), (28, self._settles), (3, self._repeat), (3, self._extend),
            (3, self._session), (3, self._renew), (2, self._close_session), (3, self._activate),
            (1, self._deactivate), (3, self._put), (3, self._requeue), (2, self._drop), (3, self._cancel),
            (5, self._tick), (2, self._sweep), (5, self._control), (2, self._register), (1, self._late),
        )  # fmt: skip

    @property
    def session(self) -> int:
        """A session that was opened; 0 before the first."""
        return self._rng.choice(self._sessions) if self._sessions else 0

    @property
    def running(self) -> int:
        """The number of a message in hand; 0 if there is none."""
        return self._held[-1].seq if self._held else 0

    def over(self) -> list[r.Delivery]:
        """Everything it holds, given up: a new life of the store has begun. Also what it gave up before."""
        self._over += self._held
        self._held, self._dead, self._sessions, self._terms = [], [], [], []
        return self._over

    def batch(self) -> list[r.Operation]:
        """Operations to do in one transaction."""
        weights = [weight for weight, _ in self._kinds]
        found: list[r.Operation] = []
        for _, kind in self._rng.choices(self._kinds, weights, k=self._rng.choice((1, 1, 2, 3))):
            found += kind()
        return found

    def learn(self, operation: r.Operation, answer: r.Answer) -> None:
        """Take in what became of an operation."""
        match operation, answer:
            case r.Claim(), r.Claimed(deliveries):
                known = {(one.id, one.fence) for one in self._held}
                self._held += [one for one in deliveries if (one.id, one.fence) not in known]
            case r.Send(), r.Accepted(delivery=r.Delivery() as delivery):
                self._held.append(delivery)
            case r.Settle(id=id, fence=fence), _:
                self._held = [one for one in self._held if (one.id, one.fence) != (id, fence)]
                if isinstance(answer, r.Settled) and answer.state == "dead":
                    self._dead.append(id)
            case r.Requeue(ids) | r.Drop(ids), _:
                self._dead = [id for id in self._dead if id not in ids]
            case r.OpenSession(), r.Session() as session:
                self._sessions.append(session.id)
            case r.Activate(), r.Term() as term:
                self._terms.append(term)
            case _:
                pass

    def _id(self) -> bytes:
        raw = bytearray(self._rng.randbytes(16))
        raw[6], raw[8] = raw[6] & 0x0F | 0x80, raw[8] & 0x3F | 0x80
        return bytes(raw)

    def _message(self, id: bytes, sender: str = SENDER) -> r.NewMessage:
        rng = self._rng
        body = json.dumps({"text": "x" * rng.choice(SIZES)}).encode()
        message = r.NewMessage(id, rng.choice(RECIPIENTS), sender, "job", body)
        message.priority = rng.choice((0, 1, 1, 1, 2, 3))
        message.correlation_id = rng.choice(KEYS)
        message.max_attempts = rng.choice((1, 2, 5))
        if rng.random() < 0.15:
            message.delay_us = rng.randrange(1, 30) * SECOND
        if rng.random() < 0.15:
            message.ttl_us = rng.randrange(1, 60) * SECOND
        if rng.random() < 0.15:
            message.dedup_key = rng.choice(("k1", "k2", "k3"))
        return message

    def _send(self) -> r.Send:
        send = r.Send(self._message(self._id()), self._rng.choice(tuple(r.Unrouted)))
        if self._rng.random() < 0.1:
            send.hand_to = self.session
        return send

    def _sends(self) -> list[r.Operation]:
        made = [self._send() for _ in range(self._rng.choice((1, 1, 2, 5)))]
        self._sent += made
        return list(made)

    def _repeat(self) -> list[r.Operation]:
        return [self._rng.choice(self._sent)] if self._sent else []

    def _claim(self) -> list[r.Operation]:
        rng = self._rng
        self._claims += 1
        claim = r.Claim(tuple(rng.sample(INBOXES, rng.randint(1, 4))), rng.randint(1, 5))
        if rng.random() < 0.4:
            claim.session = self.session
        claim.lease_us = rng.randrange(2, 40) * SECOND
        claim.key = rng.choice((None, f"claim-{self._claims}"))
        return [claim]

    def _settles(self) -> list[r.Operation]:
        held = self._rng.sample(self._held, min(len(self._held), self._rng.randint(1, 4)))
        if self._over and self._rng.random() < 0.1:
            held.append(self._rng.choice(self._over))
        return [self._settle(delivery) for delivery in held]

    def _settle(self, held: r.Delivery) -> r.Settle:
        rng = self._rng
        verdict = rng.choices(tuple(r.Verdict), (70, 12, 8, 10))[0]
        settle = r.Settle(held.id, held.fence, verdict, seq=held.seq, reason="so it goes")
        if verdict is r.Verdict.RETRY:
            settle.delay_us = rng.choice((None, 0, 3 * SECOND))
        if verdict is r.Verdict.ACK:
            settle.outputs = [self._output(held, n) for n in range(rng.choice((0, 0, 0, 1, 2)))]
            settle.writes = [self._effect(held)]
            if self._terms and rng.random() < 0.2:
                settle.term = rng.choice(self._terms)
        return settle

    def _output(self, held: r.Delivery, n: int) -> r.Send:
        id = derived_id(held.id, f"{held.fence}/{n}".encode())
        return r.Send(self._message(id, held.recipient), self._rng.choice(tuple(r.Unrouted)), bounded=False)

    def _effect(self, held: r.Delivery) -> r.Write:
        times = self._look(held.recipient, id_text(held.id)) + 1
        return r.Write(held.recipient, EFFECT, id_text(held.id), str(times).encode())

    def _extend(self) -> list[r.Operation]:
        held = self._rng.sample(self._held, min(len(self._held), 2))
        return [r.Extend(one.id, one.fence, self._rng.randrange(2, 40) * SECOND) for one in held]

    def _session(self) -> list[r.Operation]:
        lease_us = self._rng.choice((5, 30, 300)) * SECOND
        return [r.OpenSession("runtime", "runtime", "somebody", lease_us)]

    def _renew(self) -> list[r.Operation]:
        return [r.RenewSession(self.session, 30 * SECOND)]

    def _close_session(self) -> list[r.Operation]:
        return [r.CloseSession(self.session)] if self._sessions else []

    def _activate(self) -> list[r.Operation]:
        return [r.Activate(self._rng.choice(("engine", "dispatcher")), self.session)]

    def _deactivate(self) -> list[r.Operation]:
        return [r.Deactivate(self._rng.choice(self._terms))] if self._terms else []

    def _put(self) -> list[r.Operation]:
        key = f"k{self._rng.randrange(5)}"
        value = self._rng.choice((None, b"{}", b'"' + b"v" * self._rng.choice(SIZES) + b'"'))
        return [r.Put((r.Write("office", "note", key, value), r.Write("office", "note", "last", b"1")))]

    def _requeue(self) -> list[r.Operation]:
        return [r.Requeue((self._rng.choice(self._dead),))] if self._dead else []

    def _drop(self) -> list[r.Operation]:
        return [r.Drop((self._rng.choice(self._dead),))] if self._dead else []

    def _cancel(self) -> list[r.Operation]:
        return [r.Cancel((self._rng.choice(self._sent[-10:]).message.id,))] if self._sent else []

    def _tick(self) -> list[r.Operation]:
        return [r.Tick(self._rng.choice((1, 3, 500)))]

    def _sweep(self) -> list[r.Operation]:
        return [r.Sweep(self._rng.choice((20, 60)) * SECOND, self._rng.choice((40, 3600)) * SECOND)]

    def _control(self) -> list[r.Operation]:
        inbox = self._rng.choice((*WORKERS, *DESKS))
        if self._rng.random() < 0.4:
            switch = self._rng.choice((r.Switch.PAUSE, r.Switch.RESUME, r.Switch.RESUME))
            return [r.Control(inbox, switch, self._rng.choice(("red", "blue")))]
        resume = (r.Switch.RESUME, r.Switch.RESUME)
        return [r.Control(inbox, self._rng.choice((*r.Switch, *resume)))]

    def _register(self) -> list[r.Operation]:
        return [r.Register((self._rng.choice(SPECS),))]

    def _late(self) -> list[r.Operation]:
        return [r.Register((r.InboxSpec(self._rng.choice(ABSENT)),))]
