"""The rows on a PostgreSQL server: each can be measured, and leaves nothing on the server."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from random import Random

import pytest
from measures import assert_measured
from postgres_server import Postgres, PostgresServer

from postroom.bench import run as harness
from postroom.bench.figures import quantile
from postroom.bench.ground import fresh_store, new_url
from postroom.bench.peers.field import way_named
from postroom.bench.postgres import places
from postroom.bench.postgres.hosts import Costs, Model
from postroom.bench.postgres.raw import PostgresQueue
from postroom.bench.rows import Params, Row
from postroom.bench.table import POSTGRES_ROWS, SCALE_ROWS
from postroom.store.errors import BadInput
from postroom.store.urls import open_store

pytestmark = pytest.mark.long

OF_PEERS = ("pg_peers", "pg_peers_batched")
"""They need what the tests do not install."""

ROWS = [row for row in (*POSTGRES_ROWS, *SCALE_ROWS) if row.name not in OF_PEERS]


@pytest.fixture
def params(postgres: Postgres, tmp_path: Path) -> Generator[Params]:
    found = Params(
        directory=str(tmp_path),
        postgres=postgres.base,
        senders=4,
        seconds=0.3,
        fill_seconds=0.3,
        rounds=1,
        held_seconds=0.3,
        clients=2,
    )
    yield found
    places.clear(found)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_on_a_server_can_be_measured(row: Row, params: Params) -> None:
    assert row.server
    measured = row.run(params)
    assert_measured(measured)


@pytest.mark.parametrize("copying", [False, True])
def test_what_is_sent_is_claimed_in_order_and_gone_after_delete(copying: bool, params: Params) -> None:
    queue = PostgresQueue(params)
    queue.copying = copying
    queue.send(5)
    queue.send(1)
    first = queue.claim(3)
    assert [seq for seq, _ in first] == [1, 2, 3]
    queue.delete(first)
    assert len(queue.claim(200)) == 3
    assert queue.claim(1) == []
    queue.close()


def test_bodies_of_the_baseline_have_the_length_that_was_asked_for(params: Params) -> None:
    queue = PostgresQueue(params)
    queue.send(1)
    queue.close()
    with places.connected(params.postgres) as conn:
        conn.execute("SELECT set_config('search_path', %s, false)", (places.prefix(params) + "raw",))
        assert conn.execute("SELECT length(body) FROM raw").fetchone() == (220,)


def test_a_row_removes_its_own_schemas_and_no_others(
    params: Params, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Params(directory=str(tmp_path_factory.mktemp("other")), postgres=params.postgres)
    fresh_store(params, "one")
    url = fresh_store(other, "kept")
    places.clear(params)
    open_store(url, create=False).close()
    places.clear(other)
    with places.connected(params.postgres) as conn:
        left = conn.execute("SELECT count(*) FROM pg_namespace WHERE starts_with(nspname, 'bench_')")
        assert left.fetchone() == (0,)


def test_a_row_on_a_file_stays_on_it(tmp_path: Path) -> None:
    assert new_url(Params(directory=str(tmp_path)), "x").startswith("sqlite:///")


def test_a_server_that_does_not_sync_is_refused(postgres: Postgres) -> None:
    with pytest.raises(BadInput, match="fsync is off"):
        places.described(postgres.base)


def test_a_server_that_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot measure on this server"):
        places.described(f"postgresql://nobody@/none?host={tmp_path}")


def test_a_run_without_a_server_starts_one_that_syncs(tmp_path: Path, own_postgres: PostgresServer) -> None:
    """The fixture is asked for so that this is skipped where no server can be started."""
    params = Params(directory=str(own_postgres.folder.parent))
    with harness.served(POSTGRES_ROWS, params, None) as placed:
        assert places.described(placed.postgres)["fsync"] == "on"


def test_a_run_that_needs_no_server_starts_none(tmp_path: Path) -> None:
    params = Params(directory=str(tmp_path))
    with harness.served((), params, None) as placed:
        assert placed is params


@pytest.mark.parametrize("name", ["procrastinate, many producers", "pgqueuer, in batches"])
def test_the_peers_on_a_server_are_found_by_their_names(name: str) -> None:
    assert way_named(name).packages


def test_the_model_does_what_a_full_server_can_and_no_more() -> None:
    costs = Costs(batch=0.001, message=0.0001, sync=0.001)
    most = costs.most_per_s(cores=2)
    model = Model(costs, hosts=10, cores=2, per_host=most / 5, rng=Random(1))
    model.run(2.0)
    assert 0.7 * most < model.done / 2.0 <= most


def test_the_model_of_an_idle_server_is_as_quick_as_one_batch() -> None:
    costs = Costs(batch=0.001, message=0.0001, sync=0.002)
    model = Model(costs, hosts=1, cores=2, per_host=1.0, rng=Random(1))
    model.run(200.0)
    assert quantile(model.latencies, 0.5) == pytest.approx(8 * 0.0005 + 0.0011 + 0.002)
