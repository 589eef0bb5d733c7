"""The file that a copy goes to."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from random import Random

import apsw

from ..clock import Clock
from ..errors import Conflict, one_line
from ..records import Verification
from ..rules.inboxes import Registry
from ..rules.tx import Policy, Tx
from ..sqlite import opening, verifying
from ..sqlite.db import Db
from ..sqlite.engine import unavailable
from ..sqlite.statements import SqliteStatements
from .beside import Beside, beside
from .files import FileSide
from .mark import Mark
from .sides import Head, Row
from .tables import IN_FILE, NAMES
from .taking_over import cannot_keep, nobody_holds

IDS = len(IN_FILE) - 1
"""They come with the messages."""


class FileTarget(FileSide):
    """A file beside the place of the new store, which takes its name once all is in it.

    Until then its application id is not that of a store, so nobody can use it.
    """

    schema = opening.SCHEMA_VERSION

    def __init__(self, there: Beside, clock: Clock) -> None:
        self._there, self._clock = there, clock
        super().__init__(_connected(there), clock)
        application = self.conn.pragma("application_id")
        self._whole = bool(application == opening.APPLICATION_ID)
        self.mark = there.mark if self._whole or application == opening.UNFINISHED_ID else None

    def check(self) -> None:
        """Refuse a file that no copy has made. Raises ``Conflict``."""
        if self.mark is None and self.conn.pragma("page_count"):
            raise Conflict(f"{self._there.part} exists", "it is another program's database", "move it away")

    def is_whole(self) -> bool:
        return self._whole

    def begin(self, mark: Mark, head: Head) -> None:
        self._there.keep(mark)
        self.conn.execute("BEGIN IMMEDIATE")
        opening.build(self.conn, self._clock)
        self.conn.execute("UPDATE store SET epoch = ?, registry = ?, created_at = ?", head[:3])
        self.conn.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('session', ?)", (head.last_session,)
        )
        self.conn.pragma("application_id", opening.UNFINISHED_ID)
        self.conn.execute("COMMIT")
        self.mark = mark

    def write(self, what: int, rows: Iterable[Row]) -> None:
        if what == IDS:
            return
        table = IN_FILE[what]
        values = ", ".join("?" * len(table.columns))
        into = f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({values})"  # noqa: S608  # names of ours
        self.conn.execute("BEGIN IMMEDIATE")
        try:
            self.conn.executemany(into, rows)
        except apsw.ConstraintError as error:
            raise cannot_keep(NAMES[what], one_line(error)) from error
        self.conn.execute("COMMIT")

    def close_up(self) -> None:
        self.conn.execute("BEGIN IMMEDIATE")

    def settle(self, head: Head) -> None:
        db = SqliteStatements(self.conn)
        nobody_holds(Tx(db, db.row("store_row"), Registry(), self.now, Random(), Policy()))

    def verify(self) -> Verification:
        return verifying.verify(self.conn, deep=True)

    def finish(self) -> None:
        if not self._whole:
            self.conn.pragma("application_id", opening.APPLICATION_ID)
            self.conn.execute("COMMIT")
        self.conn.close()
        self._there.put_in_place()

    def discard(self) -> None:
        self.conn.close()
        self._there.throw_away()
        self.conn = _connected(self._there)
        self.mark, self._whole = None, False

    def close(self) -> None:
        """What was not committed is undone."""
        self.conn.close()


def _connected(there: Beside) -> Db:
    """A connection by which each step is durable, whether the program is killed or the power fails."""
    there.make()
    conn = opening.connect(str(there.part))
    try:
        conn.pragma("journal_mode", "delete")
        conn.pragma("synchronous", "FULL")
    except BaseException:
        conn.close()
        raise
    return conn


@contextmanager
def file_target(path: Path, clock: Clock) -> Generator[FileTarget]:
    """Make a place for a copy, or find one. Raises ``Conflict`` for anything else, ``StoreUnavailable``."""
    try:
        opening.check_sqlite(apsw.sqlite_lib_version())
        with beside(path) as there:
            target = FileTarget(there, clock)
            try:
                target.check()
                yield target
            finally:
                target.close()
    except (apsw.Error, OSError) as error:
        raise unavailable(error) from error
