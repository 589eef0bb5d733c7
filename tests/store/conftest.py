"""Every test of this folder that takes ``store`` runs on each engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from port_verbs import Engine
from rivals import portable
from told_clock import ToldClock

from postroom.store.clock import ManualClock
from postroom.store.memory import MemoryStore
from postroom.store.postgres.engine import open_postgres
from postroom.store.process import this_process
from postroom.store.sqlite.file import open_file


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


LONG = [pytest.param(name, marks=pytest.mark.long) for name in ("portable", "pgbouncer", "runner")]
WAYS = {"pgbouncer": "pgbouncer_url", "runner": "runner_url"}
"""By which URL a server is reached, if not as ``postgres_url`` says."""


@pytest.fixture(params=["sqlite", "memory", "postgres", *LONG])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Engine]:
    engine: Engine
    if request.param == "memory":
        engine = MemoryStore(clock)
    elif request.param != "sqlite":
        url: str = request.getfixturevalue(WAYS.get(request.param, "postgres_url"))
        if request.param == "portable":
            url = portable(url)
        engine = open_postgres(url, create=True, clock=ToldClock(clock), rng=Random(0))
    else:
        engine = open_file(tmp_path / "postroom.db", create=True, clock=clock, rng=Random(0))
    yield engine
    engine.close()


@pytest.fixture
def gone_process(store: Engine) -> str:
    """A process of which the store can tell that it is gone."""
    if isinstance(store, MemoryStore):
        store.another_handle().kill("gone")
        return "gone"
    return this_process().rpartition(":")[0] + ":0"
