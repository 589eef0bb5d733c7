"""The part of an apsw connection that the engine uses, with types a strict checker can follow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, cast

import apsw


class Cursor(Protocol):
    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...


class Copying(Protocol):
    """A running backup."""

    @property
    def done(self) -> bool: ...

    def step(self, npages: int, /) -> bool: ...

    def __enter__(self) -> Copying: ...

    def __exit__(self, *args: object) -> Any: ...


class Db(Protocol):
    """One connection."""

    @property
    def in_transaction(self) -> bool: ...

    def execute(self, statements: str, bindings: Sequence[Any] = ..., /) -> Cursor: ...

    def executemany(self, statements: str, bindings: Iterable[Sequence[Any]], /) -> Cursor: ...

    def changes(self) -> int: ...

    def total_changes(self) -> int: ...

    def last_insert_rowid(self) -> int: ...

    def pragma(self, name: str, value: Any = ..., /) -> Any: ...

    def set_busy_timeout(self, milliseconds: int, /) -> None: ...

    def readonly(self, name: str, /) -> bool: ...

    def backup(self, databasename: str, source: Any, sourcename: str, /) -> Copying: ...

    def close(self) -> None: ...


READ_ONLY_URI = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
READ_WRITE_CREATE_URI = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI


def connect(name: str, flags: int = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE) -> Db:
    """Open a connection. Raises ``apsw.Error``.

    Statements keep the plan they were prepared with (QPSG). Otherwise SQLite looks at the values that
    are bound and prepares a statement with ORDER BY anew at each execution, which costs more than
    executing it.
    """
    connection = apsw.Connection(name, flags=flags, statementcachesize=200)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    return cast("Db", connection)
