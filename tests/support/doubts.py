"""Operations over a link that breaks: what was answered, and what the same operation is told again.

An answer must be true whatever has happened on the way: what is answered was kept, what is refused as
unavailable was not, and what nobody knows is called unknown. Then the operation is repeated until it is
answered, and must not be done twice.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from chaos_proxy import ChaosProxy, Harm
from msgspec.structs import replace
from waiting_for import until

from postroom.store import records as r
from postroom.store.errors import OutcomeUnknown, StoreUnavailable
from postroom.store.identity import derived_id, id_text
from postroom.store.port import Store
from postroom.store.transact import transact

INBOX, OUT = "worker/doubt", "worker/out"


class Doubts:
    """``far`` reaches the store by way of the proxy, ``near`` does not."""

    def __init__(self, proxy: ChaosProxy, far: Store, near: Store) -> None:
        self.proxy, self.far, self.near = proxy, far, near
        self.answered = self.refused = self.unknown = self.exchanged = 0
        self.wrong: list[str] = []
        self._numbers = count(1)
        transact(near, [r.Register((r.InboxSpec(INBOX), r.InboxSpec(OUT)))])

    def everywhere(self, act: Callable[[Harm, int], bool], harm: Harm, step: int = 1, first: int = 0) -> int:
        """Do it with this harm at each message (or every so many) of its exchange; how often."""
        at = first
        while act(harm, at):
            at += step
        return (at - first) // step

    def length(self, act: Callable[[Harm, int], bool]) -> int:
        """Of how many messages the exchange is, once its statements are prepared."""
        for _ in range(3):
            act(Harm.CUT, 1_000_000)
        return self.exchanged

    def connect_and_send(self, harm: Harm, at: int) -> bool:
        """The same as ``send``, beginning without a connection."""
        self.far.reopen()
        return self.send(harm, at)

    def send(self, harm: Harm, at: int) -> bool:
        """Send a message; whether the exchange was long enough for the harm to be done."""
        send = r.Send(self._message())
        first, fell = self._harmed(send, harm, at)
        again = self._insist(send)
        assert isinstance(again, r.Accepted)
        self._compare(first, again.state == "duplicate", f"send {harm} {at}")
        self._settle_all()
        return fell

    def claim(self, harm: Harm, at: int) -> bool:
        """Claim a message; each message is claimed once, however often it is asked for."""
        (sent,) = transact(self.near, [r.Send(self._message())])
        assert isinstance(sent, r.Accepted)
        claim = r.Claim((INBOX,), 1, key=id_text(sent.id))
        first, fell = self._harmed(claim, harm, at)
        found = self.near.message(sent.id)
        assert found is not None
        again = self._insist(claim)
        assert isinstance(again, r.Claimed)
        (delivery,) = again.deliveries
        where = f"claim {harm} {at}"
        if (delivery.id, delivery.attempt) != (sent.id, 1):
            self.wrong.append(f"{where}: attempt {delivery.attempt}")
        self._compare(first, found.state == "leased", where)
        transact(self.near, [r.Settle(delivery.id, delivery.fence, r.Verdict.ACK)])
        return fell

    def settle(self, harm: Harm, at: int) -> bool:
        """Acknowledge a message, with an effect and an output."""
        transact(self.near, [r.Send(self._message())])
        (claimed,) = transact(self.near, [r.Claim((INBOX,), 1)])
        assert isinstance(claimed, r.Claimed)
        (delivery,) = claimed.deliveries
        output = r.NewMessage(derived_id(delivery.id, b"out"), OUT, INBOX, "done", b"{}")
        effect = r.Write("ledger", "effect", id_text(delivery.id), b"1")
        ack = r.Settle(delivery.id, delivery.fence, r.Verdict.ACK)
        ack = replace(ack, outputs=[r.Send(output, bounded=False)], writes=[effect])
        first, fell = self._harmed(ack, harm, at)
        again = self._insist(ack)
        where = f"settle {harm} {at}"
        if isinstance(again, r.Settled):
            self._compare(first, again.already, where)
        else:
            self.wrong.append(f"{where}: {again}")
        return fell

    def judge(self) -> list[str]:
        """What is not as it must be, now that all is over."""
        wrong = list(self.wrong)
        for record in self.near.records("ledger", "effect"):
            if record.version != 1:
                wrong.append(f"effect {record.key} was done {record.version} times")
        (out,) = self.near.counts(OUT)
        if out.ready != len(self.near.records("ledger", "effect")):
            wrong.append(f"{out.ready} outputs of {len(self.near.records('ledger', 'effect'))} acks")
        (inbox,) = self.near.counts(INBOX)
        if inbox.done != inbox.accepted:
            wrong.append(f"{inbox.accepted - inbox.done} messages are stuck")
        return wrong + self.near.verify(deep=True).faults

    def _message(self) -> r.NewMessage:
        id = derived_id(bytes(16), b"%d" % next(self._numbers))
        return r.NewMessage(id, INBOX, "operator/cli", "job", b'{"text":"%s"}' % (b"x" * 200))

    def _harmed(self, operation: r.Operation, harm: Harm, at: int) -> tuple[r.Answer, bool]:
        plan = self.proxy.arm(harm, at)
        answer = self._ask(operation)
        self.proxy.heal()  # to be asked again at once
        fell, plan.fell = plan.fell, True
        self.exchanged = self.proxy.seen
        return answer, fell

    def _ask(self, operation: r.Operation) -> r.Answer:
        try:
            (answer,) = transact(self.far, [operation])
        except OutcomeUnknown as error:
            self.far.reopen()
            return error
        except StoreUnavailable as error:
            return error
        return answer

    def _insist(self, operation: r.Operation) -> r.Answer:
        answer = self._ask(operation)

        def answered() -> bool:
            nonlocal answer
            empty = isinstance(answer, r.Claimed) and not answer.deliveries
            if isinstance(answer, StoreUnavailable) or empty:
                answer = self._ask(operation)
                return False
            return True

        if not answered():
            until(self.near, answered)
        return answer

    def _compare(self, first: r.Answer, was_kept: bool, where: str) -> None:
        if isinstance(first, OutcomeUnknown):
            self.unknown += 1
        elif isinstance(first, StoreUnavailable):
            self.refused += 1
            if was_kept:
                self.wrong.append(f"{where}: kept, and called unavailable: {first}")
        else:
            self.answered += 1
            if not was_kept:
                self.wrong.append(f"{where}: answered, and lost")

    def _settle_all(self) -> None:
        (claimed,) = transact(self.near, [r.Claim((INBOX,), 100)])
        assert isinstance(claimed, r.Claimed)
        transact(self.near, [r.Settle(d.id, d.fence, r.Verdict.ACK) for d in claimed.deliveries])
