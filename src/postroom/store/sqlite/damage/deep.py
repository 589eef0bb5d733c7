"""Looking at the log of an open store, beside SQLite: a part of ``verify --deep``.

Nothing keeps others from working meanwhile. They may begin the log anew: if its header has changed, it
is read again.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from ..opening import SCHEMA, schema_rows
from .rot import kept_copies
from .wal import HEADER, Scan, scan

if TYPE_CHECKING:
    from ..db import Db

RETRIES = 20


def file_faults(conn: Db, path: Path) -> list[str]:
    """What is wrong with the log and the schema of an open store, one line each."""
    log, frames = _read_log(conn, path.with_name(f"{path.name}-wal"))
    found = scan(log, conn.pragma("page_size")) if frames > 0 else Scan()
    return [*_log_faults(found, frames), *_schema_faults(conn)]


def _schema_faults(conn: Db) -> list[str]:
    """What of the schema is not as postroom writes it: a name that is wrong fails only when it is used."""
    right = schema_rows(conn.pragma("user_version"))
    try:
        there = set(conn.execute(SCHEMA).fetchall())
    except apsw.Error as error:
        return [f"the schema cannot be read: {error}"]
    missing = sorted(name.decode() for _, name, _, _ in right - there if name is not None)
    return [f"the schema is wrong: {name}" for name in missing]


def _read_log(conn: Db, log: Path) -> tuple[bytes, int]:
    """The log, and how many of its frames SQLite counts as good.

    A log that is begun anew each time is not looked at: all that was in it is in the file.
    """
    for _ in range(RETRIES):
        header = _bytes_of(log, HEADER)
        _, frames, _ = conn.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()
        content = _bytes_of(log)
        if content[:HEADER] == header:
            return content, frames
    return b"", 0


def _bytes_of(path: Path, most: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most)
    except FileNotFoundError:
        return b""


def notices(path: Path) -> list[str]:
    """What a person should know although nothing is wrong now."""
    return [f"damage was found before; the files of then are in {kept}" for kept in kept_copies(path)]


def _log_faults(found: Scan, frames: int) -> Generator[str]:
    """Frames that SQLite counts as good since it opened the log, and that do not fit any more."""
    yield from found.notes
    for n in found.doubts:
        yield f"frame {n + 1} of the log had one wrong byte"
    if len(found.frames) < frames:
        yield f"frame {len(found.frames) + 1} of the log does not have the sum it was written with"
