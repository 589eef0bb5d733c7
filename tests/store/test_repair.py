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
from postroom.store.repair import Repaired, repair
from postroom.store.sqlite import opening
from postroom.store.sqlite.damage import pages, rot
from postroom.store.sqlite.file import FileStore, open_file

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


def test_a_single_wrong_byte_is_put_right_exactly(path: Path) -> None:
    truth = everything(path)
    before = bytearray(path.read_bytes())
    place = before.rindex(b"cabcabcabcab") // 4 * 4  # not the top byte of a word: only one can be it
    damaged = bytes(before[:place]) + bytes((before[place] ^ 5,)) + bytes(before[place + 1 :])
    path.write_bytes(damaged)
    done = mend(path)
    assert (len(done.mended), done.doubtful, done.lost) == (1, [], {})
    assert path.read_bytes() == before
    assert (Path(done.kept) / path.name).read_bytes() == damaged
    assert everything(path) == truth


@pytest.mark.parametrize("place", [0, 16, 18, 20, 60, 71, 100, 2000, 4095])
def test_the_first_page_is_put_right_exactly(path: Path, place: int) -> None:
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
    assert len(left) + lost >= len(truth)
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


def test_a_store_without_sums_gets_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.db"
    monkeypatch.setattr(opening, "prepare_sums", str)  # which does nothing with a connection
    store = opened(path)
    register(store, INBOX)
    send(store)
    store.close()
    assert path.read_bytes()[20] == 0
    monkeypatch.undo()
    mend(path)
    content = path.read_bytes()
    assert all(pages.fits(content[at : at + PAGE]) for at in range(0, len(content), PAGE))
    assert len(everything(path)) == 1
