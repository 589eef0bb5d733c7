"""A store in a file: several processes may use it at once, each through one handle."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import apsw

from ..clock import Clock, SystemClock
from ..errors import StoreUnavailable
from ..process import is_gone
from . import opening, timekeeping
from .db import Db
from .engine import SqliteEngine, unavailable
from .marks import FileMarks, read_marks
from .watch import CommitWatch, watch_commits

# Files open in this process, by device and inode. This must be one table for the whole process:
# POSIX locks belong to the process, and closing any second handle of a file drops the locks of the first.
_open_files: dict[tuple[int, int], int] = {}


class FileStore(SqliteEngine):
    """The SQLite engine on a file."""

    def __init__(self, path: Path, clock: Clock, rng: Random) -> None:
        opening.check_sqlite(apsw.sqlite_lib_version())
        opening.check_file_system(path)
        stat = path.stat()
        self.path = path
        self._identity = (stat.st_dev, stat.st_ino)
        if _open_files.get(self._identity) == os.getpid():
            raise StoreUnavailable(
                f"{path} is open already in this process",
                "a second handle would drop the locks of the first",
                "share the open one",
            )
        _open_files[self._identity] = os.getpid()
        try:
            write = self._connect(clock)
            super().__init__(f"sqlite:///{path}", clock, write, self._connect_reader, rng, is_gone)
            self._wake_up()
        except BaseException:
            _open_files.pop(self._identity, None)
            raise

    def _connect_reader(self) -> Db:
        return opening.connect(str(self.path), read_only=True)

    def _connect(self, clock: Clock) -> Db:
        """The writing connection, with the schema brought up to date."""
        try:
            write = opening.connect(str(self.path))
            write.set_busy_timeout(5000)
            if write.readonly("main"):
                raise StoreUnavailable(
                    f"{self.path} is read-only",
                    "its permissions forbid writing",
                    "make it writable",
                )
            opening.make_durable(write)
            opening.migrate(write, clock)
            write.set_busy_timeout(0)
            return write
        except apsw.Error as error:
            raise _cannot_open(self.path, error) from error

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
        self._tx.close()
        self.commit()

    def reopen(self) -> None:
        """Open the file anew, so that SQLite recovers from what is really on the disk."""
        self.rollback()
        self._close_all()
        self._write = self._connect(self.clock)

    def watch(self) -> CommitWatch | None:
        """A new watch on the store's directory; the caller closes it."""
        return watch_commits(self.path.resolve().parent)

    def turn_marks(self, session: int) -> FileMarks:
        """The marks of a session of this process."""
        return FileMarks(self._marks_path(session))

    def _begun(self, session: int) -> frozenset[int] | None:
        path = self._marks_path(session)
        begun = read_marks(path)
        path.unlink(missing_ok=True)
        return begun

    def _marks_path(self, session: int) -> Path:
        return self.path.with_name(f"{self.path.name}-turns-{session}")

    def close(self) -> None:
        super().close()
        if _open_files.get(self._identity) == os.getpid():
            _open_files.pop(self._identity, None)


def open_file(
    path: Path, *, create: bool, clock: Clock | None = None, rng: Random | None = None
) -> FileStore:
    """Open a store file, making it first where ``create`` says so.

    Raises ``StoreUnavailable`` for anything that would not be safe: a missing file, another
    program's database, a newer schema, a network file system, a second handle.
    """
    if not path.exists():
        if not create:
            raise StoreUnavailable(
                f"no store at {path}",
                "it does not exist",
                "create it with: postroom pair TASK --manager M --worker W",
            )
        opening.create_file(path)
    elif not path.is_file():
        raise StoreUnavailable(f"{path} is not a file", "", "name a file with --store")
    elif not os.access(path, os.R_OK | os.W_OK) or not os.access(path.parent, os.W_OK):
        raise StoreUnavailable(f"{path} is read-only", "its permissions forbid writing", "make it writable")
    return FileStore(path, clock or SystemClock(), rng or Random())


def _cannot_open(path: Path, error: apsw.Error) -> StoreUnavailable:
    if isinstance(error, apsw.NotADBError):
        return StoreUnavailable(f"{path} is not a database", "it is some other file", "choose another file")
    return unavailable(error)
