"""The PostgreSQL engine: one connection that changes, and one or more that look.

Transactions of several clients run side by side. What one of them reads in order to change it is
locked row by row; what would change an inbox itself has the store to itself for that moment, by an
advisory lock that every transaction shares and that ends with it. Where another transaction got in
between all the same, nothing of the batch stays and it is applied anew.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

import psycopg
from psycopg import errors as pg

from .. import records as r
from ..clock import Instant
from ..errors import OutcomeUnknown, StoreBusy, StoreFull, StoreUnavailable, one_line
from ..port import CommitWatch, TurnMarks
from ..process import is_gone_here
from ..rules import accounting
from ..rules.engine import Engine
from ..rules.statements import Raced, Statements
from ..rules.tx import Tx
from ..shown import shown_url
from .admission import denied
from .bells import LOOK_SECONDS, NOTIFY, Bells
from .clock import NOW, ServerClock, ServerTime
from .foreseeing import can_foresee, foresee
from .heads import Heads
from .locks import locks_of
from .marks import Marks
from .migrating import migrate
from .opening import (
    check_server,
    connect,
    keep_driver_quiet,
    listen,
    plan_for_changes,
    settle_for_now,
)
from .outage import Outage
from .readers import Readers
from .statements import PostgresStatements
from .urls import Place, read_url
from .wire import Wire

T = TypeVar("T")

NOT_ALL = pg.DivisionByZero
"""How a statement fails that was to change each of its rows and has not."""

RACES = (
    Raced,
    NOT_ALL,
    pg.SerializationFailure,
    pg.DeadlockDetected,
    pg.UniqueViolation,
    pg.LockNotAvailable,
)
"""What another transaction at the same moment may cause, and a second try not."""

TRIES = 20

ALONE = frozenset((r.Register, r.Control, r.OpenSession, r.Requeue))
"""Operations that change what other transactions go by without locking it."""

SILENT = frozenset((r.RenewSession, r.Claim, r.Tick, r.Sweep, r.Extend))
"""Operations of which nobody else need hear, unless they made mail ready."""

HEAD = "SELECT epoch, registry, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM store"
BEGIN, COMMIT = "BEGIN ISOLATION LEVEL READ COMMITTED", "COMMIT"
SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresStore(Engine):
    """A handle on a store in one schema of a server."""

    commits_in_thread = True
    is_remote = True

    def __init__(self, url: str, place: Place, clock: ServerTime, rng: Random, *, create: bool) -> None:
        super().__init__(shown_url(url), clock, rng, is_gone_here)
        self.place = place
        self._server_time = clock
        self._pid = os.getpid()
        self._marks = Marks(place)
        self._outage = Outage(rng)
        self._readers = Readers(self._connect, self._outage)
        self._bells: Bells | None = None
        self._look_at = 0.0
        self._telling = False
        self._write: Wire | None = None
        self._planned: Wire | None = None
        self._heads = Heads()
        self._batch: Sequence[r.Operation] = ()
        self._answers: list[r.Answer] = []
        keep_driver_quiet()
        try:
            wire = self._connected()
            check_server(wire.conn)
            self._hear(wire)
            self.place = migrate(wire.conn, place, create=create, wall=clock.now().wall)
            self._locks = locks_of(self.place)
        except psycopg.Error as error:
            self.close()
            raise unavailable(error) from error
        except BaseException:
            self.close()
            raise

    # Changing

    def begin(self) -> None:
        """See that there is a server. The transaction begins on it together with what is asked first."""
        try:
            self._connected()
        except psycopg.Error as error:
            raise unavailable(error) from error

    def apply(self, batch: Sequence[r.Operation]) -> list[r.Answer]:
        """Apply a batch; anew if another transaction got in between."""
        self._batch = batch
        self._answers = self._applied(careful=not can_foresee(batch))
        return self._answers

    def _applied(self, *, careful: bool) -> list[r.Answer]:
        batch = self._batch
        alone = any(type(op) in ALONE for op in batch)
        self._telling = any(type(op) not in SILENT for op in batch)
        cut = False
        for _ in range(TRIES):
            try:
                self._tx = self._enter(batch, alone=alone, careful=careful)
                return self._apply(self._tx, batch)
            except RACES:
                careful = True
                self.rollback()
            except psycopg.Error as error:
                self._left_standby(error)
                if cut or self._write is None or not self._write.closed:
                    raise unavailable(error) from error
                cut = True  # nothing of it stays, and a new connection may be had at once
                self.rollback()
        raise StoreBusy("the store is busy", "others change the same at each try", "try again")

    def _left_standby(self, error: psycopg.Error) -> bool:
        """Leave a server that takes no changes any more: it is a standby, and another may not be."""
        if not isinstance(error, pg.ReadOnlySqlTransaction) or self._write is None:
            return False
        self._write.close()
        return True

    def _enter(self, batch: Sequence[r.Operation], *, alone: bool, careful: bool) -> Tx:
        """Begin, and learn what this transaction goes by, in one round trip but after the lock is had."""
        wire = self._connected()
        db = PostgresStatements(
            wire, self._locks.queries, self._heads, careful=careful, now=self.clock.now().boot
        )
        self._begin(wire)
        self._locks.begin(wire, self._rng, alone=alone)
        foresee(db, batch, self._registry)
        found = wire.ask(HEAD)  # after what may have to wait for others: the time is that at which it is had
        row = found.row()
        assert row is not None
        epoch, registry, now = row
        self._server_time.heard(now)
        return Tx(db, (epoch, registry, 0), self._registry, self.clock.now(), self._rng, self.policy)

    def _begin(self, wire: Wire) -> None:
        """Begin with the settings that changes go by; a connection of our own keeps them."""
        planned = self.place.portable or self._planned is wire
        if self.place.prepared and not planned:
            plan_for_changes(wire, local=False)
            self._planned = wire
        wire.begin(BEGIN)
        if not self.place.prepared:
            settle_for_now(wire, self.place)
            if not planned:
                plan_for_changes(wire, local=True)

    def _hear(self, wire: Wire) -> None:
        row = wire.ask(NOW).row()
        assert row is not None
        self._server_time.heard(row[0])

    def commit(self) -> None:
        """Commit what was applied. If it now turns out that another transaction got in between, it is
        applied anew first; the answers are those of what was committed."""
        if not self._commit():
            self.rollback()
            self._answers[:] = self._applied(careful=True)
            if not self._commit():
                raise StoreBusy("the store is busy", "others change the same at each try", "try again")

    def _commit(self) -> bool:
        tx, wire = self._tx, self._write
        assert tx is not None, "commit needs an applied batch"
        assert wire is not None, "what was applied has a connection"
        assert isinstance(tx.db, PostgresStatements)
        try:
            tx.db.finish()
            done = wire.ask(COMMIT)
        except psycopg.Error as error:
            raise unavailable(error) from error
        tell = self._telling or bool(tx.rung)
        try:
            if tell and self._may_tell(wire):
                wire.ask(NOTIFY)  # a transaction of its own, for which no disk is waited for
                tell = False
            wire.end()
        except psycopg.Error as error:
            if wire.is_in_error():  # what was to go before the commit failed
                if isinstance(error, RACES) or self._left_standby(error):
                    return False
                raise unavailable(error) from error
            if not done.has_come(b"COMMIT"):
                raise _unknown(error) from error
        if not done.has_come(b"COMMIT"):
            raise _unknown("the server undid it")
        self._tx = None
        self._rung |= tx.rung
        self._marks.forget_read()
        if tell and self._bells is not None:
            self._bells.tell()
        return True

    def rollback(self) -> None:
        self._tx = None
        self._registry.forget()
        self._marks.keep_read()
        if self._write is not None and os.getpid() == self._pid:
            self._write.rollback()

    def reopen(self) -> None:
        """Connect anew, and see that the server answers. If it does not, the next transaction tries again."""
        self.rollback()
        self._let_go()

    def _connected(self) -> Wire:
        self._check_process()
        if self._write is None or self._write.closed:
            self._write = self._connect()
        return self._write

    def _connect(self) -> Wire:
        conn = self._outage.ended_by(lambda: connect(self.place))
        return Wire(conn, prepared=self.place.prepared)

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise StoreUnavailable(
                "this store handle was opened before a fork",
                "two processes cannot share its connections",
                "open it only after the fork, or spawn a fresh interpreter",
            )

    def _let_go(self) -> None:
        if self._write is not None:
            self._write.close()
        self._write = None
        self._readers.drop()

    def close(self) -> None:
        if os.getpid() == self._pid:
            if self._bells is not None:
                self._bells.close()
            self._let_go()
            self._readers.close()

    # Hearing of others

    def changed_elsewhere(self) -> bool:
        """By the notices of others, and now and then without one."""
        now = time.monotonic()
        if (self._bells is not None and self._bells.heard()) or now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            return True
        return False

    def watch(self) -> CommitWatch | None:
        """An ear for notices; None where none are sent."""
        if self.place.notices is None:
            return None
        if self._bells is None:
            same = self.place.notices == self.place.conninfo
            outage = self._outage if same else Outage(self._rng, "notices")
            self._bells = Bells(lambda: listen(self.place), outage)
        return self._bells.ear()

    def _may_tell(self, wire: Wire) -> bool:
        """Whether the others may be told right behind the commit, on the same connection."""
        if self.place.notices != self.place.conninfo:
            return False
        return self._bells is None or self._bells.may_tell(wire.conn.info.backend_pid)

    def on_commit(self, ring: Callable[[], None]) -> Callable[[], None] | None:
        return None

    def turn_marks(self, session: int) -> TurnMarks:
        return self._marks.of(session)

    def _begun(self, session: int) -> frozenset[int] | None:
        return self._marks.read(session)

    # Looking

    def _wrong(self, error: Exception) -> StoreUnavailable | None:
        return unavailable(error) if isinstance(error, psycopg.Error) else None

    def _look(self, read: Callable[[Statements, Instant], T]) -> T:
        def in_snapshot(wire: Wire) -> T:
            wire.begin(SNAPSHOT)
            if not self.place.prepared:
                settle_for_now(wire, self.place)
            self._hear(wire)
            found = read(PostgresStatements(wire), self.clock.now())
            wire.ask(COMMIT)
            wire.end()
            return found

        return self._ask(in_snapshot)

    def _glance(self, read: Callable[[Statements], T]) -> T:
        def in_schema(wire: Wire) -> T:
            wire.begin(BEGIN)
            settle_for_now(wire, self.place)
            found = read(PostgresStatements(wire))
            wire.ask(COMMIT)
            wire.end()
            return found

        return self._ask((lambda wire: read(PostgresStatements(wire))) if self.place.prepared else in_schema)

    def _ask(self, read: Callable[[Wire], T]) -> T:
        self._check_process()
        try:
            return self._readers.ask(read)
        except psycopg.Error as error:
            raise unavailable(error) from error

    def verify(self, *, deep: bool = False) -> r.Verification:
        """The accounts; ``deep`` also compares each row with the sum it was written with."""
        return self._look(lambda db, _: accounting.verify(db, deep=deep))

    def backup(self, path: str) -> None:
        raise StoreUnavailable(
            "this store is on a server",
            "its backups are the server's",
            "use pg_dump, or: postroom copy --from URL --to sqlite:///FILE",
        )


def open_postgres(
    url: str, *, create: bool, clock: ServerTime | None = None, rng: Random | None = None
) -> PostgresStore:
    """Open the store a URL names, making its schema first where ``create`` says so.

    Raises ``StoreUnavailable`` if the server does not answer, there is no such store or it is newer, and
    ``BadInput`` for a URL that is none.
    """
    return PostgresStore(url, read_url(url), clock or ServerClock(), rng or Random(), create=create)


def unavailable(error: Exception) -> StoreUnavailable:
    """An error of the driver or the server in the words of the port."""
    why = one_line(error)
    if isinstance(error, (pg.DiskFull, pg.OutOfMemory)):
        return StoreFull("the server has no room", why, "free space on it")
    if isinstance(error, pg.InsufficientPrivilege):
        return denied(error)
    if isinstance(error, (pg.InvalidSchemaName, pg.UndefinedTable)):
        return StoreUnavailable("the store cannot be used", why, "look at the schema and its grants")
    return StoreUnavailable("the store does not answer", why, "look at the server and the URL")


def _unknown(why: object) -> OutcomeUnknown:
    return OutcomeUnknown("the commit failed", one_line(why), "repeat the request with the same id")
