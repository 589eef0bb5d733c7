"""The scratch pad of one transaction: what every operation of a batch shares."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from ..states import FENCE_BITS, State
from .inboxes import FOLD_AT
from .queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..clock import Instant
    from .db import Db
    from .inboxes import Inbox, Registry

SESSION_LEASE = 1 << 62
"""The rank of a lease that ends with its session and not at a time of its own."""

# Columns of `tally`, after the inbox.
ACCEPTED, DONE, DEAD, EXPIRED, BOUNCED, CANCELLED, OVERFLOWED, LOST, RETRIED = range(9)

TALLY_OF_FINAL = {
    State.DONE: DONE,
    State.DEAD: DEAD,
    State.EXPIRED: EXPIRED,
    State.BOUNCED: BOUNCED,
    State.CANCELLED: CANCELLED,
}


class Tx:
    """One open transaction on one connection, at one instant."""

    __slots__ = (
        "_lives",
        "boot",
        "bounced",
        "conn",
        "epoch",
        "first_due",
        "first_lapse",
        "next_seq",
        "policy",
        "refreshed",
        "registry",
        "rng",
        "rung",
        "tally",
        "wall",
        "wall_offset",
    )

    def __init__(self, conn: Db, registry: Registry, now: Instant, rng: Random, policy: Policy) -> None:
        self.conn = conn
        self.registry = registry
        self.wall, self.boot = now
        self.rng = rng
        self.policy = policy
        self._lives: dict[int, bool] = {}
        self.tally: dict[int, list[int]] = {}
        self.rung: set[str] = set()
        self.bounced: list[tuple[int, str]] = []
        self.next_seq = 0
        self.refreshed = False
        self.first_due = self.first_lapse = 0
        row = self.row("store_row")
        assert row is not None
        self.epoch, version, self.wall_offset = row
        registry.start(conn, version)

    def row(self, query: str, *args: Any) -> Any:
        """The first row of a named query as a tuple, or None."""
        return self.conn.execute(QUERIES[query], args).fetchone()

    def rows(self, query: str, *args: Any) -> list[Any]:
        return self.conn.execute(QUERIES[query], args).fetchall()

    def run(self, query: str, *args: Any) -> int:
        """Execute a named change; the number of rows it changed."""
        self.conn.execute(QUERIES[query], args)
        return self.conn.changes()

    def run_many(self, query: str, arguments: Iterable[Sequence[Any]]) -> int:
        """Execute a named change for each tuple; the number of rows changed in all."""
        before = self.conn.total_changes()
        self.conn.executemany(QUERIES[query], arguments)
        return self.conn.total_changes() - before

    def count(self, inbox: int, column: int, n: int = 1) -> None:
        """Add to an inbox's counts; written once, by ``close``."""
        counts = self.tally.get(inbox)
        if counts is None:
            counts = self.tally[inbox] = [0] * 9
        counts[column] += n

    def take_seqs(self, n: int) -> int:
        """The first of ``n`` new sequence numbers."""
        if not self.next_seq:
            self.next_seq = self.row("next_seq")[0]
        first = self.next_seq
        self.next_seq += n
        return first

    def depth(self, inbox: int) -> int:
        """Live messages in an inbox, this batch's included."""
        row = self.registry.get(inbox)
        if row.depth is None:
            row.depth = int(self.row("depth", inbox)[0])
        counts = self.tally.get(inbox)
        return row.depth if counts is None else row.depth + _growth(counts)

    def lives(self, session: int) -> bool:
        """Whether a session may hold anything: only one that has neither ended nor lapsed."""
        if session not in self._lives:
            row = self.row("session_get", session)
            self._lives[session] = row is not None and bool(row[5]) and row[4] > self.boot
        return self._lives[session]

    def ended(self, session: int) -> None:
        """Note that a session has ended in this transaction."""
        self._lives[session] = False

    def note(
        self,
        seq: int,
        event: str,
        state: State,
        attempt: int,
        fence: int,
        *,
        since: int | None = None,
        session: int | None = None,
        reason: str | None = None,
        error: str | None = None,
    ) -> None:
        """Write a line of a message's history that its own columns cannot tell."""
        self.run("note", seq, self.wall, event, int(state), attempt, fence, since, session, reason, error)

    def ring(self, inbox: Inbox) -> None:
        """Remember that an inbox has got claimable mail."""
        inbox.empty = False
        self.rung.add(inbox.address)

    def first_fence(self) -> int:
        """The fence of a message before its first claim."""
        fence: int = self.epoch << FENCE_BITS
        return fence

    def close(self) -> None:
        """Write what was only collected. The last thing before the commit."""
        if not self.tally:
            return
        self.run_many("tally_add", [(inbox, *counts) for inbox, counts in sorted(self.tally.items())])
        for inbox, counts in self.tally.items():
            row = self.registry.cached(inbox)
            if row is not None and row.depth is not None:
                row.depth += _growth(counts)
        if self.registry.tallied(len(self.tally)) and self.row("tally_rows")[0] >= FOLD_AT // 2:
            self.run("tally_fold")
            self.run("tally_clear")


def _growth(counts: list[int]) -> int:
    """By how much these counts change the number of live messages."""
    return counts[ACCEPTED] - sum(counts[DONE : CANCELLED + 1])


class Policy:
    """The store's few settings that are not in its file."""

    __slots__ = ("ids_us", "rows_us")

    def __init__(self, rows_us: int = 7 * 86_400_000_000, ids_us: int = 14 * 86_400_000_000) -> None:
        self.rows_us = rows_us
        self.ids_us = ids_us
