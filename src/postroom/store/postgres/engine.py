"""The PostgreSQL engine: one connection that changes, and one or more that look.

Transactions of several clients run side by side. What one of them reads in order to change it is
locked row by row; what would change an inbox itself has the store to itself for that moment, by an
advisory lock that every transaction shares and that ends with it. Where another transaction got in
between all the same, nothing of the batch stays and it is applied anew.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
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
from ..rules.inboxes import Registry
from ..rules.statements import Raced, Statements
from ..rules.tx import Tx
from ..shown import shown_url
from .bells import LOOK_SECONDS, NOTIFY, Bells
from .clock import NOW, ServerClock, ServerTime
from .marks import Marks
from .opening import check_server, connect, keep_driver_quiet, listen, lock_of, migrate, settle_in
from .outage import Outage
from .readers import Readers
from .statements import Connection, PostgresStatements
from .urls import Place, read_url

T = TypeVar("T")

RACES = (Raced, pg.SerializationFailure, pg.DeadlockDetected, pg.UniqueViolation, pg.LockNotAvailable)
"""What another transaction at the same moment may cause, and a second try not."""

TRIES = 20

ALONE = frozenset((r.Register, r.Control, r.OpenSession, r.Requeue))
"""Operations that change what other transactions go by without locking it."""

SILENT = frozenset((r.RenewSession, r.Claim, r.Tick, r.Sweep, r.Extend))
"""Operations of which nobody else need hear, unless they made mail ready."""

SHARED_LOCK, ALONE_LOCK = "SELECT pg_advisory_xact_lock_shared($1)", "SELECT pg_advisory_xact_lock($1)"

HEAD = "SELECT epoch, registry, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM store"
UNSYNCED = "SET LOCAL synchronous_commit TO off"
"""A notice is nothing that must survive: it need not wait for the disk."""


class PostgresStore(Engine):
    """A handle on a store in one schema of a server."""

    commits_in_thread = True
    is_remote = True

    def __init__(self, url: str, place: Place, clock: ServerTime, rng: Random, *, create: bool) -> None:
        super().__init__(shown_url(url), clock, rng, is_gone_here)
        self.place = place
        self._server_time = clock
        self._lock = lock_of(place.schema)
        self._pid = os.getpid()
        self._marks = Marks(place)
        self._outage = Outage(rng)
        self._readers = Readers(self._connect, self._outage)
        self._bells: Bells | None = None
        self._look_at = 0.0
        self._telling = False
        self._write: Connection | None = None
        keep_driver_quiet()
        try:
            conn = self._connected()
            check_server(conn)
            self._hear(conn)
            migrate(conn, place, create=create, wall=clock.now().wall)
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
        alone = any(type(op) in ALONE for op in batch)
        self._telling = any(type(op) not in SILENT for op in batch)
        cut = False
        for _ in range(TRIES):
            try:
                self._tx = self._enter(batch, alone=alone)
                return self._apply(self._tx, batch)
            except RACES:
                self.rollback()
            except psycopg.Error as error:
                if isinstance(error, pg.ReadOnlySqlTransaction) and self._write is not None:
                    self._write.close()  # it is a standby now: another may be the one that takes changes
                if cut or self._write is None or not self._write.closed:
                    raise unavailable(error) from error
                cut = True  # nothing of it stays, and a new connection may be had at once
                self.rollback()
        raise StoreBusy("the store is busy", "others change the same at each try", "try again")

    def _enter(self, batch: Sequence[r.Operation], *, alone: bool) -> Tx:
        """Begin, and learn what this transaction goes by, in one round trip but after the lock is had."""
        conn = self._connected()
        db = PostgresStatements(conn)
        with conn.pipeline():
            conn.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            if not self.place.prepared:
                settle_in(conn, self.place, local=True)
            conn.execute(ALONE_LOCK if alone else SHARED_LOCK, (self._lock,))
            found = conn.execute(HEAD)
            _foresee(db, batch)
        row = found.fetchone()
        assert row is not None
        epoch, registry, now = row
        self._server_time.heard(now)
        return Tx(db, (epoch, registry, 0), self._registry, self.clock.now(), self._rng, self.policy)

    def _hear(self, conn: Connection) -> None:
        row = conn.execute(NOW).fetchone()
        assert row is not None
        self._server_time.heard(row[0])

    def commit(self) -> None:
        tx = self._tx
        assert tx is not None, "commit needs an applied batch"
        conn = self._write
        assert conn is not None, "what was applied has a connection"
        assert isinstance(tx.db, PostgresStatements)
        try:
            with conn.pipeline():
                tx.db.finish()
                done = conn.execute("COMMIT")
        except psycopg.Error as error:
            if conn.info.transaction_status is psycopg.pq.TransactionStatus.INERROR:
                raise unavailable(error) from error  # what was to go before the commit failed
            raise _unknown(error) from error
        if done.statusmessage != "COMMIT":
            raise _unknown("the server undid it")
        self._tx = None
        self._rung |= tx.rung
        self._marks.forget_read()
        if self._telling or tx.rung:
            self._tell()

    def rollback(self) -> None:
        self._tx = None
        self._registry.forget()
        self._marks.keep_read()
        conn = self._write
        if conn is None or os.getpid() != self._pid:
            return
        try:
            if not conn.closed and conn.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                conn.execute("ROLLBACK")
        except psycopg.Error:
            conn.close()  # what was open there ends with it; the next transaction connects anew

    def reopen(self) -> None:
        """Connect anew, and see that the server answers. If it does not, the next transaction tries again."""
        self.rollback()
        self._let_go()

    def _connected(self) -> Connection:
        self._check_process()
        if self._write is None or self._write.closed:
            self._write = self._connect()
        return self._write

    def _connect(self) -> Connection:
        return self._outage.ended_by(lambda: connect(self.place))

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

    def _new_registry(self) -> Registry:
        return Registry(many=1)  # each statement is a round trip

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

    def _tell(self) -> None:
        """Ring the others' bells. A program that does not listen itself does it here and now."""
        if self._bells is not None:
            self._bells.tell()
        elif self.place.notices == self.place.conninfo:
            with suppress(psycopg.Error):  # nothing depends on it, and the commit has been answered
                conn = self._connected()
                with conn.pipeline():
                    conn.execute("BEGIN")
                    conn.execute(UNSYNCED)
                    conn.execute(NOTIFY)
                    conn.execute("COMMIT")

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
        def in_snapshot(db: Statements) -> T:
            assert isinstance(db, PostgresStatements)
            db.conn.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                if not self.place.prepared:
                    settle_in(db.conn, self.place, local=True)
                self._hear(db.conn)
                return read(db, self.clock.now())
            finally:
                if not db.conn.closed:
                    db.conn.execute("COMMIT")  # after a rollback the driver would prepare everything anew

        return self._ask(in_snapshot)

    def _glance(self, read: Callable[[Statements], T]) -> T:
        def in_schema(db: Statements) -> T:
            assert isinstance(db, PostgresStatements)
            with db.conn.transaction():
                settle_in(db.conn, self.place, local=True)
                return read(db)

        return self._ask(read if self.place.prepared else in_schema)

    def _ask(self, read: Callable[[Statements], T]) -> T:
        self._check_process()
        try:
            return self._readers.ask(lambda conn: read(PostgresStatements(conn)))
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


