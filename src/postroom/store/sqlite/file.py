"""A store in a file: several processes may use it at once, each through one handle."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from random import Random

import apsw

from ..clock import Clock, SystemClock
from ..errors import StoreUnavailable
from ..marks import FileMarks, read_marks
from ..process import is_gone
from ..records import Verification
from ..rules import sending, timekeeping
from . import opening
from .ballast import BALLAST_BYTES, LOOK_US, Ballast, room_at, wal_pages
from .damage.rot import finish_cut_off, look_before_opening
from .db import Db
from .engine import SqliteEngine, unavailable
from .watch import CommitWatch, watch_commits

# Files open in this process, by device and inode. This must be one table for the whole process:
# POSIX locks belong to the process, and closing any second handle of a file drops the locks of the first.
_open_files: dict[tuple[int, int], int] = {}


class FileStore(SqliteEngine):
    """The SQLite engine on a file."""

    def __init__(self, path: Path, clock: Clock, rng: Random, ballast: Ballast | None = None) -> None:
        opening.check_sqlite(apsw.sqlite_lib_version())
        opening.check_file_system(path)
        finish_cut_off(path.resolve())
        stat = path.stat()
        self.path = path
        self._place = path.resolve()  # where SQLite keeps the files beside it, too
        self._identity = (stat.st_dev, stat.st_ino)
        self._wal_identity: tuple[int, int] | None = None
        self._connected = True
        self._read_marks: list[Path] = []
        self.mended: list[str] = []
        self._ballast = ballast or Ballast(self._place)
        _check_unopened(path, _open_files.get(self._identity))
        _open_files[self._identity] = os.getpid()
        try:
            self._ballast.look()  # opening takes room too
            write = self._connect(clock)
            try:
                super().__init__(f"sqlite:///{path}", clock, write, self._connect_reader, rng, is_gone)
                self._looked(clock.now().boot)
                self._wake_up()
            except BaseException:
                write.close()
                raise
        except BaseException as error:
            _open_files.pop(self._identity, None)
            if isinstance(error, apsw.Error):
                raise _cannot_open(path, error) from error
            raise

    def _connect_reader(self) -> Db:
        self._check_identity()
        return opening.connect(str(self.path), read_only=True)

    def _connect(self, clock: Clock) -> Db:
        """The writing connection, with the schema brought up to date."""
        try:
            self._tell_mended(look_before_opening(self._place))
            write = opening.connect(str(self.path))
            try:
                self._prepare(write, clock)
            except BaseException:
                write.close()  # or the next opening would find the file in use here, and not look at it
                raise
            return write
        except apsw.Error as error:
            raise _cannot_open(self.path, error) from error
        except OSError as error:
            raise _gone_wrong(self.path, error) from error

    def _tell_mended(self, notes: list[str]) -> None:
        """Say what was mended to whoever listens: without a handler, logging writes it to stderr."""
        self.mended += notes
        if notes:
            import logging  # its cost is paid only when there is something to say

            for note in notes:
                logging.getLogger("postroom.store").warning("%s: %s", self.path, note)

    def _prepare(self, write: Db, clock: Clock) -> None:
        write.set_busy_timeout(5000)
        if write.readonly("main"):
            raise StoreUnavailable(
                f"{self.path} is read-only",
                "its permissions forbid writing",
                "make it writable",
            )
        opening.make_durable(write)
        self._check_identity()  # having read, SQLite holds a lock now: nobody replaces the file any more
        opening.migrate(write, clock)
        pages = wal_pages(room_at(self._place.parent), write.pragma("page_size"))
        write.pragma("wal_autocheckpoint", pages)
        write.set_busy_timeout(0)
        self._wal_identity = _identity_of(self._wal_path())

    def _wake_up(self) -> None:
        """After a reboot, put everything that was measured on the old boot's clock right."""
        (boot_id,) = self._write.execute("SELECT boot_id FROM store").fetchone() or ("",)
        if boot_id == self.clock.boot_id:
            return
        self._write.set_busy_timeout(5000)
        self.begin()
        self._write.set_busy_timeout(0)
        assert self._tx is not None
        (boot_id,) = self._write.execute("SELECT boot_id FROM store").fetchone() or ("",)
        if boot_id != self.clock.boot_id:
            timekeeping.reboot(self._tx, self.clock.boot_id)
            sending.send_bounces(self._tx)
        self._tx.close()
        self.commit()

    def reopen(self) -> None:
        """Open the file anew, so that SQLite recovers from what is really on the disk.

        If that fails, the handle stays closed, and the next transaction tries again and says why not.
        """
        self.rollback()
        self._let_go()
        try:
            self._make_ready()
        except StoreUnavailable:
            self._ready = False

    def commit(self) -> None:
        super().commit()
        while self._read_marks:
            with suppress(OSError):  # a session that has ended is never asked for again
                self._read_marks.pop().unlink(missing_ok=True)

    def rollback(self) -> None:
        self._read_marks.clear()
        try:
            super().rollback()
        except apsw.Error:
            self._let_go()  # the transaction ends with its connection; the next one begins on another

    def _let_go(self) -> None:
        if self._connected:
            self._ready = self._connected = False
            self._wal_identity = None  # whoever closes a store last removes it
            self._close_all()

    def _make_ready(self) -> None:
        if not self._connected:
            self._check_identity()
            self._write = self._connect(self.clock)
            self._connected = True
        if self._refusal is not None:
            self._write_back()
        self._ready = self._refusal is None

    # What is under the store

    def _look_around(self, boot: int) -> None:
        """See that the file is still the one that was opened, and how much room there is."""
        self._check_identity()
        try:
            self._ballast.look()
        except OSError as error:
            raise _gone_wrong(self.path, error) from error
        self._looked(boot)

    def _looked(self, boot: int) -> None:
        """While room is tight, every transaction looks again."""
        self._refusal, self._spare = self._ballast.refusal, self._ballast.spare
        self._tight = self._ballast.tight
        self._look_at = 0 if self._tight else boot + LOOK_US
        self._ready = self._connected and self._refusal is None

    def _write_failed(self, error: Exception) -> None:
        if isinstance(error, apsw.FullError):
            self._ballast.failed()
            self._looked(0)

    def _write_back(self) -> None:
        """Empty the write-ahead log if it has grown, so that its room can be used for settling.

        Where that is not possible now, because of readers or of the disk, the transaction itself will
        tell whether it matters.
        """
        try:
            pages = int(self._write.pragma("wal_autocheckpoint"))
            if self._wal_path().stat().st_size > pages * int(self._write.pragma("page_size")) // 2:
                self._write.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except (apsw.Error, OSError):
            return

    def _check_identity(self) -> None:
        """Whoever moves a store's files away while it is open must be heard before more is written."""
        for path, opened in ((self._place, self._identity), (self._wal_path(), self._wal_identity)):
            if opened is not None and _identity_of(path) != opened:
                raise StoreUnavailable(
                    f"{path.name} is not the file that was opened",
                    "it was removed or replaced while in use",
                    "stop this process, put the file back or restore a backup, and start again",
                )

    def _wal_path(self) -> Path:
        return self._place.with_name(f"{self._place.name}-wal")

    def verify(self, *, deep: bool = False) -> Verification:
        from .damage.deep import notices  # only verifying reads all files

        found = super().verify(deep=deep)
        found.notices = notices(self._place)
        return found

    def _file_faults(self, conn: Db) -> list[str]:
        from .damage.deep import file_faults

        return file_faults(conn, self._place)

    def watch(self) -> CommitWatch | None:
        """A new watch on the store's directory; the caller closes it."""
        return watch_commits(self.path.resolve().parent)

    def turn_marks(self, session: int) -> FileMarks:
        """The marks of a session of this process. Raises ``StoreUnavailable``."""
        path = self._marks_path(session)
        try:
            return FileMarks(path)
        except OSError as error:
            with suppress(OSError):  # what went wrong before is what counts
                path.unlink(missing_ok=True)
            raise _gone_wrong(path, error) from error

    def _begun(self, session: int) -> frozenset[int] | None:
        """The marks are removed by the commit: who takes the leases back after all has to see them, too."""
        path = self._marks_path(session)
        self._read_marks.append(path)
        return read_marks(path)

    def _marks_path(self, session: int) -> Path:
        return self.path.with_name(f"{self.path.name}-turns-{session}")

    def close(self) -> None:
        if self._connected:
            super().close()
        if _open_files.get(self._identity) == os.getpid():
            _open_files.pop(self._identity, None)


