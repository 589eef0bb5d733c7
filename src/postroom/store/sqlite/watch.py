"""Hearing of other processes' commits at once: inotify on the directory of the store.

Every commit appends to the write-ahead log, which the kernel reports without anybody polling. The
report comes a little before the commit is complete (the log still has to be synced), so whoever
hears it looks a few times in the following milliseconds. It is a hint like any other: own commits
are reported too, and nothing depends on it.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

IN_MODIFY, IN_CREATE = 0x2, 0x100
IN_NONBLOCK, IN_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC


class CommitWatch:
    """A file descriptor that is readable when the store's directory has been written to."""

    def __init__(self, directory: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = int(libc.inotify_init1(IN_NONBLOCK | IN_CLOEXEC))
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        if libc.inotify_add_watch(self._fd, os.fsencode(directory), IN_MODIFY | IN_CREATE) < 0:
            error = ctypes.get_errno()
            os.close(self._fd)
            raise OSError(error, "inotify_add_watch")

    def fileno(self) -> int:
        return self._fd

    def drain(self) -> None:
        """Take what has been reported, so that the descriptor becomes readable only for news."""
        try:
            while len(os.read(self._fd, 65536)) == 65536:
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def watch_commits(directory: Path) -> CommitWatch | None:
    """A watch on a directory, or None where the system grants no more of them."""
    try:
        return CommitWatch(directory)
    except OSError:
        return None
