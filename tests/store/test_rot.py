"""Damage under a store: what opening, verifying and working on it say, and what is kept."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from random import Random

import apsw
import pytest
from port_verbs import INBOX, a_message, claim, register, send, settle

from postroom.store.backup import restore
from postroom.store.clock import ManualClock
from postroom.store.errors import StoreUnavailable
from postroom.store.sqlite.damage import pages, rot
from postroom.store.sqlite.file import FileStore, open_file

CLOCK = ManualClock()
Files = dict[str, bytes]


def opened(path: Path) -> FileStore:
    return open_file(path, create=not path.exists(), clock=CLOCK, rng=Random(0))


def filled(path: Path) -> FileStore:
    store = opened(path)
    register(store, INBOX)
    for n in range(12):
        send(store, a_message(body=b'{"n":%d,"text":"%s"}' % (n, b"abc" * 30 * n)))
    for delivery in claim(store, 3):
        settle(store, delivery)
    return store


def put(path: Path, files: Files) -> Path:
    path.parent.mkdir(exist_ok=True)
    for suffix, content in files.items():
        path.with_name(path.name + suffix).write_bytes(content)
    return path


def flipped(files: Files, suffix: str, place: int, mask: int = 1) -> Files:
    content = bytearray(files[suffix])
    content[place] ^= mask
    return {**files, suffix: bytes(content)}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files of a store whose process was killed."""
    path = tmp_path_factory.mktemp("killed") / "s.db"
    store = filled(path)
    files = {suffix: path.with_name(path.name + suffix).read_bytes() for suffix in ("", "-wal")}
    store.close()
    return files


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Files:
    path = tmp_path_factory.mktemp("closed") / "s.db"
    filled(path).close()
    return {"": path.read_bytes()}


@pytest.fixture
def store(tmp_path: Path, closed: Files) -> Iterator[FileStore]:
    """A store of which the page with the last message is damaged."""
    place = closed[""].rindex(b"abcabcabc")
    store = opened(put(tmp_path / "s.db", flipped(closed, "", place)))
    yield store
    store.close()


def test_every_page_of_a_new_store_has_its_sum(closed: Files) -> None:
    content = closed[""]
    assert content[20] == pages.RESERVED
    assert all(pages.fits(content[at : at + 4096]) for at in range(0, len(content), 4096))


def test_a_wrong_byte_in_the_log_is_put_right_at_opening_and_that_is_told(
    tmp_path: Path, killed: Files
) -> None:
    damaged = flipped(killed, "-wal", 32 + 20 * 4120 + 500)
    path = put(tmp_path / "s.db", damaged)
    store = opened(path)
    found = store.verify(deep=True)
    assert found.ok
    assert found.accepted == 12
    assert "frame 21 of the log had one wrong byte" in store.mended[0]
    (kept,) = rot.kept_copies(path)
    assert kept.name in found.notices[0]
    assert {file.name: file.read_bytes() for file in kept.iterdir() if file.suffix != ".txt"} == {
        "s.db": damaged[""],
        "s.db-wal": damaged["-wal"],
    }
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert {stat.S_IMODE((kept / name).stat().st_mode) for name in ("s.db", "s.db-wal")} == {0o600}
    store.close()


def test_a_wrong_byte_in_the_logs_header_drops_nothing(tmp_path: Path, killed: Files) -> None:
    for place in range(0, 32, 3):
        path = put(tmp_path / str(place) / "s.db", flipped(killed, "-wal", place, 0x10))
        store = opened(path)
        assert store.verify().accepted == 12
        assert store.mended
        store.close()


def test_damage_in_the_log_that_no_byte_explains_is_refused_and_nothing_is_touched(
    tmp_path: Path, killed: Files
) -> None:
    log = bytearray(killed["-wal"])
    log[50_000:50_100] = Random(1).randbytes(100)
    path = put(tmp_path / "s.db", {**killed, "-wal": bytes(log)})
    with pytest.raises(StoreUnavailable, match="commits that were safe come after it") as caught:
        opened(path)
    assert caught.value.do == "run: postroom repair"
    assert path.with_name("s.db-wal").read_bytes() == bytes(log)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["s.db", "s.db-wal"]


def test_an_undamaged_log_is_recovered_without_a_word(tmp_path: Path, killed: Files) -> None:
    store = opened(put(tmp_path / "s.db", killed))
    assert (store.mended, store.verify(deep=True).notices) == ([], [])
    store.close()


