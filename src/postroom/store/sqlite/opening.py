"""Opening a database file safely, or saying in one line why not."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import apsw

from ..clock import Clock
from ..errors import StoreUnavailable
from . import db
from .db import Db
from .queries import QUERIES

APPLICATION_ID = 0x706F7374  # "post"
UNFINISHED_ID = 0x706F7363  # "posc": a copy to which not all has been written, and no store yet
OLDEST_SQLITE = (3, 51, 3)
NETWORK_FS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "fuse.sshfs", "afs", "ceph"}
)
MIGRATIONS = Path(__file__).parent / "migrations"
SCHEMA = (
    "SELECT CAST(type AS BLOB), CAST(name AS BLOB), CAST(tbl_name AS BLOB), CAST(sql AS BLOB)"
    " FROM sqlite_schema"
)
SCHEMA_NUMBERED = SCHEMA.replace(" FROM", ", rowid FROM")
"""What a row of the schema says, but for where in the file: as bytes, since damaged text may be none."""
UNLIKELY = 256
"""A schema version that no postroom has."""
Tables = dict[str, set[str]]


def check_sqlite(version: str) -> None:
    """Refuse an SQLite that can corrupt a file shared by several processes (the WAL-reset race)."""
    if tuple(int(part) for part in version.split(".")[:3]) < OLDEST_SQLITE:
        raise StoreUnavailable(
            f"SQLite {version} is too old",
            "before 3.51.3 two checkpoints can corrupt a shared file",
            "install apsw 3.53.3 or newer",
        )


def file_system(path: Path, mounts: str) -> str:
    """The type of the file system that holds a path, by a text like /proc/mounts."""
    best, kind, text = "", "unknown", str(path)
    for line in mounts.splitlines():
        _, point, fs = line.split()[:3]
        point = point.replace("\\040", " ")
        inside = point == "/" or text == point or text.startswith(f"{point}/")
        if inside and len(point) >= len(best):
            best, kind = point, fs
    return kind


def check_file_system(path: Path) -> None:
    """Refuse file systems without shared memory and locks that hold."""
    kind = file_system(path.resolve(), Path("/proc/mounts").read_text())
    if kind in NETWORK_FS:
        raise StoreUnavailable(
            f"{path} is on a network file system ({kind})",
            "SQLite's locks and shared memory do not hold there",
            "keep the store on a local disk",
        )


def create_file(path: Path) -> None:
    """Make an empty file that only its owner may read, in a directory only the owner may enter."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise StoreUnavailable(
            f"cannot create {path}",
            error.strerror or str(error),
            "choose another place with --store",
        ) from error


def connect(name: str, *, read_only: bool = False) -> Db:
    """A connection with the settings every promise rests on, read back where SQLite may refuse them."""
    conn = db.connect(name, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI)
    try:
        _set_up(conn, read_only)
    except BaseException:
        conn.close()
        raise
    return conn


def _set_up(conn: Db, read_only: bool) -> None:
    conn.set_busy_timeout(5000)  # whoever opens the file first keeps all others out while it looks at it
    conn.pragma("trusted_schema", False)
    conn.pragma("foreign_keys", False)
    conn.pragma("journal_size_limit", 64 << 20)
    conn.pragma("cache_size", -65536)
    conn.pragma("temp_store", 2)
    if read_only:
        conn.pragma("query_only", True)
    conn.set_busy_timeout(0)


def make_durable(conn: Db) -> None:
    """Write-ahead log, synced at each commit; anything less is refused."""
    mode = conn.pragma("journal_mode", "wal")
    conn.pragma("synchronous", "FULL")
    if mode != "wal" or conn.pragma("synchronous") != 2:
        raise StoreUnavailable(
            "the store cannot be made durable",
            f"journal mode is {mode}",
            "use a file on a local disk",
        )


@cache  # read once, while the program's own files can surely be read
def migrations() -> list[tuple[int, str, str]]:
    """Every migration as (version, name, SQL), in order."""
    found: list[tuple[int, str, str]] = []
    for path in sorted(MIGRATIONS.glob("*.sql")):
        number, _, name = path.stem.partition("_")
        found.append((int(number), name, path.read_text()))
    return found


SCHEMA_VERSION = max(version for version, _, _ in migrations())


def migrate(conn: Db, clock: Clock) -> None:
    """Bring the schema up to date, each migration in a transaction of its own.

    What a file says of itself may be damaged: migrations only run over the schema they were made for.
    """
    while not _is_current(conn):
        conn.execute("BEGIN IMMEDIATE")
        try:
            if not _is_current(conn):
                version = conn.pragma("user_version")
                _check_schema(conn, version)
                _apply(conn, version + 1, clock)
            conn.execute("COMMIT")
        except BaseException:
            conn.execute("ROLLBACK")
            raise


