"""The named statements on a PostgreSQL connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
from psycopg.abc import Buffer
from psycopg.types.array import ListBinaryDumper
from psycopg.types.numeric import Int8BinaryDumper
from psycopg.types.string import BytesBinaryDumper, StrBinaryDumper

from ..rules.statements import named
from .patience import Connection as Connection

_texts = named(Path(__file__).parent / "queries.sql")
QUERIES = cast("dict[str, LiteralString]", _texts)  # type: ignore[redundant-cast]  # str to mypy


class TextDumper(StrBinaryDumper):
    """A text that has a NUL in it, as the error of a handler may, is kept with a sign in its place."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\0", "\ufffd"))


DUMPERS = (
    (int, Int8BinaryDumper),
    (bytes, BytesBinaryDumper),
    (str, TextDumper),
    (list, ListBinaryDumper),
)
Cursor = psycopg.Cursor[tuple[Any, ...]]
_moments = count()  # every look is a new one: nothing tells cheaply whether others have committed


class PostgresStatements:
    """One connection, for as long as one transaction or one look."""

    __slots__ = ("_ahead", "_last", "conn")

    refusals: tuple[type[Exception], ...] = (psycopg.DataError, psycopg.IntegrityError)
    keeps_ids_out = True

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self._ahead: dict[tuple[str, tuple[Any, ...]], Cursor] = {}
        self._last: list[tuple[str, Sequence[Any]]] = []

    def foresee(self, name: str, *args: Any) -> None:
        """Ask now what is sure to be asked: in a pipeline, it costs no round trip then."""
        self._ahead[name, args] = self._ask(name, args)

    def _ask(self, name: str, args: Sequence[Any]) -> Cursor:
        return self.conn.execute(QUERIES[name], args, binary=True)

    def _answer(self, name: str, args: tuple[Any, ...]) -> Cursor:
        return self._ahead.pop((name, args), None) or self._ask(name, args)

    def row(self, name: str, *args: Any) -> Any:
        return self._answer(name, args).fetchone()

    def rows(self, name: str, *args: Any) -> list[Any]:
        return self._answer(name, args).fetchall()

    def each(self, name: str, *args: Any) -> Iterator[Any]:
        yield from self._ask(name, args)

    def run(self, name: str, *args: Any) -> int:
        return _changed(self._ask(name, args))

    def run_many(self, name: str, arguments: Iterable[Sequence[Any]]) -> int:
        """All of it in one statement, which takes each column as an array."""
        columns = _columns(arguments)
        return _changed(self._ask(name, columns)) if columns else 0

    def run_last(self, name: str, arguments: Iterable[Sequence[Any]]) -> None:
        self._last.append((name, _columns(arguments)))

    def finish(self) -> None:
        """What was left for the end of the transaction."""
        for name, columns in self._last:
            self._ask(name, columns)
        self._last.clear()

    def seqs(self, n: int) -> list[int]:
        return [seq for (seq,) in self.rows("next_seq", n)]

    def moment(self) -> object:
        return next(_moments)


def _columns(arguments: Iterable[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*arguments, strict=True)]


def _changed(cursor: Cursor) -> int:
    """How many rows changed; a statement of several parts answers it as a row."""
    if cursor.description is None:
        return cursor.rowcount
    row = cursor.fetchone()
    return 0 if row is None else int(row[0])


def prepare(conn: psycopg.Connection[Any]) -> None:
    """Have values sent in binary, and whole numbers as ``bigint`` whatever their size.

    A statement has one plan then, and arrays of bodies go out as they are: written in hex, an insert of 200
    messages took two to three times as long.
    """
    for kind, dumper in DUMPERS:
        conn.adapters.register_dumper(kind, dumper)
