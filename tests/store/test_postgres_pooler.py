"""A server behind a pooler in transaction mode, where no two transactions need share a connection.

Ours never lets them, and is there everywhere; a real pgbouncer does what it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from choosing import Dice
from pgbouncer import PgBouncer
from pooler import Pooler
from port_verbs import INBOX, a_message, claim, counts, register, send, settle
from postgres_server import Postgres, PostgresServer
from server_worlds import server_world

from postroom.bench.postgres.places import address
from postroom.console.serverdoctor import examine
from postroom.store import records as r
from postroom.store.copying.copy import copy
from postroom.store.errors import StoreUnavailable
from postroom.store.postgres.engine import PostgresStore, open_postgres
from postroom.store.transact import transact_one


@pytest.fixture(params=["ours", "pgbouncer"])
def pooler(request: pytest.FixtureRequest, postgres: Postgres) -> Iterator[Pooler | PgBouncer]:
    """A pooler with few connections."""
    if request.param == "ours":
        with Pooler(postgres.base) as ours:
            yield ours
        return
    bouncer: PgBouncer = request.getfixturevalue("pgbouncer")
    yield bouncer


@pytest.fixture
def stores(postgres: Postgres, pooler: Pooler | PgBouncer) -> Iterator[list[PostgresStore]]:
    """Two stores on one database by way of one pooler, each in a schema of its own."""
    schemas = [f"pooled_{uuid4().hex[:8]}" for _ in range(2)]
    found = [open_postgres(pooler.url(schema), create=True) for schema in schemas]
    yield found
    for store in found:
        store.close()
    for schema in schemas:
        postgres.drop(schema)


def test_two_stores_behind_one_pooler_never_meet(stores: list[PostgresStore]) -> None:
    for store in stores:
        register(store, INBOX)
    for n in range(12):
        for which, store in enumerate(stores):
            send(store, a_message(body=b'{"n":%d,"store":%d}' % (n, which)))
    for which, store in enumerate(stores):
        deliveries = claim(store, 20)
        assert [delivery.body for delivery in deliveries] == [
            b'{"n":%d,"store":%d}' % (n, which) for n in range(12)
        ]
        for delivery in deliveries:
            settle(store, delivery)
        transact_one(store, r.Put((r.Write("owner", "of", "it", b"%d" % which),)))
    for which, store in enumerate(stores):
        assert counts(store).done == 12
        assert [record.value for record in store.records("owner")] == [b"%d" % which]
        assert store.verify(deep=True).ok


def test_a_long_walk_behind_a_pooler_is_as_the_model(postgres: Postgres, pooler: Pooler | PgBouncer) -> None:
    schema = f"pooled_{uuid4().hex[:8]}"
    try:
        world, dice = server_world(pooler.url(schema)), Dice(5)
        for _ in range(40):
            world.step(dice)
        world.check()
        world.judge()
        world.close()
    finally:
        postgres.drop(schema)


def test_a_pooler_that_the_url_does_not_tell_of_is_refused(pgbouncer_url: str) -> None:
    """A search path that stays with a connection would have one store find the mail of another."""
    untold = pgbouncer_url.replace("&pooled=yes", "")
    with pytest.raises(StoreUnavailable, match=r"there is a pooler before the server.*add pooled=yes"):
        open_postgres(untold, create=True)
    assert dict(examine(untold))["server"].status == "fail"
    open_postgres(pgbouncer_url, create=True).close()
    assert dict(examine(pgbouncer_url))["role"].found.endswith("by a pooler")


def test_a_connection_is_given_back_to_pgbouncer_as_it_was(own_postgres: PostgresServer) -> None:
    schema = f"pooled_{uuid4().hex[:8]}"
    with PgBouncer(own_postgres, connections=1) as bouncer:
        plain = bouncer.url(schema).partition("&schema")[0]
        store = open_postgres(bouncer.url(schema), create=True)
        try:
            register(store, INBOX)
            send(store)
            assert counts(store).ready == 1
            with psycopg.connect(plain, autocommit=True, prepare_threshold=None) as other:
                for name, as_it_was in (("search_path", '"$user", public'), ("TimeZone", "UTC"),
                                        ("idle_in_transaction_session_timeout", "0")):  # fmt: skip
                    found = other.execute("SELECT current_setting(%s)", (name,)).fetchone()
                    assert found == (as_it_was,), name
        finally:
            store.close()
            own_postgres.drop(schema)


@pytest.mark.parametrize("prepared", [0, 200])
def test_pgbouncer_may_keep_prepared_statements_or_none(own_postgres: PostgresServer, prepared: int) -> None:
    schema = f"pooled_{uuid4().hex[:8]}"
    with PgBouncer(own_postgres, prepared=prepared) as bouncer:
        store = open_postgres(bouncer.url(schema), create=True)
        try:
            register(store, INBOX)
            for _ in range(20):
                send(store)
            for mail in claim(store, 20):
                settle(store, mail)
            assert counts(store).done == 20
        finally:
            store.close()
            own_postgres.drop(schema)


def test_a_store_is_copied_by_way_of_a_pooler(postgres: Postgres, pgbouncer_url: str, tmp_path: Path) -> None:
    store = open_postgres(pgbouncer_url, create=True)
    register(store, INBOX)
    for _ in range(30):
        send(store)
    store.close()
    back = f"back_{uuid4().hex[:8]}"
    away = f"sqlite:///{tmp_path}/a.db"
    try:
        assert copy(pgbouncer_url, away).accepted == 30
        assert copy(away, address(pgbouncer_url, schema=back)).accepted == 30
    finally:
        postgres.drop(back)
