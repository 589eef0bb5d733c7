"""``doctor``: is this machine fit for a store, and is the store's file well? A table of checks.

The file is looked at before the store is opened: POSIX locks belong to the process, and closing
any other handle of the file would drop those of an open store.
"""

from __future__ import annotations

import os
import platform
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import apsw

from ..store.clock import SystemClock
from ..store.errors import StoreUnavailable
from ..store.sqlite import ballast, db, opening
from ..store.sqlite.damage import rot
from ..store.urls import store_path
from .findings import Finding, write_findings

OLDEST_PYTHON = (3, 11)
WAL_WARN = 256 << 20
FREE_WARN = 1 << 30
PAGES_LIMIT = 256 << 20
MIB = 1 << 20
BUSY_MS = 5000

WRITABLE = "let this user read and write the file and its folder"
RESTORE = "mend it: postroom repair, or restore a backup: postroom restore FILE --force"


Check = Callable[[Path], Finding]


def check_python(path: Path) -> Finding:
    found = f"{platform.python_implementation()} {platform.python_version()}"
    if sys.version_info >= OLDEST_PYTHON:
        return Finding("ok", found)
    return Finding("fail", found, "use Python 3.11 or newer")


def check_sqlite(path: Path) -> Finding:
    version = apsw.sqlite_lib_version()
    try:
        opening.check_sqlite(version)
    except StoreUnavailable as error:
        return Finding("fail", f"{version}: {error.why}", error.do)
    return Finding("ok", f"{version} (apsw {apsw.apsw_version()})")


def check_clock(path: Path) -> Finding:
    try:
        boot = SystemClock().now().boot
    except (StoreUnavailable, OSError) as error:
        return Finding("fail", str(error), "run postroom on Linux")
    return Finding("ok", f"boot clock at {boot // 1_000_000} s")


def check_file_system(path: Path) -> Finding:
    kind = opening.file_system(path.resolve(), Path("/proc/mounts").read_text())
    try:
        opening.check_file_system(path)
    except StoreUnavailable as error:
        return Finding("fail", f"{kind}: {error.why}", error.do)
    if kind in ("tmpfs", "ramfs"):
        return Finding("warn", f"{kind} is gone after a reboot", "keep the store on a disk")
    return Finding("ok", kind)


