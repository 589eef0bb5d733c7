"""Whether a connection is what a store needs: the server's own, and of a role that is let in."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple

from psycopg import errors as pg

from ..errors import StoreUnavailable, one_line
from .patience import Connection
from .urls import Place

LIKE_POSTGRESQL = {"CockroachDB": "CockroachDB", "-YB-": "YugabyteDB"}
"""What a database that only speaks like PostgreSQL has in its ``version()``, and its name."""

HERE = "SELECT pg_backend_pid(), version()"
LET_IN = """SELECT current_user,
       (SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = $1) IS NOT FALSE"""
LACKING = """SELECT relname::text, need, false FROM pg_class, unnest($2::text[]) AS need
WHERE relkind IN ('r', 'p') AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
  AND NOT has_table_privilege(pg_class.oid, need)
UNION ALL
SELECT relname::text, 'USAGE', true FROM pg_class
WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
  AND CASE relkind WHEN 'S' THEN NOT has_sequence_privilege(pg_class.oid, 'USAGE') ELSE false END
ORDER BY 1, 2"""
LOOKER = """SELECT bool_and(has_table_privilege(oid, 'SELECT')
                AND NOT has_table_privilege(oid, 'INSERT, UPDATE, DELETE'))
FROM pg_class
WHERE relkind IN ('r', 'p') AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)"""

NEEDED = ["SELECT", "INSERT", "UPDATE", "DELETE"]
"""What whoever sends and works needs on each table."""


class Lacking(NamedTuple):
    """A grant that a role has not. ``on`` is a table or a sequence."""

    on: str
    need: str
    of_sequence: bool

    def grant(self, place: Place, role: str) -> str:
        """The statement by which the owner mends it for all of the store."""
        kind = "SEQUENCES" if self.of_sequence else "TABLES"
        return f'GRANT {self.need} ON ALL {kind} IN SCHEMA {place.schema} TO "{role}"'


def server_of(version: str) -> str:
    """Which database it is that says this of itself."""
    return next((name for sign, name in LIKE_POSTGRESQL.items() if sign in version), "PostgreSQL")


def check_direct(conn: Connection) -> None:
    """Refuse a pooler of which nobody has told. Raises ``StoreUnavailable``, ``psycopg.Error``.

    There, the settings of a connection would be somebody else's: of another store, perhaps. PostgreSQL says
    of itself which process one is connected to, and a pooler says another number to who connects.
    """
    process, version = conn.execute(HERE).fetchone() or (0, "")
    if process != conn.info.backend_pid and server_of(version) == "PostgreSQL":
        raise StoreUnavailable(
            "there is a pooler before the server",
            "settings and prepared statements do not stay with a connection there",
            "add pooled=yes to the URL, and notify_url= past the pooler for doorbells",
        )


def check_role(conn: Connection, place: Place) -> None:
    """Refuse a role that is not let into the schema. Raises ``StoreUnavailable``, ``psycopg.Error``."""
    role, let_in = conn.execute(LET_IN, (place.schema,)).fetchone() or ("", True)
    if not let_in:
        raise StoreUnavailable(
            f"role {role} may not use schema {place.schema}",
            "it has no USAGE on it",
            f'have its owner run: GRANT USAGE ON SCHEMA {place.schema} TO "{role}"; see roles.sql',
        )


def role_of(conn: Connection) -> str:
    """As whom this connection acts."""
    row = conn.execute("SELECT current_user").fetchone()
    return "" if row is None else str(row[0])


def lacking(conn: Connection, place: Place) -> list[Lacking]:
    """Every grant that this role has not of those that sending and working need."""
    rows = conn.execute(LACKING, (place.schema, NEEDED)).fetchall()
    return [Lacking(*row) for row in rows]


def only_looks(conn: Connection, place: Place) -> bool:
    """Whether it is a role for looking: it may read every table, and change none."""
    row = conn.execute(LOOKER, (place.schema,)).fetchone()
    return row is not None and bool(row[0])


@contextmanager
def owner_only(place: Place) -> Generator[None]:
    """What only the owner of a schema may do. Raises ``StoreUnavailable`` for others."""
    try:
        yield
    except pg.InsufficientPrivilege as error:
        raise StoreUnavailable(
            f"this role may not make the tables of schema {place.schema}, nor bring them up to date",
            error.diag.message_primary or one_line(error),
            "have its owner run any command once, or to make it: postroom pair TASK --manager M --worker W",
        ) from error


def denied(error: pg.InsufficientPrivilege) -> StoreUnavailable:
    """What this role may not do, in one line."""
    return StoreUnavailable(
        "this role may not do that in the store",
        error.diag.message_primary or one_line(error),
        "use one that may, or have the owner grant it: postroom doctor names what is lacking",
    )
