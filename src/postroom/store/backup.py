"""Putting a backup in the place of a store."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path

import apsw

from .clock import Clock, SystemClock
from .errors import StoreUnavailable
from .sqlite import opening
from .sqlite.damage import rot
from .sqlite.db import READ_ONLY_URI, connect
from .sqlite.engine import unavailable
from .sqlite.queries import QUERIES
from .urls import store_path


def restore(source: Path, target_url: str, *, force: bool, clock: Clock | None = None) -> int:
    """Make a copy of ``source`` the store at ``target_url``; answers its new epoch.

    Every fence of before the backup is dead afterwards. The file is complete and synced before it
    takes its name, so a crash leaves the old store or the new one. Refuses a target that exists
    unless ``force``, and always one that another process has open. Raises ``StoreUnavailable``.
    """
    try:
        return _restore(source, store_path(target_url).resolve(), force, clock or SystemClock())
    except OSError as error:
        raise unavailable(error) from error


def _restore(source: Path, target: Path, force: bool, clock: Clock) -> int:
    if not source.is_file():
        raise StoreUnavailable(
            f"no backup at {source}", "it does not exist", "name a file made by: postroom backup"
        )
    replaced = 0
    if target.exists():
        if not force:
            raise StoreUnavailable(
                f"{target} exists", "a store is there already", "use --force to replace it"
            )
        with rot.sole_use(target) as alone:
            if not alone:
                raise _in_use(target)
            replaced = _epoch_of(target)
    part = target.with_name(target.name + ".restoring")
    part.unlink(missing_ok=True)
    opening.create_file(part)
    try:
        epoch = _copy(source, part, clock, replaced)
    except BaseException:
        with suppress(OSError):  # what went wrong before is what counts
            part.unlink(missing_ok=True)
        raise
    rot.sync(part)
    if not target.exists():
        part.replace(rot.next_path(target))
        rot.put_in_place(target)
        return epoch
    with rot.sole_use(target) as alone:
        if not alone:
            part.unlink()
            raise _in_use(target)
        part.replace(rot.next_path(target))
        rot.sync(target.parent)
        rot.put_in_place(target)
    return epoch


def _copy(source: Path, part: Path, clock: Clock, replaced: int) -> int:
    try:
        with closing(opening.connect(str(part))) as new:
            with (
                closing(connect(str(source), apsw.SQLITE_OPEN_READONLY)) as old,
                new.backup("main", old, "main") as copying,
            ):
                while not copying.done:
                    copying.step(1000)
            new.pragma("journal_mode", "delete")
            new.pragma("synchronous", "FULL")
            if new.pragma("application_id") != opening.APPLICATION_ID:
                raise _no_backup(source, "it is another program's file")
            opening.migrate(new, clock)
            new.execute("BEGIN IMMEDIATE")
            epoch = opening.raise_epoch(new, clock.now().wall, replaced)
            new.execute("UPDATE store SET boot_id = ''")
            new.execute("COMMIT")
    except apsw.NotADBError as error:
        raise _no_backup(source, "it is no database") from error
    except apsw.Error as error:
        if isinstance(error, apsw.CorruptError):
            raise _no_backup(source, "it is damaged") from error
        raise unavailable(error) from error
    return epoch


def _epoch_of(target: Path) -> int:
    """The epoch of the store that is to be replaced, 0 where there is none that can be read.

    Its leases must die too: the same backup may be restored again within the minute. Only the file itself
    is read, where restoring and repairing write the epoch: SQLite would drop what comes after damage in
    the log, and a store that is not replaced after all could not be repaired any more.
    """
    try:
        with closing(connect(f"{target.resolve().as_uri()}?immutable=1", READ_ONLY_URI)) as conn:
            row = conn.execute(QUERIES["store_row"]).fetchone()
    except apsw.Error:
        return 0
    return int(row[0]) if row else 0


def _no_backup(source: Path, why: str) -> StoreUnavailable:
    return StoreUnavailable(f"{source} is not a postroom backup", why, "name a file made by: postroom backup")


def _in_use(target: Path) -> StoreUnavailable:
    return StoreUnavailable(f"{target} is in use", "another process has it open", "stop that first")