def build(conn: Db, clock: Clock) -> None:
    """Make all tables of a store in an empty file. The transaction is the caller's."""
    for version, _, _ in migrations():
        _apply(conn, version, clock)


def _is_current(conn: Db) -> bool:
    found = (conn.pragma("application_id"), conn.pragma("user_version"))
    return found == (APPLICATION_ID, SCHEMA_VERSION)


def _check_schema(conn: Db, version: int) -> None:
    """Refuse another program's file, one of a newer postroom, and one that is not what it says."""
    if conn.pragma("application_id") == UNFINISHED_ID:
        raise unfinished()
    there, foreign = _tables(conn), conn.pragma("application_id") != APPLICATION_ID
    fitting = fitting_version(there)
    if foreign and there and not fitting:
        raise StoreUnavailable(
            "the file is not a postroom store",
            "it is another program's database",
            "choose another file",
        )
    if version > SCHEMA_VERSION and (fitting is None or version < UNLIKELY):
        raise StoreUnavailable(
            f"the store has schema version {version}",
            f"this postroom knows versions up to {SCHEMA_VERSION}",
            "update postroom; if that does not help: postroom repair",
        )
    if fitting is not None and ((foreign and there) or version != fitting):
        what = (
            "application id" if version == fitting else f"schema version {version}, it has that of {fitting}"
        )
        raise StoreUnavailable("the store is damaged", f"its header is wrong: {what}", "run: postroom repair")
    if fitting is None:
        raise StoreUnavailable(
            "the store is damaged",
            f"its tables are not those of schema version {version}",
            "run: postroom repair",
        )


def unfinished() -> StoreUnavailable:
    """What is said of a file whose application id is ``UNFINISHED_ID``."""
    return StoreUnavailable(
        "the copy in this file is not finished", "it was cut off, or goes on", "finish it with: postroom copy"
    )


def fitting_version(there: Tables) -> int | None:
    """The schema version whose tables and columns a file has; None if there is no such version."""
    scratch = db.connect(":memory:")
    try:
        for version in range(SCHEMA_VERSION + 1):
            for number, _, sql in migrations():
                if number == version:
                    scratch.execute(sql)
            if _tables(scratch) == there:
                return version
    finally:
        scratch.close()
    return None


def schema_rows(version: int) -> set[tuple[bytes | None, ...]]:
    """What the schema table of a store of some version holds."""
    scratch = db.connect(":memory:")
    try:
        for number, _, sql in migrations():
            if number <= version:
                scratch.execute(sql)
        rows = scratch.execute(SCHEMA).fetchall()
        return set(rows)
    finally:
        scratch.close()


def schema_of(conn: Db) -> int | None:
    """The schema version of a file by its tables, whatever its header says; None if it has another's."""
    return fitting_version(_tables(conn))


def _tables(conn: Db) -> Tables:
    """Every table with its columns; SQLite's own come and go."""
    names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    columns = "SELECT name FROM pragma_table_info(?)"
    tables = [name for (name,) in conn.execute(names).fetchall()]
    return {name: {column for (column,) in conn.execute(columns, (name,)).fetchall()} for name in tables}


def _apply(conn: Db, version: int, clock: Clock) -> None:
    sql = next(sql for number, _, sql in migrations() if number == version)
    conn.execute(sql)
    conn.pragma("application_id", APPLICATION_ID)
    conn.pragma("user_version", version)
    if conn.execute("SELECT count(*) FROM store").fetchone() == (0,):
        now = clock.now()
        conn.execute(
            "INSERT INTO store VALUES (1, ?, ?, ?, 1, ?)",
            (next_epoch(0, now.wall), clock.boot_id, now.wall - now.boot, now.wall),
        )


def next_epoch(old: int, wall: int) -> int:
    """The epoch of a new life of a store: grows with each, and with the minutes since 2020."""
    minutes = (wall // 1_000_000 - 1_577_836_800) // 60
    return max(old + 1, minutes)


def raise_epoch(conn: Db, wall: int, replaced: int = 0) -> int:
    """Give the store a new epoch, so that no lease from before the copy can settle anything.

    ``replaced`` is the epoch of the store in whose place the copy comes.
    """
    old: int = conn.execute(QUERIES["store_row"]).fetchone()[0]
    epoch = next_epoch(max(old, replaced), wall)
    conn.execute(QUERIES["raise_epoch"], (epoch,))
    conn.execute(QUERIES["raise_fences"], (epoch,))
    return epoch
