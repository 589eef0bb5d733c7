"""Proving that every accepted message is in exactly one state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import apsw

from ..records import Verification
from ..states import FINAL, LIVE, State
from . import histories, rowsums
from .queries import QUERIES
from .tx import TALLY_OF_FINAL

if TYPE_CHECKING:
    from .db import Db


UNREADABLE = (apsw.Error, TypeError, ValueError, LookupError, AttributeError)
"""What reading a damaged store may end with: besides SQLite's errors, values of the wrong kind."""


SHOWN = 20


def verify(conn: Db, *, deep: bool, below: Callable[[], list[str]] = list) -> Verification:
    """Compare the rows and the counts of forgotten rows with what was counted at each change.

    ``deep`` also checks every page, row and index of the file; ``below`` finds the faults of what is
    under SQLite. Damage that keeps SQLite from reading is a fault like any other then.
    """
    if not deep:
        return _account(conn)
    faults = below()
    faults += _unsound(conn)
    faults += _spoilt(conn)
    try:
        found = _account(conn)
    except UNREADABLE as error:
        return Verification(False, 0, 0, {}, [*faults, f"the balance cannot be read: {one_line(error)}"])
    found.faults[:0] = faults
    found.ok = not found.faults
    return found


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _unsound(conn: Db) -> list[str]:
    """What SQLite finds wrong with the tables and indexes."""
    try:
        found = [str(line) for (line,) in conn.execute("PRAGMA integrity_check").fetchall()]
    except UNREADABLE as error:
        return [f"SQLite cannot read all of it: {one_line(error)}"]
    return [" ".join(line.split()) for line in found if line != "ok"]


def _spoilt(conn: Db) -> list[str]:
    """Messages, records and histories that are not as they were written; many need not all be named."""
    try:
        found = [*rowsums.faults(conn), *histories.faults(conn)]
    except UNREADABLE as error:
        return [f"the rows cannot all be read: {one_line(error)}"]
    return found if len(found) <= SHOWN else [*found[:SHOWN], f"and {len(found) - SHOWN} more"]


def _account(conn: Db) -> Verification:
    def rows(query: str, *args: Any) -> list[Any]:
        return conn.execute(QUERIES[query], args).fetchall()

    names = {row[0]: row[1] for row in rows("counts_inboxes")}
    found: dict[tuple[int, int], int] = {(inbox, state): n for inbox, state, n in rows("verify_rows")}
    for inbox, state, n in rows("verify_dropped"):
        found[inbox, state] = found.get((inbox, state), 0) + n
    tallies = {row[0]: row[1:] for row in rows("counts_final")}
    damaged = {row[0]: row[1] for row in rows("verify_damaged")}
    faults: list[str] = []
    accepted = unaccounted = 0
    for inbox in sorted({key[0] for key in found} | set(tallies)):
        tally = tallies.get(inbox, (0,) * 9)
        held = sum(found.get((inbox, state), 0) for state in (*LIVE, *FINAL)) + damaged.get(inbox, 0)
        accepted += tally[0]
        unaccounted += abs(tally[0] - held)
        if tally[0] != held:
            faults.append(f"inbox {names.get(inbox, inbox)}: {tally[0]} accepted, {held} found")
        for state in FINAL:
            counted = tally[TALLY_OF_FINAL[state]]
            if counted != found.get((inbox, state), 0):
                faults.append(
                    f"inbox {names.get(inbox, inbox)}: {counted} counted {state.word}, "
                    f"{found.get((inbox, state), 0)} found"
                )
    orphans = rows("verify_orphans")[0][0]
    if orphans:
        faults.append(f"{orphans} messages belong to no inbox")
    unheld = rows("verify_unheld")[0][0]
    if unheld:
        faults.append(f"{unheld} messages are leased to a session that there is not")
    totals = {state.word: sum(n for (_, s), n in found.items() if s == state) for state in State}
    return Verification(not faults, accepted, unaccounted, totals, faults, sum(damaged.values()))
