"""Bytes that rot in a store's file: a row that does not have its sum is named, and never delivered."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import apsw
import pytest
from port_verbs import INBOX, a_message, claim, do, register, send, settle

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.identity import id_text
from postroom.store.rules import rowsums
from postroom.store.sqlite import db, opening
from postroom.store.sqlite.file import FileStore, open_file
from postroom.store.sqlite.statements import SqliteStatements

CLOCK = ManualClock()
WHY = "does not have the sum it was written with"
WHOLE: dict[str, Any] = {
    "correlation_id": "corr",
    "causation_id": "cause",
    "reply_to": "manager/m",
    "dedup_key": "once",
    "headers": b'{"h":1}',
    "ttl_us": 10**12,
    "max_attempts": 7,
}
"""Every field that a message can have."""

SPOILS = {
    "body": "x'7b7c'",
    "body of no bytes": "x''",
    "type": "'jpb'",
    "sender": "'operator/clj'",
    "priority": "3",
    "created_at": "created_at + 256",
    "max_attempts": "8",
    "correlation_id": "'cprr'",
    "causation_id": "NULL",
    "reply_to": "'manager/l'",
    "headers": "x'7b226a223a317d'",
    "expires_at": "expires_at - 1",
    "sum": "sum + 1",
    "type that is no text": "CAST(x'6aff62' AS TEXT)",
    "correlation_id that is no text": "CAST(x'63ff' AS TEXT)",
}
"""What rot makes of a column, in SQL; the word before the first space names it."""


def opened(path: Path) -> FileStore:
    return open_file(path, create=not path.exists(), clock=CLOCK, rng=Random(0))


def spoil(path: Path, change: str) -> None:
    with closing(apsw.Connection(str(path))) as conn:
        conn.execute(change)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed store with three messages, of which the second has every field."""
    path = tmp_path / "s.db"
    store = opened(path)
    register(store, INBOX)
    for fields in ({}, WHOLE, {}):
        send(store, a_message(body=b'{"text":"abcabcabc"}', **fields))
    store.close()
    return path


def seconds_id(path: Path) -> bytes:
    with closing(apsw.Connection(str(path))) as conn:
        id = conn.execute("SELECT id FROM message WHERE seq = 2").get
    assert isinstance(id, bytes)
    return id


def assert_only_the_second_is_buried(path: Path) -> None:
    """Verifying names it, a claim delivers the others, and everything is accounted for."""
    id = seconds_id(path)
    store = opened(path)
    assert store.verify(deep=True).faults == [f"message {id_text(id)} {WHY}"]
    assert [delivery.seq for delivery in claim(store)] == [1, 3]
    (dead,) = store.dead(INBOX, 10)
    assert (dead.id, dead.reason, dead.error) == (id, "damaged", f"its content {WHY}")
    found = store.verify()
    assert (found.ok, found.counts["dead"], found.counts["leased"]) == (True, 1, 2)
    store.close()


@pytest.mark.parametrize("column", SPOILS)
def test_a_damaged_message_is_named_and_buried_and_the_others_are_delivered(path: Path, column: str) -> None:
    name = column.split()[0]
    spoil(path, f"UPDATE message SET {name} = {SPOILS[column]} WHERE seq = 2")  # noqa: S608  from the table above
    assert_only_the_second_is_buried(path)


def test_a_byte_of_the_file_is_enough(path: Path) -> None:
    content = path.read_bytes()
    place = content.index(b"corr")
    path.write_bytes(content[:place] + b"b" + content[place + 1 :])
    assert_only_the_second_is_buried(path)


