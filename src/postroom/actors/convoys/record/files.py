"""Files of a run that only its owner reads, and that no link leads anywhere else."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from tempfile import mkstemp

from ....store.errors import BadInput, Conflict

FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


def open_own(path: Path) -> int | None:
    """The number of an open regular file; None if there is none, or a link in its place.

    From now on only its owner may read it.
    """
    try:
        number = os.open(path, FLAGS)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise _unusable(path, error) from error
    found = os.fstat(number)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1 or found.st_uid != os.geteuid():
        os.close(number)
        return None
    os.fchmod(number, 0o600)
    return number


def write_whole(path: Path, chunks: Iterable[bytes], *, anew: bool = False) -> None:
    """Write a file at once: whoever looks sees what was there before, or all of it, durably.

    What is at ``path`` is replaced, a link too; or nothing is, and ``Conflict`` raised, if it is to be
    ``anew``. Only its owner may read it. Raises ``BadInput`` for a folder that cannot be written to.
    """
    try:
        number, part = mkstemp(dir=path.parent, prefix=f".{path.name[:64]}.", suffix=".part")
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        with open(number, "wb") as file:  # noqa: PTH123  # a number, not a path
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        _name(part, path, anew)
    finally:
        Path(part).unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _name(part: str, path: Path, anew: bool) -> None:
    try:
        if anew:
            os.link(part, path, follow_symlinks=False)
        else:
            os.replace(part, path)  # noqa: PTH105  # as for the link above
    except FileExistsError as error:
        raise Conflict(
            f"{path} is there already", "nothing is written over it", "name another file"
        ) from error
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> BadInput:
    return BadInput(f"cannot write {path}", error.strerror or type(error).__name__, "look at its folder")
