"""A store with everything in it, and places to copy it to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from copied import opened
from full_store import clock_of_now, fill
from postgres_server import Postgres

from postroom.store.clock import ManualClock
from postroom.store.copying import copy as copying
from postroom.store.postgres.urls import read_url
from postroom.store.process import this_process


@pytest.fixture
def clock() -> ManualClock:
    return clock_of_now()


@pytest.fixture
def source(tmp_path: Path, clock: ManualClock) -> str:
    """A stopped store with everything in it."""
    url = f"sqlite:///{tmp_path}/a.db"
    with closing(opened(url, clock, create=True)) as store:
        fill(store, this_process().rpartition(":")[0] + ":0")
    return url


@pytest.fixture
def target(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/b.db"


@pytest.fixture(params=["file", "server"])
def either(request: pytest.FixtureRequest, target: str) -> str:
    """A target of either kind."""
    return target if request.param == "file" else request.getfixturevalue("postgres_url")


@pytest.fixture
def another_schema(postgres: Postgres, postgres_url: str) -> Iterator[Callable[[str], str]]:
    """More places on the server by a word, the same for the same word; they are dropped afterwards."""
    made: set[str] = set()

    def another(word: str) -> str:
        made.add(f"{postgres_url}_{word}")
        return f"{postgres_url}_{word}"

    yield another
    for url in made:
        postgres.drop(read_url(url).schema)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> int:
    """Few rows in each durable step of a copy, so that a small store takes many."""
    monkeypatch.setattr(copying, "STEP_ROWS", 5)
    return 5
