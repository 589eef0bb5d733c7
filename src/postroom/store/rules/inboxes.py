"""Inbox rows, and a cache of them that is exact because every change of one bumps a version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .statements import Statements

UNREGISTERED, OPEN, ENDED = 0, 1, 2
CACHE_LIMIT = 200_000
MANY = 8
FOLD_AT = 4000
"""A handle looks whether the hot counts should be folded when it has written so many, and when it writes its
first: many that live for one message each write no more than one."""


class Inbox:
    """One inbox row, as of the registry version it was read under.

    ``depth`` (live messages) and ``empty`` (nothing is ready) are remembered from the last batch
    that looked, for as long as nobody else writes to the store; None means "look".
    """

    __slots__ = (
        "address",
        "bound",
        "depth",
        "draining",
        "empty",
        "has_paused_keys",
        "id",
        "life",
        "member",
        "ordered",
        "paused",
        "policy",
        "role",
    )

    def __init__(self, row: tuple[Any, ...]) -> None:
        self.id, self.address, self.role, self.life = row[:4]
        self.member = bool(row[4])
        self.paused = bool(row[5])
        self.draining = bool(row[6])
        self.ordered = bool(row[7])
        self.bound, self.policy = row[8], row[9]
        self.has_paused_keys = bool(row[10])
        self.depth: int | None = row[11]
        self.empty: bool | None = bool(row[12])


class Registry:
    """The inbox rows this handle has seen, thrown away when any process changes one."""

    def __init__(self, many: int = MANY) -> None:
        """``many`` rows and more are read in one statement rather than one by one."""
        self._many = many
        self._version = -1
        self._moment: object = None
        self._by_address: dict[str, Inbox] = {}
        self._by_id: dict[int, Inbox] = {}
        self._db: Statements | None = None
        self._tallied = FOLD_AT - 1

    def start(self, db: Statements, version: int) -> None:
        """Begin a transaction under this version of the registry."""
        self._db = db
        if version != self._version or len(self._by_id) > CACHE_LIMIT:
            self.forget()
            self._version = version
        moment = db.moment()
        if moment != self._moment:
            self._moment = moment
            for inbox in self._by_id.values():
                inbox.depth = inbox.empty = None

    def tallied(self, count: int) -> bool:
        """Note that the counts of so many inboxes are written; whether it is time to fold."""
        self._tallied += count
        if self._tallied < FOLD_AT:
            return False
        self._tallied = 0
        return True

    def forget(self) -> None:
        """Drop the cache; also after a rollback, which takes rows back that it may hold."""
        self._version = -1
        self._by_address.clear()
        self._by_id.clear()

    def find(self, address: str) -> Inbox | None:
        return self._by_address.get(address) or self._load("inbox_by_address", address)

    def fetch(self, addresses: Iterable[str]) -> None:
        """Read the rows of many addresses in one statement, where there are many to look at."""
        known = self._by_address
        unseen = {a for a in addresses if a not in known or known[a].depth is None}
        if len(unseen) >= self._many:
            assert self._db is not None
            wanted = json.dumps(sorted(unseen))
            for row in self._db.rows("inboxes_by_address", wanted):
                self._keep(Inbox(row))

    def known(self, address: str) -> Inbox | None:
        """The row if this handle has seen it, which may have been under an older version."""
        return self._by_address.get(address)

    def cached(self, id: int) -> Inbox | None:
        """The row if this handle has seen it under the present version."""
        return self._by_id.get(id)

    def get(self, id: int) -> Inbox:
        found = self._by_id.get(id) or self._load("inbox_by_id", id)
        assert found is not None, "a message's inbox row is never deleted"
        return found

    def _load(self, query: str, key: object) -> Inbox | None:
        assert self._db is not None
        row = self._db.row(query, key)
        return None if row is None else self._keep(Inbox(row))

    def _keep(self, inbox: Inbox) -> Inbox:
        self._by_address[inbox.address] = self._by_id[inbox.id] = inbox
        return inbox
