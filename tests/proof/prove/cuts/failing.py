"""A medium that fails: the Nth of all that is asked of it, once or from then on."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import apsw
from msgspec import Struct
from prove.cuts.inside import Call, calls

BESIDE = ("open", "unlink", "remove", "replace", "rename", "fsync", "fdatasync", "ftruncate")
"""Calls of the operating system that go past SQLite."""

CODES: dict[str, tuple[int, ...]] = {
    "open": (apsw.SQLITE_CANTOPEN, apsw.SQLITE_IOERR),
    "read": (apsw.SQLITE_IOERR_READ,),
    "write": (apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_FULL),
    "truncate": (apsw.SQLITE_IOERR_TRUNCATE, apsw.SQLITE_FULL),
    "sync": (apsw.SQLITE_IOERR_FSYNC,),
    "delete": (apsw.SQLITE_IOERR_DELETE,),
    "lock": (apsw.SQLITE_IOERR_LOCK,),
    "size": (apsw.SQLITE_IOERR_FSTAT,),
    "os": (errno.EIO, errno.ENOSPC, errno.EACCES),
}
"""How each verb may fail."""


class Fault(Struct, frozen=True):
    """What fails: the ``nth`` asking, counted from 0.

    ``code`` chooses among the ways in which the verb can fail. ``done`` fails after it was done, as a
    sync may; ``lasting`` fails everything from then on.
    """

    nth: int
    code: int = 0
    lasting: bool = False
    done: bool = False


class Failer:
    """Watches a directory's files and fails as a fault says; with None it only counts."""

    def __init__(self, folder: Path, fault: Fault | None) -> None:
        self.asked = 0
        self.failed: str | None = None
        self._folder = str(folder)
        self._fault = fault
        self._late = False

    def heal(self) -> None:
        """The storage is well again."""
        self._fault = None

    def about_to(self, verb: str, path: str) -> None:
        if self._folder not in str(path):
            return
        n, self.asked = self.asked, self.asked + 1
        fault = self._fault
        if fault is None or n < fault.nth or (n > fault.nth and not fault.lasting):
            return
        self.failed = self.failed or f"{verb} of {Path(path).name}"
        if not fault.lasting:
            self._fault = None
        if fault.done and verb in ("write", "sync"):
            self._late = True
            return
        raise _error(verb, fault.code)

    def opened(self, path: str, flags: int, created: bool) -> None:
        """Opening fails before, or not at all."""

    def wrote(self, path: str, offset: int, data: bytes) -> None:
        self._fail_late("write")

    def truncated(self, path: str, size: int) -> None:
        """Truncating fails before, or not at all."""

    def synced(self, path: str) -> None:
        self._fail_late("sync")

    def deleted(self, path: str, synced: bool) -> None:
        """Deleting fails before, or not at all."""

    def _fail_late(self, verb: str) -> None:
        if self._late:
            self._late = False
            raise _error(verb, 0)

    @contextmanager
    def beside_sqlite(self) -> Generator[None]:
        """Fail also what is asked with plain calls of the operating system."""
        with calls(BESIDE, self.failing):
            yield

    def failing(self, name: str, real: Call) -> Call:
        """Put before a call of the operating system, see ``inside.calls``."""

        def call(first: Any, *args: Any, **named: Any) -> Any:
            path = Path(f"/proc/self/fd/{first}").readlink() if isinstance(first, int) else first
            self.about_to("os", str(path))
            return real(first, *args, **named)

        return call


class _Closes(apsw.Connection):
    """SQLite closes a connection whatever the storage says to it."""

    def close(self, force: bool = False) -> None:
        try:
            super().close(force)
        except (apsw.IOError, apsw.FullError, apsw.CantOpenError):
            assert not _is_open(self)


@contextmanager
def in_numbers() -> Generator[None]:
    """Fail as a VFS in C does, with a number and no more.

    An exception from one in Python also comes out where SQLite takes no notice of the number, as in
    closing, or is printed where nobody can be told of it. In ``Backup.__exit__`` apsw makes a SystemError
    of it, if the storage fails in undoing, too; that cannot be helped here.
    """
    printed = sys.unraisablehook

    def tell(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, apsw.Error):
            printed(unraisable)

    with mock.patch.object(sys, "unraisablehook", tell), mock.patch.object(apsw, "Connection", _Closes):
        yield


def _is_open(connection: apsw.Connection) -> bool:
    try:
        connection.changes()
    except apsw.ConnectionClosedError:
        return False
    return True


def _error(verb: str, code: int) -> Exception:
    codes = CODES[verb]
    chosen = codes[code % len(codes)]
    return OSError(chosen, os.strerror(chosen)) if verb == "os" else apsw.exception_for(chosen)
