"""Connecting to a server safely, and bringing its schema up to date."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import LiteralString, cast
from zlib import crc32

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ..errors import StoreUnavailable
from .statements import Connection, prepare
from .urls import Place

MIGRATIONS = Path(__file__).parent / "migrations"
CONNECT_SECONDS = 10
OLDEST_SERVER = 130000
SETTINGS = {
    "connect_timeout": str(CONNECT_SECONDS),
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "target_session_attrs": "read-write",
}
"""Unless the URL says otherwise. A server that does not answer any more is given up after a quarter of a
minute, and one that takes no changes, as a standby, is none: of several hosts the next is tried.
"""


MAKE_SCHEMA = """
DO $$
BEGIN
    IF to_regnamespace(quote_ident(current_setting('postroom.schema'))) IS NULL THEN
        EXECUTE format('CREATE SCHEMA %I', current_setting('postroom.schema'));
    END IF;
END
$$
"""
"""A schema that is there need not be this role's to make."""


def migrations() -> list[tuple[int, LiteralString]]:
    """Every migration with its number, in order."""
    found = sorted(MIGRATIONS.glob("*.sql"))
    texts = [(int(path.name[:4]), path.read_text()) for path in found]
    return cast("list[tuple[int, LiteralString]]", texts)  # type: ignore[redundant-cast]  # str to mypy


def user_name(schema: str) -> str:
    """The name under which a connection of a store is seen on its server."""
    return f"postroom {schema}"


def listen(place: Place) -> Connection:
    """A connection for notices. Raises ``psycopg.Error``."""
    assert place.notices is not None
    return Connection.connect(
        place.notices,
        autocommit=True,
        application_name=user_name(place.schema),
        **_settings(place.notices),  # type: ignore[arg-type]  # the driver takes any parameter of libpq
    )


def keep_driver_quiet() -> None:
    """The driver warns in its log, for each connection that is lost, of what it also raises."""
    driver = logging.getLogger("psycopg")
    if driver.level == logging.WARNING:  # as it sets it itself
        driver.setLevel(logging.ERROR)


def connect(place: Place) -> Connection:
    """A connection that commits each statement unless a transaction was begun. Raises ``psycopg.Error``."""
    conn = Connection.connect(
        place.conninfo,
        autocommit=True,
        cursor_factory=psycopg.RawCursor,
        prepare_threshold=2 if place.prepared else None,
        application_name=user_name(place.schema),
        **_settings(place.conninfo),  # type: ignore[arg-type]  # as above
    )
    try:
        prepare(conn)
        if place.prepared:
            settle_in(conn, place, local=False)
    except BaseException:
        conn.close()
        raise
    return conn


def _settings(conninfo: str) -> dict[str, str]:
    given = conninfo_to_dict(conninfo)
    return {name: value for name, value in SETTINGS.items() if name not in given}


def settle_in(conn: Connection, place: Place, *, local: bool) -> None:
    """Have this connection work in the store's schema, and keep what it commits.

    ``local`` is for the present transaction only: behind a pooler the next one may be on another
    connection, and another's next one on this.
    """
    settings = (
        ("search_path", place.schema),
        ("synchronous_commit", "on"),
        ("default_transaction_isolation", "read committed"),
        ("idle_in_transaction_session_timeout", "20s"),
        ("timezone", "UTC"),
    )
    for name, value in settings:
        conn.execute("SELECT set_config($1, $2, $3)", (name, value, local))


def lock_of(schema: str) -> int:
    """The number of the advisory lock under which a store's inboxes change."""
    return crc32(f"postroom {schema}".encode())


def check_server(conn: Connection) -> None:
    """Refuse a server that lacks what is needed. Raises ``StoreUnavailable``."""
    if conn.info.server_version < OLDEST_SERVER:
        raise StoreUnavailable(
            f"the server is PostgreSQL {conn.info.server_version // 10000}",
            "before 13 it lacks what postroom needs",
            "update it",
        )


def migrate(conn: Connection, place: Place, *, create: bool, wall: int) -> None:
    """Bring the schema up to date, one process at a time. Raises ``StoreUnavailable``."""
    conn.patience = None  # to build an index may take long
    with conn.transaction():
        if not place.prepared:
            settle_in(conn, place, local=True)
        conn.execute("SELECT pg_advisory_xact_lock($1)", (lock_of(place.schema),))
        there = conn.execute("SELECT to_regclass($1) IS NOT NULL", (f"{place.schema}.store",)).fetchone()
        version = 0
        if there is not None and there[0]:
            (version,) = conn.execute("SELECT version FROM store").fetchone() or (0,)
        elif not create:
            raise StoreUnavailable(
                f"no store in schema {place.schema}",
                "it does not exist on this server",
                "create it with: postroom pair TASK --manager M --worker W",
            )
        newest = migrations()[-1][0]
        if version > newest:
            raise StoreUnavailable(
                f"the store has schema version {version}",
                f"this postroom knows versions up to {newest}",
                "update postroom",
            )
        _apply(conn, place, version, wall)
    conn.patience = type(conn).patience


def _apply(conn: Connection, place: Place, version: int, wall: int) -> None:
    for number, text in migrations():
        if number <= version:
            continue
        if number == 1:
            conn.execute("SELECT set_config('postroom.schema', $1, true)", (place.schema,))
            conn.execute(MAKE_SCHEMA)
        psycopg.ClientCursor(conn).execute(text)  # several statements go without parameters only
        if number == 1:
            minutes = (wall // 1_000_000 - 1_577_836_800) // 60
            conn.execute("INSERT INTO store VALUES (1, 1, $1, 1, $2)", (max(1, minutes), wall))
        conn.execute("UPDATE store SET version = $1", (number,))
