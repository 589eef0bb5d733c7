"""Making a store on a server, bringing it up to date, and telling of which kind it is.

On PostgreSQL all of that is one transaction. Databases that only speak like it may commit each statement that
changes a schema by itself. There a store is made one statement after the other, while a second connection
keeps others out; whoever comes after that was cut short carries out what is left.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import LiteralString, NamedTuple, cast

import psycopg
from psycopg import errors as pg
from psycopg import sql
from psycopg.pq import TransactionStatus

from ..errors import StoreBusy, StoreUnavailable
from . import unfinished
from .admission import check_role, owner_only, server_of
from .locks import GATE, locks_of
from .opening import connect, settle_in
from .patience import Connection
from .urls import Place

MIGRATIONS = Path(__file__).parent / "migrations"
POSTGRESQL, PORTABLE, BOTH = "postgresql", "portable", "both"
KIND = re.compile(r"^-- on: (\w+)\n", re.MULTILINE)
END = re.compile(r";\s*$", re.MULTILINE)

FOUND = """SELECT version(), count(*) FILTER (WHERE relname = 'store') > 0,
    count(*) FILTER (WHERE relname = 'message_live') = 0
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = $1"""
"""Of the tables of a store, a portable one has no ``message_live``. The catalogue is read instead of looking
names up: the server may remember, from before a lock was waited for, that a name was nothing.
"""

SCHEMA = "SELECT 1 FROM pg_namespace WHERE nspname = $1"
STRANGER = """SELECT min(relname::text) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = $1 HAVING count(*) FILTER (WHERE relname = 'gate') = 0 AND count(*) > 0"""

MADE = (pg.DuplicateSchema, pg.DuplicateTable, pg.DuplicateObject, pg.UniqueViolation)
"""How a server refuses to make what another has made, or is just making."""

AGAIN = (pg.SerializationFailure, pg.DeadlockDetected)
TRIES = 20


class Found(NamedTuple):
    """What there is. ``portable`` says of which kind a store is, if there is one."""

    server: str
    store: bool
    portable: bool

    def kind_of(self, place: Place) -> Place:
        """The place with the kind of store that is there, or would be made."""
        return place.made_portable() if self.store and self.portable else place


def migrations(kind: str) -> list[tuple[int, LiteralString]]:
    """Every migration of a kind of store with its number, in order."""
    found = sorted(MIGRATIONS.glob("*.sql"))
    texts = [(int(path.name[:4]), _part_of(path.read_text(), kind)) for path in found]
    return cast("list[tuple[int, LiteralString]]", texts)  # type: ignore[redundant-cast]  # str to mypy


def _part_of(text: str, kind: str) -> str:
    """A migration without what is for the other kind only."""
    pieces = [BOTH, *KIND.split(text)]
    strange = set(pieces[::2]) - {POSTGRESQL, PORTABLE, BOTH}
    if strange:
        raise ValueError(f"no such kind of store: {strange}")
    return "".join(piece for on, piece in zip(pieces[::2], pieces[1::2], strict=True) if on in (kind, BOTH))


def newest() -> int:
    """The version of the schema that this postroom makes."""
    return migrations(POSTGRESQL)[-1][0]


def found(conn: Connection, place: Place) -> Found:
    """Look what there is. Raises ``psycopg.Error``."""
    row = conn.execute(FOUND, (place.schema,)).fetchone()
    assert row is not None
    return Found(server_of(row[0]), bool(row[1]), bool(row[2]))


def migrate(conn: Connection, place: Place, *, create: bool, wall: int) -> Place:
    """Bring the schema up to date, several processes at once if it so happens.

    The answer is the place with the kind of store that is there. Raises ``StoreUnavailable``.
    """
    conn.patience = None  # to build an index may take long
    there = found(conn, place)
    place = _as_made(place, there)
    check_kind(place, there.server)
    check_role(conn, place)
    if place.portable:
        _migrate_portable(conn, place, there, create=create, wall=wall)
    else:
        _migrate(conn, place, create=create, wall=wall)
    conn.patience = type(conn).patience
    return place


def _as_made(place: Place, there: Found) -> Place:
    """All users of a store have to lock the same. Raises ``StoreUnavailable``."""
    if place.portable and there.store and not there.portable:
        raise StoreUnavailable(
            f"the store in schema {place.schema} is not portable",
            "it was made without portable=yes, and stays as it is",
            "leave that out of the URL, or copy it: postroom copy --to URL?schema=NEW&portable=yes",
        )
    return there.kind_of(place)


def check_kind(place: Place, server: str) -> None:
    """Refuse a store that relies on what its server lacks. Raises ``StoreUnavailable``."""
    if not place.portable and server != "PostgreSQL":
        raise StoreUnavailable(
            f"the server is {server}",
            "its advisory locks may not lock, and a store relies on them unless it is portable",
            "make a new store with portable=yes in the URL",
        )


def _migrate(conn: Connection, place: Place, *, create: bool, wall: int) -> None:
    locks = locks_of(place)
    with _settled(conn, place):
        conn.execute(locks.alone, locks.args)
        there = found(conn, place)
        if there.store and there.portable:
            raise StoreUnavailable(
                f"another has just made the store in schema {place.schema}", "it is portable", "open it again"
            )
        for number, text in migrations(POSTGRESQL)[_version(conn, place, there, create=create) :]:
            with owner_only(place):
                if number == 1:
                    _make_schema(conn, place)
                psycopg.ClientCursor(conn).execute(text)  # several statements go without parameters only
                _note(conn, number, wall)


def _migrate_portable(conn: Connection, place: Place, there: Found, *, create: bool, wall: int) -> None:
    with _settled(conn, place):
        version = _version(conn, place, there, create=create)
    if version == newest():
        return
    if not place.prepared:
        raise StoreUnavailable(
            f"the store in schema {place.schema} is not up to date",
            "a portable one is made on a connection of its own only",
            "open it once without a pooler and pooled=yes",
        )
    with owner_only(place):
        _make_gate(conn, place)
    with _others_kept_out(conn, place), owner_only(place):
        there = found(conn, place)
        for number, text in migrations(PORTABLE)[_version(conn, place, there, create=create) :]:
            for statement in END.split(text):
                if statement.strip():
                    _make(conn, sql.SQL(cast("LiteralString", statement)))
            _note(conn, number, wall)
    _as_made(place, found(conn, place))  # another may have made one of the other kind meanwhile


def _make_gate(conn: Connection, place: Place) -> None:
    """Make what can be locked, before all else: a schema with other things but not this is a stranger's."""
    _make_schema(conn, place)
    stranger = conn.execute(STRANGER, (place.schema,)).fetchone()
    if stranger is not None:
        raise StoreUnavailable(
            f"schema {place.schema} has {stranger[0]} in it", "that is no store", "name another: ?schema=NAME"
        )
    for statement in GATE:
        _make(conn, sql.SQL(statement))


