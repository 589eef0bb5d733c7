"""Repairing a damaged store: mending what can be known, giving up in the open what cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import apsw
from msgspec import Struct, field

from .clock import Clock, SystemClock
from .errors import Refused, StoreUnavailable
from .identity import id_text
from .rules import rowsums
from .sqlite import opening, verifying
from .sqlite.damage import headers, judging, rot, salvage
from .sqlite.damage.image import Alternative, Image
from .sqlite.damage.pages import header_faults
from .sqlite.db import Db
from .sqlite.engine import unavailable
from .sqlite.statements import SqliteStatements
from .urls import store_path

T = TypeVar("T")

SHOWN = 5
"""How many of the things found are named in an error: damage may be on every page."""


class Repaired(Struct):
    """What a repair has found and done.

    ``mended`` says what is again exactly as it was written. ``doubtful`` are messages, by id, of which
    something may be wrong: live ones were made dead letters with the reason ``damaged``. ``lost``
    counts the messages that were given up, by inbox. ``kept`` is the folder with the files as they
    were; empty if nothing had to be done.
    """

    store: str
    found: list[str] = field(default_factory=list[str])
    mended: list[str] = field(default_factory=list[str])
    doubtful: list[str] = field(default_factory=list[str])
    lost: dict[str, int] = field(default_factory=dict[str, int])
    kept: str = ""
    epoch: int | None = None


def repair(url: str, *, accept_loss: bool, clock: Clock | None = None) -> Repaired:
    """Put a store's files right, as well as what is left of them allows; durable on return.

    The files as they were are kept in a folder beside the store. Nothing is changed where the store
    is in use (``StoreUnavailable``), or where a message would be lost or doubtful and ``accept_loss``
    is false (``Refused``). A crash leaves the damaged store or the repaired one.
    """
    path = store_path(url).resolve()
    if not path.is_file():
        raise StoreUnavailable(f"no store at {path}", "it does not exist", "name another with --store")
    try:
        return _repair_alone(path, Repaired(url), accept_loss, clock or SystemClock())
    except apsw.CorruptError as error:
        raise StoreUnavailable("too much of the store is damaged", str(error), "restore a backup") from error
    except (apsw.Error, OSError) as error:
        raise unavailable(error) from error


def _repair_alone(path: Path, done: Repaired, accept_loss: bool, clock: Clock) -> Repaired:
    with rot.sole_use(path) as alone:
        if not alone:
            raise StoreUnavailable(f"{path} is in use", "a process has it open", "stop that first")
        if rot.next_path(path).exists():
            rot.put_in_place(path)
            done.found.append("a repair or restore that was cut off is now complete")
            return done
        part = path.with_name(f"{path.name}.repairing")
        try:
            return _repair(path, part, done, accept_loss, clock)
        finally:
            part.unlink(missing_ok=True)
            part.with_name(f"{part.name}.new").unlink(missing_ok=True)


def _repair(path: Path, part: Path, done: Repaired, accept_loss: bool, clock: Clock) -> Repaired:
    damage = rot.Damage(path)
    image = Image(part, damage)
    header = headers.mend(image)
    doubts = _Doubts(image, clock)
    doubts.other += header.doubtful
    doubts.choose()
    done.found = [*image.mended, *header.found, *(what for what, _ in image.doubts)]
    if damage.refusal and not done.found:
        done.found.append(damage.refusal)
    done.found += [f"page {number} of the file is damaged" for number in sorted(image.lost)]
    with image.reading() as conn:
        faults = _faults(conn)
    done.found += faults
    if not done.found:
        return done
    done.mended = [*image.mended, *header.mended, *doubts.mended]
    result = part
    if image.lost or faults or doubts.messages or doubts.other or header.foreign:
        result = part.with_name(f"{part.name}.new")
        done.lost, done.epoch = _rebuild(image, result, doubts, clock)
    done.doubtful = sorted(map(id_text, doubts.messages))
    done.found += [what for what in doubts.other if what not in done.found]
    _refuse_loss(done, len(doubts.other), accept_loss)
    done.kept = str(rot.keep_copies(path, done.found))
    rot.sync(result)
    result.replace(rot.next_path(path))
    rot.sync(path.parent)
    rot.put_in_place(path)
    return done


def _refuse_loss(done: Repaired, other: int, accept_loss: bool) -> None:
    if accept_loss or not (done.lost or done.doubtful or other):
        return
    lost, more = sum(done.lost.values()), len(done.found) - SHOWN
    why = [*done.found[:SHOWN], *([f"and {more} more"] if more > 0 else [])]
    raise Refused(
        f"a repair would lose {lost} messages and leave {len(done.doubtful) + other} in doubt",
        "; ".join(why),
        "restore a backup, or repeat with --accept-loss",
    )


def _faults(conn: Db) -> list[str]:
    return verifying.verify(conn, deep=True).faults


class _Doubts:
    """Choosing, for every damaged page that may have been this or that, what it most likely was."""

    def __init__(self, image: Image, clock: Clock) -> None:
        self.image = image
        self.clock = clock
        self.mended: list[str] = []
        self.messages: set[bytes] = set()
        self.other: list[str] = []

    def choose(self) -> None:
        for what, choices in self.image.doubts:
            best = self._best(choices)
            if not best:
                self.image.lose(choices)
                continue
            self.image.set(best[0][0])
            differing = [contents for _, contents in best]
            if all(contents == differing[0] for contents in differing):
                self.mended.append(what)
                continue
            for table in judging.TABLES:
                rows = [contents[table] for contents in differing]
                unlike = rows[0].union(*rows) - rows[0].intersection(*rows)
                if table == "message":
                    self.messages |= {row[2] for row in unlike}
                else:
                    self.other += judging.in_words(table, unlike, differing)

    def look_at_rows(self, conn: Db) -> None:
        """Rows that do not have their sums, of which nobody can tell what they were."""
        self.messages |= {message.id for message in rowsums.damaged(SqliteStatements(conn))}
        self.other += [line for line in rowsums.faults(SqliteStatements(conn)) if line.startswith("record ")]

    def _best(self, choices: list[Alternative]) -> list[tuple[Alternative, judging.Contents]]:
        """The choices under which the store is least odd, and what is in it then."""
        scored = [(self._look(choice, self._oddities), choice) for choice in choices]
        least = min(score for score, _ in scored)
        if least >= judging.NO_STORE:
            return []
        return [(choice, self._look(choice, judging.contents)) for score, choice in scored if score == least]

    def _oddities(self, conn: Db) -> int:
        header = header_faults(self.image.page(1), self.image.path.stat().st_size)
        return judging.oddities(conn, self.clock.now(), self.clock.boot_id) + len(header)

    def _look(self, choice: Alternative, look: Callable[[Db], T]) -> T:
        self.image.set(choice)
        with self.image.reading() as conn:
            return look(conn)


def _rebuild(image: Image, target: Path, doubts: _Doubts, clock: Clock) -> tuple[dict[str, int], int]:
    """A new store with every row that can be read; answers what is lost, and the new epoch."""
    target.unlink(missing_ok=True)
    opening.create_file(target)
    new = opening.connect(str(target))
    try:
        opening.migrate(new, clock)
        new.execute("BEGIN IMMEDIATE")
        with image.reading() as old:
            doubts.messages |= salvage.copy_rows(old, new, clock.now().wall)
        if new.execute("SELECT count(*) FROM store").fetchone() == (0,):
            new.execute("INSERT INTO store VALUES (1, 1, '', 0, 1, ?)", (clock.now().wall,))
        doubts.look_at_rows(new)
        for message in doubts.messages:
            salvage.set_aside(new, message, clock.now().wall)
        salvage.sum_records(new)
        losses = salvage.balance(new)
        salvage.record_losses(new, losses)
        epoch = opening.raise_epoch(new, clock.now().wall)
        new.execute("COMMIT")
    finally:
        new.close()
    return losses, epoch
