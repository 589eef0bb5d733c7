"""Repairing damaged stores: what is exactly right again, what is given up, and that it is said."""

from __future__ import annotations

from pathlib import Path
from random import Random

import apsw
import pytest
from port_verbs import INBOX, a_message, claim, register, send, settle

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.errors import Refused, StoreUnavailable
from postroom.store.identity import id_text
from postroom.store.records import Put, Write
from postroom.store.repair import Repaired, repair
from postroom.store.sqlite.damage import rot
from postroom.store.sqlite.file import FileStore, open_file
from postroom.store.transact import transact_one

CLOCK = ManualClock()
PAGE = 4096


def opened(path: Path) -> FileStore:
    return open_file(path, create=not path.exists(), clock=CLOCK, rng=Random(0))


def mend(path: Path, *, accept_loss: bool = False) -> Repaired:
    return repair(f"sqlite:///{path}", accept_loss=accept_loss, clock=CLOCK)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed store with mail on a dozen pages."""
    path = tmp_path / "s.db"
    store = opened(path)
    register(store, INBOX, "manager/m")
    for n in range(60):
        send(store, a_message(body=b'{"n":%d,"text":"%s"}' % (n, b"abc" * 10 * n)))
    for delivery in claim(store, 8):
        settle(store, delivery)
    store.close()
    return path


def everything(path: Path) -> dict[bytes, r.StoredMessage]:
    store = opened(path)
    try:
        assert store.verify(deep=True).ok
        return {message.id: message for message in store.peek(INBOX, 1000)}
    finally:
        store.close()


def spoil(path: Path, page: int, *, count: int = 200) -> None:
    """Overwrite a part of a page, far more than can be mended."""
    content = bytearray(path.read_bytes())
    at = (page - 1) * PAGE + 1500
    content[at : at + count] = Random(page).randbytes(count)
    path.write_bytes(bytes(content))


def pages_of(path: Path, name: str) -> list[int]:
    conn = apsw.Connection(str(path))
    found = conn.execute("SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'", (name,)).fetchall()
    conn.close()
    return [int(str(number)) for (number,) in found]


def test_a_sound_store_is_left_alone(path: Path) -> None:
    before = path.read_bytes()
    done = mend(path)
    assert (done.found, done.kept) == ([], "")
    assert path.read_bytes() == before


def rotten(path: Path) -> bytes:
    """Flip a bit in the body of a live message; answers the file as it is then."""
    content = bytearray(path.read_bytes())
    content[content.rindex(b"cabcabcabcab")] ^= 4
    path.write_bytes(content)
    return bytes(content)


def test_a_rotten_message_is_in_doubt_and_then_a_dead_letter(path: Path) -> None:
    truth = everything(path)
    damaged = rotten(path)
    with pytest.raises(Refused, match="leave 1 in doubt"):
        mend(path)
    assert path.read_bytes() == damaged
    done = mend(path, accept_loss=True)
    assert (len(done.doubtful), done.lost) == (1, {})
    assert (Path(done.kept) / path.name).read_bytes() == damaged
    found = everything(path)
    store = opened(path)
    (dead,) = store.dead(INBOX, 100)
    store.close()
    assert (dead.reason, [id_text(dead.id)]) == ("damaged", done.doubtful)
    assert found.keys() == truth.keys() - {dead.id}
    assert all(found[id].body == truth[id].body for id in found)
    assert mend(path).found == []


def test_a_rotten_record_is_said_to_be_in_doubt_and_kept(path: Path) -> None:
    store = opened(path)
    transact_one(store, Put((Write("worker/a", "memory", "note", b"what was noted"),)))
    store.close()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"what was noted", b"what was nOted"))
    with pytest.raises(Refused, match="1 in doubt"):
        mend(path)
    done = mend(path, accept_loss=True)
    assert any("record worker/a/memory/note" in what for what in done.found)
    everything(path)
    store = opened(path)
    assert [record.value for record in store.records("worker/a")] == [b"what was nOted"]
    store.close()


def test_a_wrong_byte_in_the_schema_is_put_right(path: Path) -> None:
    truth = everything(path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"CREATE TABLE activation", b"CREADE TABLE activation"))
    with pytest.raises(StoreUnavailable, match="damaged"):
        opened(path)
    done = mend(path)
    assert done.mended == ["the schema is wrong: table activation"]
    assert everything(path) == truth


def test_a_store_of_the_first_version_can_be_repaired(path: Path) -> None:
    truth = everything(path)
    conn = apsw.Connection(str(path))
    for table in ("message", "record"):
        conn.execute(f"ALTER TABLE {table} DROP COLUMN sum")
    conn.pragma("user_version", 1)
    conn.close()
    spoil(path, pages_of(path, "message_id")[0])
    assert mend(path).lost == {}
    assert everything(path).keys() == truth.keys()


@pytest.mark.parametrize("place", [0, 16, 18, 20, 29, 44, 52, 57, 60, 71])
def test_the_header_is_put_right_exactly(path: Path, place: int) -> None:
    truth = everything(path)
    content = bytearray(path.read_bytes())
    content[place] ^= 2
    path.write_bytes(bytes(content))
    mend(path)
    assert everything(path) == truth


def test_an_index_that_is_lost_is_built_anew_and_nothing_else_changes(path: Path) -> None:
    truth = everything(path)
    spoil(path, pages_of(path, "message_id")[0])
    done = mend(path)
    assert done.lost == {}
    found = everything(path)
    assert found.keys() == truth.keys()
    assert [found[id].body for id in truth] == [truth[id].body for id in truth]


def test_lost_mail_is_not_given_up_without_being_asked_to(path: Path) -> None:
    spoil(path, pages_of(path, "message")[3])
    before = path.read_bytes()
    with pytest.raises(Refused, match=r"would lose [1-9]\d* messages"):
        mend(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_is_given_up_is_counted_and_stays_counted(path: Path) -> None:
    truth = everything(path)
    spoil(path, pages_of(path, "message")[3])
    done = mend(path, accept_loss=True)
    (lost,) = done.lost.values()
    store = opened(path)
    found = store.verify(deep=True)
    assert (found.ok, found.accepted, found.lost_by_damage) == (True, 60, lost)
    left = {message.id for message in store.peek(INBOX, 1000)}
    assert len(left) + lost + len(done.doubtful) >= len(truth)
    assert left < truth.keys()
    assert [delivery.id in truth for delivery in claim(store, 100)]
    send(store)
    assert store.verify(deep=True).ok
    store.close()


def test_a_repair_that_gives_something_up_voids_every_lease_of_before(path: Path) -> None:
    store = opened(path)
    (delivery,) = claim(store, 1)
    store.close()
    spoil(path, pages_of(path, "message")[3])
    done = mend(path, accept_loss=True)
    assert done.epoch is not None
    assert done.epoch > delivery.fence >> 20


def test_a_log_that_cannot_be_mended_gives_up_only_what_nothing_replaces(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    store = opened(path)
    register(store, INBOX)
    ids = [send(store, a_message()).id for _ in range(20)]
    killed = tmp_path / "killed"
    killed.mkdir()
    for suffix in ("", "-wal"):
        (killed / f"s.db{suffix}").write_bytes(path.with_name(f"s.db{suffix}").read_bytes())
    store.close()
    log = bytearray((killed / "s.db-wal").read_bytes())
    middle = len(log) // 2
    log[middle : middle + 300] = Random(1).randbytes(300)
    (killed / "s.db-wal").write_bytes(bytes(log))
    done = mend(killed / "s.db")
    assert done.lost == {}
    store = opened(killed / "s.db")
    assert store.verify(deep=True).ok
    assert {message.id for message in store.peek(INBOX, 100)} == set(ids)
    store.close()


def test_a_store_that_is_open_is_not_touched(path: Path) -> None:
    other = apsw.Connection(str(path))
    other.execute("SELECT count(*) FROM message").fetchall()
    other.close()
    store = opened(path)
    with pytest.raises(StoreUnavailable, match="is in use"):
        mend(path)
    store.close()


def test_a_repair_that_was_cut_off_is_completed_by_the_next_opening(path: Path, tmp_path: Path) -> None:
    truth = everything(path)
    rot.next_path(path).write_bytes(path.read_bytes())
    content = bytearray(path.read_bytes())
    content[5000:6000] = bytes(1000)
    path.write_bytes(bytes(content))
    path.with_name("s.db-wal").write_bytes(b"what is left of a log")
    assert everything(path) == truth
    assert not rot.next_path(path).exists()
