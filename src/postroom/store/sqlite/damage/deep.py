"""Looking at every byte of an open store's files, beside SQLite: what ``verify --deep`` does.

Nothing keeps others from working meanwhile. They may copy pages from the log into the file, so a page
that does not fit is read again; and they may begin the log anew, so a log whose header has changed is.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from .pages import PAGE_SIZE, RESERVED, fits, load_checksums
from .rot import kept_copies
from .wal import HEADER, Scan, scan

if TYPE_CHECKING:
    from ..db import Db

RETRIES = 20


def file_faults(conn: Db, path: Path, handle: int) -> list[str]:
    """What is wrong with the pages and the log of an open store, one line each.

    ``handle`` is open on the file for as long as SQLite has it open: closing it would drop locks.
    """
    log, frames, copied = _read_log(conn, path.with_name(f"{path.name}-wal"))
    found = scan(log, conn.pragma("page_size")) if frames > 0 else Scan()
    to_come = {frame.page for frame in found.frames[max(copied, 0) :]}
    return [*_page_faults(conn, handle, to_come), *_log_faults(found, frames)]


def _read_log(conn: Db, log: Path) -> tuple[bytes, int, int]:
    """The log, and how many of its frames SQLite counts as good and as copied into the file.

    A log that is begun anew each time is not looked at: all that was in it is in the file.
    """
    for _ in range(RETRIES):
        header = _bytes_of(log, HEADER)
        _, frames, copied = conn.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()
        content = _bytes_of(log)
        if content[:HEADER] == header:
            return content, frames, copied
    return b"", 0, 0


def _bytes_of(path: Path, most: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most)
    except FileNotFoundError:
        return b""


def notices(conn: Db, path: Path) -> list[str]:
    """What a person should know although nothing is wrong now."""
    found = [f"damage was found before; the files of then are in {kept}" for kept in kept_copies(path)]
    if conn.reserve_bytes("main") != RESERVED:
        found.append("pages are not protected: no sums are kept in this file")
    return found


def _page_faults(conn: Db, handle: int, to_come: set[int]) -> Generator[str]:
    """Pages that do not fit, but for those that will be copied from the log."""
    if conn.reserve_bytes("main") != RESERVED:
        return
    fit = Checker()
    for number in range(1, os.fstat(handle).st_size // PAGE_SIZE + 1):
        if number not in to_come and not any(
            fit(os.pread(handle, PAGE_SIZE, (number - 1) * PAGE_SIZE)) for _ in range(RETRIES)
        ):
            yield f"page {number} of the file does not have the sum it was written with"


class Checker:
    """Whether pages fit, with the help of SQLite's own code where it is there."""

    def __init__(self) -> None:
        self._conn = apsw.Connection(":memory:") if load_checksums() else None

    def __call__(self, page: bytes) -> bool:
        if self._conn is None:
            return fits(page)
        return bool(self._conn.execute("SELECT verify_checksum(?)", (page,)).get)


def _log_faults(found: Scan, frames: int) -> Generator[str]:
    """Frames that SQLite counts as good since it opened the log, and that do not fit any more."""
    yield from found.notes
    for n in found.doubts:
        yield f"frame {n + 1} of the log had one wrong byte"
    if len(found.frames) < frames:
        yield f"frame {len(found.frames) + 1} of the log does not have the sum it was written with"
