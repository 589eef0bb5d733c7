"""Verifying a store in a file: the accounts of its messages, and everything that is under them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import apsw

from ..errors import one_line
from ..records import Verification
from ..rules import accounting
from .statements import SqliteStatements

if TYPE_CHECKING:
    from .db import Db


UNREADABLE = (apsw.Error, TypeError, ValueError, LookupError, AttributeError)
"""What reading a damaged store may end with: besides SQLite's errors, values of the wrong kind."""


def verify(conn: Db, *, deep: bool, below: Callable[[], list[str]] = list) -> Verification:
    """Compare the rows and the counts of forgotten rows with what was counted at each change.

    ``deep`` also checks every page, row and index of the file; ``below`` finds the faults of what is
    under SQLite. Damage that keeps SQLite from reading is a fault like any other then.
    """
    if not deep:
        return accounting.account(SqliteStatements(conn))
    faults = below()
    faults += _unsound(conn)
    faults += _spoilt(conn)
    try:
        found = accounting.account(SqliteStatements(conn))
    except UNREADABLE as error:
        return Verification(False, 0, 0, {}, [*faults, f"the balance cannot be read: {one_line(error)}"])
    found.faults[:0] = faults
    found.ok = not found.faults
    return found


def _unsound(conn: Db) -> list[str]:
    """What SQLite finds wrong with the tables and indexes."""
    try:
        found = [str(line) for (line,) in conn.execute("PRAGMA integrity_check").fetchall()]
    except UNREADABLE as error:
        return [f"SQLite cannot read all of it: {one_line(error)}"]
    return [" ".join(line.split()) for line in found if line != "ok"]


def _spoilt(conn: Db) -> list[str]:
    try:
        return accounting.spoilt(SqliteStatements(conn))
    except UNREADABLE as error:
        return [f"the rows cannot all be read: {one_line(error)}"]
