"""Verbs for tests of the port: one call, one transaction, one answer."""

from __future__ import annotations

from itertools import count
from typing import TypeVar

from postroom.store import records as r
from postroom.store.errors import PostroomError
from postroom.store.memory import MemoryStore
from postroom.store.postgres.engine import PostgresStore
from postroom.store.sqlite.file import FileStore
from postroom.store.transact import transact, transact_one

Engine = FileStore | MemoryStore | PostgresStore
T = TypeVar("T")
SECOND = 1_000_000
INBOX = "worker/a"
_numbers = count(1)


def an_id(number: int | None = None) -> bytes:
    """A UUIDv8, so that the age of an id plays no part."""
    raw = bytearray((number or next(_numbers)).to_bytes(16))
    raw[6], raw[8] = 0x80, 0x80
    return bytes(raw)


def a_message(to: str = INBOX, body: bytes = b"{}", **fields: object) -> r.NewMessage:
    message = r.NewMessage(an_id(), to, "operator/cli", "job", body)
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def do(store: Engine, operation: r.Operation, kind: type[T]) -> T:
    answer = transact_one(store, operation)
    assert isinstance(answer, kind)
    return answer


def refusal(store: Engine, operation: r.Operation) -> PostroomError:
    (answer,) = transact(store, [operation])
    assert isinstance(answer, PostroomError), answer
    return answer


def register(store: Engine, *addresses: str, **fields: object) -> None:
    for address in addresses:
        spec = r.InboxSpec(address)
        for name, value in fields.items():
            setattr(spec, name, value)
        transact_one(store, r.Register((spec,)))


def send(store: Engine, message: r.NewMessage | None = None, **options: object) -> r.Accepted:
    operation = r.Send(message or a_message())
    for name, value in options.items():
        setattr(operation, name, value)
    return do(store, operation, r.Accepted)


def claim(store: Engine, limit: int = 10, inbox: str = INBOX, **fields: object) -> list[r.Delivery]:
    operation = r.Claim((inbox,), limit)
    for name, value in fields.items():
        setattr(operation, name, value)
    return do(store, operation, r.Claimed).deliveries


def settle(
    store: Engine, delivery: r.Delivery, verdict: r.Verdict = r.Verdict.ACK, **fields: object
) -> r.Settled:
    return do(store, settlement(delivery, verdict, **fields), r.Settled)


def settlement(delivery: r.Delivery, verdict: r.Verdict = r.Verdict.ACK, **fields: object) -> r.Settle:
    operation = r.Settle(delivery.id, delivery.fence, verdict)
    for name, value in fields.items():
        setattr(operation, name, value)
    return operation


def session(store: Engine, process: str = "p1", lease_us: int = 60 * SECOND) -> int:
    return do(store, r.OpenSession("runtime", "runtime", process, lease_us), r.Session).id


def counts(store: Engine, inbox: str = INBOX) -> r.InboxCounts:
    (found,) = store.counts(inbox)
    return found


def state(store: Engine, id: bytes) -> str:
    message = store.message(id)
    assert message is not None
    return message.state
