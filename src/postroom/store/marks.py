"""Which turns run now, in a small memory-mapped file that outlives a killed process.

The page cache keeps what a process wrote when it dies, so no sync is paid. After a power cut the
file says nothing, and need not: then no turn is to blame. One file for each session, removed when
the session ends or lapses.
"""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import suppress
from pathlib import Path

SLOTS = 512
SLOT = struct.Struct("=Q")


class FileMarks:
    """The marks of one living session."""

    def __init__(self, path: Path) -> None:
        self._path = path
        fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(fd, 0, SLOTS * SLOT.size)  # a hole would be a SIGBUS on a full disk
            self._map = mmap.mmap(fd, SLOTS * SLOT.size)
        finally:
            os.close(fd)
        self._free = list(range(SLOTS - 1, -1, -1))

    def begin(self, seq: int) -> int:
        """Mark a turn as running. Past ``SLOTS`` turns at once it stays unmarked (slot -1).

        Once closed nothing is marked: the session is over, and its turns are nobody's attempt any more.
        """
        if not self._free or self._map.closed:
            return -1
        slot = self._free.pop()
        SLOT.pack_into(self._map, slot * SLOT.size, seq)
        return slot

    def end(self, slot: int) -> None:
        """The turn is over; of a session that was given up meanwhile nothing is left to mark."""
        if slot >= 0 and not self._map.closed:
            SLOT.pack_into(self._map, slot * SLOT.size, 0)
            self._free.append(slot)

    def close(self) -> None:
        """Forget the marks. A file that cannot be removed says nothing wrong: no turn is marked in it."""
        if not self._map.closed:
            self._map[:] = bytes(len(self._map))
            self._map.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def read_marks(path: Path) -> frozenset[int] | None:
    """The turns that were running when the file's process died; None if there is no file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    return frozenset(seq for (seq,) in SLOT.iter_unpack(data[: len(data) // SLOT.size * SLOT.size])) - {0}


class MemoryMarks:
    """The same for stores that live in memory."""

    def __init__(self, running: dict[int, int]) -> None:
        self._running = running
        self._next = 0

    def begin(self, seq: int) -> int:
        self._next += 1
        self._running[self._next] = seq
        return self._next

    def end(self, slot: int) -> None:
        self._running.pop(slot, None)

    def close(self) -> None:
        self._running.clear()
