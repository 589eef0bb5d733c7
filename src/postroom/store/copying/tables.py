"""What is carried from one store to another: each table with its columns, in an order that both keep."""

from __future__ import annotations

from typing import NamedTuple

COUNTS = (
    "accepted", "done", "dead", "expired", "bounced", "cancelled", "overflowed", "lost", "retried",
)  # fmt: skip

ALL = (1 << 63) - 1
"""A limit that is none: SQLite skips rows only where there is a limit."""


class Table(NamedTuple):
    """Rows to be carried, in the order of ``order``.

    ``of`` is what the rows are selected from where that is not the table, and ``given`` what gives a column
    its value.
    """

    name: str
    columns: tuple[str, ...]
    order: str
    of: str = ""
    given: tuple[str, ...] = ()

    def all_rows(self, after: int = 0) -> str:
        """The statement that reads all of it, but for so many rows at its beginning."""
        columns = ", ".join(self.given or self.columns)
        found = f"SELECT {columns} FROM {self.of or self.name} ORDER BY {self.order}"  # noqa: S608  # names of ours
        return f"{found} LIMIT {ALL} OFFSET {after}" if after else found

    def how_many(self) -> str:
        """The statement that counts the rows."""
        return f"SELECT count(*) FROM ({self.all_rows()}) AS counted"  # noqa: S608  # as above


INBOX = Table(
    "inbox",
    ("id", "address", "role", "life", "member", "paused", "draining", "ordered", "bound", "policy"),
    "id",
)
PAUSED_KEY = Table("paused_key", ("inbox", "key"), "inbox, key")
COUNTED = "(SELECT * FROM total UNION ALL SELECT * FROM tally) AS counted"
TOTAL = Table(
    "total",
    ("inbox", *COUNTS),
    "inbox",
    f"{COUNTED} GROUP BY inbox",
    ("inbox", *(f"CAST(sum({column}) AS bigint)" for column in COUNTS)),
)
DROPPED = Table("dropped", ("inbox", "state", "count"), "inbox, state")
MESSAGE = Table(
    "message",
    (
        "seq", "id", "inbox", "state", "rank", "priority", "type", "sender", "body", "created_at", "ready_at",
        "attempts", "max_attempts", "fence", "session", "claimed_at", "final_at", "strikes", "verdict",
        "absolute", "correlation_id", "causation_id", "reply_to", "dedup_key", "headers", "due_at",
        "expires_at", "expires_boot", "claim_key", "reason", "error", "sum",
    ),
    "seq",
)  # fmt: skip
EVENT_COLUMNS = (
    "message", "at", "event", "state", "attempt", "fence", "since", "session", "reason", "error",
)  # fmt: skip
SPENT_COLUMNS = ("id", "digest", "at")
KNOWN_COLUMNS = ("id", "seq")
SESSION = Table("session", ("id", "name", "kind", "process", "expires", "live"), "id")
ACTIVATION = Table("activation", ("name", "session", "term"), "name")
KEPT_RECORD = """(SELECT * FROM record
    WHERE NOT (owner = 'postroom/store' AND kind = 'clock' AND key = 'step')) AS kept"""
"""How far somebody has set a clock says nothing of another: that record stays behind."""

RECORD = Table(
    "record", ("owner", "kind", "key", "version", "value", "sum"), "owner, kind, key", KEPT_RECORD
)  # fmt: skip

IN_FILE = (
    INBOX, PAUSED_KEY, TOTAL, DROPPED, MESSAGE,
    Table("event", EVENT_COLUMNS, "message, rowid"),
    Table("spent_id", SPENT_COLUMNS, "id"),
    SESSION, ACTIVATION, RECORD,
    Table("message", KNOWN_COLUMNS, "id"),
)  # fmt: skip
ON_SERVER = (
    INBOX, PAUSED_KEY._replace(order='inbox, key COLLATE "C"'), TOTAL, DROPPED, MESSAGE,
    Table("event", EVENT_COLUMNS, "message, n"),
    Table("message_id", SPENT_COLUMNS, "id", "message_id WHERE seq IS NULL"),
    SESSION, ACTIVATION._replace(order='name COLLATE "C"'),
    RECORD._replace(order='owner COLLATE "C", kind COLLATE "C", key COLLATE "C"'),
    Table("message_id", KNOWN_COLUMNS, "id", "message_id WHERE seq IS NOT NULL"),
)  # fmt: skip
"""The same things in the same order. The last are the ids of messages: a file has them with the messages."""

NAMES = (
    "inboxes", "paused keys", "counts", "counts of what was dropped", "messages", "events", "spent ids",
    "sessions", "activations", "records", "ids",
)  # fmt: skip
"""What people call them, in that order."""

MESSAGES, EVENTS, SESSIONS, RECORDS = map(NAMES.index, ("messages", "events", "sessions", "records"))

SIGNS = (
    "SELECT coalesce(sum(fence % 1048576 + state + attempts + strikes), 0) FROM message",
    f"SELECT coalesce(sum({' + '.join(COUNTS)}), 0) FROM {COUNTED}",  # noqa: S608  # names of ours
    "SELECT coalesce(sum(term), 0) FROM activation",
    f"SELECT coalesce(sum(version), 0) FROM {KEPT_RECORD}",  # noqa: S608  # as above
)
"""Numbers that are others once somebody has used the store, beside how many rows there are: of claims and
moves of messages, of what was counted for all time, of instances of actors, and of changes of records.
"""
