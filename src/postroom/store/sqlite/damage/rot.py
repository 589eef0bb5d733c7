"""What is looked at before SQLite opens a store's file: damage that SQLite would not notice.

This is done by whoever opens the store first, under a lock that keeps every SQLite out of the file.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import StoreUnavailable
from .pages import HEAD, header_faults, page_size

if TYPE_CHECKING:
    from .wal import Scan

LOCKS = (512, 0x40000000)
"""The bytes of the main file that SQLite locks, as length and start: every open store holds one."""

FLOCK = struct.Struct("@hhqqi0q")
"""What fcntl(2) calls a flock: kind, whence, start, length, process (0 here: the lock is the handle's)."""

TRIES, PAUSE_SECONDS = 5000, 0.001

REPAIR = "run: postroom repair"
CUT_OFF = "a repair or restore was cut off, and another process has the old store open"


def look_before_opening(path: Path) -> list[str]:
    """Look for damage in a file that nobody has open, and mend what one byte explains.

    Answers what was mended, in words; the damaged files are kept beside the store, see ``kept_copies``.
    Raises ``StoreUnavailable`` for damage that cannot be mended without choosing or losing; nothing
    is changed then. Without an answer there was no damage, or others have the store open and looked.
    """
    with sole_use(path) as alone:
        if not alone:
            return []
        damage = Damage(path)
        if damage.refusal:
            raise StoreUnavailable(f"{path} is damaged", damage.refusal, REPAIR)
        if damage.log is None or not damage.log.edits:
            return []
        from .wal import apply  # most openings find no damage

        kept = keep_copies(path, damage.log.notes)
        _write_log(damage.wal_path, apply(damage.wal, damage.log.edits))
        return [f"{note}; it was mended, and copies of the files are in {kept}" for note in damage.log.notes]


def finish_cut_off(path: Path) -> None:
    """Complete a repair or restore that was cut off after it had said what the store is from now on.

    Raises ``StoreUnavailable`` where another has the old store open: what is sent there would be lost.
    """
    if next_path(path).exists():
        with sole_use(path) as alone:
            if next_path(path).exists():
                if not alone:
                    raise StoreUnavailable(f"{path} is about to be replaced", CUT_OFF, "stop that first")
                put_in_place(path)


class Damage:
    """What is wrong with the files of a store that nobody has open, as far as their sums tell."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.wal_path = path.with_name(f"{path.name}-wal")
        self.wal = self.wal_path.read_bytes() if self.wal_path.exists() else b""
        with path.open("rb") as file:
            head, length = file.read(HEAD), os.fstat(file.fileno()).st_size
        self.size = page_size(head, length)
        self.log = self._scan() if self.wal else None
        self.refusal = self._refusal(header_faults(head, length))

    def _scan(self) -> Scan:
        from .doubts import settle_doubts  # most openings find no log and do not pay for reading one
        from .wal import scan

        found = scan(self.wal, self.size)
        settle_doubts(self.wal, found, self.page)
        if found.lost and not found.frames and self._all_in_file(found):
            found.lost = ""  # a new header was being written over a log that was already copied back
        return found

    def page(self, number: int) -> bytes:
        """A page as it is in the file itself; empty if the file ends before it."""
        with self.path.open("rb") as file:
            file.seek((number - 1) * self.size)
            found = file.read(self.size)
        return found if len(found) == self.size else b""

    def _all_in_file(self, found: Scan) -> bool:
        frames = {frame.page: frame for frame, _ in found.loose}
        return all(
            self.page(frame.page) == self.wal[frame.offset : frame.offset + found.page_size]
            for frame in frames.values()
        )

    def _refusal(self, header: list[str]) -> str:
        if self.log is not None and self.log.lost:
            return self.log.lost
        if self.log is not None and self.log.doubts:
            n = min(self.log.doubts)
            return f"one byte of frame {n + 1} of its log is wrong, and more than one may be the one"
        journal = self.path.with_name(f"{self.path.name}-journal")
        replaced = journal.exists() or (self.log is not None and 1 in self.log.pages())
        return "" if replaced else "; ".join(header)


def _open_here(path: Path) -> bool:
    """Whether this process has the file open. SQLite's connections can only be asked by their own threads."""
    file = path.stat()
    return any(_is_same(int(handle.name), file) for handle in Path("/proc/self/fd").iterdir())


def _is_same(handle: int, file: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), file)
    except OSError:  # closed meanwhile
        return False