def test_a_text_that_has_become_a_blob_is_damage_that_can_be_buried(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as conn:
        conn.pragma("writable_schema", True)
        strict = "UPDATE sqlite_schema SET sql = sql || ? WHERE name = 'message'"
        conn.execute("UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')') WHERE name = 'message'")
        conn.pragma("writable_schema", "RESET")
        conn.execute("UPDATE message SET type = CAST(type AS BLOB) WHERE seq = 2")
        conn.pragma("writable_schema", True)
        conn.execute(strict, (" STRICT",))
    store = opened(path)
    faults = store.verify(deep=True).faults
    assert f"message {id_text(seconds_id(path))} {WHY}" in faults
    assert [delivery.seq for delivery in claim(store)] == [1, 3]
    assert [dead.reason for dead in store.dead(INBOX, 10)] == ["damaged"]
    store.close()


def test_sound_mail_of_every_state_has_its_sum(path: Path) -> None:
    store = opened(path)
    send(store, a_message(delay_us=1000))
    first, second, _ = claim(store)
    settle(store, first)
    settle(store, second, r.Verdict.RETRY)
    CLOCK.advance(3600)
    do(store, r.Tick(), r.Ticked)
    assert store.verify(deep=True).ok
    assert len(claim(store)) == 2
    store.close()
    with closing(apsw.Connection(str(path))) as conn:
        assert conn.execute("SELECT count(*) FROM message WHERE sum IS NULL").get == 0


def test_in_an_ordered_inbox_the_next_takes_the_place_of_a_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    store = opened(path)
    register(store, INBOX, ordered=True)
    for _ in range(3):
        send(store)
    store.close()
    spoil(path, "UPDATE message SET body = x'7b7c' WHERE seq < 3")
    store = opened(path)
    assert [delivery.seq for delivery in claim(store)] == [3]
    assert store.verify().counts["dead"] == 2
    store.close()


def test_a_repeated_claim_delivers_nothing_damaged(path: Path) -> None:
    store = opened(path)
    assert len(claim(store, key="again")) == 3
    store.close()
    spoil(path, "UPDATE message SET sender = CAST(x'ff' AS TEXT) WHERE seq = 2")
    store = opened(path)
    assert [delivery.seq for delivery in claim(store, key="again")] == [1, 3]
    assert store.verify().counts["dead"] == 1
    store.close()


def test_a_damaged_message_that_is_requeued_is_buried_again(path: Path) -> None:
    spoil(path, "UPDATE message SET body = x'7b7c' WHERE seq = 2")
    store = opened(path)
    claim(store)
    do(store, r.Requeue((seconds_id(path),)), r.Changed)
    assert claim(store) == []
    assert store.verify().counts["dead"] == 1
    store.close()


def test_only_live_damaged_messages_are_offered_for_setting_aside(path: Path) -> None:
    store = opened(path)
    (first,) = claim(store, 1)
    settle(store, first)
    store.close()
    spoil(path, "UPDATE message SET body = x'7b7c' WHERE seq < 3")
    with closing(db.connect(str(path))) as conn:
        assert rowsums.damaged_messages(SqliteStatements(conn)) == [seconds_id(path)]


def test_of_very_many_damaged_messages_twenty_are_named(path: Path) -> None:
    store = opened(path)
    for _ in range(27):
        send(store)
    store.close()
    spoil(path, "UPDATE message SET body = x'7b7c'")
    store = opened(path)
    faults = store.verify(deep=True).faults
    assert (len(faults), faults[-1]) == (21, "and 10 more")
    store.close()


RECORD_SPOILS = {
    "key": "'kez'",
    "version": "5",
    "value": "x'31'",
    "kind": "CAST(x'ff' AS TEXT)",
}


@pytest.mark.parametrize("column", RECORD_SPOILS)
def test_a_damaged_record_is_named(path: Path, column: str) -> None:
    store = opened(path)
    for key in ("key", "other", "key"):
        do(store, r.Put((r.Write("owner/a", "kind", key, b"{}"),)), r.Changed)
    assert store.verify(deep=True).ok
    store.close()
    spoil(path, f"UPDATE record SET {column} = {RECORD_SPOILS[column]} WHERE key = 'key'")  # noqa: S608  as above
    store = opened(path)
    (fault,) = store.verify(deep=True).faults
    assert fault.startswith("record owner/a/")
    assert fault.endswith(WHY)
    store.close()


def test_the_record_of_a_clock_that_was_set_has_its_sum(path: Path) -> None:
    clock = ManualClock()
    store = open_file(path, create=False, clock=clock, rng=Random(0))
    clock.step_wall(3600)
    do(store, r.Tick(), r.Ticked)
    assert store.verify(deep=True).ok
    store.close()
    with closing(apsw.Connection(str(path))) as conn:
        assert conn.execute("SELECT sum IS NOT NULL FROM record WHERE kind = 'clock'").get == 1


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store of the first schema, with a message and a record."""
    path = tmp_path / "old.db"
    first = opening.migrations()[:1]
    with mock.patch.multiple(opening, SCHEMA_VERSION=1, migrations=lambda: first):
        opening.create_file(path)
        with closing(opening.connect(str(path))) as conn:
            opening.migrate(conn, CLOCK)
            now = CLOCK.now()
            conn.execute("INSERT INTO inbox (id, address, role, life) VALUES (1, ?, 'worker', 1)", (INBOX,))
            conn.execute(
                "INSERT INTO message (seq, id, inbox, state, rank, priority, type, sender, body, created_at,"
                " ready_at, attempts, max_attempts, fence) VALUES (1, ?, 1, 0, 2, 1, 'job', 'operator/cli',"
                " x'7b7d', ?, ?, 0, 5, (SELECT epoch << 20 FROM store))",
                (b"\1" * 6 + b"\x80\1\x80" + b"\1" * 7, now.wall, now.wall),
            )
            conn.execute("INSERT INTO total VALUES (1, 1, 0, 0, 0, 0, 0, 0, 0, 0)")
            conn.execute("INSERT INTO record VALUES ('owner/a', 'kind', 'key', 1, x'7b7d')")
    return path


def test_mail_of_an_older_store_is_delivered_and_has_no_sum(old: Path) -> None:
    store = opened(old)
    found = store.verify(deep=True)
    assert (found.ok, found.accepted) == (True, 1)
    send(store)
    deliveries = claim(store)
    assert [delivery.seq for delivery in deliveries] == [1, 2]
    for delivery in deliveries:
        settle(store, delivery)
    assert store.verify(deep=True).ok
    store.close()
    with closing(apsw.Connection(str(old))) as conn:
        assert conn.execute("SELECT sum IS NULL FROM message ORDER BY seq").fetchall() == [(1,), (0,)]


def test_a_file_of_the_first_schema_can_be_looked_at(old: Path) -> None:
    with closing(db.connect(str(old))) as conn:
        assert (
            rowsums.damaged_messages(SqliteStatements(conn)),
            list(rowsums.faults(SqliteStatements(conn))),
        ) == ([], [])


def sums(**changed: object) -> Callable[[], int]:
    content = {"seq": 1, "id": b"i", "type": "t", "body": b"", "headers": None} | changed
    return lambda: rowsums.message_sum(tuple(content.values()))


def test_fields_and_kinds_of_values_are_told_apart() -> None:
    different = [sums(), sums(headers=b""), sums(headers="None"), sums(type="ti", id=b""), sums(body="")]
    assert len({find() for find in different}) == len(different)
