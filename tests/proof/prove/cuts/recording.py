"""What happened to the files of one directory, in order: writes, syncs, and changes of the directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import apsw
from msgspec import Struct
from prove.cuts.inside import calls

DIRECTORY_SYNCED_WITH = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL
"""Files whose first sync also syncs their directory, once they are opened so that they may be made
(``UNIXFILE_DIRSYNC`` in SQLite's os_unix.c)."""
LOST_WITH_POWER = "-shm"


class Wrote(Struct, frozen=True):
    """Bytes at an offset of a file; not durable before the file's next sync."""

    name: str
    offset: int
    data: bytes


class Truncated(Struct, frozen=True):
    name: str
    size: int


class Synced(Struct, frozen=True):
    name: str


class Linked(Struct, frozen=True):
    """A new, empty file has this name; durable with the directory's next sync."""

    name: str


class Unlinked(Struct, frozen=True):
    name: str


class Renamed(Struct, frozen=True):
    name: str
    to: str


class DirectorySynced(Struct, frozen=True):
    pass


class Left(Struct, frozen=True):
    """The files as a process that died has left them, and then a while has passed: all is durable."""

    files: dict[str, bytes]


class Reached(Struct, frozen=True):
    """A word from whoever drives the store: so far it had come by then."""

    moment: Any


Event = Wrote | Truncated | Synced | Linked | Unlinked | Renamed | DirectorySynced | Left | Reached


class Recorder:
    """Remembers as a watcher of the medium, and of what goes past SQLite through ``os``."""

    def __init__(self, folder: Path) -> None:
        self.events: list[Event] = []
        self._folder = str(folder)
        self._new: set[str] = set()

    def reached(self, moment: object) -> None:
        """Put a word between the events."""
        self.events.append(Reached(moment))

    def content(self, name: str) -> None:
        """Note what a file holds that is written through memory, where nobody can watch."""
        self.events.append(Wrote(name, 0, Path(self._folder, name).read_bytes()))

    def left(self, doing: Callable[[], None]) -> None:
        """Do something that is no part of the story, and take the files as they are then."""
        told = len(self.events)
        doing()
        del self.events[told:]
        self._new.clear()
        names = (path for path in Path(self._folder).iterdir() if self._name(path) is not None)
        self.events.append(Left({path.name: path.read_bytes() for path in names}))

    def about_to(self, verb: str, path: str) -> None:
        """Nothing fails here."""

    def opened(self, path: str, flags: int, created: bool) -> None:
        name = self._name(path)
        if name is None:
            return
        if created:
            self.events.append(Linked(name))
        if flags & apsw.SQLITE_OPEN_CREATE and flags & DIRECTORY_SYNCED_WITH:
            self._new.add(name)

    def wrote(self, path: str, offset: int, data: bytes) -> None:
        name = self._name(path)
        if name is not None:
            self.events.append(Wrote(name, offset, data))

    def truncated(self, path: str, size: int) -> None:
        name = self._name(path)
        if name is not None:
            self.events.append(Truncated(name, size))

    def synced(self, path: str) -> None:
        name = self._name(path)
        if name is None:
            return
        self.events.append(Synced(name))
        if name in self._new:
            self._new.remove(name)
            self.events.append(DirectorySynced())

    def deleted(self, path: str, synced: bool) -> None:
        name = self._name(path)
        if name is None:
            return
        self.events.append(Unlinked(name))
        if synced:
            self.events.append(DirectorySynced())

    def _name(self, path: Any) -> str | None:
        """The name of a file of the directory that survives a power cut; None for any other."""
        folder, name = os.path.split(str(path))
        return name if folder == self._folder and not name.endswith(LOST_WITH_POWER) else None

    @contextmanager
    def beside_sqlite(self) -> Generator[None]:
        """Remember also what is done with plain calls of the operating system."""
        doings: dict[str, Callable[..., Any]] = {
            "open": self._open, "unlink": self._unlink, "remove": self._unlink, "replace": self._replace,
            "rename": self._replace, "fsync": self._fsync, "fdatasync": self._fsync,
            "ftruncate": self._ftruncate,
        }  # fmt: skip
        with calls(doings, lambda name, real: partial(doings[name], real)):
            yield

    def _open(self, real: Callable[..., int], path: Any, flags: int, *rest: Any, **named: Any) -> int:
        there = os.path.lexists(path)
        opened = real(path, flags, *rest, **named)
        name = self._name(path)
        if name is not None and not there:
            self.events.append(Linked(name))
        elif name is not None and flags & os.O_TRUNC:
            self.events.append(Truncated(name, 0))
        return opened

    def _unlink(self, real: Callable[..., None], path: Any, **named: Any) -> None:
        real(path, **named)
        self.deleted(path, False)

    def _replace(self, real: Callable[..., None], source: Any, target: Any, **named: Any) -> None:
        real(source, target, **named)
        names = self._name(source), self._name(target)
        if names[0] is not None and names[1] is not None:
            self.events.append(Renamed(names[0], names[1]))

    def _fsync(self, real: Callable[[int], None], fd: int) -> None:
        real(fd)
        path = _path_of(fd)
        if path == self._folder:
            self.events.append(DirectorySynced())
        else:
            self.synced(path)

    def _ftruncate(self, real: Callable[[int, int], None], fd: int, size: int) -> None:
        real(fd, size)
        self.truncated(_path_of(fd), size)


def _path_of(fd: int) -> str:
    return str(Path(f"/proc/self/fd/{fd}").readlink())
