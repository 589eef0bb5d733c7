"""Typed records, threads and heartbeats: what was read is what is replaced, and nothing else."""

from __future__ import annotations

import math

import pytest
from msgspec import Struct

from postroom.mailbox import heartbeats, threads
from postroom.mailbox.heartbeats import WORKER, Health
from postroom.mailbox.keeping import Kept
from postroom.store.clock import ManualClock
from postroom.store.errors import BadInput, Conflict, StoreUnavailable
from postroom.store.memory import MemoryStore
from postroom.store.records import Put, Write
from postroom.store.transact import transact_one

BOB = "worker/bob"


class Colour(Struct, frozen=True):
    name: str


COLOURS = Kept("postroom/test", "colour", Colour)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock)


def keep(store: MemoryStore, *writes: Write | None) -> None:
    transact_one(store, Put(tuple(write for write in writes if write is not None)))


def test_a_value_is_found_with_its_version_and_replaced_only_at_it(store: MemoryStore) -> None:
    assert COLOURS.find(store, "sky") == (None, 0)
    keep(store, COLOURS.write("sky", Colour("blue"), 0))
    assert COLOURS.find(store, "sky") == (Colour("blue"), 1)
    with pytest.raises(Conflict):
        keep(store, COLOURS.write("sky", Colour("grey"), 0))
    keep(store, COLOURS.write("sky", Colour("red"), 1))
    assert COLOURS.all(store) == {"sky": (Colour("red"), 2)}
    keep(store, COLOURS.remove("sky", 2))
    assert COLOURS.all(store) == {}


def test_a_record_that_says_nothing_is_damage(store: MemoryStore) -> None:
    keep(store, Write(COLOURS.owner, COLOURS.kind, "sky", b'{"name":7}'))
    with pytest.raises(StoreUnavailable, match="colour of sky is damaged"):
        COLOURS.find(store, "sky")


def test_an_address_has_one_thread_until_it_is_rotated(store: MemoryStore) -> None:
    _, write = threads.assign(store, BOB, "t-1", "Bob's thread")
    keep(store, write)
    assert threads.assign(store, BOB, "t-1")[1] is None
    with pytest.raises(Conflict, match="has thread t-1"):
        threads.assign(store, BOB, "t-2")
    with pytest.raises(Conflict, match="it is not t-9"):
        threads.rotate(store, BOB, "t-9", "t-2")
    keep(store, threads.rotate(store, BOB, "t-1", "t-2")[1])
    found, _ = threads.find(store, BOB)
    assert found is not None
    assert (found.thread_id, found.title) == ("t-2", None)


def test_of_two_rotations_at_once_one_is_refused(store: MemoryStore) -> None:
    keep(store, threads.assign(store, BOB, "t-1")[1])
    one, other = (threads.rotate(store, BOB, "t-1", new)[1] for new in ("t-2", "t-3"))
    keep(store, one)
    with pytest.raises(Conflict):
        keep(store, other)


@pytest.mark.parametrize("id", ["", "a\nb", "\x1b[31m", "x" * 300])
def test_a_thread_id_is_one_short_printable_line(store: MemoryStore, id: str) -> None:
    with pytest.raises(BadInput):
        threads.assign(store, BOB, id)


def test_health_follows_the_last_heartbeat(store: MemoryStore, clock: ManualClock) -> None:
    assert heartbeats.health(clock, None) is Health.MISSING
    last, write = heartbeats.beat(store, WORKER, "T-1", thread_id="t-1")
    keep(store, write)
    clock.advance(179)
    assert heartbeats.health(clock, last) is Health.HEALTHY
    clock.advance(1)
    assert heartbeats.health(clock, last) is Health.STALE
    assert heartbeats.health(clock, last, 600) is Health.HEALTHY


@pytest.mark.parametrize("stale", [-1.0, math.inf, math.nan, 1e12])
def test_an_absurd_time_to_be_stale_is_refused(clock: ManualClock, stale: float) -> None:
    with pytest.raises(BadInput, match="stale is"):
        heartbeats.health(clock, None, stale)


def test_idle_heartbeats_are_counted_in_a_row_and_the_thread_is_remembered(store: MemoryStore) -> None:
    idle: list[int] = []
    for busy in (True, False, False, True, False):
        last, write = heartbeats.beat(store, WORKER, "T-1", thread_id="t-1" if not idle else None, busy=busy)
        keep(store, write)
        idle.append(last.idle)
        assert last.thread_id == "t-1"
    assert idle == [0, 1, 2, 0, 1]
