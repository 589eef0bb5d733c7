"""The baseline on PostgreSQL: psycopg as quick as it can be used, and nothing around it.

One connection, every value in binary, every statement prepared, bodies encoded anew. Batches go in as
arrays or by COPY, whichever is quicker on this server; a single message by a plain insert.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import psycopg

from ...store.postgres.dumpers import prepare
from ..limit import SEND_BATCH, Fresh
from ..rows import Params
from .places import address, drop_schema, make_schema, prefix

SCHEMA = """
CREATE TABLE raw (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         bytea NOT NULL,
    inbox      bigint NOT NULL,
    state      smallint NOT NULL,
    rank       bigint NOT NULL,
    type       text NOT NULL,
    sender     text NOT NULL,
    body       bytea NOT NULL,
    created_at bigint NOT NULL,
    attempts   bigint NOT NULL,
    fence      bigint NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
CREATE UNIQUE INDEX raw_id ON raw (id);
CREATE INDEX raw_live ON raw (state, inbox, rank, seq) WHERE state < 4;
"""
ONE = """
INSERT INTO raw (id, inbox, state, rank, type, sender, body, created_at, attempts, fence)
VALUES ($1, 1, 0, 2, 'Job', 'operator/bench', $2, $3, 0, 0)
"""
MANY = """
INSERT INTO raw (id, inbox, state, rank, type, sender, body, created_at, attempts, fence)
SELECT id, 1, 0, 2, 'Job', 'operator/bench', body, at, 0, 0
FROM unnest($1::bytea[], $2::bytea[], $3::bigint[]) AS sent (id, body, at)
"""
COPY = """
COPY raw (id, inbox, state, rank, type, sender, body, created_at, attempts, fence)
FROM STDIN (FORMAT binary)
"""
COPIED = ("bytea", "int8", "int2", "int8", "text", "text", "bytea", "int8", "int8", "int8")
CLAIM = (
    "UPDATE raw SET state = 1, attempts = attempts + 1, fence = fence + 1 WHERE seq IN"
    " (SELECT seq FROM raw WHERE state = 0 AND inbox = 1 ORDER BY rank, seq LIMIT $1 FOR UPDATE SKIP LOCKED)"
    " RETURNING seq, fence, body"
)
DELETE = (
    "DELETE FROM raw USING unnest($1::bigint[], $2::bigint[]) AS done (seq, fence)"
    " WHERE raw.seq = done.seq AND state = 1 AND raw.fence = done.fence"
)
TRIALS = 5


class PostgresQueue:
    """A ``limit.Queue`` in one table of a schema of the row. ``copying`` says how batches go in."""

    def __init__(self, params: Params) -> None:
        self.copying = False
        self._fresh = Fresh(params.body_bytes)
        self._conn = psycopg.connect(
            address(params.postgres), autocommit=True, cursor_factory=psycopg.RawCursor, prepare_threshold=0
        )
        prepare(self._conn)
        schema = prefix(params) + "raw"
        drop_schema(self._conn, schema)
        make_schema(self._conn, schema)
        psycopg.ClientCursor(self._conn).execute(SCHEMA)

    def send(self, count: int) -> None:
        sent = [self._fresh.new() for _ in range(count)]
        if count == 1:
            self._conn.execute(ONE, sent[0])
        elif self.copying:
            self._copy(sent)
        else:
            self._conn.execute(MANY, [list(column) for column in zip(*sent, strict=True)])

    def _copy(self, sent: Sequence[tuple[bytes, bytes, int]]) -> None:
        with self._conn.cursor().copy(COPY) as copy:
            copy.set_types(COPIED)
            for id, body, at in sent:
                copy.write_row((id, 1, 0, 2, "Job", "operator/bench", body, at, 0, 0))

    def claim(self, count: int) -> list[tuple[int, int]]:
        rows: list[Any] = self._conn.execute(CLAIM, (count,), binary=True).fetchall()
        return [(row[0], row[1]) for row in rows]

    def delete(self, claimed: Sequence[tuple[int, int]]) -> None:
        self._conn.execute(DELETE, ([seq for seq, _ in claimed], [fence for _, fence in claimed]))

    def empty(self) -> None:
        self._conn.execute("TRUNCATE raw")

    def close(self) -> None:
        self._conn.close()


def better_queue(params: Params) -> PostgresQueue:
    """A queue that takes batches in the quicker of the two ways, tried in turns."""
    queue = PostgresQueue(params)
    taken: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(TRIALS):
        for copying, seconds in taken.items():
            queue.copying = copying
            began = time.perf_counter()
            queue.send(SEND_BATCH)
            seconds.append(time.perf_counter() - began)
    queue.copying = min(taken[True]) < min(taken[False])
    queue.empty()
    return queue
