"""Which turns run now, in small files on this machine: whoever takes leases back here can look.

On another machine nobody can, and then each turn of a session that lapsed counts as begun.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from ..errors import StoreUnavailable
from ..marks import FileMarks, read_marks
from .urls import Place


class Marks:
    """The files of one store, in a folder of this user's."""

    def __init__(self, place: Place) -> None:
        name = sha256(place.name().encode()).hexdigest()[:16]
        base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        self._folder = Path(base) / f"postroom-{os.getuid()}"
        self._name = name
        self._read: list[Path] = []

    def of(self, session: int) -> FileMarks:
        """The marks of a session of this process. Raises ``StoreUnavailable``."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            return FileMarks(self._path(session))
        except OSError as error:
            why = error.strerror or str(error)
            raise StoreUnavailable(f"cannot use {self._folder}", why, "set XDG_RUNTIME_DIR") from error

    def read(self, session: int) -> frozenset[int] | None:
        """The turns that a session had begun; None where nobody here can know."""
        path = self._path(session)
        self._read.append(path)
        return read_marks(path)

    def forget_read(self) -> None:
        """What was read is settled: remove it. A session that has ended is never asked for again."""
        while self._read:
            with suppress(OSError):
                self._read.pop().unlink(missing_ok=True)

    def keep_read(self) -> None:
        """What was read was not settled: whoever takes the leases back after all has to see it."""
        self._read.clear()

    def _path(self, session: int) -> Path:
        return self._folder / f"{self._name}-turns-{session}"