def _foresee(db: PostgresStatements, batch: Sequence[r.Operation]) -> None:
    """Ask at once what the rules will ask of such a batch, as they will ask it.

    Only where nothing that the batch does before they ask could change the answer.
    """
    sends = [op for op in batch if type(op) is r.Send]
    settles = [op for op in batch if type(op) is r.Settle]
    if not all(op.verdict is r.Verdict.ACK and not op.outputs for op in settles):
        return
    if not all(type(op) is r.Claim for op in batch if type(op) not in (r.Send, r.Settle)):
        return
    if len(settles) > 1:
        db.foresee("leases_to_ack", json.dumps([op.seq for op in settles if op.seq]))
    for session in {send.hand_to for send in sends if send.hand_to}:
        db.foresee("session_get", session)
    if sends:
        db.foresee("inboxes_by_address", json.dumps(sorted({send.message.recipient for send in sends})))
        db.foresee("next_seq", len(sends))
    elif not settles:
        db.foresee("due_first")


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
    if isinstance(error, (pg.InsufficientPrivilege, pg.InvalidSchemaName, pg.UndefinedTable)):
        return StoreUnavailable("the store cannot be used", why, "look at the schema and its grants")
    return StoreUnavailable("the store does not answer", why, "look at the server and the URL")


def _unknown(why: object) -> OutcomeUnknown:
    return OutcomeUnknown("the commit failed", one_line(why), "repeat the request with the same id")
