"""Order: within an inbox and a priority first claims follow commit order, and the urgent goes first.

Mail that is delayed, held, expiring or copied has an order of its own and is not judged; nor is mail
that comes back, but for inboxes that are ``ordered``: there it holds back what was sent after it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

from ...store.identity import id_text
from ...store.port import Store
from ...store.records import (
    Accepted,
    Cancel,
    Claimed,
    Control,
    Delivery,
    NewMessage,
    Register,
    Send,
    Settle,
    Settled,
    Switch,
)
from ..witness import Committed, Doubted, Fact
from .breach import Breach

NEWCOMER = "accepted"
BROKEN_OFF = frozenset({"delayed"})
"""States after a settlement in which a message of an ordered inbox still holds back the others."""


class _Waiting:
    """Those of one inbox that nobody has claimed yet, by priority and within it in commit order.

    Each with its correlation id, by which it may be paused.
    """

    def __init__(self) -> None:
        self._queues: dict[int, OrderedDict[bytes, str | None]] = {}

    def __iter__(self) -> Iterator[bytes]:
        for queue in self._queues.values():
            yield from queue

    def add(self, message: NewMessage) -> None:
        self._queues.setdefault(message.priority, OrderedDict())[message.id] = message.correlation_id

    def of_key(self, key: str) -> list[bytes]:
        return [id for queue in self._queues.values() for id, one in queue.items() if one == key]

    def take(self, id: bytes, priority: int) -> bytes | None:
        """Take one out; answers who should have gone before it, if it did wait here."""
        mine = self._queues.get(priority)
        if mine is None or id not in mine:
            return None
        before = next((next(iter(q)) for p, q in self._queues.items() if q and p > priority), None)
        if before is None and (first := next(iter(mine))) != id:
            before = first
        del mine[id]
        return before

    def drop(self, id: bytes) -> None:
        for queue in self._queues.values():
            queue.pop(id, None)


class Order:
    """Keeps, for every inbox, who waits for a first claim and who was begun and is not ended."""

    def __init__(self) -> None:
        self.breaches: list[Breach] = []
        self._waiting: dict[str, _Waiting] = {}
        self._where: dict[bytes, str] = {}
        self._ordered: set[str] = set()
        self._dropping: set[str] = set()
        self._begun: dict[str, dict[bytes, Delivery]] = {}

    def see(self, fact: Fact) -> None:
        """Take in one fact."""
        if isinstance(fact, Committed):
            self._committed(fact)
        elif isinstance(fact, Doubted):
            self._doubted(fact)

    def _committed(self, fact: Committed) -> None:
        match fact.operation, fact.answer:
            case Send() as send, Accepted() as answer:
                self._accept(send.message, answer)
            case Settle() as settle, Settled() as answer if not answer.already:
                self._settle(settle, answer.state)
                for output, sent in zip(settle.outputs, answer.outputs, strict=False):
                    self._accept(output.message, sent)
            case _, Claimed(deliveries):
                self._deliver(deliveries)
            case Register() as register, _:
                self._register(register)
            case Cancel(ids), _:
                self._forget(ids)
            case Control() as control, _:
                self._control(control)
            case _:
                pass

    def _doubted(self, fact: Doubted) -> None:
        """What may or may not have happened takes its messages out of the account."""
        match fact.operation, fact.answer:
            case _, Claimed(deliveries):
                self._forget([delivery.id for delivery in deliveries])
            case Settle(id=id), _:
                self._forget((id,))
            case Cancel(ids), _:
                self._forget(ids)
            case Control() as control, _:
                self._control(control)
            case Register() as register, _:
                self._register(register)
            case _:
                pass

    def _register(self, register: Register) -> None:
        for spec in register.inboxes:
            if spec.ordered:
                self._ordered.add(spec.address)
            if spec.policy == "drop-oldest":
                self._dropping.add(spec.address)

    def _control(self, control: Control) -> None:
        waiting = self._waiting.get(control.inbox, _Waiting())
        if control.key is not None:
            self._forget(waiting.of_key(control.key))
        elif control.switch in (Switch.PURGE, Switch.END):
            self._forget([*waiting, *self._begun.get(control.inbox, ())])

    def _accept(self, message: NewMessage, answer: Accepted) -> None:
        plain = (
            answer.state == NEWCOMER
            and answer.id == message.id
            and not answer.copies
            and not message.delay_us
            and message.due_at is message.expires_at is message.ttl_us is None
            and message.recipient not in self._dropping
        )
        if plain:
            self._waiting.setdefault(message.recipient, _Waiting()).add(message)
            self._where[message.id] = message.recipient
        if answer.delivery is not None:
            self._deliver((answer.delivery,))

    def _deliver(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            inbox = delivery.recipient
            if inbox in self._ordered:
                self._deliver_ordered(inbox, delivery)
            if inbox in self._waiting:
                before = self._waiting[inbox].take(delivery.id, delivery.priority)
                if before is not None:
                    self._blame(inbox, delivery.id, f"first claimed before {id_text(before)}")

    def _deliver_ordered(self, inbox: str, delivery: Delivery) -> None:
        begun = self._begun.setdefault(inbox, {})
        for id, other in begun.items():
            last_try = other.attempt >= other.max_attempts  # it may have been buried meanwhile
            goes_first = other.seq < delivery.seq and other.priority == delivery.priority
            if goes_first and not last_try:
                self._blame(inbox, delivery.id, f"claimed while {id_text(id)} is not ended")
        if delivery.id in self._where:
            begun[delivery.id] = delivery

    def _settle(self, settle: Settle, state: str) -> None:
        inbox = self._where.get(settle.id)
        if inbox is not None and state not in BROKEN_OFF:
            self._begun.get(inbox, {}).pop(settle.id, None)

    def _forget(self, ids: Iterable[bytes]) -> None:
        for id in ids:
            inbox = self._where.get(id)
            if inbox is not None:
                self._waiting.get(inbox, _Waiting()).drop(id)
                self._begun.get(inbox, {}).pop(id, None)

    def finish(self, store: Store, *, drained: bool) -> None:
        """Nothing to compare: the facts alone show it."""

    def _blame(self, inbox: str, id: bytes, what: str) -> None:
        self.breaches.append(Breach("order", f"{inbox}: {id_text(id)}: {what}"))
