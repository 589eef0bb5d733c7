"""Which attempts were charged, and that a blow explains each: only turns that ran when it fell cost one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import apsw
from msgspec import Struct

SHOWN = 5


class Charge(Struct, frozen=True):
    """An attempt that a message kept: what happened to it, and whose session ended by that.

    Session 0 is a lease of its own, as pullers have it.
    """

    message: int
    event: str
    session: int


class Charges(Struct, frozen=True):
    """All charges of a store, its claims past the first, and the most attempts of one message."""

    all: tuple[Charge, ...] = ()
    again: int = 0
    most: int = 0


def charges(path: Path) -> Charges:
    """Read them from the history in a store that is closed."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        (again, most) = connection.execute(
            "SELECT sum((fence & 1048575) - 1), max(attempts) FROM message"
        ).fetchall()[0]
        history = connection.execute(
            "SELECT message, event, attempt, coalesce(session, 0) FROM event ORDER BY message, rowid"
        ).fetchall()
    finally:
        connection.close()
    return Charges(tuple(_charged(history)), int(again or 0), int(most or 0))


def _charged(history: Iterable[tuple[Any, ...]]) -> Iterable[Charge]:
    """Each event after which a message has more attempts than before it."""
    before: dict[int, int] = {}
    for message, event, attempt, session in history:
        if attempt > before.get(message, 0):
            yield Charge(message, event, session)
        before[message] = attempt


def unexplained(found: Iterable[Charge], struck: Collection[int], most: int) -> list[str]:
    """What is wrong with these charges, if no handler fails, these sessions were struck hard, and a
    session has ``most`` turns under way at once."""
    found = tuple(found)
    failed = [charge for charge in found if charge.event == "retry"]
    faults = [f"a handler has failed: {charge}" for charge in failed[:SHOWN]]
    by_session = Counter(charge.session for charge in found if charge.session)
    for session, n in by_session.items():
        if session not in struck:
            faults.append(f"{n} attempts were charged by session {session}, which nobody struck")
        if n > most:
            faults.append(f"{n} attempts were charged by session {session}, of {most} turns that ran in it")
    pairs = Counter((charge.message, charge.session) for charge in found if charge.session)
    twice = [pair for pair, n in pairs.items() if n > 1]
    faults += [f"message {message} was charged twice by session {session}" for message, session in twice]
    return faults
