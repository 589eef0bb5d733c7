"""The baseline: what raw apsw does on the same disk with the same durability.

What a raw queue is for, and how it is measured, is the same for PostgreSQL: see ``postgres/raw.py``.

One thread and nothing around it: no ids to check, no routes, no history, no counts, no metrics.
The table has the shape of postroom's (a unique index on the id, an index to claim by) and every
body is encoded. It is a floor of work for each message, not a ceiling of the machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import apsw

from .figures import padding, raw_body

SEND_BATCH = 500
CLAIM_BATCH = 200

_SCHEMA = """
CREATE TABLE message (
    seq        INTEGER PRIMARY KEY,
    id         BLOB NOT NULL,
    inbox      INTEGER NOT NULL,
    state      INTEGER NOT NULL,
    rank       INTEGER NOT NULL,
    type       TEXT NOT NULL,
    sender     TEXT NOT NULL,
    body       BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    fence      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX message_id ON message (id);
CREATE INDEX message_live ON message (state, inbox, rank, seq) WHERE state < 4;
"""
_INSERT = (
    "INSERT INTO message (id, inbox, state, rank, type, sender, body, created_at, attempts, fence)"
    " VALUES (?, 1, 0, 2, 'Job', 'operator/bench', ?, ?, 0, 0)"
)
_CLAIM = (
    "UPDATE message SET state = 1, attempts = attempts + 1, fence = fence + 1 WHERE seq IN"
    " (SELECT seq FROM message WHERE state = 0 AND inbox = 1 ORDER BY rank, seq LIMIT ?)"
    " RETURNING seq, fence, body"
)
_DELETE = "DELETE FROM message WHERE seq = ? AND state = 1 AND fence = ?"


class Queue(Protocol):
    """A durable queue in three statements. Each method is one commit, on disk when it returns."""

    def send(self, count: int) -> None: ...

    def claim(self, count: int) -> Sequence[tuple[int, int]]: ...

    def delete(self, claimed: Sequence[tuple[int, int]]) -> None: ...

    def empty(self) -> None: ...

    def close(self) -> None: ...


class Fresh:
    """New messages for a raw queue, each body encoded anew."""

    def __init__(self, body_bytes: int) -> None:
        self._pad = padding(raw_body(100_000, ""), body_bytes)
        self._serial = 100_000

    def new(self) -> tuple[bytes, bytes, int]:
        """Its id, its body and the time."""
        self._serial += 1
        now = time.time_ns() // 1000
        id = (now // 1000).to_bytes(6, "big") + os.urandom(10)
        return id, raw_body(self._serial, self._pad), now


class RawQueue:
    """A ``Queue`` in a file."""

    def __init__(self, path: Path, body_bytes: int) -> None:
        self._db = apsw.Connection(str(path))
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(_SCHEMA)
        self._fresh = Fresh(body_bytes)

    def send(self, count: int) -> None:
        with self._db:
            self._db.executemany(_INSERT, [self._fresh.new() for _ in range(count)])

    def claim(self, count: int) -> list[tuple[int, int]]:
        rows: list[Any] = []
        with self._db:
            rows += self._db.execute(_CLAIM, (count,)).fetchall()
        return [(row[0], row[1]) for row in rows]

    def delete(self, claimed: Sequence[tuple[int, int]]) -> None:
        with self._db:
            self._db.executemany(_DELETE, claimed)

    def empty(self) -> None:
        self._db.execute("DELETE FROM message")

    def durability(self) -> tuple[str, int]:
        """The journal mode and the level of ``synchronous`` (2 is FULL) that are in force."""
        return str(self._db.pragma("journal_mode")), int(self._db.pragma("synchronous"))

    def close(self) -> None:
        self._db.close()


def end_to_end_rate(queue: Queue, seconds: float) -> float:
    """Messages a second through send, claim and delete, until all that was sent is gone."""
    began = time.perf_counter()
    done = waiting = 0
    while time.perf_counter() - began < seconds:
        queue.send(SEND_BATCH)
        waiting += SEND_BATCH
        while waiting >= CLAIM_BATCH:
            claimed = queue.claim(CLAIM_BATCH)
            queue.delete(claimed)
            waiting -= len(claimed)
            done += len(claimed)
    claimed = queue.claim(waiting)
    queue.delete(claimed)
    return (done + len(claimed)) / (time.perf_counter() - began)


def insert_rate(queue: Queue, seconds: float) -> float:
    """Messages a second that are only sent; they are thrown away after the clock has stopped."""
    began = time.perf_counter()
    sent = 0
    while time.perf_counter() - began < seconds:
        queue.send(SEND_BATCH)
        sent += SEND_BATCH
    rate = sent / (time.perf_counter() - began)
    queue.empty()
    return rate


def one_commit(queue: Queue) -> float:
    """Seconds that one row and its commit take now."""
    began = time.perf_counter()
    queue.send(1)
    return time.perf_counter() - began
