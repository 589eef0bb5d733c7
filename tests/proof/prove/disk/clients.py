"""Clients of one store under test: they insist where postroom says that insisting is right."""

from __future__ import annotations

import json
from random import Random

from postroom.simulation.checkers import EFFECT
from postroom.store.errors import OutcomeUnknown, PostroomError, StoreFull, StoreUnavailable
from postroom.store.identity import id_text
from postroom.store.port import Store
from postroom.store.records import (
    Accepted,
    Answer,
    Claim,
    Claimed,
    Delivery,
    Extend,
    NewMessage,
    Operation,
    Send,
    Settle,
    Settled,
    Verdict,
    Write,
)
from postroom.store.transact import transact

from .told import Told

INBOXES = ("worker/a", "worker/b")
LEDGER = "ledger/main"
SENDER = "sender/main"
TRIES = 8


class Clients:
    """Senders and workers on one store, seeded. ``doubtful`` were sent and nobody knows whether kept."""

    def __init__(self, store: Store, rng: Random, told: Told) -> None:
        self.store = store
        self.rng = rng
        self.told = told
        self.held: list[Delivery] = []
        self.doubtful: list[NewMessage] = []

    def message(self, largest: int) -> NewMessage:
        """A new message of a size that is mostly small."""
        raw = bytearray(self.rng.randbytes(16))
        raw[6], raw[8] = raw[6] & 0x0F | 0x80, raw[8] & 0x3F | 0x80
        size = int(largest ** self.rng.random())
        body = json.dumps("x" * size).encode()
        return NewMessage(bytes(raw), self.rng.choice(INBOXES), SENDER, "Job", body)

    def send(self, messages: list[NewMessage]) -> list[NewMessage]:
        """Send in one transaction, once; answers those that were accepted."""
        try:
            answers = transact(self.store, [Send(message) for message in messages])
        except OutcomeUnknown:
            self.told.count("commits in doubt")
            self.doubtful += messages
            self.store.reopen()
            return []
        except StoreUnavailable:
            self.told.count("writes failed")
            return []
        refused = [answer for answer in answers if isinstance(answer, StoreFull)]
        self.told.count("sends refused", len(refused))
        for answer in answers:
            if not isinstance(answer, Accepted | StoreFull):
                self.told.check(False, f"a send was answered: {answer}")
        pairs = zip(messages, answers, strict=True)
        return [message for message, answer in pairs if isinstance(answer, Accepted)]

    def resolve(self) -> None:
        """Send again what is in doubt, under the same ids."""
        doubtful, self.doubtful = self.doubtful, []
        if doubtful:
            accepted = self.send(doubtful)
            self.told.check(len(accepted) == len(doubtful), "a doubtful send could not be repeated")

    def surely(self, operation: Operation, what: str) -> Answer | None:
        """Have an operation committed, insisting as a worker would; notes it if that does not help."""
        failure: PostroomError | None = None
        for _ in range(TRIES):
            try:
                (answer,) = transact(self.store, [operation])
            except OutcomeUnknown as error:
                self.told.count("commits in doubt")
                self.store.reopen()
                failure = error
            except StoreUnavailable as error:
                self.told.count("writes failed")
                failure = error
            else:
                return answer
        self.told.check(False, f"{what} was not possible: {failure}")
        return None

    def claim(self, what: str) -> int:
        """Lease some mail; answers how much."""
        claim = Claim(INBOXES, self.rng.randint(1, 8))
        answer = self.surely(claim, f"a claim {what}")
        found = answer.deliveries if isinstance(answer, Claimed) else []
        self.held += found
        return len(found)

    def settle(self, what: str) -> None:
        """Settle, or extend and keep, one held message; an ack has an effect and sometimes an output."""
        if not self.held:
            return
        got = self.held.pop(self.rng.randrange(len(self.held)))
        verb = self.rng.choices(("ack", "extend", "retry", "release"), (70, 10, 10, 10))[0]
        if verb == "extend":
            self.surely(Extend(got.id, got.fence, 60_000_000), f"an extend {what}")
            self.held.append(got)
            return
        if verb != "ack":
            self.surely(Settle(got.id, got.fence, Verdict(verb), got.seq), f"a {verb} {what}")
            return
        self.ack(got, what)

    def ack(self, got: Delivery, what: str) -> None:
        """Ack one message with its effect, and in a third of all cases with mail to the ledger."""
        outputs: list[Send] = []
        if self.rng.random() < 0.3 and got.type == "Job":
            outputs = [
                Send(NewMessage(self.message(1).id, LEDGER, got.recipient, "Done", b"1"), bounded=False)
            ]
        text = id_text(got.id)
        times = self.store.records(LEDGER, EFFECT, text)
        value = b"%d" % (int(times[0].value) + 1 if times else 1)
        write = Write(LEDGER, EFFECT, text, value, expect=times[0].version if times else 0)
        settle = Settle(got.id, got.fence, Verdict.ACK, got.seq, outputs=outputs, writes=(write,))
        answer = self.surely(settle, f"an ack {what}")
        if isinstance(answer, Settled):
            self.told.count(f"acks {what}")

    def empty(self, what: str) -> None:
        """Claim and ack everything that can be claimed now, the ledger's own mail too."""
        while True:
            answer = self.surely(Claim((*INBOXES, LEDGER), 50), f"a claim {what}")
            if not isinstance(answer, Claimed) or not answer.deliveries:
                return
            for got in answer.deliveries:
                self.ack(got, what)
