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
from postroom.store.identity import id_text
from postroom.store.sqlite.damage import rot
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
    """A store of which the last message is damaged."""
    place = closed[""].rindex(b"abcabcabc")
    store = opened(put(tmp_path / "s.db", flipped(closed, "", place)))
    yield store
    store.close()


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


@pytest.mark.parametrize("place", [0, 5, 15, 16, 17, 18, 19, 20, 21, 30, 44, 52, 56, 60, 63, 64, 68, 71])
def test_a_wrong_byte_in_the_files_header_is_refused_by_name(
    tmp_path: Path, closed: Files, place: int
) -> None:
    damaged = flipped(closed, "", place, 2)
    path = put(tmp_path / "s.db", damaged)
    with pytest.raises(StoreUnavailable, match="is damaged") as caught:
        opened(path)
    assert "repair" in caught.value.do
    assert path.read_bytes() == damaged[""]


def test_a_schema_version_that_the_tables_do_not_have_never_starts_a_migration(
    tmp_path: Path, closed: Files
) -> None:
    for version in (0, 1, 1 << 20):
        content = closed[""][:60] + version.to_bytes(4, "big") + closed[""][64:]
        path = put(tmp_path / str(version) / "s.db", {"": content})
        with pytest.raises(StoreUnavailable, match=f"schema version {version}, it has that of") as caught:
            opened(path)
        assert caught.value.do == "run: postroom repair"
        assert path.read_bytes() == content


def test_a_header_byte_that_says_nothing_is_no_damage(tmp_path: Path, closed: Files) -> None:
    for place in (24, 42, 48, 80, 92, 99):
        store = opened(put(tmp_path / str(place) / "s.db", flipped(closed, "", place)))
        assert store.verify(deep=True).ok
        store.close()


def test_a_rotten_message_is_named_and_becomes_a_dead_letter_instead_of_being_delivered(
    store: FileStore,
) -> None:
    found = store.verify(deep=True)
    assert [fault.endswith("does not have the sum it was written with") for fault in found.faults] == [True]
    delivered = claim(store, 100)
    (dead,) = store.dead(INBOX, 100)
    assert id_text(dead.id) in found.faults[0]
    assert (dead.state, dead.reason, len(delivered)) == ("dead", "damaged", 8)
    assert dead.id not in {delivery.id for delivery in delivered}
    assert store.verify().ok


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


def test_a_rotten_message_in_a_backup_is_not_delivered_after_a_restore(tmp_path: Path, closed: Files) -> None:
    source = tmp_path / "backup.db"
    source.write_bytes(flipped(closed, "", closed[""].rindex(b"abcabc"))[""])
    restore(source, f"sqlite:///{tmp_path / 'new.db'}", force=False, clock=CLOCK)
    store = opened(tmp_path / "new.db")
    assert not store.verify(deep=True).ok
    assert len(claim(store, 100)) == 8
    store.close()


def test_a_store_that_could_not_be_opened_leaves_no_connection_behind(tmp_path: Path, closed: Files) -> None:
    content = bytearray(closed[""])
    content[4096:8192] = Random(1).randbytes(4096)  # the table that opening reads first
    path = put(tmp_path / "s.db", {"": bytes(content)})
    with pytest.raises(StoreUnavailable) as caught:
        opened(path)
    assert caught.value.__traceback__ is not None
    assert not [conn for conn in apsw.connections() if conn.filename == str(path)]
