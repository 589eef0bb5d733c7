"""Every test of this folder that takes ``store`` runs on each engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from postroom.store.clock import ManualClock
from postroom.store.memory import MemoryStore
from postroom.store.process import this_process
from postroom.store.sqlite.file import FileStore, open_file


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite", "memory"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> Iterator[FileStore | MemoryStore]:
    engine: FileStore | MemoryStore
    if request.param == "memory":
        engine = MemoryStore(clock)
    else:
        engine = open_file(tmp_path / "postroom.db", create=True, clock=clock, rng=Random(0))
    yield engine
    engine.close()


@pytest.fixture
def gone_process(store: FileStore | MemoryStore) -> str:
    """A process of which the store can tell that it is gone."""
    if isinstance(store, MemoryStore):
        store.another_handle().kill("gone")
        return "gone"
    return this_process().rpartition(":")[0] + ":0"
