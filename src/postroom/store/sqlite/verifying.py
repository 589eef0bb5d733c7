"""Proving that every accepted message is in exactly one state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..records import Verification
from ..states import FINAL, LIVE, State
from .queries import QUERIES
from .tx import TALLY_OF_FINAL

if TYPE_CHECKING:
    from .db import Db


def verify(conn: Db, *, deep: bool) -> Verification:
    """Compare the rows and the counts of forgotten rows with what was counted at each change.

    ``deep`` also has SQLite check every page and index of the file.
    """

    def rows(query: str, *args: Any) -> list[Any]:
        return conn.execute(QUERIES[query], args).fetchall()

    names = {row[0]: row[1] for row in rows("counts_inboxes")}
    found: dict[tuple[int, int], int] = {(inbox, state): n for inbox, state, n in rows("verify_rows")}
    for inbox, state, n in rows("verify_dropped"):
        found[inbox, state] = found.get((inbox, state), 0) + n
    tallies = {row[0]: row[1:] for row in rows("counts_final", None)}
    faults: list[str] = []
    accepted = unaccounted = 0
    for inbox in sorted({key[0] for key in found} | set(tallies)):
        tally = tallies.get(inbox, (0,) * 9)
        held = sum(found.get((inbox, state), 0) for state in (*LIVE, *FINAL))
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
    if deep:
        lines = [str(line) for (line,) in conn.execute("PRAGMA integrity_check").fetchall()]
        faults += [line for line in lines if line != "ok"]
    totals = {state.word: sum(n for (_, s), n in found.items() if s == state) for state in State}
    return Verification(not faults, accepted, unaccounted, totals, faults)
