"""Opening a file: what is refused, and what a fresh file is like."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import apsw
import pytest

from postroom.store import records as r
from postroom.store.backup import restore
from postroom.store.clock import ManualClock
from postroom.store.errors import BadInput, LostLease, StoreUnavailable
from postroom.store.sqlite import opening
from postroom.store.sqlite.file import open_file
from postroom.store.sqlite.queries import QUERIES
from postroom.store.states import MOVES, State
from postroom.store.transact import transact, transact_one
from postroom.store.urls import open_file_store, store_path

SCHEMA = Path(opening.__file__).parent / "schema.sql"


def schema_of(connection: apsw.Connection) -> list[tuple[object, ...]]:
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name")
    return [tuple(_words(value) for value in row) for row in rows]


def _words(value: object) -> object:
    return " ".join(re.sub(r"--.*", "", value).split()) if isinstance(value, str) else value


def test_the_migrations_lead_to_exactly_the_schema_file(tmp_path: Path) -> None:
    whole = apsw.Connection(":memory:")
    whole.execute(SCHEMA.read_text())
    migrated = apsw.Connection(":memory:")
    for _, _, sql in opening.migrations():
        migrated.execute(sql)
    assert schema_of(whole) == schema_of(migrated)


LOOKS_AT_ALL = {
    "counts_final", "counts_inboxes", "final_texts", "history_texts", "message_sums", "raise_fences",
    "paused", "record_sums", "verify_orphans", "verify_rows",
}  # fmt: skip
"""Statements about the whole store: counts of all inboxes, verifying, restoring.

