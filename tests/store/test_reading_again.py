"""What a second reading of the store has found: locks that hold, looks that race with others at work."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest
from port_verbs import INBOX, SECOND, a_message, claim, register, send, session

from postroom.store.backup import restore
from postroom.store.clock import ManualClock
from postroom.store.errors import StoreFull, StoreUnavailable
from postroom.store.records import Tick
from postroom.store.repair import repair
from postroom.store.sqlite import opening
from postroom.store.sqlite.damage import deep, rot
from postroom.store.sqlite.file import FileStore, open_file
from postroom.store.transact import transact

CLOCK = ManualClock()
TRY_LOCK = """
import fcntl, os, sys
handle = os.open(sys.argv[1], os.O_RDWR)
try:
    fcntl.lockf(handle, fcntl.LOCK_SH | fcntl.LOCK_NB, 510, 0x40000002)
except BlockingIOError:
    print("locked", end="")
"""


def opened(path: Path) -> FileStore:
    return open_file(path, create=not path.exists(), clock=CLOCK, rng=Random(0))


def kept_out(path: Path) -> bool:
    """Whether SQLite in another process is kept out of the file."""
    done = subprocess.run([sys.executable, "-c", TRY_LOCK, str(path)], capture_output=True, check=True)
    return done.stdout == b"locked"


def never(_: object) -> bool:
    return False


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "s.db"
    store = opened(path)
    register(store, INBOX)
    store.close()
    return path


def test_nobody_gets_in_while_the_files_are_looked_through(path: Path) -> None:
    with rot.sole_use(path) as alone:
        assert alone
        damage = rot.Damage(path)
        damage.page(1)
        rot.keep_copies(path, [])
        assert kept_out(path)
    assert not kept_out(path)


def test_who_waited_for_a_repair_locks_the_repaired_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rot.next_path(path).write_bytes(path.read_bytes())
    other = rot.sole_use(path)
    assert other.__enter__()

    def nap(_: float) -> None:
        rot.put_in_place(path)
        other.__exit__(None, None, None)

    monkeypatch.setattr(rot, "_open_here", never)  # as in another process
    monkeypatch.setattr("time.sleep", nap)
    with rot.sole_use(path) as alone:
        assert alone
        assert kept_out(path)


def test_nothing_is_put_into_a_store_that_is_about_to_be_replaced(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rot.next_path(path).write_bytes(path.read_bytes())
    monkeypatch.setattr(rot, "_lock", never)
    with pytest.raises(StoreUnavailable, match="about to be replaced"):
        opened(path)


class Meddling:
    """A connection that has something done after it was asked for the state of the log."""

    def __init__(self, conn: Any, then: Any) -> None:
        self._conn = conn
        self._then = then

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)

    def execute(self, statement: str, *args: Any) -> Any:
        found = self._conn.execute(statement, *args).fetchall()
        if "NOOP" in statement:
            self._then()
        return Found(found)


class Found:
    """Rows that were fetched already."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    def fetchone(self) -> Any:
        return self._rows[0] if self._rows else None

    def fetchall(self) -> list[Any]:
        return self._rows


def test_a_log_that_others_begin_anew_meanwhile_is_no_fault(path: Path) -> None:
    store = opened(path)
    for _ in range(5):
        send(store, a_message())
    left = [3]

    def others_work() -> None:
        if left[0]:
            left[0] -= 1
            conn = opening.connect(str(path))
            conn.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            conn.close()
            send(store, a_message())

    conn = opening.connect(str(path), read_only=True)
    try:
        meddling: Any = Meddling(conn, others_work)
        assert deep.file_faults(meddling, path) == []
        assert left == [0]
    finally:
        conn.close()
        store.close()


def test_a_restore_that_is_refused_leaves_a_damaged_store_to_be_repaired(path: Path, tmp_path: Path) -> None:
    store = opened(path)
    for _ in range(5):
        send(store, a_message())
    files = {name: path.with_name(name).read_bytes() for name in ("s.db", "s.db-wal")}
    store.close()
    log = bytearray(files["s.db-wal"])
    log[3000] ^= 1
    for name, content in {**files, "s.db-wal": bytes(log)}.items():
        path.with_name(name).write_bytes(content)
    no_backup = tmp_path / "backup.db"
    no_backup.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreUnavailable, match="not a postroom backup"):
        restore(no_backup, f"sqlite:///{path}", force=True, clock=CLOCK)
    assert path.with_name("s.db-wal").read_bytes() == bytes(log)


