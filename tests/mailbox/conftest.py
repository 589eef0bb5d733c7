"""A desk on a store in memory, whose naps only move its clock."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import IdMaker
from postroom.store.clock import ManualClock
from postroom.store.memory import MemoryStore


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> Iterator[MemoryStore]:
    engine = MemoryStore(clock)
    yield engine
    engine.close()


@pytest.fixture
def desk(store: MemoryStore, clock: ManualClock) -> Desk:
    """With two inboxes: ``manager/m`` and ``worker/w``."""
    desk = Desk(store, IdMaker(clock, Random(7)), nap=clock.advance)
    desk.register("manager/m", "worker/w")
    return desk
