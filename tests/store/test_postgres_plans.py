"""A change finds its rows by the index for it, though the server believes that there are no rows at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, LiteralString

import psycopg
import pytest
from port_verbs import INBOX, a_message, claim, register, settlement

from postroom.store import records as r
from postroom.store.postgres.engine import PostgresStore, open_postgres
from postroom.store.postgres.opening import connect, plan_for_changes
from postroom.store.postgres.patience import Connection
from postroom.store.postgres.statements import QUERIES
from postroom.store.postgres.urls import read_url
from postroom.store.postgres.values import types_of
from postroom.store.postgres.wire import Wire
from postroom.store.transact import transact

MANY = 500
COUNTED: dict[str, LiteralString] = {
    "when all its mail was done, and not yet cleared away": "ANALYZE message_live",
    "when it had just been emptied": "VACUUM message_live",
}
BY_NUMBER = (
    "message_same",
    "claim_take",
    "claim_legible",
    "lease_by_seq",
    "leases_by_seq",
    "leases_to_ack",
    "lease_by_id",
    "ack",
    "extend",
    "to_ready",
    "to_delayed",
    "to_held",
    "to_final",
    "by_id",
)


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    with closing(open_postgres(postgres_url, create=True)) as store:
        register(store, INBOX)
        yield store


@pytest.fixture(params=sorted(COUNTED))
def connection(
    request: pytest.FixtureRequest, store: PostgresStore, postgres_url: str
) -> Iterator[Connection]:
    """On a store whose table of live mail was counted at a moment when there was none."""
    transact(store, [r.Send(a_message()) for _ in range(MANY)])
    transact(store, [settlement(one, r.Verdict.ACK) for one in claim(store, MANY)])
    with connect(read_url(postgres_url)) as conn:
        conn.execute(COUNTED[request.param])
        plan_for_changes(Wire(conn, prepared=True), local=False)
        conn.execute("SET plan_cache_mode = force_generic_plan")
        yield conn


def _looks(connection: Connection, name: str) -> list[tuple[str, bool]]:
    """By which indexes live messages are looked for, and whether each is told where to begin."""
    query = QUERIES[name]
    connection.execute(f"PREPARE asked AS {query}".encode())
    nulls = ", ".join(["NULL"] * len(types_of(query)))
    row = connection.execute(f"EXPLAIN (FORMAT JSON) EXECUTE asked({nulls})".encode()).fetchone()
    assert row is not None
    return sorted(_scans(row[0][0]["Plan"]))


def _scans(plan: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    if plan.get("Relation Name") == "message_live" and "Scan" in plan["Node Type"]:
        yield plan.get("Index Name", plan["Node Type"]), "Index Cond" in plan
    for part in plan.get("Plans", ()):
        yield from _scans(part)


@pytest.mark.parametrize("name", BY_NUMBER)
def test_what_knows_the_number_of_a_message_looks_for_that(connection: Connection, name: str) -> None:
    assert _looks(connection, name) == [("message_live_seq", True)]


def test_a_claim_looks_through_the_queue_once(connection: Connection) -> None:
    assert _looks(connection, "claim_select") == [("message_live_seq", True), ("message_queue", True)]


def test_the_connection_that_changes_is_told_so(store: PostgresStore) -> None:
    assert _setting(store) == "off"
    with psycopg.connect(store.place.conninfo) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'postroom%'"
        )
    register(store, "worker/b")
    assert _setting(store) == "off"


def _setting(store: PostgresStore) -> str:
    wire = store._write  # pyright: ignore[reportPrivateUsage]  # no public door is passed for each
    assert wire is not None
    row: tuple[str] = wire.ask("SELECT current_setting('enable_seqscan')").row()
    return row[0]
