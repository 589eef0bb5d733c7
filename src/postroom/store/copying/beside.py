"""What lies beside the place of a store while it is copied there: the file that will be it, and its mark.

``NAME.copying`` is the file, ``NAME.copying.json`` says what it is a copy of. The mark is written before the
file has anything in it, and goes before the file does; who writes either has locked it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ..errors import Conflict, StoreUnavailable
from ..sqlite import opening
from ..sqlite.damage import rot
from .mark import Mark, read, written

BESIDE = ("", "-wal", "-shm", "-journal", ".next")
"""What may be where a store is: its file, and those that would be taken for the new one's."""

MOST_BYTES = 1 << 20


class Beside:
    """The file of a copy and its mark, for us alone."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self.part, self._mark_path = _part_of(path), _mark_of(path)
        self._handle = handle
        text = os.pread(handle, MOST_BYTES, 0)
        self.mark = read(text)
        if text and self.mark is None:
            raise _strange(self._mark_path)
        if not text and self.part.exists() and self.part.stat().st_size:
            raise _strange(self.part)

    def make(self) -> None:
        """An empty file, unless there is one already."""
        opening.create_file(self.part)

    def keep(self, mark: Mark) -> None:
        """Say what the file will be a copy of. Durable."""
        os.ftruncate(self._handle, 0)  # there may be one of a copy that was killed before it wrote anything
        os.pwrite(self._handle, written(mark).encode(), 0)
        os.fsync(self._handle)
        rot.sync(self.path.parent)
        self.mark = mark

    def put_in_place(self) -> None:
        """Give the file the name of the store, durably. Raises ``Conflict`` if something has it."""
        rot.sync(self.part)
        check_vacant(self.path)
        try:
            os.link(self.part, self.path)  # unlike a renaming, it replaces nothing
        except FileExistsError as error:
            raise _taken(self.path) from error
        rot.sync(self.path.parent)
        self._mark_path.unlink(missing_ok=True)  # another copy that looks just now does the same
        self.part.unlink(missing_ok=True)
        rot.sync(self.path.parent)

    def throw_away(self) -> None:
        """The file first: without it, the mark is of a copy of which nothing is there yet."""
        self.part.unlink(missing_ok=True)
        self.part.with_name(f"{self.part.name}-journal").unlink(missing_ok=True)
        os.ftruncate(self._handle, 0)
        self.mark = None

    def clear(self) -> None:
        """Leave nothing where nothing was begun."""
        if self.mark is None:
            self.part.unlink(missing_ok=True)
            self._mark_path.unlink(missing_ok=True)


@contextmanager
def beside(path: Path) -> Generator[Beside]:
    """What is there of a copy to a place, for us alone. Raises ``Conflict``, ``StoreUnavailable``."""
    _finish_naming(path)
    check_vacant(path)
    opening.create_file(_mark_of(path))
    opening.check_file_system(_mark_of(path))
    with _locked(_mark_of(path)) as handle:
        found = Beside(path, handle)
        try:
            yield found
        finally:
            found.clear()


def _finish_naming(path: Path) -> None:
    """A copy that was killed at its very end is the store already, under two names. Raises ``Conflict``."""
    part = _part_of(path)
    if not (path.is_file() and part.is_file() and part.samefile(path)):
        return
    _mark_of(path).unlink(missing_ok=True)
    part.unlink(missing_ok=True)
    rot.sync(path.parent)
    raise Conflict(f"{path} exists", "the copy to it was finished", "use it")


def check_vacant(path: Path) -> None:
    """Refuse a place where there is something. Raises ``Conflict``."""
    for suffix in BESIDE:
        there = path.with_name(path.name + suffix)
        if there.exists() or there.is_symlink():
            raise _taken(there)


@contextmanager
def _locked(mark: Path) -> Generator[int]:
    handle = os.open(mark, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = os.path.samestat(os.fstat(handle), mark.stat())
        except (BlockingIOError, FileNotFoundError):
            ours = False
        if not ours:
            why = "another copy to the same place is under way"
            raise StoreUnavailable(f"{mark} is being written", why, "wait for it")
        yield handle
    finally:
        os.close(handle)


def _part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.copying")


def _mark_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.copying.json")


def _taken(path: Path) -> Conflict:
    return Conflict(f"{path} exists", "a copy replaces nothing", "name a place where there is nothing")


def _strange(path: Path) -> Conflict:
    return Conflict(f"{path} exists", "no copy that was cut off has left it", "look at it, and move it away")