@contextmanager
def _others_kept_out(conn: Connection, place: Place) -> Generator[None]:
    """Have the store alone. What this connection makes in an open transaction, nobody else sees anyhow."""
    if conn.info.transaction_status is not TransactionStatus.IDLE:
        yield
        return
    locks = locks_of(place)
    with closing(connect(place)) as other:
        other.patience = None
        other.execute("SELECT set_config('idle_in_transaction_session_timeout', '0', false)")
        with other.transaction():
            other.execute(locks.alone, locks.args)
            yield


@contextmanager
def _settled(conn: Connection, place: Place) -> Generator[None]:
    """A transaction in the store's schema."""
    with conn.transaction():
        if not place.prepared:
            settle_in(conn, place, local=True)
        yield


def _make(conn: Connection, statement: sql.SQL | sql.Composed) -> None:
    """Carry out a statement unless that has been done."""
    for _ in range(TRIES):
        try:
            conn.execute(statement)
        except MADE:
            return
        except AGAIN:
            continue
        return
    raise StoreBusy("the store is being made", "others make it at the same time", "try again")


def _make_schema(conn: Connection, place: Place) -> None:
    """Make the schema; one that is there need not be this role's to make."""
    if conn.execute(SCHEMA, (place.schema,)).fetchone() is None:
        _make(conn, sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(place.schema)))


def _version(conn: Connection, place: Place, there: Found, *, create: bool) -> int:
    """The version of the store that is there; 0 if none is, or not all of it. Raises ``StoreUnavailable``."""
    if not there.store:
        unfinished.refuse(conn, place)
    row = conn.execute("SELECT version FROM store").fetchone() if there.store else None
    if row is None and not create:
        raise StoreUnavailable(
            f"no store in schema {place.schema}",
            "it does not exist on this server",
            "create it with: postroom pair TASK --manager M --worker W",
        )
    version = 0 if row is None else int(row[0])
    if version > newest():
        raise StoreUnavailable(
            f"the store has schema version {version}",
            f"this postroom knows versions up to {newest()}",
            "update postroom",
        )
    return version


def _note(conn: Connection, number: int, wall: int) -> None:
    """Write down which version this is; the first one is what makes a store of it."""
    minutes = (wall // 1_000_000 - 1_577_836_800) // 60
    first = "INSERT INTO store VALUES (1, $1, $2, 1, $3) ON CONFLICT DO NOTHING"
    conn.execute(first, (number, max(1, minutes), wall))
    conn.execute("UPDATE store SET version = $1 WHERE version < $1", (number,))
