"""Which label values may appear: one label for each of a million inboxes would kill the reader.

Inboxes get a label of their own only where somebody declared them; the rest of a role counts
together as ``other``. Declarations are kept in the store, so that every exporter of one store
shows the same series, whichever process declared them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from ..mailbox.address import check_inbox
from ..store.port import Store
from ..store.records import Put, Record, Write
from ..store.transact import transact_one

OTHER = "other"
INBOX_CAP = 200
ROLE_CAP = 200

DECLARED_OWNER = "postroom/telemetry"
DECLARED_KIND = "inbox"


def declaration(inboxes: Iterable[str]) -> Put:
    """The operation that gives these inboxes a label of their own in every exporter, for good.

    Raises ``BadInput`` for what is no address. Declaring again changes nothing.
    """
    return Put(tuple(Write(DECLARED_OWNER, DECLARED_KIND, check_inbox(inbox), b"true") for inbox in inboxes))


def declare(store: Store, inboxes: Iterable[str]) -> None:
    """Have ``declaration`` committed, unless the store knows it all; durable on return.

    For programs without an event loop, and for others before their group commit runs.
    """
    new = set(inboxes) - declared_in(store.records(DECLARED_OWNER))
    if new:
        transact_one(store, declaration(sorted(new)))


def declared_in(records: Iterable[Record]) -> set[str]:
    """The inboxes that records of ``DECLARED_OWNER`` declare."""
    return {record.key for record in records if record.kind == DECLARED_KIND}


class Allowed:
    """A bounded set of label values; every other value reads ``other``.

    Which values are kept does not depend on the order they come in, so exporters agree.
    """

    def __init__(self, values: Collection[str], cap: int) -> None:
        self._values = frozenset(sorted(values)[:cap])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def label(self, value: str) -> str:
        return value if value in self._values else OTHER


class FirstSeen:
    """A bounded set of label values that fills as they come, for what one process counts."""

    def __init__(self, values: Iterable[str] = (), *, cap: int = ROLE_CAP) -> None:
        self._cap = cap
        self._values = set(values)

    def label(self, value: str) -> str:
        if value not in self._values:
            if len(self._values) >= self._cap:
                return OTHER
            self._values.add(value)
        return value
