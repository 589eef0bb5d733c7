"""How likely it is that a store was like this: for choosing between bytes that explain damage equally."""

from __future__ import annotations

import json
from typing import Any

from ...clock import Instant
from ...identity import id_text
from .. import verifying
from ..db import Db

TABLES = {
    "store": ("one",),
    "inbox": ("id",),
    "paused_key": ("inbox", "key"),
    "tally": ("inbox",),
    "total": ("inbox",),
    "dropped": ("inbox", "state"),
    "message": ("seq",),
    "event": ("rowid",),
    "spent_id": ("id",),
    "session": ("id",),
    "activation": ("name",),
    "record": ("owner", "kind", "key"),
}
"""Every table, with what its rows are sorted by."""

NUMBERED = frozenset({"store", "inbox", "tally", "total", "message", "event", "session"})
"""Tables whose key is a number, so that a single row can be asked for without knowing it."""

Contents = dict[str, set[tuple[Any, ...]]]
NO_STORE = 1 << 30
DAY = 86_400_000_000


def oddities(conn: Db, now: Instant, boot_id: str) -> int:
    """How much in a store cannot be as it is: 0 for a sound one."""
    try:
        boot, offset = conn.execute("SELECT boot_id, wall_offset FROM store").fetchone()
        odd_clock = boot == boot_id and abs(now.wall - now.boot - offset) > DAY
        contents(conn)  # every text has to be one
        found = verifying.verify(conn, deep=True)
        return int(odd_clock) + len(found.faults) + _odd_messages(conn) + _odd_records(conn)
    except verifying.UNREADABLE:
        return NO_STORE


def contents(conn: Db) -> Contents:
    """Every row of every table."""
    found: Contents = {}
    for table, key in TABLES.items():
        statement = f"SELECT {', '.join(key)}, * FROM {table}"  # noqa: S608  names of our own tables
        found[table] = set(conn.execute(statement).fetchall())
    return found


def in_words(table: str, rows: set[tuple[Any, ...]], versions: list[Contents]) -> list[str]:
    """What may be wrong where these rows of a table differ between versions of a store.

    An event belongs to a message; its history is named then, since the message itself is as it was.
    """
    if table != "event":
        return [f"a row of table {table} may be wrong"] if rows else []
    ids = {row[0]: id_text(row[2]) for contents in versions for row in contents["message"]}
    found = {ids.get(message) for _, message, *_ in rows}
    told = [f"the history of message {id} may be wrong" for id in sorted(filter(None, found))]
    return [*told, *(["an event of no message may be wrong"] if None in found else [])]


def _odd_messages(conn: Db) -> int:
    (epoch, offset, made) = conn.execute("SELECT epoch, wall_offset, created_at FROM store").fetchone()
    odd = 0
    rows = conn.execute(
        "SELECT id, type, sender, body, created_at, ready_at, fence, headers, claimed_at, final_at,"
        " correlation_id, reply_to, attempts, strikes, priority, max_attempts, verdict FROM message"
    )
    for row in rows.fetchall():
        id, kind, sender, body, created, ready, fence, headers, claimed, final, *texts = row
        odd += id[8] >> 6 != 2 or not 1 <= id[6] >> 4 <= 8
        if id[6] >> 4 == 7:
            odd += abs(int.from_bytes(id[:6], "big") * 1000 - created) > DAY
        odd += not _plain(kind) + (not _plain(sender))
        odd += not _canonical(body) + (headers is not None and not _canonical(headers))
        odd += sum(1 for text in texts[:2] if text is not None and not _plain(text))
        odd += not 0 <= fence >> 20 <= epoch
        odd += not made - DAY <= created
        odd += sum(1 for at in (ready, claimed, final) if at is not None and at + offset < made - DAY)
        odd += sum(1 for count in texts[2:6] if not 0 <= count <= 1000)
    return odd


def _odd_records(conn: Db) -> int:
    texts = conn.execute("SELECT address, role FROM inbox UNION ALL SELECT owner, key FROM record").fetchall()
    values = conn.execute("SELECT value FROM record").fetchall()
    return sum(not (_plain(a) and _plain(b)) for a, b in texts) + sum(not _json(v) for (v,) in values)


def _plain(text: str) -> bool:
    return text.isprintable() and bool(text)


def _json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def _canonical(body: bytes) -> bool:
    """Whether a body is as the codec writes it: keys in order, nothing between."""
    try:
        value = json.loads(body)
    except ValueError:
        return False
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == body
