"""The sides of a copy that are on a server."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from random import Random

import psycopg

from ..clock import Instant
from ..errors import Conflict, OutcomeUnknown, Refused, StoreUnavailable, one_line
from ..postgres import opening
from ..postgres.clock import NOW
from ..postgres.engine import unavailable
from ..postgres.statements import Connection, PostgresStatements
from ..postgres.urls import Place, read_url
from ..process import is_gone_here
from ..records import Verification
from ..rules import accounting
from ..rules.inboxes import Registry
from ..rules.tx import Policy, Tx
from ..shown import shown_url
from .sides import Head, Row
from .tables import NAMES, ON_SERVER
from .taking_over import checked, nobody_holds

AT_ONCE = 5000
GOING = 20
"""Looks, a tenth of a second apart, for those who have just left: the server notices it a little later."""

OTHERS = """SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = $1 AND pid <> pg_backend_pid()"""
VACANT = """SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = $1 ORDER BY relname LIMIT 1"""


class _Server:
    """A transaction in which the tables are read. Nobody else changes them."""

    def __init__(self, conn: Connection, place: Place) -> None:
        self.conn = conn
        self._place = place
        self._cursors = count()
        (at,) = self._one(NOW)
        self.now = Instant(at, at)

    def count(self, what: int) -> int:
        return int(self._one(ON_SERVER[what].how_many())[0])

    def rows(self, what: int) -> Iterator[Row]:
        with self.conn.cursor(name=f"copying_{next(self._cursors)}") as cursor:
            cursor.itersize = AT_ONCE
            cursor.execute(_sql(ON_SERVER[what].all_rows()))
            yield from cursor

    def verify(self) -> Verification:
        return accounting.verify(PostgresStatements(self.conn), deep=True)

    def _one(self, statement: str, *args: object) -> Row:
        row = self.conn.execute(_sql(statement), args).fetchone()
        assert row is not None
        return row


class ServerSource(_Server):
    """A store in one schema; whoever would change it waits until the copy is over."""

    def __init__(self, conn: Connection, place: Place, others: int) -> None:
        super().__init__(conn, place)
        self._others = others

    def head(self) -> Head:
        epoch, registry, created_at = self._one("SELECT epoch, registry, created_at FROM store")
        (last,) = self._one("SELECT last_value FROM pg_sequences WHERE schemaname = $1 AND sequencename = $2",
                            self._place.schema, "session_id_seq")  # fmt: skip
        return Head(epoch, registry, created_at, last or 0)

    def in_use(self) -> str:
        if self._others:
            return f"{self._others} connections of others"
        live = "SELECT name, process FROM session WHERE live = 1 AND expires > $1 ORDER BY id"
        found = self.conn.execute(live, (self.now.boot,)).fetchall()
        return ", ".join(f"session {name}" for name, process in found if not is_gone_here(process))


@contextmanager
def server_source(url: str) -> Generator[ServerSource]:
    """Open a store for copying: verified, and unchanging. Raises ``StoreUnavailable``, ``Refused``."""
    place = read_url(url)
    with _connected(place) as conn:
        opening.migrate(conn, place, create=False, wall=0)
        others = _others(conn, place)
        if not _begun(conn, place):
            raise StoreUnavailable(
                f"{shown_url(url)} is in use", "somebody is changing it just now", "stop that first"
            )
        source = ServerSource(conn, place, others)
        checked(source.verify(), shown_url(url))
        yield source


def _others(conn: Connection, place: Place) -> int:
    """How many other connections there are to the store."""
    found = 0
    for _ in range(GOING):
        row = conn.execute(OTHERS, (opening.user_name(place.schema),)).fetchone()
        found = 0 if row is None else row[0]
        if not found:
            break
        conn.execute("SELECT pg_sleep(0.1)")
    return found


class ServerTarget(_Server):
    """Tables that nobody else sees until the transaction is committed."""

    def __init__(self, conn: Connection, place: Place) -> None:
        super().__init__(conn, place)
        self._last_session = 0

    def begin(self, head: Head) -> None:
        opening.migrate(self.conn, self._place, create=True, wall=self.now.wall)
        self.conn.execute("UPDATE store SET epoch = $1, registry = $2, created_at = $3", head[:3])
        self._last_session = head.last_session

    def write(self, what: int, rows: Iterable[Row]) -> None:
        table = ON_SERVER[what]
        into = f"COPY {table.name} ({', '.join(table.columns)}) FROM STDIN"
        try:
            with self.conn.cursor().copy(_sql(into)) as copy:
                for row in rows:
                    copy.write_row(row)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise Refused(
                f"{NAMES[what]} cannot be copied", one_line(error), "the server cannot keep such a value"
            ) from error

    def settle(self) -> None:
        self._count_on("inbox_id_seq", "SELECT max(id) FROM inbox")
        self._count_on("session_id_seq", "SELECT $1", self._last_session)
        self._count_on("message_seq", "SELECT max(seq) FROM message")
        self.conn.execute("ANALYZE inbox, message, message_id, event, record, session")
        db = PostgresStatements(self.conn)
        nobody_holds(Tx(db, db.row("store_row"), Registry(), self.now, Random(), Policy()))

    def _count_on(self, sequence: str, highest: str, *args: int) -> None:
        """Let a sequence go on after the highest number that was ever given."""
        (last,) = self._one(highest, *args)
        if last:
            self._one("SELECT setval($1::text::regclass, $2)", sequence, last)

    def finish(self) -> None:
        try:
            self.conn.execute("COMMIT")
        except psycopg.Error as error:
            raise OutcomeUnknown(
                "the commit failed", one_line(error), "look whether it is there: postroom verify --deep"
            ) from error


@contextmanager
def server_target(url: str) -> Generator[ServerTarget]:
    """Begin a new store. Raises ``Conflict`` if there is something, ``StoreUnavailable``."""
    place = read_url(url)
    with _connected(place) as conn:
        opening.check_server(conn)
        if not _begun(conn, place):
            raise StoreUnavailable(
                f"{shown_url(url)} is in use", "a store is being made there", "wait for that, and look at it"
            )
        there = conn.execute(VACANT, (place.schema,)).fetchone()
        if there is not None:
            raise Conflict(
                f"schema {place.schema} has {there[0]} in it",
                "a copy replaces nothing",
                "name another: ?schema=NAME",
            )
        yield ServerTarget(conn, place)


@contextmanager
def _connected(place: Place) -> Generator[Connection]:
    """A connection; what it has not committed is undone. Raises ``StoreUnavailable`` for what goes wrong."""
    try:
        conn = opening.connect(place)
        conn.patience = None  # one statement may read or write all there is
        try:
            conn.execute("SELECT set_config('idle_in_transaction_session_timeout', '0', false)")
            yield conn
        finally:
            conn.close()
    except psycopg.Error as error:
        raise unavailable(error) from error


def _begun(conn: Connection, place: Place) -> bool:
    """Begin a transaction that keeps all others from changing the store; false if one is at it."""
    conn.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
    row = conn.execute("SELECT pg_try_advisory_xact_lock($1)", (opening.lock_of(place.schema),)).fetchone()
    return row is not None and bool(row[0])


def _sql(text: str) -> bytes:
    """A statement made of the names in ``tables`` only, as the driver takes it."""
    return text.encode()