def open_file(
    path: Path,
    *,
    create: bool,
    clock: Clock | None = None,
    rng: Random | None = None,
    ballast: int = 0,
) -> FileStore:
    """Open a store file, making it first where ``create`` says so.

    With ``create`` and a ``ballast`` in bytes, there is such a file beside it afterwards if there is room
    for that. Raises ``StoreUnavailable`` for anything that would not be safe: a missing file, another
    program's database, a newer schema, a network file system, a second handle.
    """
    try:
        _check_path(path, create)
        watch = Ballast(path.resolve(), most=ballast or BALLAST_BYTES)
        store = FileStore(path, clock or SystemClock(), rng or Random(), watch)
        if create and ballast:
            watch.make()
    except OSError as error:
        raise _gone_wrong(path, error) from error
    return store


def _check_path(path: Path, create: bool) -> None:
    if not path.exists():
        if not create:
            raise StoreUnavailable(
                f"no store at {path}",
                "it does not exist",
                "create it with: postroom run FILE, or postroom pair TASK --manager M --worker W",
            )
        opening.create_file(path)
    elif not path.is_file():
        raise StoreUnavailable(f"{path} is not a file", "", "name a file with --store")
    elif not os.access(path, os.R_OK | os.W_OK) or not os.access(path.parent, os.W_OK):
        raise StoreUnavailable(f"{path} is read-only", "its permissions forbid writing", "make it writable")


def _identity_of(path: Path) -> tuple[int, int] | None:
    """Device and inode; None if there is no file. Raises ``StoreUnavailable`` if nobody can tell."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _gone_wrong(path, error) from error
    return stat.st_dev, stat.st_ino


def _gone_wrong(path: Path, error: OSError) -> StoreUnavailable:
    why = error.strerror or str(error)
    return StoreUnavailable(f"cannot use {path}", why, "look at its folder, and at this process's limits")


def _check_unopened(path: Path, opener: int | None) -> None:
    """One handle in a process. What SQLite knows of its locks is copied by a fork, and wrong in the child."""
    if opener == os.getpid():
        raise StoreUnavailable(
            f"{path} is open already in this process",
            "a second handle would drop the locks of the first",
            "share the open one",
        )
    if opener is not None:
        raise StoreUnavailable(
            f"{path} was open when this process was forked",
            "SQLite's locks do not survive that, and what is sent here could be lost",
            "open it only after the fork, or spawn a fresh interpreter",
        )


def _cannot_open(path: Path, error: apsw.Error) -> StoreUnavailable:
    if isinstance(error, apsw.NotADBError):
        return StoreUnavailable(f"{path} is not a database", "it is some other file", "choose another file")
    return unavailable(error)
