"""The side of a copy that is a file, and the file it is from."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from ..clock import Clock
from ..errors import StoreUnavailable
from ..process import is_gone
from ..sqlite import opening
from ..sqlite.damage import rot
from ..sqlite.db import Db
from ..sqlite.engine import unavailable
from ..sqlite.file import open_file
from .sides import Head, Row
from .tables import IN_FILE, SIGNS
from .taking_over import checked


class FileSide:
    """A connection that reads the tables."""

    def __init__(self, conn: Db, clock: Clock) -> None:
        self.conn = conn
        self.now = clock.now()

    def count(self, what: int) -> int:
        return self._number(IN_FILE[what].how_many())

    def rows(self, what: int, after: int = 0) -> Generator[Row]:
        cursor = self.conn.execute(IN_FILE[what].all_rows(after))
        while (row := cursor.fetchone()) is not None:
            yield row

    def _number(self, statement: str) -> int:
        (number,) = self.conn.execute(statement).fetchone()
        return int(number)


class FileSource(FileSide):
    """A store in a file, that nobody can open meanwhile."""

    def head(self) -> Head:
        epoch, registry, created_at = self.conn.execute(
            "SELECT epoch, registry, created_at FROM store"
        ).fetchone()
        last = self.conn.execute("SELECT seq FROM sqlite_sequence WHERE name = 'session'").fetchone()
        return Head(epoch, registry, created_at, 0 if last is None else last[0])

    def signs(self) -> tuple[int, ...]:
        return tuple(map(self._number, SIGNS))

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


def _in_use(path: Path) -> StoreUnavailable:
    return StoreUnavailable(f"{path} is in use", "another process has it open", "stop that first")
