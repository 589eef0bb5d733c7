"""The SQLite engine: one connection that writes, and as many that read as there are readers at once.

Only ``commit`` may run in another thread, and nothing else touches the writing connection while it
does. Reading may happen in any thread: each reader borrows a connection of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from random import Random
from typing import TypeVar

import apsw
from msgspec import structs

from .. import records as r
from ..clock import Clock, Instant
from ..errors import OutcomeUnknown, PostroomError, StoreBusy, StoreFull, StoreUnavailable
from . import (
    claiming,
    intake,
    keyed,
    reading,
    registry,
    sending,
    sessions,
    settling,
    timekeeping,
    upkeep,
    verifying,
)
from .db import Db, connect
from .histories import Illegible
from .inboxes import Registry
from .leases import Gone
from .queries import QUERIES
from .tx import Policy, Tx

T = TypeVar("T")

NEVER = 1 << 62
"""A boot time that does not come."""

FEW = 16
"""Messages that one claim leases at most while room on the disk is tight."""


class SqliteEngine:
    """Everything that speaks SQL. Subclasses say where the data lives and who else may be there."""

    commits_in_thread = True

    def __init__(
        self,
        url: str,
        clock: Clock,
        write: Db,
        open_reader: Callable[[], Db],
        rng: Random,
        is_gone: Callable[[str], bool],
    ) -> None:
        self.url = url
        self.clock = clock
        self.policy = Policy()
        self._write = write
        self._open_reader = open_reader
        self._readers: list[Db] = []
        self._paused: reading.Paused | None = None
        self._rng = rng
        self._gone = Gone(is_gone, self._begun)
        self._registry = Registry()
        self._tx: Tx | None = None
        self._rung: set[str] = set()
        self._sweep_after = 0
        self._ready = True
        self._look_at = NEVER
        self._refusal: StoreFull | None = None
        self._spare = intake.SPACIOUS
        self._tight = False
        self._pid = os.getpid()
        self._seen: int = self._version()
        self._changed = False
        self._handlers = self._table()

    # Changing

    def begin(self) -> None:
        """Take the write lock now or raise ``StoreBusy``."""
        self._check_process()
        if not self._ready:
            self._make_ready()
        try:
            self._write.execute("BEGIN IMMEDIATE")
        except apsw.BusyError as error:
            raise StoreBusy("the store is busy", "another process is writing", "try again") from error
        except apsw.Error as error:
            raise unavailable(error) from error
        try:
            self._notice()
            self._tx = Tx(self._write, self._registry, self.clock.now(), self._rng, self.policy)
            if self._tx.boot >= self._look_at:
                self._look_around(self._tx.boot)
        except apsw.Error as error:
            self.rollback()
            raise unavailable(error) from error
        except BaseException:
            self.rollback()
            raise

    def apply(self, batch: Sequence[r.Operation]) -> list[r.Answer]:
        """Apply a batch: switches and sessions first, then settlements, sends and claims."""
        tx = self._tx
        assert tx is not None, "apply needs a begun transaction"
        answers: list[r.Answer | None] = [None] * len(batch)
        settles: list[tuple[int, r.Settle]] = []
        sends: list[tuple[int, r.Send]] = []
        claims: list[tuple[int, r.Claim]] = []
        try:
            for n, op in enumerate(batch):
                kind = type(op)
                if kind is r.Send:
                    sends.append((n, op))  # type: ignore[arg-type]  # its type was just compared
                elif kind is r.Settle:
                    settles.append((n, op))  # type: ignore[arg-type]  # its type was just compared
                elif kind is r.Claim:
                    claims.append((n, op))  # type: ignore[arg-type]  # its type was just compared
                else:
                    answers[n] = self._handlers[kind](tx, op)
            if settles:
                _place(answers, settles, settling.settle(tx, [op for _, op in settles]))
            if sends:
                taken = intake.take_in(tx, [op for _, op in sends], self._refusal, self._spare)
                _place(answers, sends, taken)
            for n, claim in claims:
                answers[n] = self._claim(tx, claim)
            sending.send_bounces(tx)
            tx.close()
        except (apsw.Error, OSError) as error:
            self._write_failed(error)
            raise unavailable(error) from error
        return [answer for answer in answers if answer is not None]

    def commit(self) -> None:
        """Make the batch durable; a failure here leaves its outcome unknown."""
        self._check_process()
        tx = self._tx
        assert tx is not None, "commit needs a begun transaction"
        try:
            self._write.execute("COMMIT")
        except apsw.Error as error:
            self._write_failed(error)
            raise OutcomeUnknown(
                "the commit failed", str(error), "repeat the request with the same id"
            ) from error
        self._tx = None
        self._rung |= tx.rung

    def rollback(self) -> None:
        """Undo the open transaction, if one is open."""
        self._tx = None
        self._registry.forget()
        if os.getpid() == self._pid and self._write.in_transaction:
            self._write.execute("ROLLBACK")

    def rung(self) -> set[str]:
        rung, self._rung = self._rung, set()
        return rung

    # Reading

    def changed_elsewhere(self) -> bool:
        if self._tx is None:
            try:
                self._notice()
            except apsw.Error as error:
                raise unavailable(error) from error
        changed, self._changed = self._changed, False
        return changed

    def on_commit(self, ring: Callable[[], None]) -> Callable[[], None] | None:
        """Other handles on a file tell nobody; ``watch`` hears them."""
        return None

    def commit_delay(self) -> float:
        return 0.0

    def message(self, id: bytes) -> r.StoredMessage | None:
        return self._look(lambda conn, now: reading.message(conn, now, id))

    def peek(
        self, inbox: str, limit: int, *, state: str | None = None, after: int = 0
    ) -> list[r.StoredMessage]:
        return self._look(lambda conn, now: reading.peek(conn, now, inbox, limit, state, after))

    def dead(self, inbox: str | None, limit: int) -> list[r.StoredMessage]:
        return self._look(lambda conn, now: reading.dead(conn, now, inbox, limit))

    def counts(self, inbox: str | None = None) -> list[r.InboxCounts]:
        return self._look(lambda conn, now: reading.counts(conn, now, inbox))

    def ready_inboxes(self) -> set[str]:
        return self._glance(lambda conn: reading.ready_inboxes(conn))

    def paused(self) -> set[tuple[str, str | None]]:
        self._paused = self._glance(lambda conn: reading.paused(conn, self._paused))
        return set(self._paused.what)

    def records(self, owner: str, kind: str | None = None, key: str | None = None) -> list[r.Record]:
        return self._glance(lambda conn: reading.records(conn, owner, kind, key))

    def sessions(self) -> list[r.Session]:
        return self._glance(lambda conn: reading.sessions(conn))

    def activations(self) -> list[r.Term]:
        return self._glance(lambda conn: reading.activations(conn))

    def verify(self, *, deep: bool = False) -> r.Verification:
        return self._look(
            lambda conn, _: verifying.verify(conn, deep=deep, below=lambda: self._file_faults(conn))
        )

    def _file_faults(self, conn: Db) -> list[str]:
        """What is wrong with the files under the store."""
        return []

    def backup(self, path: str) -> None:
        """Copy the store, as of one moment, into a new file."""
        self._check_process()
        try:
            with closing(self._open_reader()) as source, closing(connect(path)) as target:
                target.pragma("synchronous", "EXTRA")  # a journal that came back would undo the last step
                source.execute("BEGIN")  # of one moment: else each commit by anybody starts the copying anew
                source.execute(QUERIES["store_row"]).fetchall()
                with target.backup("main", source, "main") as copying:
                    while not copying.done:
                        copying.step(1000)
                source.execute("COMMIT")
                target.pragma("journal_mode", "delete")
        except (apsw.Error, OSError) as error:
            raise unavailable(error) from error

    def close(self) -> None:
        """Let go of the file. What was committed stays; an open transaction is undone."""
        if os.getpid() == self._pid:
            self.rollback()
            self._close_all()

    # Inside

    def _close_all(self) -> None:
        self._paused = None  # what is opened next may be another store
        while self._readers:
            self._readers.pop().close()
        self._write.close()

    def _look(self, read: Callable[[Db, Instant], T]) -> T:
        """Run a reading function of several statements in one snapshot."""

        def in_snapshot(conn: Db) -> T:
            conn.execute("BEGIN")
            try:
                return read(conn, self.clock.now())
            finally:
                if conn.in_transaction:  # a page that cannot be read ends it
                    conn.execute("COMMIT")

        return self._glance(in_snapshot)

    def _glance(self, read: Callable[[Db], T]) -> T:
        """Run a reading function of one statement, on a connection that nobody else uses meanwhile."""
        self._check_process()
        try:
            conn = self._borrow_reader()
            try:
                return read(conn)
            finally:
                self._readers.append(conn)
        except (apsw.Error, OSError, UnicodeDecodeError, Illegible) as error:  # verifying reads files, too
            raise unavailable(error) from error

    def _borrow_reader(self) -> Db:
        try:
            return self._readers.pop()
        except IndexError:
            return self._open_reader()

    def _notice(self) -> None:
        """Look whether another connection has committed. Own commits do not move the version."""
        version = self._version()
        if version != self._seen:
            self._seen, self._changed = version, True

    def _version(self) -> int:
        version: int = self._write.pragma("data_version")
        return version

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise StoreUnavailable(
                "this store handle was opened before a fork",
                "SQLite's locks do not survive one",
                "open it only after the fork, or spawn a fresh interpreter",
            )

    def _look_around(self, boot: int) -> None:
        """Look at what is under the store; called in a transaction once ``_look_at`` has come."""

    def _make_ready(self) -> None:
        """Put right what keeps a transaction from beginning; called while ``_ready`` is false."""

    def _write_failed(self, error: Exception) -> None:
        """A statement or a commit has failed with this error."""

    def _begun(self, session: int) -> frozenset[int] | None:
        """Turns that a session had begun; None when nobody can know."""
        raise NotImplementedError

    def _claim(self, tx: Tx, op: r.Claim) -> r.Answer:
        """Claim; few at a time while room on the disk is tight, for each lease takes some."""
        if not self._tight or op.limit <= FEW:
            return claiming.claim(tx, op, self._gone)
        answer = claiming.claim(tx, structs.replace(op, limit=FEW), self._gone)
        if isinstance(answer, r.Claimed):
            answer.more |= len(answer.deliveries) >= FEW
        return answer

    def _open_session(self, tx: Tx, op: r.OpenSession) -> r.Session:
        return sessions.open_session(tx, op, self._gone)

    def _activate(self, tx: Tx, op: r.Activate) -> r.Term | PostroomError:
        return sessions.activate(tx, op, self._gone)

    def _tick(self, tx: Tx, op: r.Tick) -> r.Ticked:
        return timekeeping.tick(tx, op.limit, self._gone)

    def _sweep(self, tx: Tx, op: r.Sweep) -> r.Changed:
        changed, self._sweep_after = upkeep.sweep(tx, op, self._sweep_after)
        return changed

    def _table(self) -> dict[type, Callable[..., r.Answer]]:
        """What handles each operation that is not applied in bulk."""
        return {
            r.Extend: settling.extend,
            r.Register: registry.register,
            r.Control: registry.control,
            r.OpenSession: self._open_session,
            r.RenewSession: sessions.renew,
            r.CloseSession: sessions.close,
            r.Activate: self._activate,
            r.Deactivate: sessions.deactivate,
            r.Put: keyed.put,
            r.Requeue: upkeep.requeue,
            r.Drop: upkeep.drop,
            r.Cancel: upkeep.cancel,
            r.Tick: self._tick,
            r.Sweep: self._sweep,
        }


def _place(
    answers: list[r.Answer | None],
    where: Sequence[tuple[int, object]],
    what: Sequence[r.Accepted | r.Settled | PostroomError],
) -> None:
    for (n, _), answer in zip(where, what, strict=True):
        answers[n] = answer


def unavailable(error: Exception) -> StoreUnavailable:
    """A storage error in the words of the port."""
    if isinstance(error, apsw.FullError):
        return StoreFull("the store's disk is full", str(error), "free space on it")
    if isinstance(error, apsw.BusyError):
        return StoreBusy("the store is busy", str(error), "try again")
    advice: dict[type[Exception], str] = {
        apsw.ReadOnlyError: "make the file and its directory writable",
        apsw.NotADBError: "choose another file",
    }
    if isinstance(error, (apsw.CorruptError, UnicodeDecodeError, Illegible)):
        do = "see what is wrong with: postroom verify --deep; mend it with: postroom repair"
        return StoreUnavailable("the store is damaged", str(error), do)
    do = advice.get(type(error), "look at the disk and the file's permissions")
    return StoreUnavailable("the store does not answer", str(error), do)
