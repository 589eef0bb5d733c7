"""Schemas for the rows on a server, and what the server says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from ...store.errors import BadInput, one_line
from ..rows import Params

Connection = psycopg.Connection[Any]

SETTINGS = (
    "server_version", "fsync", "full_page_writes", "synchronous_commit", "wal_sync_method", "shared_buffers",
    "max_wal_size", "max_connections",
)  # fmt: skip


def address(base: str, **extra: str) -> str:
    """The URL of a server with these settings; a schema that it names is left out."""
    parts = urlsplit(base)
    query = [pair for pair in parse_qsl(parts.query) if pair[0] != "schema"]
    return urlunsplit(parts._replace(query=urlencode([*query, *extra.items()], safe="/")))


def prefix(params: Params) -> str:
    """How the schemas of one row begin: after its directory, which is its own."""
    plain = "".join(c if c.isalnum() else "_" for c in Path(params.directory).name.lower())
    return f"bench_{plain[-24:]}_"


def schema_url(params: Params, name: str) -> str:
    """The store URL of a schema of this row, which need not exist."""
    return address(params.postgres, schema=prefix(params) + name.replace("-", "_"))


def connected(base: str) -> Connection:
    """A connection of one's own, past the store; each statement is a transaction."""
    return psycopg.connect(address(base), autocommit=True)


def clear(params: Params) -> None:
    """Remove all schemas of this row, one after another."""
    with connected(params.postgres) as conn:
        wanted = conn.execute(
            "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", (prefix(params),)
        ).fetchall()
        for (name,) in wanted:
            drop_schema(conn, name)


def make_schema(conn: Connection, name: str) -> None:
    """A new schema, which is the search path from now on."""
    statement = sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name))
    conn.execute(statement)
    enter_schema(conn, name)


def enter_schema(conn: Connection, name: str) -> None:
    """Have the names in statements mean this schema's."""
    path = sql.SQL("SET search_path TO {}").format(sql.Identifier(name))
    conn.execute(path)


def drop_schema(conn: Connection, name: str) -> None:
    """Remove a schema with all that is in it, if it is there. Raises if an open transaction bars it."""
    statement = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name))
    with conn.transaction():
        conn.execute("SET LOCAL lock_timeout TO '10s'")
        conn.execute(statement)


def described(base: str) -> dict[str, Any]:
    """The settings by which figures on a server stand or fall. Raises ``BadInput`` if it does not sync."""
    try:
        with connected(base) as conn:
            found = conn.execute(
                "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name", (list(SETTINGS),)
            ).fetchall()
    except psycopg.Error as error:
        raise BadInput(
            "cannot measure on this server", one_line(error), "look at the server and at --postgres"
        ) from error
    settings: dict[str, str] = dict(found)
    for name in ("fsync", "synchronous_commit"):
        if settings[name] != "on":
            raise BadInput(
                f"{name} is {settings[name]} on this server",
                "figures of durability need it on",
                "use another server, or leave out --postgres",
            )
    return settings
