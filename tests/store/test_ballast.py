"""Room kept back on the disk: when sends are refused, what goes on, and when they are accepted again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, cast

import apsw
import pytest

from postroom.console import doctor
from postroom.console.exits import NO_STORE, exit_code
from postroom.console.findings import Finding
from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.errors import OutcomeUnknown, StoreFull, StoreUnavailable, UnknownInbox
from postroom.store.sqlite.ballast import (
    LOOK_US,
    MIN_FREE_BYTES,
    TIGHT,
    Ballast,
    Room,
    ballast_path,
    ballast_size,
    min_free,
    wal_pages,
)
from postroom.store.sqlite.engine import FEW
from postroom.store.sqlite.file import FileStore, open_file
from postroom.store.transact import transact, transact_one
from postroom.store.urls import open_store

TOTAL = 1 << 30
PLENTY = Room(TOTAL, TOTAL)
LEAST = min_free(PLENTY)
SIZE = 1 << 20


class Disk:
    """A disk whose free room a test can set."""

    def __init__(self) -> None:
        self.free = TOTAL
        self.looks = 0

    def __call__(self, directory: Path) -> Room:
        self.looks += 1
        return Room(TOTAL, self.free)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "room.db"


@pytest.fixture
def store(path: Path, disk: Disk, clock: ManualClock) -> Iterator[FileStore]:
    """A store with a ballast of a mebibyte on that disk, and one inbox."""
    open_file(path, create=True, clock=clock).close()
    watch = Ballast(path, most=SIZE, room=disk)
    watch.make()
    opened = FileStore(path, clock, Random(0), watch)
    transact_one(opened, r.Register((r.InboxSpec("worker/a"),)))
    yield opened
    opened.close()


def send(n: int, to: str = "worker/a", *, bounded: bool = True) -> r.Send:
    return r.Send(r.NewMessage(bytes(15) + bytes([n]), to, "sender/main", "Job", b"1"), bounded=bounded)


def now_free(store: FileStore, disk: Disk, clock: ManualClock, free: int) -> None:
    """From now on so much is free, and the store has had time to see it."""
    disk.free = free
    clock.advance(LOOK_US / 1e6)


def refused(store: FileStore, n: int) -> bool:
    (answer,) = transact(store, [send(n)])
    assert isinstance(answer, StoreFull | r.Accepted)
    return isinstance(answer, StoreFull)


def test_below_what_is_kept_free_new_mail_is_refused_in_one_line_with_exit_code_5(
    store: FileStore, disk: Disk, clock: ManualClock
) -> None:
    now_free(store, disk, clock, LEAST - 1)
    with pytest.raises(StoreFull) as raised:
        transact_one(store, send(1))
    assert (raised.value.code, exit_code(raised.value)) == ("store_full", NO_STORE)
    assert "\n" not in str(raised.value)
    assert raised.value.why
    assert raised.value.do
    assert store.message(send(1).message.id) is None


def test_what_ends_accepted_mail_goes_on_while_new_mail_is_refused(
    store: FileStore, disk: Disk, clock: ManualClock
) -> None:
    transact(store, [send(1), send(2), send(3)])
    now_free(store, disk, clock, LEAST - 1)
    answer = transact_one(store, r.Claim(("worker/a",), 3))
    assert isinstance(answer, r.Claimed)
    one, two, three = answer.deliveries
    output = send(9, bounded=False)
    assert transact(
        store,
        [
            r.Settle(one.id, one.fence, r.Verdict.ACK, outputs=(output,)),
            r.Settle(two.id, two.fence, r.Verdict.RELEASE),
            r.Extend(three.id, three.fence, 1_000_000),
            send(10, bounded=False),
        ],
    )
    found = store.counts("worker/a")[0]
    assert (found.done, found.ready, found.leased) == (1, 3, 1)


def test_in_one_batch_only_the_new_mail_from_outside_turns_is_refused(
    store: FileStore, disk: Disk, clock: ManualClock
) -> None:
    transact_one(store, send(1))
    now_free(store, disk, clock, LEAST - 1)
    answers = transact(store, [send(2), send(1), send(3, bounded=False), send(4, to="worker/nobody")])
    kinds = [type(answer) for answer in answers]
    assert kinds == [StoreFull, r.Accepted, r.Accepted, UnknownInbox]
    assert getattr(answers[1], "state", "") == "duplicate"


def test_a_refused_send_to_be_held_leaves_no_inbox_behind(
    store: FileStore, disk: Disk, clock: ManualClock
) -> None:
    now_free(store, disk, clock, LEAST - 1)
    held = send(1, to="worker/later")
    held.unrouted = r.Unrouted.HOLD
    (answer,) = transact(store, [held])
    assert isinstance(answer, StoreFull)
    assert store.counts("worker/later") == []


def test_a_batch_takes_no_more_new_mail_than_there_is_room_for(
    store: FileStore, disk: Disk, clock: ManualClock
) -> None:
    now_free(store, disk, clock, LEAST + 100_000)
    bulky = [send(n) for n in range(1, 7)]
    for one in bulky:
        one.message.body = b'"' + b"x" * 20_000 + b'"'
    bulky[4].bounded = False
    answers = transact(store, bulky)
    kinds = [type(answer) for answer in answers]
    assert kinds == [r.Accepted, r.Accepted, StoreFull, StoreFull, r.Accepted, StoreFull]
    now_free(store, disk, clock, LEAST)  # the first of a batch is accepted however little is spare
    (again,) = transact(store, [bulky[2]])
    assert isinstance(again, r.Accepted)


def test_while_room_is_tight_a_claim_takes_few_and_says_that_there_may_be_more(
    store: FileStore, disk: Disk, clock: ManualClock
) -> None:
    transact(store, [send(n) for n in range(1, FEW + 2)])
    now_free(store, disk, clock, LEAST - 1)
    first, second = (transact_one(store, r.Claim(("worker/a",), 100)) for _ in range(2))
    assert isinstance(first, r.Claimed)
    assert isinstance(second, r.Claimed)
    assert (len(first.deliveries), first.more) == (FEW, True)
    assert (len(second.deliveries), second.more) == (1, False)


def test_with_room_again_sends_are_accepted_by_the_same_handle(
    store: FileStore, disk: Disk, clock: ManualClock
) -> None:
    now_free(store, disk, clock, LEAST - 1)
    assert refused(store, 1)
    disk.free = LEAST
    assert not refused(store, 1)


def test_shortly_before_the_disk_is_full_the_ballast_is_emptied(
    store: FileStore, path: Path, disk: Disk, clock: ManualClock
) -> None:
    assert ballast_size(path) == SIZE
    now_free(store, disk, clock, LEAST // 4 - 1)
    assert refused(store, 1)
    assert ballast_size(path) == 0


def test_an_empty_ballast_is_made_anew_only_with_plenty_of_room_and_until_then_sends_are_refused(
    store: FileStore, path: Path, disk: Disk, clock: ManualClock
) -> None:
    now_free(store, disk, clock, 0)
    assert refused(store, 1)
    disk.free = LEAST + SIZE
    assert refused(store, 2)
    assert ballast_size(path) == 0
    disk.free = LEAST * 2 + SIZE
    assert not refused(store, 3)
    assert ballast_size(path) == SIZE


def test_another_process_that_finds_the_ballast_empty_refuses_too(
    store: FileStore, path: Path, disk: Disk, clock: ManualClock
) -> None:
    now_free(store, disk, clock, 0)
    assert refused(store, 1)
    store.close()
    disk.free = LEAST + 1
    again = FileStore(path, clock, Random(0), Ballast(path, most=SIZE, room=disk))
    assert refused(again, 2)
    again.close()


class NoRoom:
    """The writing connection of a store, one of whose statements finds no room on the disk."""

    def __init__(self, store: FileStore, at: str) -> None:
        self._inner = cast("Any", store)
        self._real = self._inner._write
        self._at = at
        self._inner._write = self

    def execute(self, statements: str, *bindings: object) -> object:
        if statements.startswith(self._at):
            self._inner._write = self._real
            self._real.execute("ROLLBACK")
            raise apsw.FullError("database or disk is full")
        return self._real.execute(statements, *bindings)

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


@pytest.mark.parametrize(("at", "error"), [("COMMIT", OutcomeUnknown), ("SELECT seq", StoreFull)])
def test_a_write_that_finds_the_disk_full_empties_the_ballast_and_says_how_much_is_known(
    store: FileStore, path: Path, at: str, error: type[StoreUnavailable]
) -> None:
    NoRoom(store, at)
    with pytest.raises(error) as raised:
        transact_one(store, r.Claim(("worker/a",), 1) if at != "COMMIT" else send(1))
    assert type(raised.value) is error
    assert ballast_size(path) == 0


def test_while_sends_are_refused_the_log_gives_its_room_back(
    store: FileStore, path: Path, disk: Disk, clock: ManualClock
) -> None:
    log = path.with_name(f"{path.name}-wal")
    transact(
        store,
        [r.Send(r.NewMessage(bytes([n] * 16), "worker/a", "s/m", "Job", bytes(60_000))) for n in range(60)],
    )
    assert log.stat().st_size > 3 << 20
    now_free(store, disk, clock, 0)
    assert refused(store, 1)
    assert refused(store, 2)
    assert log.stat().st_size < 1 << 20


def test_with_plenty_of_room_the_disk_is_looked_at_a_few_times_a_second_only(
    store: FileStore, disk: Disk, clock: ManualClock
) -> None:
    clock.advance(1)
    before = disk.looks
    for n in range(20):
        transact_one(store, send(n))
    assert disk.looks == before + 1


def test_where_room_is_tight_every_transaction_looks(
    store: FileStore, disk: Disk, clock: ManualClock
) -> None:
    now_free(store, disk, clock, TIGHT * LEAST - 1)
    transact_one(store, send(1))
    before = disk.looks
    for n in range(2, 12):
        transact_one(store, send(n))
    assert disk.looks == before + 10


def test_a_small_disk_keeps_back_a_share_and_its_log_is_written_back_early() -> None:
    small = Room(6 << 20, 6 << 20)
    assert min_free(small) == (6 << 20) // 16
    assert wal_pages(small, 4096) * 4096 <= min_free(small)
    large = Room(1 << 40, 1 << 40)
    assert (min_free(large), wal_pages(large, 4096)) == (MIN_FREE_BYTES, 1000)


def test_a_store_that_is_created_has_a_private_ballast_and_opening_makes_none(tmp_path: Path) -> None:
    path = tmp_path / "room.db"
    open_store(f"sqlite:///{path}", create=True).close()
    ballast = ballast_path(path)
    assert ballast.stat().st_size > 0
    assert ballast.stat().st_blocks * 512 >= ballast.stat().st_size
    assert ballast.stat().st_mode & 0o777 == 0o600
    ballast.unlink()
    open_store(f"sqlite:///{path}", create=False).close()
    assert not ballast.exists()


def test_without_room_for_a_ballast_there_is_none_and_the_store_works(path: Path, disk: Disk) -> None:
    disk.free = LEAST
    watch = Ballast(path, most=SIZE, room=disk)
    watch.make()
    store = open_file(path, create=True)
    transact_one(store, r.Register((r.InboxSpec("worker/a"),)))
    assert not refused(store, 1)
    store.close()
    assert ballast_size(path) is None
    assert dict(doctor.examine(path))["ballast"].status == "warn"


def test_the_doctor_says_what_the_ballast_holds_and_when_it_is_empty(path: Path) -> None:
    open_file(path, create=True, ballast=SIZE).close()
    assert dict(doctor.examine(path))["ballast"] == Finding("ok", "1 MiB held back")
    ballast_path(path).write_bytes(b"")
    found = dict(doctor.examine(path))["ballast"]
    assert (found.status, "refused" in found.found) == ("warn", True)


def test_a_backup_has_no_part_of_the_ballast(path: Path, tmp_path: Path) -> None:
    store = open_file(path, create=True, ballast=SIZE)
    store.backup(str(tmp_path / "copy.db"))
    store.close()
    assert (tmp_path / "copy.db").stat().st_size < SIZE
    assert ballast_size(tmp_path / "copy.db") is None


def move_away(path: Path) -> None:
    path.rename(path.with_name("aside"))


def replace(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


def remove_log(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()


@pytest.mark.parametrize("harm", [move_away, replace, remove_log])
def test_whoever_moves_the_files_of_an_open_store_is_heard_before_more_is_written(
    store: FileStore, path: Path, clock: ManualClock, harm: Callable[[Path], None]
) -> None:
    transact_one(store, send(1))
    harm(path)
    clock.advance(LOOK_US / 1e6)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="is not the file that was opened"):
            transact_one(store, send(2))


def test_a_log_that_was_removed_is_written_back_by_the_last_who_has_it(
    store: FileStore, path: Path, clock: ManualClock
) -> None:
    transact_one(store, send(1))
    remove_log(path)
    store.close()
    again = open_file(path, create=False, clock=clock)
    assert again.message(send(1).message.id) is not None
    again.close()


def test_a_handle_that_cannot_be_opened_anew_says_so_and_goes_on_once_it_can(
    store: FileStore, path: Path
) -> None:
    move_away(path)
    store.reopen()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            transact_one(store, send(1))
    with pytest.raises(StoreUnavailable):
        store.changed_elsewhere()
    path.with_name("aside").rename(path)
    assert not refused(store, 1)


def test_marks_have_their_room_before_a_turn_writes_to_them(store: FileStore, path: Path) -> None:
    store.turn_marks(7)
    found = path.with_name(f"{path.name}-turns-7").stat()
    assert found.st_blocks * 512 >= found.st_size > 0


def test_a_turn_may_end_its_mark_after_its_session_was_given_up(store: FileStore) -> None:
    marks = store.turn_marks(7)
    slot = marks.begin(1)
    marks.close()
    marks.end(slot)
