"""Copying every readable row of a damaged store into a new one, and making its balance honest."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

from ...states import FINAL
from ..db import Db
from ..tx import TALLY_OF_FINAL
from ..verifying import UNREADABLE
from .judging import NUMBERED, TABLES

LOSSES = ("postroom/damage", "lost")
"""Owner and kind of the records that say how many messages of an inbox were given up."""

PROBES = 1 << 20
TALLIES = ("accepted", "done", "dead", "expired", "bounced", "cancelled", "overflowed", "lost", "retried")


def copy_rows(old: Db, new: Db) -> None:
    """Copy what can be read; a row on a lost page is left out."""
    new.execute("DELETE FROM store")
    for table, key in TABLES.items():
        names = [row[0] for row in new.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()]
        places = ", ".join("?" * len(names))
        insert = f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({places})"  # noqa: S608  our own names
        new.executemany(insert, _rows(old, table, key, names))


def _rows(old: Db, table: str, key: tuple[str, ...], names: list[str]) -> Generator[tuple[Any, ...]]:
    """The rows from both ends up to damage, and where rows have numbers, those between."""
    select = f"SELECT {', '.join(names)}, {key[0]} FROM {table}"  # noqa: S608  names of our own tables
    rising, whole = _until_damage(old, f"{select} ORDER BY {', '.join(key)}")
    yield from (row[:-1] for row in rising)
    if whole:
        return
    falling, _ = _until_damage(old, f"{select} ORDER BY {', '.join(f'{name} DESC' for name in key)}")
    yield from (row[:-1] for row in falling)
    if table in NUMBERED and rising and falling:
        for number in range(rising[-1][-1] + 1, falling[-1][-1])[:PROBES]:
            found, _ = _until_damage(old, f"{select} WHERE {key[0]} = {number}")
            yield from (row[:-1] for row in found)


def _until_damage(old: Db, statement: str) -> tuple[list[tuple[Any, ...]], bool]:
    found: list[tuple[Any, ...]] = []
    cursor = None
    try:
        cursor = old.execute(statement)
        while (row := cursor.fetchone()) is not None:
            found.append(row)
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
        new.execute(
            "INSERT INTO record VALUES (?, ?, ?, 1, ?) ON CONFLICT (owner, kind, key)"
            " DO UPDATE SET value = excluded.value, version = version + 1",
            (*LOSSES, address, value),
        )
