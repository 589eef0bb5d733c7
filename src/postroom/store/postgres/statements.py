"""The named statements on a PostgreSQL connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg

from ..rules.statements import Lease, Raced, named
from .heads import FIRST, Head, Heads
from .wire import Answer, Wire

QUERIES = named(Path(__file__).parent / "queries.sql")
PRIORITY, LEASED, HIGHEST_PRIORITY = 6, 19, 3
"""Which columns of ``claim_select`` they are; the rank of what is ready counts down from the highest."""
MANY = 16
"""Rows with which the server can begin while we go on; for fewer a message of their own is not worth it."""

_moments = count()  # every look is a new one: nothing tells cheaply whether others have committed


class PostgresStatements:
    """One connection, for as long as one transaction or one look."""

    __slots__ = ("_ahead", "_careful", "_heads", "_lapsing", "_last", "_queries", "_seqs", "_wire")

    refusals: tuple[type[Exception], ...] = (psycopg.DataError, psycopg.IntegrityError)
    keeps_ids_out = True

    def __init__(
        self,
        wire: Wire,
        queries: Mapping[str, str] = QUERIES,
        heads: Heads | None = None,
        *,
        careful: bool = True,
        now: int = 0,
    ) -> None:
        """``careful`` finds out at once whether all rows have changed that should, for a round trip each.

        ``now`` is about what time the server has.
        """
        self._wire = wire
        self._queries = queries
        self._heads = heads or Heads()
        self._lapsing = self._heads.lapsing(now)
        self._careful = careful
        self._ahead: dict[tuple[str, tuple[Any, ...]], Answer] = {}
        self._last: list[tuple[str, Sequence[Sequence[Any]]]] = []
        self._seqs: tuple[int, Answer] | None = None

    def foresee(self, name: str, *args: Any) -> None:
        """Ask now what is sure to be asked: it costs no round trip then."""
        self._ahead[name, args] = self._ask(name, args)

    def _ask(self, name: str, args: Sequence[Any]) -> Answer:
        return self._wire.ask(self._queries[name], args)

    def _answer(self, name: str, args: tuple[Any, ...]) -> Answer:
        return self._ahead.pop((name, args), None) or self._ask(name, args)

    def row(self, name: str, *args: Any) -> Any:
        return self._answer(name, args).row()

    def rows(self, name: str, *args: Any) -> list[Any]:
        return self._answer(name, args).rows()

    def each(self, name: str, *args: Any) -> Iterator[Any]:
        return self._ask(name, args).each()

    def run(self, name: str, *args: Any) -> int:
        return self._ask(name, args).changed()

    def run_many(self, name: str, arguments: Iterable[Sequence[Any]]) -> int:
        asked = self._ask_many(name, list(arguments))
        return 0 if asked is None else asked.changed()

    def run_all(self, name: str, arguments: Sequence[Sequence[Any]]) -> bool:
        sure = f"{name}_or_fail"
        if sure in self._queries:
            asked = self._ask_many(name if self._careful else sure, arguments)
        else:
            asked = self._ask_many(name, arguments, not self._careful)
        return asked is None or not self._careful or asked.changed() == len(arguments)

    def run_last(self, name: str, arguments: Iterable[Sequence[Any]]) -> None:
        self._last.append((name, list(arguments)))

    def finish(self) -> None:
        """What was left for the end of the transaction; it is not waited for."""
        for name, arguments in self._last:
            self._ask_many(name, arguments)
        self._last.clear()

    def _ask_many(self, name: str, arguments: Sequence[Sequence[Any]], *more: Any) -> Answer | None:
        """All of it in one statement, which takes each column as an array; a single one in its own form."""
        if not arguments:
            return None
        if len(arguments) == 1 and (alone := f"{name}_alone") in self._queries:
            return self._ask(alone, (*arguments[0], *more))
        asked = self._ask(name, (*zip(*arguments, strict=True), *more))
        if len(arguments) >= MANY:
            self._wire.push()
        return asked

    def ready(
        self, inbox: int, boot: int, limit: int, lease: Lease, *, strict: bool
    ) -> tuple[list[Any], bool]:
        head = FIRST if strict else self._heads.of(inbox)
        at_once = head == FIRST and not self._careful
        rows = self._ready(inbox, boot, limit, head, (*lease, at_once))
        if head != FIRST and len(rows) < limit:
            rows = self._ready(inbox, boot, limit, FIRST, (*lease, False))
        leased = rows[0][LEASED] if rows else 0
        if leased not in (0, len(rows)):
            raise Raced("only some of what was locked could be leased")
        return [row[:LEASED] for row in rows], leased > 0

    def _ready(self, inbox: int, boot: int, limit: int, head: Head, lease: tuple[Any, ...]) -> list[Any]:
        if self._heads.in_doubt(inbox):
            self._wire.fetch()
        alone, began = not self._wire.waits, monotonic()
        rows = self.rows("claim_select", inbox, boot, limit, *head, *lease)
        first = Head(HIGHEST_PRIORITY - rows[0][PRIORITY], rows[0][0]) if rows else None
        self._heads.found(inbox, head, first, monotonic() - began, alone=alone)
        return rows

    def due(self) -> tuple[int, int, int, int]:
        found: tuple[int, int, int, int] = self.row("due_first", *self._lapsing)
        self._heads.lapsed(self._lapsing, found[1])
        return found

    def foresee_due(self) -> None:
        """The same for ``due``."""
        self.foresee("due_first", *self._lapsing)

    def seqs(self, n: int) -> list[int]:
        """What was foreseen is only for whoever comes first: for others these numbers would be too low."""
        foreseen, self._seqs = self._seqs, None
        answer = foreseen[1] if foreseen is not None and foreseen[0] == n else self._ask_seqs(n)
        return [seq for (seq,) in answer.rows()]

    def foresee_seqs(self, n: int) -> None:
        """Ask now for that many."""
        self._seqs = n, self._ask_seqs(n)

    def _ask_seqs(self, n: int) -> Answer:
        return self._ask("next_seq_alone", ()) if n == 1 else self._ask("next_seq", (n,))

    def unseen(self, ids: Sequence[bytes]) -> frozenset[bytes]:
        if not ids:
            return frozenset()
        return frozenset(ids).difference(id for (id,) in self.rows("ids_known", tuple(ids)))

    def moment(self) -> object:
        return next(_moments)
