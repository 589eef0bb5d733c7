"""Connecting to a server safely."""

from __future__ import annotations

import logging

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ..errors import StoreUnavailable
from .admission import check_direct
from .dumpers import prepare
from .patience import Connection
from .urls import Place
from .wire import Wire

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

SETTLE = """
SELECT set_config('search_path', $1::text, $2::boolean),
       set_config('synchronous_commit', 'on', $2),
       set_config('default_transaction_isolation', 'read committed', $2),
       set_config('idle_in_transaction_session_timeout', '20s', $2),
       set_config('timezone', 'UTC', $2)
"""

PLAN = """
SELECT set_config('enable_seqscan', 'off', $1::boolean),
       set_config('enable_bitmapscan', 'off', $1),
       set_config('jit', 'off', $1)
"""
"""A change finds its rows by an index, also where the server believes that there are none. An index scan,
other than a bitmap, marks the entries of rows that are gone for those after it. What is switched off counts
as very dear, for which no statement is to be compiled.
"""


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
    """A connection that commits each statement unless a transaction was begun.

    Raises ``psycopg.Error``, and ``StoreUnavailable`` behind a pooler of which the URL says nothing.
    """
    conn = Connection.connect(
        place.conninfo,
        autocommit=True,
        cursor_factory=psycopg.RawCursor,
        prepare_threshold=None,  # the wire does, and the driver would drop what it has prepared
        application_name=user_name(place.schema),
        **_settings(place.conninfo),  # type: ignore[arg-type]  # as above
    )
    try:
        prepare(conn)
        if place.prepared:
            check_direct(conn)
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
    conn.execute(SETTLE, (place.schema, local))


def settle_for_now(wire: Wire, place: Place) -> None:
    """The same for the transaction that a wire has begun, together with what is asked next."""
    wire.ask(SETTLE, (place.schema, True))


def plan_for_changes(wire: Wire, *, local: bool) -> None:
    """Have statements planned for few rows of a large table; ``local`` as above, and then not waited for.

    For good, it is a transaction of its own: one that is rolled back would take it along.
    """
    answer = wire.ask(PLAN, (local,))
    if not local:
        answer.row()


def check_server(conn: Connection) -> None:
    """Refuse a server that lacks what is needed. Raises ``StoreUnavailable``."""
    if conn.info.server_version < OLDEST_SERVER:
        raise StoreUnavailable(
            f"the server is PostgreSQL {conn.info.server_version // 10000}",
            "before 13 it lacks what postroom needs",
            "update it",
        )
