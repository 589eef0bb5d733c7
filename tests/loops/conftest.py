"""A paired task on a store in memory, whose naps only move its clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from loop_tasks import Task

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
def task(store: MemoryStore, clock: ManualClock) -> Task:
    """A paired task without a loop."""
    task = Task(store, clock)
    task.pair()
    return task