@pytest.mark.parametrize("place", [0, 5, 15, 16, 17, 18, 19, 20, 21, 30, 60, 68, 71, 99, 105, 4090])
def test_a_wrong_byte_in_the_files_header_is_refused_by_name(
    tmp_path: Path, closed: Files, place: int
) -> None:
    damaged = flipped(closed, "", place, 8)
    path = put(tmp_path / "s.db", damaged)
    with pytest.raises(StoreUnavailable, match="is damaged") as caught:
        opened(path)
    assert "repair" in caught.value.do
    assert path.read_bytes() == damaged[""]


def test_verify_deep_names_the_page_and_a_message_on_it_is_never_served(store: FileStore) -> None:
    found = store.verify(deep=True)
    assert not found.ok
    assert any("does not have the sum it was written with" in fault for fault in found.faults)
    with pytest.raises(StoreUnavailable, match="damaged") as caught:
        store.peek(INBOX, 100)
    assert "postroom repair" in caught.value.do


def test_a_wrong_byte_in_unused_space_is_told_too(tmp_path: Path, closed: Files) -> None:
    conn = apsw.Connection(str(put(tmp_path / "other.db", closed)))
    number = int(str(conn.execute("SELECT pageno FROM dbstat WHERE name = 'spent_id_at'").get))
    conn.close()
    place = (number - 1) * 4096 + 2000
    store = opened(put(tmp_path / "s.db", flipped(closed, "", place)))
    assert f"page {number} of the file" in store.verify(deep=True).faults[0]
    store.close()


def test_a_log_that_rots_while_it_is_in_use_is_told(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    store = filled(path)
    with path.with_name("s.db-wal").open("r+b") as log:
        log.seek(70_000)
        byte = log.read(1)
        log.seek(70_000)
        log.write(bytes((byte[0] ^ 2,)))
    assert any("of the log had one wrong byte" in fault for fault in store.verify(deep=True).faults)
    store.close()


def test_a_damaged_backup_is_refused(tmp_path: Path, closed: Files) -> None:
    source = tmp_path / "backup.db"
    source.write_bytes(flipped(closed, "", closed[""].rindex(b"abcabc"))[""])
    with pytest.raises(StoreUnavailable, match="is not a postroom backup: one of its pages is damaged"):
        restore(source, f"sqlite:///{tmp_path / 'new.db'}", force=False, clock=CLOCK)
    assert not (tmp_path / "new.db").exists()


def test_a_store_without_sums_works_says_so_and_gets_them_by_a_restore(tmp_path: Path, closed: Files) -> None:
    source = put(tmp_path / "s.db", closed)
    plain = tmp_path / "plain.db"
    old = apsw.Connection(str(source))
    with apsw.Connection(str(plain)) as new:
        new.pragma("application_id", old.pragma("application_id"))
        new.pragma("user_version", old.pragma("user_version"))
        tables = "SELECT sql, name FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'"
        for sql, _ in old.execute(f"{tables} ORDER BY type DESC").fetchall():
            new.execute(str(sql))
        for (name,) in old.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            for row in old.execute(f"SELECT * FROM {name}").fetchall():  # noqa: S608  its own tables
                places = ", ".join("?" * len(row))
                new.execute(f"INSERT INTO {name} VALUES ({places})", row)  # noqa: S608  as above
    new.close()
    old.close()
    store = opened(plain)
    found = store.verify(deep=True)
    assert (found.ok, found.accepted) == (True, 12)
    assert "not protected" in found.notices[0]
    store.close()
    restore(plain, f"sqlite:///{tmp_path / 'new.db'}", force=False, clock=CLOCK)
    content = (tmp_path / "new.db").read_bytes()
    assert all(pages.fits(content[at : at + 4096]) for at in range(0, len(content), 4096))


def test_a_store_that_could_not_be_opened_leaves_no_connection_behind(tmp_path: Path, closed: Files) -> None:
    content = bytearray(closed[""])
    content[4096:8192] = Random(1).randbytes(4096)  # the table that opening reads first
    path = put(tmp_path / "s.db", {"": bytes(content)})
    with pytest.raises(StoreUnavailable) as caught:
        opened(path)
    assert caught.value.__traceback__ is not None
    assert not [conn for conn in apsw.connections() if conn.filename == str(path)]
