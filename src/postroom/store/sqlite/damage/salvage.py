"""Copying every readable row of a damaged store into a new one, and making its balance honest."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

from ...rules.rowsums import record_row
from ...rules.tx import TALLY_OF_FINAL
from ...states import FINAL, State
from ..db import Db
from ..queries import QUERIES
from ..verifying import UNREADABLE
from .judging import NUMBERED, TABLES

LOSSES = ("postroom/damage", "lost")
"""Owner and kind of the records that say how many messages of an inbox were given up."""

DAMAGED = "damaged"
MAYBE_WRONG = "a byte of it may be wrong since the file was damaged"
PROBES = 1 << 20
NO_EVENT = "DELETE FROM event WHERE state NOT BETWEEN 0 AND ?"
"""Events that lead to no state tell nothing; the message itself is not touched by them."""

TALLIES = ("accepted", "done", "dead", "expired", "bounced", "cancelled", "overflowed", "lost", "retried")


def copy_rows(old: Db, new: Db, now: int) -> set[bytes]:
    """Copy what can be read; a row on a lost page is left out.

    Answers the messages that only fit in as dead letters, because their state cannot be.
    """
    new.execute("DELETE FROM store")
    odd: set[bytes] = set()
    for table, key in TABLES.items():
        kinds = _common(old, new, table)
        places = ", ".join("?" * len(kinds))
        insert = f"INSERT OR IGNORE INTO {table} ({', '.join(kinds)}) VALUES ({places})"  # noqa: S608  our own names
        for row in _rows(old, table, key, kinds):
            new.execute(insert, row)
            if table == "message" and not new.changes():
                buried = {**dict(zip(kinds, row, strict=True)), **_as_dead(now)}
                new.execute(insert, tuple(buried.values()))
                odd |= {buried["id"]} if new.changes() else set()
    new.execute(NO_EVENT, (int(max(State)),))
    return odd


def _as_dead(now: int) -> dict[str, Any]:
    """The columns of a damaged message that its life has changed, as a dead letter has them."""
    return {
        "state": int(State.DEAD), "rank": 0, "priority": 1, "attempts": 0, "max_attempts": 1, "session": None,
        "final_at": now, "reason": DAMAGED, "error": MAYBE_WRONG, "sum": None,
    }  # fmt: skip


def _common(old: Db, new: Db, table: str) -> dict[str, str]:
    """The columns that both files have, with their types: the damaged one may have an older schema."""
    columns = "SELECT name, type FROM pragma_table_info(?)"
    there = {name for name, _ in old.execute(columns, (table,)).fetchall()}
    known = new.execute(columns, (table,)).fetchall()
    return {name: kind for name, kind in known if name in there or not there}


def set_aside(new: Db, message: bytes, now: int) -> None:
    """Make a message that may not be what was sent a dead letter, unless it is final already.

    It loses its sum: that it is in doubt is written down, and no fault of the file any more.
    """
    new.execute("UPDATE message SET sum = NULL WHERE id = ?", (message,))
    new.execute(
        "UPDATE message SET state = ?, session = NULL, final_at = ?, reason = ?, error = ?"
        " WHERE id = ? AND state < ?",
        (int(State.DEAD), now, DAMAGED, MAYBE_WRONG, message, int(min(FINAL))),
    )


def sum_records(new: Db) -> None:
    """Give every record that has a sum the one of what it holds now."""
    rows = new.execute("SELECT owner, kind, key, version, value FROM record WHERE sum IS NOT NULL").fetchall()
    new.executemany(QUERIES["record_put"], [record_row(*row) for row in rows])


def _rows(old: Db, table: str, key: tuple[str, ...], kinds: dict[str, str]) -> Generator[tuple[Any, ...]]:
    """The rows from both ends up to damage, and where rows have numbers, those between."""
    values = ", ".join(_legible(name, kind) for name, kind in kinds.items())
    select = f"SELECT {values}, {key[0]} FROM {table}"  # noqa: S608  names of our own tables
    texts = [n for n, kind in enumerate(kinds.values()) if kind == "TEXT"]

    def read(rest: str) -> tuple[list[tuple[Any, ...]], bool]:
        return _until_damage(old, f"{select} {rest}", texts)

    rising, whole = read(f"ORDER BY {', '.join(key)}")
    yield from (row[:-1] for row in rising)
    if whole:
        return
    falling, _ = read(f"ORDER BY {', '.join(f'{name} DESC' for name in key)}")
    yield from (row[:-1] for row in falling)
    if table in NUMBERED and rising and falling:
        for number in range(rising[-1][-1] + 1, falling[-1][-1])[:PROBES]:
            found, _ = read(f"WHERE {key[0]} = {number}")
            yield from (row[:-1] for row in found)


def _legible(name: str, kind: str) -> str:
    """A value of the type its column has, whatever became of it: a strict table takes no other."""
    return f"CAST({name} AS {'BLOB' if kind == 'TEXT' else kind})"


def _until_damage(old: Db, statement: str, texts: list[int]) -> tuple[list[tuple[Any, ...]], bool]:
    found: list[tuple[Any, ...]] = []
    cursor = None
    try:
        cursor = old.execute(statement)
        while (row := cursor.fetchone()) is not None:
            values = list(row)
            for n in texts:
                values[n] = None if row[n] is None else row[n].decode(errors="replace")
            found.append(tuple(values))
    except UNREADABLE:
        return found, False
    return found, True


def balance(new: Db) -> dict[str, int]:
    """Write down what is missing; answers how many messages by inbox."""
    orphans = new.execute("SELECT DISTINCT inbox FROM message WHERE inbox NOT IN (SELECT id FROM inbox)")
    for (inbox,) in orphans.fetchall():
        new.execute(
            "INSERT INTO inbox (id, address, role, life) VALUES (?, ?, 'recovered', 1)",
            (inbox, f"recovered/{inbox}"),
        )
    _fold(new)
    found: dict[int, dict[int, int]] = {}
    counted = "SELECT inbox, state, count(*) FROM message GROUP BY 1, 2 UNION ALL SELECT * FROM dropped"
    for inbox, state, n in new.execute(counted).fetchall():
        states = found.setdefault(inbox, {})
        states[state] = states.get(state, 0) + n
    losses: dict[str, int] = {}
    for inbox, address, accepted in new.execute(
        "SELECT i.id, i.address, t.accepted FROM inbox i LEFT JOIN total t ON t.inbox = i.id"
    ).fetchall():
        states = found.get(inbox, {})
        missing = (accepted or 0) - sum(states.values()) - _lost_before(new, address)
        finals = [states.get(int(state), 0) for state in sorted(FINAL, key=TALLY_OF_FINAL.__getitem__)]
        if states or accepted:
            _set_total(new, inbox, (accepted or 0) + max(0, -missing), finals)
        if missing > 0:
            losses[address] = missing
    return losses


def _fold(new: Db) -> None:
    adding = ", ".join(f"{name} = {name} + excluded.{name}" for name in TALLIES)
    fold = "INSERT INTO total SELECT * FROM tally WHERE true ON CONFLICT (inbox) DO UPDATE SET "
    new.execute(fold + adding)
    new.execute("DELETE FROM tally")


def _set_total(new: Db, inbox: int, accepted: int, finals: list[int]) -> None:
    new.execute("INSERT OR IGNORE INTO total VALUES (?, 0, 0, 0, 0, 0, 0, 0, 0, 0)", (inbox,))
    new.execute(
        "UPDATE total SET accepted = ?, done = ?, dead = ?, expired = ?, bounced = ?, cancelled = ?"
        " WHERE inbox = ?",
        (accepted, *finals, inbox),
    )


def _lost_before(new: Db, address: str) -> int:
    row = new.execute(
        "SELECT value FROM record WHERE owner = ? AND kind = ? AND key = ?", (*LOSSES, address)
    ).fetchone()
    return int(json.loads(row[0])["lost"]) if row else 0


def record_losses(new: Db, losses: dict[str, int]) -> None:
    """Keep for all time how many messages were given up."""
    for address, lost in losses.items():
        value = json.dumps({"lost": _lost_before(new, address) + lost}).encode()
        row = new.execute(QUERIES["record_version"], (*LOSSES, address)).fetchone()
        new.execute(QUERIES["record_put"], record_row(*LOSSES, address, (row[0] if row else 0) + 1, value))
