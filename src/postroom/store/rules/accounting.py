"""Proving that every accepted message is in exactly one state, and is as it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..records import Verification
from ..states import FINAL, LIVE, State
from . import histories, rowsums
from .tx import TALLY_OF_FINAL

if TYPE_CHECKING:
    from .statements import Statements

SHOWN = 20


def spoilt(db: Statements) -> list[str]:
    """Messages, records and histories that are not as they were written; many need not all be named."""
    found = [*rowsums.faults(db), *histories.faults(db)]
    return found if len(found) <= SHOWN else [*found[:SHOWN], f"and {len(found) - SHOWN} more"]


def verify(db: Statements, *, deep: bool) -> Verification:
    """The accounts; ``deep`` also compares each row with what was written."""
    found = account(db)
    if deep:
        found.faults[:0] = spoilt(db)
        found.ok = not found.faults
    return found


def account(db: Statements) -> Verification:
    """Compare the rows and the counts of forgotten rows with what was counted at each change."""
    names = {row[0]: row[1] for row in db.rows("counts_inboxes")}
    found: dict[tuple[int, int], int] = {(inbox, state): n for inbox, state, n in db.rows("verify_rows")}
    for inbox, state, n in db.rows("verify_dropped"):
        found[inbox, state] = found.get((inbox, state), 0) + n
    tallies = {row[0]: row[1:] for row in db.rows("counts_final")}
    damaged = {row[0]: row[1] for row in db.rows("verify_damaged")}
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
    orphans = db.rows("verify_orphans")[0][0]
    if orphans:
        faults.append(f"{orphans} messages belong to no inbox")
    unheld = db.rows("verify_unheld")[0][0]
    if unheld:
        faults.append(f"{unheld} messages are leased to a session that there is not")
    totals = {state.word: sum(n for (_, s), n in found.items() if s == state) for state in State}
    return Verification(not faults, accepted, unaccounted, totals, faults, sum(damaged.values()))
