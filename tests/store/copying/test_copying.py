"""Copying a stopped store between files and servers: all of it, for nobody to see before it is whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from choosing import Dice
from copied import after_a_reboot, looked_at, opened
from full_store import clock_of_now
from port_verbs import SECOND, Engine, a_message, claim, do, refusal, register, send, settle, settlement
from store_walk import World

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.copying import copy as copying
from postroom.store.copying.carrying import Carrying
from postroom.store.copying.copy import copy
from postroom.store.copying.sides import Row
from postroom.store.errors import BadInput, Conflict, LostLease, PostroomError, Refused, StoreUnavailable
from postroom.store.postgres.locks import locks_of
from postroom.store.postgres.urls import read_url
from postroom.store.process import this_process
from postroom.store.urls import store_path

AGO = 1_000_000
"""Seconds since a random walk began; it takes less."""


def test_a_copy_is_what_the_store_would_be_after_a_reboot(
    source: str, target: str, clock: ManualClock
) -> None:
    copy(source, target, clock=clock)
    found = looked_at(target, clock)
    assert found == after_a_reboot(source, clock)


def test_a_store_goes_to_a_server_and_back_with_all_it_has(
    source: str, target: str, postgres_url: str, clock: ManualClock
) -> None:
    there = copy(source, postgres_url, clock=clock)
    on_server = looked_at(postgres_url, clock)
    back = copy(postgres_url, target, clock=clock)
    in_file = looked_at(target, clock)
    assert there.epoch < back.epoch
    assert (there.accepted, there.rows["messages"]) == (back.accepted, back.rows["messages"])
    assert on_server == in_file == after_a_reboot(source, clock)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_has_happened_to_a_store_it_is_copied(seed: int, tmp_path: Path, postgres_url: str) -> None:
    clock, ahead = clock_of_now(AGO), clock_of_now()
    url = f"sqlite:///{tmp_path}/walked.db"
    handles = [opened(url, clock, create=True)]

    def lose() -> Engine:
        handles[-1].close()
        handles.append(opened(url, clock))
        return handles[-1]

    here = this_process()
    world = World(handles[0], clock, lose, here=here, dead=here.rpartition(":")[0] + ":0")
    choose = Dice(seed)
    for _ in range(150):
        world.step(choose)
    handles[-1].close()
    clock.advance((ahead.now().wall - clock.now().wall) / SECOND)  # its sessions lapse
    copy(url, postgres_url, clock=clock)
    back = f"sqlite:///{tmp_path}/back.db"
    copy(postgres_url, back, clock=clock)
    assert looked_at(back, clock) == looked_at(postgres_url, clock)


def test_leases_of_before_settle_nothing_and_what_was_leased_is_there_again(
    postgres_url: str, target: str, tmp_path: Path, clock: ManualClock
) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    with closing(opened(url, clock, create=True)) as store:
        register(store, "worker/a")
        send(store)
        (delivery,) = claim(store, lease_us=3600 * SECOND)
    for one, other in ((url, postgres_url), (postgres_url, target)):
        copy(one, other, clock=clock)
        with closing(opened(other, clock)) as store:
            assert isinstance(refusal(store, settlement(delivery)), LostLease)
            (delivery,) = claim(store, lease_us=3600 * SECOND)
            assert delivery.attempt == 1


def test_a_copied_store_goes_on_as_the_old_one_would(
    source: str, postgres_url: str, clock: ManualClock
) -> None:
    with closing(opened(source, clock)) as store:
        known = do(store, r.Claim(("worker/b",), 5), r.Claimed).deliveries
        old = send(store, a_message("worker/b"))
        for delivery in known:
            settle(store, delivery)
        session = do(store, r.OpenSession("s", "process", "x:0:0:0", SECOND), r.Session).id
        do(store, r.CloseSession(session), r.Changed)
    copy(source, postgres_url, clock=clock)
    with closing(opened(postgres_url, clock)) as store:
        assert send(store, a_message("worker/b")).seq > old.seq
        register(store, "worker/new")
        assert do(store, r.OpenSession("s", "process", "x:0:0:0", SECOND), r.Session).id == session + 1
        repeated = a_message("worker/b")
        repeated.id = known[0].id
        assert send(store, repeated).state == "duplicate"
        assert store.verify(deep=True).ok


# What is refused


def test_a_source_that_is_open_is_refused(source: str, target: str, clock: ManualClock) -> None:
    with closing(opened(source, clock)), pytest.raises(StoreUnavailable, match="in use"):
        copy(source, target, clock=clock)
    assert not store_path(target).exists()


def test_a_source_with_a_living_session_is_refused(source: str, target: str, clock: ManualClock) -> None:
    with closing(opened(source, clock)) as store:
        do(store, r.OpenSession("busy one", "process", this_process(), 3600 * SECOND), r.Session)
    with pytest.raises(StoreUnavailable, match="busy one"):
        copy(source, target, clock=clock)
    assert not store_path(target).exists()


def test_a_server_that_others_are_connected_to_is_refused(
    postgres_url: str, target: str, clock: ManualClock
) -> None:
    with (
        closing(opened(postgres_url, clock, create=True)),
        pytest.raises(StoreUnavailable, match="1 connections"),
    ):
        copy(postgres_url, target, clock=clock)
    copy(postgres_url, target, clock=clock)


def test_nobody_can_change_a_server_while_it_is_copied(
    postgres_url: str, target: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(opened(postgres_url, clock, create=True)) as store:
        register(store, "worker/a")
    free: list[bool] = []

    def look(*_: object) -> None:
        lock = locks_of(read_url(postgres_url)).args[0]
        with psycopg.connect(read_url(postgres_url).conninfo) as conn:
            free.extend(conn.execute("SELECT pg_try_advisory_xact_lock_shared(%s)", (lock,)).fetchone() or ())

    copy(postgres_url, target, clock=clock, progress=look)
    assert set(free) == {False}


def test_a_source_with_faults_is_refused(source: str, target: str, clock: ManualClock) -> None:
    with closing(sqlite3.connect(store_path(source))) as conn:
        conn.execute("UPDATE tally SET done = done + 1")
        conn.commit()
    with pytest.raises(Refused, match="not sound"):
        copy(source, target, clock=clock)
    assert not store_path(target).exists()


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal", ".next"])
def test_a_target_where_anything_is_is_refused(
    source: str, target: str, suffix: str, clock: ManualClock
) -> None:
    there = Path(f"{store_path(target)}{suffix}")
    there.write_text("precious")
    with pytest.raises(Conflict):
        copy(source, target, clock=clock)
    assert there.read_text() == "precious"


def test_a_schema_in_which_anything_is_is_refused(source: str, postgres_url: str, clock: ManualClock) -> None:
    place = read_url(postgres_url)
    with psycopg.connect(place.conninfo, autocommit=True) as conn:
        conn.execute(f"CREATE SCHEMA {place.schema}".encode())
        conn.execute(f"CREATE TABLE {place.schema}.precious (n int)".encode())
        with pytest.raises(Conflict, match="precious"):
            copy(source, postgres_url, clock=clock)
        conn.execute(f"DROP TABLE {place.schema}.precious".encode())
    copy(source, postgres_url, clock=clock)


def test_a_missing_source_and_the_same_url_twice_are_refused(source: str, target: str) -> None:
    with pytest.raises(StoreUnavailable, match="no store"):
        copy(target, f"{target}2")
    with pytest.raises(BadInput):
        copy(source, source)


# What goes wrong on the way


def test_a_copy_that_fails_leaves_no_store_and_can_be_done_again(
    source: str, either: str, clock: ManualClock
) -> None:
    def fail(done: str, what: str, so_far: int, total: int) -> None:
        if (done, what) == ("compared", "messages"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(source, either, clock=clock, progress=fail)
    with pytest.raises(StoreUnavailable, match="no store"):
        opened(either, clock)
    copy(source, either, clock=clock)
    assert looked_at(either, clock)["sessions"] == []


def test_a_copy_that_is_not_the_same_is_no_store(
    source: str, either: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(Carrying):
        """It tells of other rows when they are compared."""

        calls = 0

        def carried(self, what: int, rows: Iterable[Row]) -> Iterator[Row]:
            self.calls += 1
            rows = super().carried(what, rows)
            return iter([*rows][:-1]) if self.calls == 5 else rows

    monkeypatch.setattr(copying, "Carrying", Wrong)
    with pytest.raises(PostroomError, match="messages differs"):
        copy(source, either, clock=clock)
    with pytest.raises(StoreUnavailable, match="no store"):
        opened(either, clock)


def test_two_copies_to_one_place_do_not_disturb_each_other(
    source: str, either: str, tmp_path: Path, clock: ManualClock
) -> None:
    other = f"sqlite:///{tmp_path}/other.db"
    with closing(opened(other, clock, create=True)) as store:
        register(store, "worker/other")
    refusals: list[PostroomError] = []

    def meanwhile(done: str, what: str, so_far: int, total: int) -> None:
        if (done, what) == ("copied", "messages"):
            with pytest.raises((StoreUnavailable, Conflict)) as refused:
                copy(other, either, clock=clock)
            refusals.append(refused.value)

    copy(source, either, clock=clock, progress=meanwhile)
    assert len(refusals) == 1
    with closing(opened(either, clock)) as store:
        assert store.counts("worker/other") == []


def test_what_a_program_said_of_its_failure_may_have_nul_in_it(
    tmp_path: Path, postgres_url: str, clock: ManualClock
) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    with closing(opened(url, clock, create=True)) as store:
        register(store, "worker/a")
        for verdict in (r.Verdict.DEAD, r.Verdict.RETRY):
            id = send(store).id
            settle(store, claim(store)[0], verdict, error="a\0b", reason="r")
    copy(url, postgres_url, clock=clock)
    with closing(opened(postgres_url, clock)) as store:
        assert store.message(id) is not None
        assert [dead.error for dead in store.dead(None, 5)] == ["a\ufffdb"]
