"""Every named statement is one that a server understands, also those that hardly anything asks for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest
from psycopg.pq import ExecStatus
from rivals import portable

from postroom.store.postgres.engine import open_postgres
from postroom.store.postgres.locks import PORTABLE, locks_of
from postroom.store.postgres.opening import connect
from postroom.store.postgres.patience import Connection
from postroom.store.postgres.statements import QUERIES


def _understood(conn: Connection, name: str, text: str) -> bool:
    return conn.pgconn.prepare(name.encode(), text.encode()).status == ExecStatus.COMMAND_OK


@pytest.mark.parametrize("kind", [str, portable])
def test_a_server_understands_every_statement(postgres_url: str, kind: Callable[[str], str]) -> None:
    with closing(open_postgres(kind(postgres_url), create=True)) as store, connect(store.place) as conn:
        queries = locks_of(store.place).queries
        assert len(queries) > 100
        refused = [name for name, text in queries.items() if not _understood(conn, name, text)]
        assert not refused


def test_a_portable_store_has_the_same_statements_but_for_those_that_only_postgresql_can_do() -> None:
    assert PORTABLE.keys() == QUERIES.keys()
    assert {name for name in QUERIES if PORTABLE[name] != QUERIES[name]} == {"claim_key_lock", "record_write"}
    assert not [name for name, text in PORTABLE.items() if "advisory" in text]
