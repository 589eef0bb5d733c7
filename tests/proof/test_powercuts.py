"""The power goes while the store lives: a small fixed share of the proof, and what it has found."""

from __future__ import annotations

from pathlib import Path
from random import Random

import apsw
from port_verbs import a_message, claim, register, send
from prove.cuts.child import run_apart
from prove.cuts.images import Disk, Keep
from prove.cuts.recording import DirectorySynced, Event, Linked, Renamed, Synced, Truncated, Unlinked, Wrote

from postroom.store.memory import MemoryStore
from postroom.store.sqlite.damage.wal import scan
from postroom.store.sqlite.file import open_file
from postroom.testing import VirtualClock

SOME = Random(1)


def test_whenever_the_power_goes_nothing_that_was_accepted_is_lost_or_done_twice() -> None:
    outcome = run_apart("prove.powercuts", 80, 1)
    assert outcome.clean, outcome.breaches
    assert outcome.messages > 100
    assert all(outcome.figures[f"control_{name}_breaches"] for name in ("normal", "off"))


def test_a_backup_that_was_made_stays_made_when_the_power_goes() -> None:
    outcome = run_apart("prove.cuts.backups", 6, 1)
    assert outcome.clean, outcome.breaches


def test_where_mail_is_not_synced_its_loss_is_seen() -> None:
    """A control that can pass by chance is none: these seeds once did."""
    outcome = run_apart("prove.cuts.controls", 4, 3000010)
    assert outcome.clean, outcome.breaches


def test_a_first_page_that_was_torn_in_making_the_store_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    conn = apsw.Connection(str(tmp_path / "torn.db"))
    conn.pragma("cache_size", 1)
    conn.execute("BEGIN; CREATE TABLE t (a BLOB)")
    for _ in range(20):
        conn.execute("INSERT INTO t VALUES (zeroblob(9000))")
    journal = (tmp_path / "torn.db-journal").read_bytes()
    conn.close()
    whole = open_file(tmp_path / "whole.db", create=True, clock=VirtualClock(), rng=Random(0))
    whole.close()
    page = (tmp_path / "whole.db").read_bytes()[:4096]
    for length in (1, 17, 100, 512, 2037, 4095):
        path.write_bytes(page[:length])
        (tmp_path / "store.db-journal").write_bytes(journal)
        store = open_file(path, create=True, clock=VirtualClock(), rng=Random(0))
        register(store, "worker/a")
        send(store, a_message("worker/a"))
        assert store.verify(deep=True).ok
        assert not store.mended
        store.close()


def played(*events: Event) -> Disk:
    disk = Disk()
    for event in events:
        disk.play(event)
    return disk


def test_what_no_sync_has_made_durable_may_be_gone() -> None:
    old = (Linked("a"), Wrote("a", 0, b"old"), Synced("a"), DirectorySynced())
    disk = played(*old, Wrote("a", 0, b"new"))
    assert disk.image(Keep.NONE, SOME) == {"a": b"old"}
    assert disk.image(Keep.ALL, SOME) == {"a": b"new"}
    assert {disk.image(Keep.SOME, SOME)["a"] for _ in range(50)} == {b"old", b"new"}
    disk.play(Synced("a"))
    assert disk.image(Keep.NONE, SOME) == {"a": b"new"}


def test_a_torn_write_leaves_old_bytes_behind_the_cut() -> None:
    old = (Linked("a"), Wrote("a", 0, b"o" * 2048), Synced("a"), DirectorySynced())
    disk = played(*old, Wrote("a", 0, b"n" * 2048))
    found = {disk.image(Keep.TORN, SOME)["a"] for _ in range(200)}
    assert len(found) > 10
    assert all(len(content) == 2048 for content in found)
    assert any(content.startswith(b"n" * 512) and content.endswith(b"o" * 512) for content in found)


def test_a_name_whose_directory_was_not_synced_may_be_the_old_one() -> None:
    old = (Linked("a"), Wrote("a", 0, b"old"), Synced("a"), DirectorySynced())
    disk = played(*old, Linked("b"), Wrote("b", 0, b"new"), Synced("b"), Renamed("b", "a"))
    assert disk.image(Keep.NONE, SOME) == {"a": b"old"}
    assert disk.image(Keep.ALL, SOME) == {"a": b"new"}
    disk.play(DirectorySynced())
    assert disk.image(Keep.NONE, SOME) == {"a": b"new"}
    disk.play(Truncated("a", 1))
    disk.play(Unlinked("a"))
    assert disk.image(Keep.NONE, SOME) == {"a": b"new"}
    assert disk.image(Keep.ALL, SOME) == {}


def test_the_copies_of_a_group_are_named_by_the_messages_that_live() -> None:
    """A member that has such a message already keeps that one, and its id is the answer."""
    store = MemoryStore(VirtualClock())
    register(store, "worker/a", "worker/b")
    earlier = send(store, a_message("worker/b", dedup_key="k"))
    sent = send(store, a_message("all:worker", dedup_key="k"))
    there = {delivery.id for inbox in ("worker/a", "worker/b") for delivery in claim(store, inbox=inbox)}
    assert earlier.id in sent.copies
    assert set(sent.copies) == there


def test_a_last_transaction_that_is_wrong_in_two_places_was_cut_off_and_is_no_damage(tmp_path: Path) -> None:
    """Pages of an older log may lie under it and differ in one byte: so it looks like a flipped one."""
    conn = apsw.Connection(str(tmp_path / "m.db"))
    conn.pragma("journal_mode", "wal")
    conn.execute("CREATE TABLE t (a TEXT)")
    for text in ("x" * 100, "y" * 30_000):
        conn.execute("INSERT INTO t VALUES (?)", (text,))
    log = bytearray((tmp_path / "m.db-wal").read_bytes())
    conn.close()
    before = [frame.commit for frame in scan(bytes(log), 4096).frames]
    first = max(n for n, commit in enumerate(before[:-1]) if commit) + 1
    assert len(before) - first > 3
    log[32 + first * 4120 + 24 + 50] ^= 1
    log[32 + (first + 1) * 4120 + 8] ^= 255
    log[32 + (first + 1) * 4120 + 9] ^= 255
    found = scan(bytes(log), 4096)
    assert found.sound
    assert len(found.committed()) == first