@contextmanager
def sole_use(path: Path) -> Generator[bool]:
    """Keep every SQLite out of the file meanwhile; false if one has it open already.

    False too if this process has the file open: closing another handle would drop SQLite's locks. Another
    that looks just now is waited for, since it may find the file to be damaged.
    """
    if _open_here(path):
        yield False
        return
    handle, alone = _locked(path)
    try:
        yield alone
    finally:
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK))  # a forked child has this handle, too
        os.close(handle)


def _locked(path: Path) -> tuple[int, bool]:
    """A handle of the file, and whether it is locked for us alone.

    While we wait for the lock, the file may be replaced by a repaired one: then that is the one to lock.
    """
    while True:
        handle = os.open(path, os.O_RDWR)
        try:
            alone = _lock(handle)
            if not alone or os.path.samestat(os.fstat(handle), path.stat()):
                return handle, alone
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _lock(handle: int) -> bool:
    """Lock the file for this handle alone; false if another uses it, true once it is ours.

    The lock belongs to the handle: one of the process would be gone as soon as the file is read
    through another handle and that is closed.
    """
    for _ in range(TRIES):
        try:
            fcntl.fcntl(handle, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK))
        except (BlockingIOError, PermissionError):
            if _locked_by(handle) == fcntl.F_RDLCK:  # as SQLite does for as long as it has a file open
                return False
            time.sleep(PAUSE_SECONDS)
        else:
            return True
    return False


def _locked_by(handle: int) -> int:
    """The kind of lock that is in our way."""
    kind: int = FLOCK.unpack(fcntl.fcntl(handle, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK)))[0]
    return kind


def _flock(kind: int) -> bytes:
    length, start = LOCKS
    return FLOCK.pack(kind, os.SEEK_SET, start, length, 0)


def kept_copies(path: Path) -> list[Path]:
    """The folders in which files of this store were kept when damage was found, oldest first."""
    found = [kept for kept in path.parent.iterdir() if kept.name.startswith(f"{path.name}.damaged-")]
    return sorted(found, key=lambda folder: (len(folder.name), folder.name))


def keep_copies(path: Path, notes: list[str]) -> Path:
    """Copy the store's files as they are into a new folder beside it, and say there why. Durable."""
    import shutil  # most openings find no damage

    number = 1
    while (folder := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    folder.mkdir(mode=0o700)
    for suffix in ("", "-wal"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            target = folder / source.name
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
            shutil.copyfile(source, target)
            sync(target)
    report = folder / "found.txt"
    report.write_text("".join(f"{note}\n" for note in notes))
    sync(report)
    sync(folder)
    sync(folder.parent)
    return folder


def next_path(path: Path) -> Path:
    """Where a repaired or restored store lies, complete and synced, before it takes its place."""
    return path.with_name(f"{path.name}.next")


def put_in_place(path: Path) -> None:
    """Let the next file become the store; what is cut off here is done again at the next opening.

    The log has to go first: SQLite would take it for the new file's.
    """
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    sync(path.parent)
    next_path(path).replace(path)
    sync(path.parent)


def _write_log(target: Path, log: bytes) -> None:
    """Put a mended log in place of the damaged one; a crash leaves one of the two."""
    part = target.with_name(f"{target.name}.mended")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
    part.write_bytes(log)
    sync(part)
    part.replace(target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
