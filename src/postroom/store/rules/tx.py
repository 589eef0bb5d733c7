"""The scratch pad of one transaction: what every operation of a batch shares."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from ..states import FENCE_BITS, State
from .inboxes import FOLD_AT

if TYPE_CHECKING:
    from ..clock import Instant
    from .inboxes import Inbox, Registry
    from .statements import Statements

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
    """One open transaction on one connection, at one instant. Its named statements are the connection's."""

    __slots__ = (
        "_lives",
        "boot",
        "bounced",
        "db",
        "epoch",
        "first_due",
        "first_lapse",
        "policy",
        "refreshed",
        "registry",
        "rng",
        "row",
        "rows",
        "run",
        "run_all",
        "run_many",
        "rung",
        "tally",
        "unseen",
        "wall",
        "wall_offset",
    )

    def __init__(
        self,
        db: Statements,
        head: tuple[int, int, int],
        registry: Registry,
        now: Instant,
        rng: Random,
        policy: Policy,
    ) -> None:
        """``head`` is what the store's one row says: its epoch, its registry version, its wall offset."""
        self.db = db
        self.row, self.rows, self.run = db.row, db.rows, db.run
        self.run_many, self.run_all = db.run_many, db.run_all
        self.registry = registry
        self.wall, self.boot = now
        self.rng = rng
        self.policy = policy
        self._lives: dict[int, bool] = {}
        self.tally: dict[int, list[int]] = {}
        self.rung: set[str] = set()
        self.bounced: list[tuple[int, str]] = []
        self.refreshed = False
        self.unseen: frozenset[bytes] = frozenset()
        self.first_due = self.first_lapse = 0
        self.epoch, version, self.wall_offset = head
        registry.start(db, version)

    def count(self, inbox: int, column: int, n: int = 1) -> None:
        """Add to an inbox's counts; written once, by ``close``."""
        counts = self.tally.get(inbox)
        if counts is None:
            counts = self.tally[inbox] = [0] * 9
        counts[column] += n

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
        self.db.run_last("tally_add", [(inbox, *counts) for inbox, counts in sorted(self.tally.items())])
        for inbox, counts in self.tally.items():
            row = self.registry.cached(inbox)
            if row is not None and row.depth is not None:
                row.depth += _growth(counts)
        if self.registry.tallied(len(self.tally)):
            self.fold()

    def fold(self) -> None:
        """Fold the hot counts into the total ones, if they have become many."""
        if self.row("tally_rows")[0] >= FOLD_AT // 2:
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
