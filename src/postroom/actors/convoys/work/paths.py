"""Files inside a folder, by relative paths that cannot lead out of it: no ``..``, no symbolic link."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath


class Unsafe(Exception):
    """A path that leads, or could lead, out of its folder, or to what is no plain file."""


def stat_inside(folder: str, path: str) -> os.stat_result | None:
    """What is at this path, None if nothing is. Raises ``Unsafe``, and ``OSError`` for other trouble."""
    try:
        with _parent(folder, path) as (parent, name):
            return _plain_stat(parent, name, path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def lstat_inside(folder: str, path: str) -> os.stat_result | None:
    """As ``stat_inside``, but of a link that the path itself is; one on the way to it is ``Unsafe``."""
    try:
        with _parent(folder, path) as (parent, name):
            return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None


def open_here() -> frozenset[tuple[int, int]]:
    """The device and inode of each file that this process has open.

    Such a file must not be opened and closed once more: that ends all locks of the process on it, as
    POSIX has it, and the store, which may lie in the folder of a convoy, lives by those.
    """
    found: set[tuple[int, int]] = set()
    for entry in os.scandir("/proc/self/fd"):
        with suppress(OSError):  # that of the listing itself
            one = entry.stat()
            found.add((one.st_dev, one.st_ino))
    return frozenset(found)


def read_inside(folder: str, path: str, most: int, spared: frozenset[tuple[int, int]] | None = None) -> bytes:
    """The content of a file, one byte more than ``most`` if it is longer.

    ``spared`` is what ``open_here`` answers, for those who read many. Raises ``Unsafe`` also for what
    is no file, or open here, and ``OSError``.
    """
    with _parent(folder, path) as (parent, name):
        found = _plain_stat(parent, name, path)
        if (found.st_dev, found.st_ino) in (open_here() if spared is None else spared):
            raise Unsafe(f"{path} is in use by postroom itself")
        return read_file(name, most, parent)


def read_file(name: str, most: int, parent: int | None = None) -> bytes:
    """The content of a file that is no symbolic link, one byte more than ``most`` if it is longer.

    Raises ``Unsafe`` for what is no file, and ``OSError``.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    number = os.open(name, flags, dir_fd=parent)
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise Unsafe(f"{name} is no file")
        with open(number, "rb", closefd=False) as file:  # it is open already
            return file.read(most + 1)
    finally:
        os.close(number)


def leads_out(folder: str, path: str) -> bool:
    """Whether a symbolic link on the way of this path leads out of the folder."""
    place = folder
    for part in path.split("/"):
        place = f"{place}/{part}"
        if os.path.islink(place):  # noqa: PTH114  # Path raises for a long name
            whole = os.path.realpath(folder)
            return os.path.commonpath([os.path.realpath(place), whole]) != whole
    return False


@contextmanager
def _parent(folder: str, path: str) -> Generator[tuple[int, str]]:
    """The folder that a path's last part is in, opened part by part, and that part."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise Unsafe(f"{path or 'an empty path'} is no path inside a folder")
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    here = os.open(folder, flags)
    try:
        for part in parts[:-1]:
            _plain_stat(here, part, path)
            inner = os.open(part, flags | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = inner
        yield here, parts[-1]
    finally:
        os.close(here)


def _plain_stat(parent: int, name: str, path: str) -> os.stat_result:
    found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        raise Unsafe(f"{path} leads through a symbolic link")
    return found
