"""The storage under SQLite, with somebody who watches it: a VFS that passes everything on.

SQLite takes the VFS that is the default when a connection opens, and open files keep theirs. So there is
one medium for the life of the process, and only its watcher changes.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Protocol

import apsw

BELOW = "unix"


class Watcher(Protocol):
    """Sees what happens to files. ``about_to`` may raise, and then it does not happen."""

    def about_to(self, verb: str, path: str) -> None: ...

    def opened(self, path: str, flags: int, created: bool) -> None: ...

    def wrote(self, path: str, offset: int, data: bytes) -> None: ...

    def truncated(self, path: str, size: int) -> None: ...

    def synced(self, path: str) -> None: ...

    def deleted(self, path: str, synced: bool) -> None: ...


class _WatchedFile(apsw.VFSFile):
    """One open file whose every operation is told."""

    def __init__(self, watcher: Watcher, path: str, name: str | apsw.URIFilename, flags: list[int]) -> None:
        self._watcher = watcher
        self._path = path
        super().__init__(BELOW, name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:
        self._watcher.about_to("read", self._path)
        return super().xRead(amount, offset)

    def xWrite(self, data: object, offset: int) -> None:
        kept = bytes(data)  # type: ignore[call-overload]  # apsw says Buffer, which 3.11 cannot name
        self._watcher.about_to("write", self._path)
        super().xWrite(kept, offset)
        self._watcher.wrote(self._path, offset, kept)

    def xTruncate(self, newsize: int) -> None:
        self._watcher.about_to("truncate", self._path)
        super().xTruncate(newsize)
        self._watcher.truncated(self._path, newsize)

    def xSync(self, flags: int) -> None:
        self._watcher.about_to("sync", self._path)
        super().xSync(flags)
        self._watcher.synced(self._path)

    def xLock(self, level: int) -> None:
        self._watcher.about_to("lock", self._path)
        super().xLock(level)

    def xFileSize(self) -> int:
        self._watcher.about_to("size", self._path)
        return super().xFileSize()


class Medium(apsw.VFS):
    """The default VFS of this process. Files that are opened while nobody watches are not watched."""

    def __init__(self) -> None:
        self._watcher: Watcher | None = None
        super().__init__("medium", BELOW, makedefault=True)

    @contextmanager
    def watched(self, watcher: Watcher) -> Generator[None]:
        """Tell somebody of everything that happens to the files that are opened meanwhile."""
        assert self._watcher is None, "somebody is watching"
        self._watcher = watcher
        try:
            yield
        finally:
            self._watcher = None

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if self._watcher is None or name is None or not path:
            return apsw.VFSFile(BELOW, name, flags)
        self._watcher.about_to("open", path)
        there = os.path.lexists(path)  # xAccess takes an empty file for none
        file = _WatchedFile(self._watcher, path, name, flags)
        self._watcher.opened(path, flags[0], not there)
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:
        if self._watcher is None:
            super().xDelete(filename, syncdir)
            return
        self._watcher.about_to("delete", filename)
        super().xDelete(filename, syncdir)
        self._watcher.deleted(filename, syncdir)


@cache
def the_medium() -> Medium:
    """The one medium of this process; what is opened before it is made is not seen."""
    return Medium()
