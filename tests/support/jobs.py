"""Jobs for the crew, sent in one transaction."""

from __future__ import annotations

from collections.abc import Iterable

from crew import POOL, job_id

from postroom.store.port import Store
from postroom.store.records import Accepted, NewMessage, Send, StoredMessage
from postroom.store.transact import transact


def send_jobs(store: Store, numbers: Iterable[int], to: str = POOL) -> None:
    """Send these jobs; a tenth of what is sent is hard, as the sender of the crew does it."""
    send_all(
        store, [(n, to, "Job", b'{"hard":%s,"n":%d}' % (b"false" if n % 10 else b"true", n)) for n in numbers]
    )


def send_all(store: Store, messages: Iterable[tuple[int, str, str, bytes]]) -> None:
    """Send messages given as number (for the id), recipient, type and body."""
    sends = [Send(NewMessage(job_id(n), to, "sender/main", kind, body)) for n, to, kind, body in messages]
    answers = transact(store, sends)
    assert all(isinstance(answer, Accepted) for answer in answers), answers


def stored(store: Store, n: int) -> StoredMessage:
    """What has become of message n."""
    message = store.message(job_id(n))
    assert message is not None
    return message
