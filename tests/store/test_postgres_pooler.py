"""A server behind a pooler in transaction mode, where no two transactions need share a connection."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from choosing import Dice
from pooler import Pooler
from port_verbs import INBOX, a_message, claim, counts, register, send, settle
from postgres_server import Postgres
from server_worlds import server_world

from postroom.store import records as r
from postroom.store.postgres.engine import PostgresStore, open_postgres
from postroom.store.transact import transact_one


@pytest.fixture
def stores(postgres: Postgres) -> Iterator[list[PostgresStore]]:
    """Two stores on one database by way of one pooler, each in a schema of its own."""
    schemas = [f"pooled_{uuid4().hex[:8]}" for _ in range(2)]
    with Pooler(postgres.base) as pooler:
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


def test_a_long_walk_behind_a_pooler_is_as_the_model(postgres: Postgres) -> None:
    schema = f"pooled_{uuid4().hex[:8]}"
    try:
        with Pooler(postgres.base) as pooler:
            world, dice = server_world(pooler.url(schema)), Dice(5)
            for _ in range(40):
                world.step(dice)
            world.check()
            world.judge()
            world.close()
    finally:
        postgres.drop(schema)