And what is paused, which is asked for only when an inbox row has changed.
"""


def steps_of(connection: apsw.Connection, sql: str) -> list[str]:
    """How SQLite goes about a statement, whatever its bindings are."""
    for size in range(40):
        try:
            return [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * size)]
        except apsw.BindingsError:
            continue
    raise AssertionError(sql)


def test_no_other_statement_costs_by_all_that_the_store_holds() -> None:
    whole = apsw.Connection(":memory:")
    whole.execute(SCHEMA.read_text())
    grows = re.compile(
        r"SCAN (inbox|message|record|event|total)\b(?!.* USING (COVERING )?INDEX (inbox|message)_)"
    )
    found = {name for name, sql in QUERIES.items() if any(map(grows.match, steps_of(whole, sql)))}
    assert found == LOOKS_AT_ALL


def test_migrations_are_numbered_from_one_without_gaps() -> None:
    assert [number for number, _, _ in opening.migrations()] == list(range(1, opening.SCHEMA_VERSION + 1))


def test_the_schema_names_the_states_that_the_code_has() -> None:
    text = SCHEMA.read_text()
    line = next(line for line in text.splitlines() if line.startswith("-- state: 0 ready"))
    assert re.findall(r"(\d) (\w+)", line) == [(str(int(s)), s.word) for s in State]


def test_no_state_is_left_without_a_legal_move() -> None:
    finals = {State.DONE, State.EXPIRED, State.BOUNCED, State.CANCELLED}
    assert {m.source for m in MOVES if m.source is not None} == set(State) - finals
    assert {m.target for m in MOVES} == set(State)


def test_a_missing_store_is_not_made_by_accident(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no store at"):
        open_file(tmp_path / "none.db", create=False)
    assert not (tmp_path / "none.db").exists()


def test_a_new_store_is_private_to_its_owner_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = open_file(tmp_path / "new" / "p.db", create=True)
        transact_one(store, r.Register((r.InboxSpec("worker/a"),)))
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "new").iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_a_second_handle_on_one_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    store = open_file(path, create=True)
    with pytest.raises(StoreUnavailable, match="open already in this process"):
        open_file(path, create=False)
    store.close()
    open_file(path, create=False).close()


def test_a_handle_refuses_to_work_after_a_fork(tmp_path: Path) -> None:
    store = open_file(tmp_path / "p.db", create=True)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            store.counts()
            os.write(writer, b"worked")
        except StoreUnavailable as error:
            os.write(writer, error.what.encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert b"before a fork" in os.read(reader, 200)
    os.close(reader)
    os.close(writer)
    store.close()


def test_another_programs_database_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE t (a)")
    other.close()
    with pytest.raises(StoreUnavailable, match="not a postroom store"):
        open_file(path, create=False)
    assert schema_of(apsw.Connection(str(path)))[0][1] == "t"


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("not a database, but long enough to look at " * 40)
    with pytest.raises(StoreUnavailable, match="not a database"):
        open_file(path, create=False)


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    open_file(path, create=True).close()
    newer = apsw.Connection(str(path))
    newer.pragma("user_version", opening.SCHEMA_VERSION + 1)
    newer.close()
    with pytest.raises(StoreUnavailable, match="schema version"):
        open_file(path, create=False)


@pytest.mark.parametrize("version", ["3.40.1", "3.51.2", "3.7.0"])
def test_an_sqlite_with_the_wal_reset_race_is_refused(version: str) -> None:
    with pytest.raises(StoreUnavailable, match="too old"):
        opening.check_sqlite(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.53.0", "4.0.0"])
def test_a_mended_sqlite_is_taken(version: str) -> None:
    opening.check_sqlite(version)


def test_the_file_system_of_a_path_is_that_of_its_longest_mount() -> None:
    mounts = "/dev/a / ext4 rw 0 0\nhost:/x /mnt/net nfs4 rw 0 0\n/dev/b /mnt/net/local ext4 rw 0 0\n"
    assert opening.file_system(Path("/mnt/net/s/p.db"), mounts) == "nfs4"
    assert opening.file_system(Path("/mnt/net/local/p.db"), mounts) == "ext4"
    assert opening.file_system(Path("/mnt/network/p.db"), mounts) == "ext4"


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def network(path: Path, mounts: str) -> str:
        return "nfs4"

    monkeypatch.setattr(opening, "file_system", network)
    with pytest.raises(StoreUnavailable, match="network file system"):
        open_file(tmp_path / "p.db", create=True)


def test_commits_are_synced_and_logged_ahead(tmp_path: Path) -> None:
    connection = opening.connect(_fresh(tmp_path))
    opening.make_durable(connection)
    assert connection.pragma("synchronous") == 2
    assert connection.pragma("journal_mode") == "wal"


def _fresh(tmp_path: Path) -> str:
    path = tmp_path / "fresh.db"
    opening.create_file(path)
    return str(path)


@pytest.mark.parametrize("url", ["", "postroom.db", "mysql://x", "sqlite:///", "sqlite://x"])
def test_what_is_not_a_store_url_is_bad_input(url: str) -> None:
    with pytest.raises(BadInput):
        open_file_store(url, create=False)


def test_three_slashes_are_relative_and_four_absolute() -> None:
    assert store_path("sqlite:///a/b.db") == Path("a/b.db")
    assert store_path("sqlite:////a/b.db") == Path("/a/b.db")


def test_after_a_reboot_leases_are_back_and_times_hold(tmp_path: Path) -> None:
    clock = ManualClock()
    path = tmp_path / "p.db"
    store = open_file(path, create=True, clock=clock)
    transact_one(store, r.Register((r.InboxSpec("worker/a"),)))
    leased = r.NewMessage(bytes(6) + b"\x80\x00\x80" + bytes(7), "worker/a", "o/c", "t", b"1")
    later = r.NewMessage(bytes(6) + b"\x80\x01\x80" + bytes(7), "worker/a", "o/c", "t", b"2")
    later.delay_us = 100_000_000
    transact(store, [r.Send(leased), r.Send(later)])
    transact_one(store, r.Claim(("worker/a",), 1))
    store.close()
    clock.advance(60)
    clock.reboot()
    store = open_file(path, create=False, clock=clock)
    (counts,) = store.counts("worker/a")
    assert (counts.ready, counts.leased, counts.delayed) == (1, 0, 1)
    claimed = transact_one(store, r.Claim(("worker/a",), 5))
    assert isinstance(claimed, r.Claimed)
    assert claimed.deliveries[0].attempt == 1
    clock.advance(40)
    assert store.counts("worker/a")[0].ready == 1
    store.close()


def test_what_a_reboot_takes_back_from_an_ended_inbox_is_bounced_to_its_sender(tmp_path: Path) -> None:
    clock = ManualClock()
    path = tmp_path / "p.db"
    store = open_file(path, create=True, clock=clock)
    transact_one(store, r.Register((r.InboxSpec("worker/a"), r.InboxSpec("boss/main"))))
    message = r.NewMessage(bytes(6) + b"\x80\x00\x80" + bytes(7), "worker/a", "boss/main", "t", b"1")
    transact_one(store, r.Send(message))
    transact_one(store, r.Claim(("worker/a",), 1))
    transact_one(store, r.Control("worker/a", r.Switch.END))
    store.close()
    clock.reboot()
    store = open_file(path, create=False, clock=clock)
    assert store.counts("worker/a")[0].bounced == 1
    (notice,) = store.peek("boss/main", 5)
    assert notice.type == "postroom.bounce"
    store.close()


def test_a_restored_backup_has_everything_and_kills_older_fences(tmp_path: Path) -> None:
    clock = ManualClock()
    store = open_file(tmp_path / "p.db", create=True, clock=clock)
    transact_one(store, r.Register((r.InboxSpec("worker/a"),)))
    message = r.NewMessage(bytes(6) + b"\x80\x00\x80" + bytes(7), "worker/a", "o/c", "t", b"1")
    transact_one(store, r.Send(message))
    claimed = transact_one(store, r.Claim(("worker/a",), 1))
    assert isinstance(claimed, r.Claimed)
    (old,) = claimed.deliveries
    store.backup(str(tmp_path / "copy.db"))
    url = f"sqlite:///{tmp_path}/p.db"
    with pytest.raises(StoreUnavailable, match="exists"):
        restore(tmp_path / "copy.db", url, force=False, clock=clock)
    with pytest.raises(StoreUnavailable, match="in use"):
        restore(tmp_path / "copy.db", url, force=True, clock=clock)
    store.close()
    clock.advance(60)
    restore(tmp_path / "copy.db", url, force=True, clock=clock)
    store = open_file_store(url, create=False, clock=clock)
    assert store.verify().ok
    assert store.verify().accepted == 1
    (late,) = transact(store, [r.Settle(old.id, old.fence, r.Verdict.ACK)])
    assert isinstance(late, LostLease)
    store.close()


def test_what_is_no_backup_is_refused_by_name_and_leaves_nothing(tmp_path: Path) -> None:
    junk, target = tmp_path / "junk.db", tmp_path / "postroom.db"
    junk.write_bytes(b"no database at all, but long enough to have a header of its own" * 100)
    with pytest.raises(StoreUnavailable, match=r"junk\.db is not a postroom backup: it is no database"):
        restore(junk, f"sqlite:///{target}", force=False)
    assert [path.name for path in tmp_path.iterdir()] == ["junk.db"]
