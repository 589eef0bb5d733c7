"""The sides of a copy that are files."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from random import Random

import apsw

from ..clock import Clock
from ..errors import Conflict, StoreUnavailable
from ..process import is_gone
from ..records import Verification
from ..rules.inboxes import Registry
from ..rules.tx import Policy, Tx
from ..sqlite import opening, verifying
from ..sqlite.damage import rot
from ..sqlite.db import Db
from ..sqlite.engine import unavailable
from ..sqlite.file import open_file
from ..sqlite.statements import SqliteStatements
from .sides import Head, Row
from .tables import IN_FILE
from .taking_over import checked, nobody_holds

BESIDE = ("", "-wal", "-shm", "-journal", ".next")
"""What may be where a store is: its file, and those that would be taken for the new one's."""


class _File:
    """A connection that reads the tables."""

    def __init__(self, conn: Db, clock: Clock) -> None:
        self.conn = conn
        self.now = clock.now()

    def count(self, what: int) -> int:
        (count,) = self.conn.execute(IN_FILE[what].how_many()).fetchone()
        return int(count)

    def rows(self, what: int) -> Iterator[Row]:
        cursor = self.conn.execute(IN_FILE[what].all_rows())
        while (row := cursor.fetchone()) is not None:
            yield row


class FileSource(_File):
    """A store in a file, that nobody can open meanwhile."""

    def head(self) -> Head:
        epoch, registry, created_at = self.conn.execute(
            "SELECT epoch, registry, created_at FROM store"
        ).fetchone()
        last = self.conn.execute("SELECT seq FROM sqlite_sequence WHERE name = 'session'").fetchone()
        return Head(epoch, registry, created_at, 0 if last is None else last[0])

    def in_use(self) -> str:
        live = "SELECT name, process FROM session WHERE live = 1 AND expires > ? ORDER BY id"
        found = self.conn.execute(live, (self.now.boot,)).fetchall()
        return ", ".join(f"session {name}" for name, process in found if not is_gone(process))


@contextmanager
def file_source(path: Path, clock: Clock) -> Generator[FileSource]:
    """Open a store for copying: verified, and for us alone. Raises ``StoreUnavailable``, ``Refused``."""
    try:
        if path.exists():
            with rot.sole_use(path) as alone:
                if not alone:
                    raise _in_use(path)
        with closing(open_file(path, create=False, clock=clock)) as store:
            checked(store.verify(deep=True), str(path))
        with closing(opening.connect(str(path))) as conn:
            conn.pragma("locking_mode", "exclusive")
            try:
                conn.execute("BEGIN EXCLUSIVE")
            except apsw.BusyError as error:
                raise _in_use(path) from error
            yield FileSource(conn, clock)
    except (apsw.Error, OSError) as error:
        raise unavailable(error) from error


class FileTarget(_File):
    """A file beside the place of the new store, which takes its name once all is in it."""

    def __init__(self, part: Path, path: Path, conn: Db, clock: Clock) -> None:
        super().__init__(conn, clock)
        self._part, self._path, self._clock = part, path, clock
        self._epoch = 0

    def begin(self, head: Head) -> None:
        self.conn.pragma("journal_mode", "memory")  # it is thrown away unless all of it is written
        self.conn.pragma("synchronous", "off")
        opening.migrate(self.conn, self._clock)
        self.conn.execute("BEGIN IMMEDIATE")
        self.conn.execute("UPDATE store SET epoch = ?, registry = ?, created_at = ?", head[:3])
        self.conn.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('session', ?)", (head.last_session,)
        )

    def write(self, what: int, rows: Iterable[Row]) -> None:
        table = IN_FILE[what]
        if what == len(IN_FILE) - 1:
            return  # the ids came with the messages
        values = ", ".join("?" * len(table.columns))
        into = f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({values})"  # noqa: S608  # names of ours
        self.conn.executemany(into, rows)

    def settle(self) -> None:
        db = SqliteStatements(self.conn)
        nobody_holds(Tx(db, db.row("store_row"), Registry(), self.now, Random(), Policy()))

    def verify(self) -> Verification:
        return verifying.verify(self.conn, deep=True)

    def finish(self) -> None:
        self.conn.execute("COMMIT")
        self.conn.close()
        rot.sync(self._part)
        check_vacant(self._path)
        try:
            os.link(self._part, self._path)  # unlike a renaming, it replaces nothing
        except FileExistsError as error:
            raise _taken(self._path) from error
        self._part.unlink()
        rot.sync(self._path.parent)


@contextmanager
def file_target(path: Path, clock: Clock) -> Generator[FileTarget]:
    """Make a place for a copy. Raises ``Conflict`` if something is there, ``StoreUnavailable``."""
    try:
        check_vacant(path)
        opening.check_sqlite(apsw.sqlite_lib_version())
        part = path.with_name(f"{path.name}.copying")
        with _own_file(part), closing(opening.connect(str(part))) as conn:
            yield FileTarget(part, path, conn, clock)
    except (apsw.Error, OSError) as error:
        raise unavailable(error) from error


@contextmanager
def _own_file(part: Path) -> Generator[None]:
    """An empty file that only this process writes. What a killed copy left is removed."""
    if part.exists():
        with _locked(part):
            part.unlink()
    opening.create_file(part)
    opening.check_file_system(part)
    with _locked(part):
        try:
            yield
        finally:
            with suppress(FileNotFoundError):
                part.unlink()


@contextmanager
def _locked(part: Path) -> Generator[None]:
    handle = os.open(part, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreUnavailable(
                f"{part} is being written", "another copy to the same place is under way", "wait for it"
            ) from error
        yield
    finally:
        os.close(handle)


def check_vacant(path: Path) -> None:
    """Refuse a place where there is something. Raises ``Conflict``."""
    for suffix in BESIDE:
        there = path.with_name(path.name + suffix)
        if there.exists() or there.is_symlink():
            raise _taken(there)


def _taken(path: Path) -> Conflict:
    return Conflict(f"{path} exists", "a copy replaces nothing", "name a place where there is nothing")


def _in_use(path: Path) -> StoreUnavailable:
    return StoreUnavailable(f"{path} is in use", "another process has it open", "stop that first")
