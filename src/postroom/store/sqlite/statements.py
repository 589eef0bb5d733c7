"""The named statements on an SQLite connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apsw

from ..rules.statements import Lease
from .db import Db
from .queries import QUERIES


class SqliteStatements:
    """One connection, for as long as one transaction or one look."""

    __slots__ = ("_next_seq", "conn")

    refusals: tuple[type[Exception], ...] = (apsw.ConstraintError,)
    keeps_ids_out = False

    def __init__(self, conn: Db) -> None:
        self.conn = conn
        self._next_seq = 0

    def row(self, name: str, *args: Any) -> Any:
        return self.conn.execute(QUERIES[name], args).fetchone()

    def rows(self, name: str, *args: Any) -> list[Any]:
        return self.conn.execute(QUERIES[name], args).fetchall()

    def each(self, name: str, *args: Any) -> Iterator[Any]:
        cursor = self.conn.execute(QUERIES[name], args)
        while (row := cursor.fetchone()) is not None:
            yield row

    def run(self, name: str, *args: Any) -> int:
        self.conn.execute(QUERIES[name], args)
        return self.conn.changes()

    def run_many(self, name: str, arguments: Iterable[Sequence[Any]]) -> int:
        before = self.conn.total_changes()
        self.conn.executemany(QUERIES[name], arguments)
        return self.conn.total_changes() - before

    def run_all(self, name: str, arguments: Sequence[Sequence[Any]]) -> bool:
        return self.run_many(name, arguments) == len(arguments)

    def run_last(self, name: str, arguments: Iterable[Sequence[Any]]) -> None:
        self.conn.executemany(QUERIES[name], arguments)

    def ready(
        self, inbox: int, boot: int, limit: int, lease: Lease, *, strict: bool
    ) -> tuple[list[Any], bool]:
        return self.rows("claim_select", inbox, boot, limit), False

    def due(self) -> tuple[int, int, int, int]:
        found: tuple[int, int, int, int] = self.row("due_first")
        return found

    def seqs(self, n: int) -> range:
        """Nobody else writes meanwhile, so what follows the last row is free."""
        first: int = self._next_seq or self.row("next_seq")[0]
        self._next_seq = first + n
        return range(first, self._next_seq)

    def unseen(self, ids: Sequence[bytes]) -> frozenset[bytes]:
        """None: to ask for each is as quick."""
        return frozenset()

    def moment(self) -> object:
        return self.conn.pragma("data_version")