def test_a_repair_that_finds_no_room_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("postroom.store.repair.Image", no_room)
    with pytest.raises(StoreUnavailable, match="No space left"):
        repair(f"sqlite:///{path}", accept_loss=False, clock=CLOCK)


def test_a_ballast_that_cannot_be_made_is_no_condition_of_opening(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object) -> None:
        path.with_name("s.db-ballast").mkdir()
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("postroom.store.sqlite.ballast.take_room", cannot)
    monkeypatch.setattr("os.truncate", cannot)
    open_file(path, create=True, clock=CLOCK, rng=Random(0), ballast=4096).close()


def test_a_file_that_cannot_be_read_is_told_by_verify(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    store = opened(path)
    monkeypatch.setattr("postroom.store.sqlite.damage.deep._bytes_of", broken)
    with pytest.raises(StoreUnavailable, match="Input/output error"):
        store.verify(deep=True)
    monkeypatch.undo()
    assert store.verify(deep=True).ok
    store.close()


def test_a_store_that_was_replaced_while_it_was_opened_is_not_written_to(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def repaired_meanwhile(_: Path) -> list[str]:
        rot.next_path(path).write_bytes(path.read_bytes())
        rot.put_in_place(path)
        return []

    monkeypatch.setattr("postroom.store.sqlite.file.look_before_opening", repaired_meanwhile)
    with pytest.raises(StoreUnavailable, match="not the file that was opened"):
        opened(path)
    monkeypatch.undo()
    opened(path).close()


def test_a_log_that_cannot_be_written_back_is_left_to_the_transaction(path: Path) -> None:
    class Failing(Meddling):
        def pragma(self, *_: object) -> int:
            return 0

        def execute(self, statement: str, *args: Any) -> Any:
            if "wal_checkpoint" in statement:
                raise apsw.IOError("disk I/O error")
            return self._conn.execute(statement, *args)

    store: Any = opened(path)
    send(store, a_message())
    store._write = Failing(store._write, None)
    store._refusal, store._ready = StoreFull("full"), False  # as a full disk leaves it
    store.begin()
    store.rollback()
    store.close()


def test_a_store_can_be_opened_while_a_thread_is_busy_with_another(path: Path, tmp_path: Path) -> None:
    begun, over = threading.Event(), threading.Event()

    def wait(*_: object) -> None:
        begun.set()
        over.wait()

    busy = apsw.Connection(str(tmp_path / "other.db"))
    busy.create_scalar_function("wait", wait)
    thread = threading.Thread(target=lambda: busy.execute("SELECT wait()").fetchall())
    thread.start()
    begun.wait()
    try:
        store = opened(path)
        with rot.sole_use(path) as alone:
            assert not alone
        store.close()
    finally:
        over.set()
        thread.join()
        busy.close()


def test_a_restore_goes_where_a_link_leads(path: Path, tmp_path: Path) -> None:
    store = opened(path)
    store.backup(str(tmp_path / "copy.db"))
    send(store, a_message())
    store.close()
    link = tmp_path / "link.db"
    link.symlink_to(path)
    restore(tmp_path / "copy.db", f"sqlite:///{link}", force=True, clock=CLOCK)
    assert link.is_symlink()
    store = opened(path)
    assert store.verify().accepted == 0
    store.close()


def test_who_was_only_waiting_keeps_its_attempt_though_the_taking_back_is_undone_once(tmp_path: Path) -> None:
    clock = ManualClock()
    store = open_file(tmp_path / "s.db", create=True, clock=clock, rng=Random(0))
    register(store, INBOX)
    send(store)
    send(store)
    holder = session(store)
    begun, waiting = claim(store, 2, session=holder)
    store.turn_marks(holder).begin(begun.seq)
    clock.advance(61 * SECOND)
    store.begin()
    store.apply([Tick(100)])
    store.rollback()
    transact(store, [Tick(100)])
    again = claim(store, alone_ok=False) + claim(store)
    assert {delivery.id: delivery.attempt for delivery in again} == {begun.id: 2, waiting.id: 1}
    assert not list(tmp_path.glob("*-turns-*"))
    store.close()
