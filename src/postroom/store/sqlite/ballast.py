"""Room kept back on the store's disk, so that a full disk stops new mail first and settlements last.

SQLite can neither insert nor delete nor checkpoint on a full disk, so without a reserve nobody could
even ack. There are two reserves. Below ``min_free`` sends from outside turns are refused, while all
that leads to the end of accepted mail goes on. And beside the store lies a file that holds nothing,
the ballast: it is emptied when room runs out all the same, and made anew when there is plenty again.
An empty ballast tells every process on the store that the disk was full; while it is empty, sends
are refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..errors import StoreFull

BALLAST_BYTES = 16 << 20
MIN_FREE_BYTES = 64 << 20
"""Both are at most a share of the disk: an eighth and a sixteenth of it."""

LOOK_US = 250_000
"""How often a handle that is in use looks at the disk, in microseconds; each time if room is tight."""

TIGHT = 8
"""Room is tight below so many times ``min_free``: until the next look much could be written."""

URGENT = 4
"""The ballast is emptied below this part of ``min_free``, so that nobody meets the full disk itself."""


class Room(NamedTuple):
    """The size of a disk and what is free of it for this user, in bytes."""

    total: int
    free: int


def room_at(directory: Path) -> Room:
    """Ask the file system. Raises ``OSError``."""
    stat = os.statvfs(directory)
    return Room(stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize)


def ballast_path(store: Path) -> Path:
    """Where the ballast of a store lies."""
    return store.with_name(f"{store.name}-ballast")


def ballast_size(store: Path) -> int | None:
    """How much the ballast of a store holds back, in bytes; None if none was ever made."""
    try:
        return ballast_path(store).lstat().st_size
    except FileNotFoundError:
        return None


class Ballast:
    """One handle's watch over the room on its disk.

    ``refusal`` is None while there is room; otherwise the answer to sends from outside turns. ``tight``
    says that there may soon be none. ``spare`` is how many bytes new mail may take beyond what is kept
    free. All are as of the last ``look``.
    """

    __slots__ = ("_look_at_room", "_most", "_store", "refusal", "spare", "tight")

    def __init__(
        self,
        store: Path,
        *,
        most: int = BALLAST_BYTES,
        room: Callable[[Path], Room] = room_at,
    ) -> None:
        self._store = store
        self._most = most
        self._look_at_room = room
        self.refusal: StoreFull | None = None
        self.tight = True
        self.spare = 0

    def look(self) -> None:
        """See how much room there is, and empty or refill the ballast by that. Raises ``OSError``."""
        room = self._look_at_room(self._store.parent)
        held = ballast_size(self._store)
        if held == 0 and room.free >= self._enough(room) and self._fill(room):
            held = self._wanted(room)
            room = self._look_at_room(self._store.parent)
        elif held and room.free < min_free(room) // URGENT:
            self.release()
            held = 0
            room = self._look_at_room(self._store.parent)
        self.tight = room.free < TIGHT * min_free(room)
        needed = self._enough(room) if held == 0 else min_free(room)
        self.spare = room.free - needed
        self.refusal = _nearly_full(room.free, needed) if self.spare < 0 else None
        if self.tight:  # a batch is in the log before it is in the file: the ballast must hold it
            self.spare = min(self.spare, self._wanted(room) // 2)

    def make(self) -> None:
        """Make the ballast if there is none and there is room for it; it is no condition of anything."""
        with suppress(OSError):
            if ballast_size(self._store) is not None:
                return
            room = self._look_at_room(self._store.parent)
            if room.free >= self._enough(room) and not self._fill(room):
                ballast_path(self._store).unlink(missing_ok=True)

    def release(self) -> None:
        """Empty the ballast: its room is for those who settle. Raises ``OSError``."""
        if ballast_size(self._store):
            os.truncate(ballast_path(self._store), 0)

    def failed(self) -> None:
        """A write has found no room: let go of the ballast, and refuse sends until the next look.

        What goes wrong with that too is left for the next look to say, which follows at once.
        """
        self.tight = True
        self.refusal = StoreFull("the store takes no new mail", "its disk is full", "free space on that disk")
        with suppress(OSError):
            self.release()

    def _enough(self, room: Room) -> int:
        """With how much free room an empty ballast is filled again, so that sends are accepted then."""
        return self._wanted(room) + min_free(room) * 5 // 4

    def _wanted(self, room: Room) -> int:
        return min(self._most, room.total // 8)

    def _fill(self, room: Room) -> bool:
        """Whether the file system gave the room; if it did not, the ballast is empty."""
        try:
            take_room(ballast_path(self._store), self._wanted(room))
        except OSError:  # no room after all, a quota, a limit, a file system that cannot
            self.release()
            return False
        return True


def take_room(path: Path, size: int) -> None:
    """Make a file of this size, whose room nobody else can take any more. Raises ``OSError``."""
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, size)
    finally:
        os.close(fd)


def min_free(room: Room) -> int:
    """How much must be free on a disk for sends to be accepted, in bytes."""
    return min(MIN_FREE_BYTES, room.total // 16)


def wal_pages(room: Room, page_bytes: int) -> int:
    """After how many pages the write-ahead log is written back: what is kept free must be enough for that."""
    return max(8, min(1000, min_free(room) // (2 * page_bytes)))


def batch_too_large(spare: int) -> StoreFull:
    """The answer to new mail for which a batch as a whole has no room, although some of it fits."""
    return StoreFull(
        "the store has no room for all this new mail at once",
        f"{size_text(max(0, spare))} may be written, twice for each message: to the log and to the file",
        "send again in a moment, or free space on that disk",
    )


def size_text(size: int) -> str:
    """A number of bytes as a person says it."""
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"


def _nearly_full(free: int, needed: int) -> StoreFull:
    return StoreFull(
        "the store takes no new mail",
        f"{size_text(free)} are free on its disk and {size_text(needed)} are needed; acks go on",
        "free space on that disk; nothing else is needed",
    )
