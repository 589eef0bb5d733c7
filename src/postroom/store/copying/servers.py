"""The side of a copy that is on a server, and the store there that it is from."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from itertools import count

import psycopg

from ..clock import Instant
from ..errors import StoreUnavailable
from ..postgres import migrating, opening
from ..postgres.clock import NOW
from ..postgres.engine import unavailable
from ..postgres.locks import locks_of
from ..postgres.patience import Connection
from ..postgres.statements import PostgresStatements
from ..postgres.urls import Place, read_url
from ..postgres.wire import Wire
from ..process import is_gone_here
from ..records import Verification
from ..rules import accounting
from ..shown import shown_url
from .sides import Head, Row
from .tables import ON_SERVER, SIGNS
from .taking_over import checked

AT_ONCE = 5000
GOING = 20
"""Looks, a tenth of a second apart, for those who have just left: the server notices it a little later."""

OTHERS = """SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = $1 AND pid <> pg_backend_pid()"""


class ServerSide:
    """A connection by which the tables are read. Nobody else changes them."""

    def __init__(self, conn: Connection, place: Place) -> None:
        self.conn = conn
        self.place = place
        self._cursors = count()
        (at,) = self.one(NOW)
        self.now = Instant(at, at)

    def count(self, what: int) -> int:
        return int(self.one(ON_SERVER[what].how_many())[0])

    def rows(self, what: int, after: int = 0) -> Generator[Row]:
        with self.conn.cursor(name=f"copying_{next(self._cursors)}") as cursor:
            cursor.itersize = AT_ONCE
            cursor.execute(plain(ON_SERVER[what].all_rows(after)))
            yield from cursor

    def verify(self) -> Verification:
        return accounting.verify(PostgresStatements(Wire(self.conn, prepared=False)), deep=True)

    def one(self, statement: str, *args: object) -> Row:
        """The one row that a statement answers."""
        row = self.conn.execute(plain(statement), args).fetchone()
        assert row is not None
        return row


class ServerSource(ServerSide):
    """A store in one schema; whoever would change it waits until the copy is over."""

    def __init__(self, conn: Connection, place: Place, others: int) -> None:
        super().__init__(conn, place)
        self._others = others

    def head(self) -> Head:
        epoch, registry, created_at = self.one("SELECT epoch, registry, created_at FROM store")
        (last,) = self.one("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM session_id_seq")
        return Head(epoch, registry, created_at, last)

    def signs(self) -> tuple[int, ...]:
        return tuple(int(self.one(sign)[0]) for sign in SIGNS)

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
    with connected(place) as conn:
        place = migrating.migrate(conn, place, create=False, wall=0)
        conn.patience = None
        others = _others(conn, place)
        begin(conn, place)
        if not locks_of(place).alone_at_once(conn):
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


@contextmanager
def connected(place: Place) -> Generator[Connection]:
    """A connection; what it has not committed is undone. Raises ``StoreUnavailable`` for what goes wrong."""
    opening.keep_driver_quiet()
    try:
        conn = opening.connect(place)
        conn.patience = None  # one statement may read or write all there is
        try:
            yield conn
        finally:
            conn.close()
    except psycopg.Error as error:
        raise unavailable(error) from error


def begin(conn: Connection, place: Place) -> None:
    """Begin a transaction in the store's schema, which may be idle for as long as the other side takes."""
    conn.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
    if not place.prepared:
        opening.settle_in(conn, place, local=True)
    conn.execute("SELECT set_config('idle_in_transaction_session_timeout', '0', true)")


def plain(text: str) -> bytes:
    """A statement made of the names in ``tables`` only, as the driver takes it."""
    return text.encode()
