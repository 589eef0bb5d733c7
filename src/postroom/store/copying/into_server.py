"""The schema on a server that a copy goes to."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from random import Random
from zlib import crc32

import psycopg
from psycopg.pq import TransactionStatus

from ..errors import Conflict, OutcomeUnknown, StoreUnavailable, one_line
from ..postgres import migrating, opening, unfinished
from ..postgres.locks import locks_of
from ..postgres.patience import Connection
from ..postgres.statements import PostgresStatements
from ..postgres.urls import Place, read_url
from ..postgres.wire import Wire
from ..rules.inboxes import Registry
from ..rules.tx import Policy, Tx
from .mark import Mark, read, written
from .servers import GOING, ServerSide, begin, connected, plain
from .sides import Head, Row
from .tables import NAMES, ON_SERVER
from .taking_over import cannot_keep, nobody_holds

VACANT = """SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = $1 ORDER BY relname LIMIT 1"""
KEEP = "SELECT pg_try_advisory_xact_lock($1)"
MARKS = "CREATE TABLE unfinished_copy (mark text NOT NULL, steps bigint NOT NULL)"
HIDE = "ALTER TABLE store RENAME TO unfinished_store"
SHOW = "ALTER TABLE unfinished_store RENAME TO store"
STEP = "UPDATE unfinished_copy SET steps = steps + 1 WHERE steps = $1"
DROP = """DROP TABLE IF EXISTS unfinished_copy, unfinished_store, gate, key_gate, inbox, paused_key, tally,
total, dropped, message, message_id, event, session, activation, record"""
DROP_NUMBERS = "DROP SEQUENCE IF EXISTS message_seq"


class ServerTarget(ServerSide):
    """Tables in which nobody finds a store: until the last commit, the one named so has another name.

    Each step goes by the number of steps before it, so that of two copies at once only one goes on.
    """

    def __init__(self, conn: Connection, place: Place) -> None:
        super().__init__(conn, place)
        self.schema = migrating.newest()
        self.mark: Mark | None = None
        self._steps = 0
        begin(conn, place)
        if unfinished.is_there(conn, place):
            text, self._steps = self.one("SELECT mark, steps FROM unfinished_copy")
            self.mark = read(text)
        if self.mark is None:
            self._check_vacant()
        conn.execute("COMMIT")

    def count(self, what: int) -> int:
        begin(self.conn, self.place)  # behind a pooler, each transaction has to be told of the schema
        found = super().count(what)
        self.conn.execute("COMMIT")
        return found

    def is_whole(self) -> bool:
        return False  # what is whole is the store

    def begin(self, mark: Mark, head: Head) -> None:
        conn = self.conn
        begin(conn, self.place)
        if not self.place.portable:
            locks = locks_of(self.place)
            conn.execute(locks.alone, locks.args)
        self._check_vacant()
        migrating.migrate(conn, self.place, create=True, wall=self.now.wall)
        conn.patience = None
        conn.execute("UPDATE store SET epoch = $1, registry = $2, created_at = $3", head[:3])
        conn.execute(MARKS)
        conn.execute("INSERT INTO unfinished_copy VALUES ($1, 0)", (written(mark),))
        conn.execute(HIDE)
        conn.execute("COMMIT")
        self.mark, self._steps = mark, 0

    def _check_vacant(self) -> None:
        there = self.conn.execute(VACANT, (self.place.schema,)).fetchone()
        if there is not None:
            raise Conflict(
                f"schema {self.place.schema} has {there[0]} in it",
                "a copy replaces nothing",
                "name another: ?schema=NAME",
            )

    def write(self, what: int, rows: Iterable[Row]) -> None:
        table = ON_SERVER[what]
        into = f"COPY {table.name} ({', '.join(table.columns)}) FROM STDIN"
        self._begin_step()
        try:
            with self.conn.cursor().copy(plain(into)) as copy:
                for row in rows:
                    copy.write_row(row)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise cannot_keep(NAMES[what], one_line(error)) from error
        self._end_step()

    def _begin_step(self) -> None:
        begin(self.conn, self.place)
        if self.conn.execute(STEP, (self._steps,)).rowcount != 1:
            raise _under_way(self.place)

    def _end_step(self) -> None:
        self.conn.execute("COMMIT")
        self._steps += 1

    def close_up(self) -> None:
        self._begin_step()
        self.conn.execute(SHOW)

    def settle(self, head: Head) -> None:
        self._count_on("inbox_id_seq", "SELECT max(id) FROM inbox")
        self._count_on("session_id_seq", "SELECT $1", head.last_session)
        self._count_on("message_seq", "SELECT max(seq) FROM message")
        self.conn.execute("ANALYZE inbox, message, message_id, event, record, session")
        db = PostgresStatements(Wire(self.conn, prepared=False), locks_of(self.place).queries)
        nobody_holds(Tx(db, db.row("store_row"), Registry(), self.now, Random(), Policy()))

    def _count_on(self, sequence: str, highest: str, *args: int) -> None:
        """Let a sequence go on after the highest number that was ever given."""
        (last,) = self.one(highest, *args)
        if last:
            self.one("SELECT setval($1::text::regclass, $2)", sequence, last)

    def finish(self) -> None:
        self.conn.execute("DROP TABLE unfinished_copy")
        try:
            self.conn.execute("COMMIT")
        except psycopg.Error as error:
            raise OutcomeUnknown(
                "the commit failed", one_line(error), "look whether it is there: postroom verify --deep"
            ) from error

    def discard(self) -> None:
        if self.conn.info.transaction_status != TransactionStatus.IDLE:
            self.conn.execute("ROLLBACK")
        self._begin_step()
        self.conn.execute(DROP)
        self.conn.execute(DROP_NUMBERS)
        self._end_step()
        self.mark = None


@contextmanager
def server_target(url: str) -> Generator[ServerTarget]:
    """Begin a new store, or find one that was begun. Raises ``Conflict`` if there is something else,
    ``StoreUnavailable``.
    """
    place = read_url(url)
    with connected(place) as keeper, connected(place) as conn:
        opening.check_server(conn)
        _check_whole(migrating.found(conn, place).server)
        if not _kept(keeper, place):
            raise _under_way(place)
        yield ServerTarget(conn, place)


def _kept(keeper: Connection, place: Place) -> bool:
    """Keep other copies away from the place, in a transaction that does nothing else. One that was killed
    just now is waited for.
    """
    begin(keeper, place)
    number = crc32(f"postroom copy to {place.schema}".encode())
    for _ in range(GOING):
        row = keeper.execute(KEEP, (number,)).fetchone()
        if row is not None and row[0]:
            return True
        keeper.execute("SELECT pg_sleep(0.1)")
    return False


def _under_way(place: Place) -> StoreUnavailable:
    return StoreUnavailable(
        f"schema {place.schema} is being written",
        "another copy to the same place is under way",
        "wait for it",
    )


def _check_whole(server: str) -> None:
    """Refuse a target that others could see half made. Raises ``StoreUnavailable``."""
    if server != "PostgreSQL":
        raise StoreUnavailable(
            f"the server is {server}",
            "a copy there might be seen half made",
            "copy to PostgreSQL or to a file",
        )
