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
from ..rules import claiming
from ..rules.engine import Engine
from ..rules.histories import Illegible
from ..rules.tx import Tx
from . import intake, verifying
from .db import Db, connect
from .queries import QUERIES
from .statements import SqliteStatements

T = TypeVar("T")

NEVER = 1 << 62
"""A boot time that does not come."""

FEW = 16
"""Messages that one claim leases at most while room on the disk is tight."""


class SqliteEngine(Engine):
    """Everything that speaks SQLite. Subclasses say where the data lives and who else may be there."""

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
        super().__init__(url, clock, rng, is_gone)
        self._write = write
        self._open_reader = open_reader
        self._readers: list[Db] = []
        self._ready = True
        self._look_at = NEVER
        self._refusal: StoreFull | None = None
        self._spare = intake.SPACIOUS
        self._tight = False
        self._pid = os.getpid()
        self._seen: int = self._version()
        self._changed = False

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
            db = SqliteStatements(self._write)
            self._tx = Tx(db, db.row("store_row"), self._registry, self.clock.now(), self._rng, self.policy)
            if self._tx.boot >= self._look_at:
                self._look_around(self._tx.boot)
        except apsw.Error as error:
            self.rollback()
            raise unavailable(error) from error
        except BaseException:
            self.rollback()
            raise

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

    def verify(self, *, deep: bool = False) -> r.Verification:
        return self._look(
            lambda db, _: verifying.verify(db.conn, deep=deep, below=lambda: self._file_faults(db.conn))
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

    def _look(self, read: Callable[[SqliteStatements, Instant], T]) -> T:
        def in_snapshot(db: SqliteStatements) -> T:
            db.conn.execute("BEGIN")
            try:
                return read(db, self.clock.now())
            finally:
                if db.conn.in_transaction:  # a page that cannot be read ends it
                    db.conn.execute("COMMIT")

        return self._glance(in_snapshot)

    def _glance(self, read: Callable[[SqliteStatements], T]) -> T:
        self._check_process()
        try:
            conn = self._borrow_reader()
            try:
                return read(SqliteStatements(conn))
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

    def _wrong(self, error: Exception) -> StoreUnavailable | None:
        if not isinstance(error, (apsw.Error, OSError)):
            return None
        self._write_failed(error)
        return unavailable(error)

    def _take_in(self, tx: Tx, sends: Sequence[r.Send]) -> list[r.Accepted | PostroomError]:
        return intake.take_in(tx, sends, self._refusal, self._spare)

    def _claim(self, tx: Tx, op: r.Claim) -> r.Claimed | PostroomError:
        """Claim; few at a time while room on the disk is tight, for each lease takes some."""
        if not self._tight or op.limit <= FEW:
            return claiming.claim(tx, op, self._gone)
        answer = claiming.claim(tx, structs.replace(op, limit=FEW), self._gone)
        if isinstance(answer, r.Claimed):
            answer.more |= len(answer.deliveries) >= FEW
        return answer


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