def check_free_disk(path: Path) -> Finding:
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    room = ballast.room_at(folder)
    least = ballast.min_free(room)
    found = f"{ballast.size_text(room.free)} free"
    if room.free < least:
        found = f"{found}; below {ballast.size_text(least)} sends are refused"
        return Finding("fail", found, "make room on this disk")
    if room.free < min(FREE_WARN, room.total // 8):
        return Finding("warn", found, "make room on this disk")
    return Finding("ok", found)


def check_ballast(path: Path) -> Finding:
    held = ballast.ballast_size(path.resolve())
    if held is None:
        do = "nothing, or make room and start: postroom run, serve or pair"
        return Finding("warn", "none: on a full disk nobody could settle", do)
    if held == 0:
        return Finding("warn", "empty: the disk was full, sends are refused", "make room on this disk")
    return Finding("ok", f"{ballast.size_text(held)} held back")


def check_file(path: Path) -> Finding:
    if not path.exists():
        do = "create it with: postroom run FILE, or postroom pair TASK --manager M --worker W"
        return Finding("fail", f"no store at {path}", do)
    if not path.is_file():
        return Finding("fail", f"{path} is no file", "name another with --store")
    return Finding("ok", f"{path}, {path.stat().st_size // MIB} MiB")


def check_mode(path: Path) -> Finding:
    stat = path.stat()
    mode = stat.st_mode & 0o777
    usable = os.access(path, os.R_OK | os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)
    if not usable or mode & 0o600 != 0o600:
        return Finding("fail", f"{mode:04o}, of user {stat.st_uid}: not writable here", WRITABLE)
    if stat.st_uid != os.geteuid():
        return Finding("warn", f"owned by user {stat.st_uid}", "let one user own and use the store")
    if mode & 0o077:
        return Finding("warn", f"{mode:04o}: others may read mail", f"chmod 600 {path}")
    return Finding("ok", f"{mode:04o}")


def check_schema(path: Path) -> Finding:
    try:
        conn = db.connect(str(path), apsw.SQLITE_OPEN_READONLY)
        conn.set_busy_timeout(BUSY_MS)
        try:
            application, version = conn.pragma("application_id"), conn.pragma("user_version")
        finally:
            conn.close()
    except apsw.Error as error:
        return _unreadable(error)
    if application != opening.APPLICATION_ID:
        return Finding("fail", "it is another program's database", "name another file with --store")
    if version > opening.SCHEMA_VERSION:
        return Finding("fail", f"version {version}, newer than this postroom", "update postroom")
    if version < opening.SCHEMA_VERSION:
        do = "nothing: the next command brings it up to date; make a backup first"
        return Finding("warn", f"version {version} of {opening.SCHEMA_VERSION}", do)
    return Finding("ok", f"version {version}")


def check_pages(path: Path) -> Finding:
    if path.stat().st_size > PAGES_LIMIT:
        return Finding("ok", "too many to read here: postroom verify --deep reads them")
    try:
        conn = db.connect(str(path), apsw.SQLITE_OPEN_READONLY)
        conn.set_busy_timeout(BUSY_MS)
        try:
            found = conn.pragma("quick_check", 1)
        finally:
            conn.close()
    except apsw.Error as error:
        return _unreadable(error)
    return Finding("ok", "sound") if found == "ok" else Finding("fail", " ".join(found.split()), RESTORE)


def _unreadable(error: apsw.Error) -> Finding:
    denied = isinstance(error, apsw.CantOpenError | apsw.ReadOnlyError | apsw.PermissionsError)
    return Finding("fail", f"it cannot be read: {error}", WRITABLE if denied else RESTORE)


def check_damage(path: Path) -> Finding:
    """Damage that the first opening would meet, and what was found before."""
    with rot.sole_use(path) as alone:
        refusal = rot.Damage(path).refusal if alone else ""
    if refusal:
        return Finding("fail", refusal, "postroom repair")
    kept = rot.kept_copies(path)
    if kept:
        do = "look at them, then remove them"
        return Finding("warn", f"files from when damage was found: {', '.join(k.name for k in kept)}", do)
    return Finding("ok", "none found")


def check_wal(path: Path) -> Finding:
    wal = path.with_name(path.name + "-wal")
    size = wal.stat().st_size if wal.exists() else 0
    if size < WAL_WARN:
        return Finding("ok", f"{size // MIB} MiB")
    return Finding("warn", f"{size // MIB} MiB", "end whatever reads the store for very long")


def check_users(path: Path) -> Finding:
    pids = processes_using(path)
    return Finding("ok", f"processes {', '.join(map(str, pids))}" if pids else "nobody else")


def processes_using(path: Path) -> list[int]:
    """Other processes that have the file open, as far as this user may see them."""
    stat = path.stat()
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*/fd"):
        pid = int(folder.parent.name)
        if pid != os.getpid() and _holds(folder, (stat.st_dev, stat.st_ino)):
            found.append(pid)
    return sorted(found)


def _holds(folder: Path, identity: tuple[int, int]) -> bool:
    try:
        for link in folder.iterdir():
            try:
                stat = link.stat()
            except FileNotFoundError:
                continue  # closed meanwhile
            if (stat.st_dev, stat.st_ino) == identity:
                return True
    except (PermissionError, FileNotFoundError, ProcessLookupError):
        return False  # another user's process, or one that has ended
    return False


MACHINE: tuple[tuple[str, Check], ...] = (
    ("python", check_python),
    ("sqlite", check_sqlite),
    ("clock", check_clock),
    ("file system", check_file_system),
    ("free disk", check_free_disk),
    ("store", check_file),
)
FILE: tuple[tuple[str, Check], ...] = (
    ("mode", check_mode),
    ("ballast", check_ballast),
    ("damage", check_damage),
    ("schema", check_schema),
    ("pages", check_pages),
    ("wal", check_wal),
    ("in use by", check_users),
)


def examine(path: Path) -> list[tuple[str, Finding]]:
    """All checks that make sense; those of the file only if there is one."""
    path = path.resolve()  # SQLite keeps the files beside a store where the store really is
    findings = [(name, _run(check, path)) for name, check in MACHINE]
    if findings[-1][1].status == "ok":
        findings += [(name, _run(check, path)) for name, check in FILE]
    return findings


def _run(check: Check, path: Path) -> Finding:
    try:
        return check(path)
    except OSError as error:
        return Finding("fail", error.strerror or str(error), WRITABLE)


def command(args: Namespace, out: TextIO) -> int:
    """Write the findings. 0 without a failure (warnings allowed), 5 if the store is not usable."""
    return write_findings(args, out, examine(store_path(args.store)))
