"""The three roles of ``roles.sql``, in a database in which PUBLIC may do nothing at all."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString, cast
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from postgres_server import Postgres, PostgresServer
from psycopg import sql
from psycopg.rows import TupleRow

from postroom.bench.postgres.places import address, connected, drop_schema
from postroom.store.postgres import admission
from postroom.store.postgres.clock import ServerTime
from postroom.store.postgres.engine import open_postgres

ROLES_SQL = Path(admission.__file__).parent / "roles.sql"
OWNER, RUNNER, VIEWER = "owner", "runner", "viewer"


class Roles:
    """Their names are those of ``roles.sql`` after that of the database."""

    def __init__(self, server: PostgresServer, database: str) -> None:
        self.base = urlunsplit(urlsplit(server.base)._replace(path=f"/{database}"))
        self.database = database
        self.names = {who: f"{database}_{who}" for who in (OWNER, RUNNER, VIEWER)}

    def url(self, who: str, schema: str) -> str:
        """The store URL by which one of them reaches a schema."""
        return address(self.base.replace("postgres@", f"{self.names[who]}@", 1), schema=schema)

    def order(self, statement: LiteralString, schema: str = "") -> None:
        """As one who may do anything; ``{runner}``, ``{schema}`` and ``{DBNAME}`` are names."""
        names = {**self.names, "schema": schema, "DBNAME": self.database}
        with self.admin() as conn:
            conn.execute(sql.SQL(statement).format(**{n: sql.Identifier(said) for n, said in names.items()}))

    def admin(self) -> psycopg.Connection[TupleRow]:
        """A connection of one who may do anything; each statement is a transaction."""
        return connected(self.base)

    def grant(self, schema: str) -> None:
        """Carry out ``roles.sql`` as psql does."""
        text = re.sub(r"--.*", "", ROLES_SQL.read_text())
        said = re.sub(r':"(\w+)"', r"{\1}", text)
        self.order(cast("LiteralString", said), schema)  # type: ignore[redundant-cast]  # str to mypy

    @contextmanager
    def store(self, schema: str, clock: ServerTime | None = None) -> Generator[None]:
        """A store that its owner has made after all was granted. It is gone afterwards."""
        self.grant(schema)
        open_postgres(self.url(OWNER, schema), create=True, clock=clock).close()
        try:
            yield
        finally:
            with self.admin() as conn:
                drop_schema(conn, schema)


@contextmanager
def three_roles(server: Postgres) -> Generator[Roles]:
    """Make them and their database. Nothing of either is left afterwards."""
    if not isinstance(server, PostgresServer):
        pytest.skip("the server in POSTROOM_TEST_POSTGRES may not let in new roles")
    roles = Roles(server, f"roles_{uuid4().hex[:12]}")
    names = [sql.Identifier(name) for name in roles.names.values()]
    database = sql.Identifier(roles.database)
    with server.connect() as conn:
        for name in names:
            conn.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
        conn.execute(sql.SQL("CREATE DATABASE {}").format(database))
    try:
        roles.order("REVOKE ALL ON DATABASE {DBNAME} FROM PUBLIC")
        roles.order("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        yield roles
    finally:
        with server.connect() as conn:  # the server may be another one by now
            conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
            for name in names:
                conn.execute(sql.SQL("DROP ROLE {}").format(name))
