"""How a transaction shares a store with the others, or has it to itself until it ends.

An advisory lock on PostgreSQL. A portable store has rows to lock instead: for years CockroachDB had advisory
locks that locked nothing, and YugabyteDB refused them. Who shares it locks one row of many, and who would be
alone all of them, one after the other. One row that is locked by all, for share, would not do: as long as
somebody has it, others get it too, and whoever would be alone waits for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import LiteralString, NamedTuple
from zlib import crc32

from psycopg import errors as pg

from ..rules.statements import named
from .patience import Connection
from .statements import QUERIES
from .urls import Place
from .wire import Wire

PORTABLE = QUERIES | named(Path(__file__).parent / "portable.sql")


GATES = 64
GATE: tuple[LiteralString, ...] = (
    "CREATE TABLE gate (one smallint PRIMARY KEY)",
    "INSERT INTO gate SELECT generate_series(0, 63) ON CONFLICT DO NOTHING",
)
"""The first thing that is made of a portable store: the rows that are locked in place of it."""


class Locks(NamedTuple):
    """``share`` and ``alone`` wait; ``at_once`` has the store alone, or not at all.

    All take ``number``; where there is none, ``share`` takes that of a row and the others take nothing.
    ``queries`` are the named statements that go with these locks.
    """

    share: LiteralString
    alone: LiteralString
    at_once: LiteralString
    number: int | None
    queries: Mapping[str, str]

    def begin(self, wire: Wire, rng: Random, *, alone: bool) -> None:
        """Ask for the store as the first thing in a transaction; it is not waited for."""
        if alone:
            wire.ask(self.alone, self.args)
        else:
            wire.ask(self.share, self.args or (rng.randrange(GATES),))

    def alone_at_once(self, conn: Connection) -> bool:
        """Have the store to this transaction, if nobody else has it. Raises ``psycopg.Error``."""
        try:
            row = conn.execute(self.at_once, self.args).fetchone()
        except pg.LockNotAvailable:
            return False
        return row is not None and row[0] is not False

    @property
    def args(self) -> tuple[int, ...]:
        """What ``alone`` and ``at_once`` are executed with."""
        return () if self.number is None else (self.number,)


def locks_of(place: Place) -> Locks:
    """Those of a store, which must be the same for all who use it."""
    if place.portable:
        return Locks(
            "SELECT one FROM gate WHERE one = $1::bigint FOR UPDATE",
            "SELECT one FROM gate ORDER BY one FOR UPDATE",
            "SELECT one FROM gate ORDER BY one FOR UPDATE NOWAIT",
            None,
            PORTABLE,
        )
    return Locks(
        "SELECT pg_advisory_xact_lock_shared($1::bigint)",
        "SELECT pg_advisory_xact_lock($1::bigint)",
        "SELECT pg_try_advisory_xact_lock($1::bigint)",
        crc32(f"postroom {place.schema}".encode()),
        QUERIES,
    )
