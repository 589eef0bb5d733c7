"""What is carried from one store to another: each table with its columns, in an order that both keep."""

from __future__ import annotations

from typing import NamedTuple

COUNTS = (
    "accepted", "done", "dead", "expired", "bounced", "cancelled", "overflowed", "lost", "retried",
)  # fmt: skip


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

    def all_rows(self) -> str:
        """The statement that reads all of it."""
        columns = ", ".join(self.given or self.columns)
        return f"SELECT {columns} FROM {self.of or self.name} ORDER BY {self.order}"  # noqa: S608  # names of ours

    def how_many(self) -> str:
        """The statement that counts the rows."""
        return f"SELECT count(*) FROM ({self.all_rows()}) AS counted"  # noqa: S608  # as above


INBOX = Table(
    "inbox",
    ("id", "address", "role", "life", "member", "paused", "draining", "ordered", "bound", "policy"),
    "id",
)
PAUSED_KEY = Table("paused_key", ("inbox", "key"), "inbox, key")
TOTAL = Table(
    "total",
    ("inbox", *COUNTS),
    "inbox",
    "(SELECT * FROM total UNION ALL SELECT * FROM tally) AS counted GROUP BY inbox",
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
RECORD = Table("record", ("owner", "kind", "key", "version", "value", "sum"), "owner, kind, key")

IN_FILE = (
    INBOX, PAUSED_KEY, TOTAL, DROPPED, MESSAGE,
    Table("event", EVENT_COLUMNS, "message, rowid"),
    Table("spent_id", SPENT_COLUMNS, "id"),
    SESSION, ACTIVATION, RECORD,
    Table("message", KNOWN_COLUMNS, "id"),
)  # fmt: skip
ON_SERVER = (
    INBOX, PAUSED_KEY, TOTAL, DROPPED, MESSAGE,
    Table("event", EVENT_COLUMNS, "message, n"),
    Table("message_id", SPENT_COLUMNS, "id", "message_id WHERE seq IS NULL"),
    SESSION, ACTIVATION, RECORD,
    Table("message_id", KNOWN_COLUMNS, "id", "message_id WHERE seq IS NOT NULL"),
)  # fmt: skip
"""The same things in the same order. The last are the ids of messages: a file has them with the messages."""

NAMES = (
    "inboxes", "paused keys", "counts", "counts of what was dropped", "messages", "events", "spent ids",
    "sessions", "activations", "records", "ids",
)  # fmt: skip
"""What people call them, in that order."""

MESSAGES, SESSIONS, RECORDS = (NAMES.index(name) for name in ("messages", "sessions", "records"))
EVENTS = NAMES.index("events")
