"""Copying a stopped store: all of it, compared row by row, and no store to anybody before that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import zip_longest

from msgspec import Struct

from ..clock import Clock, SystemClock
from ..errors import BadInput, PostroomError, StoreUnavailable
from ..shown import is_remote, shown_url
from ..sqlite.opening import next_epoch
from ..urls import driver_wanted, store_path
from .carrying import Carrying
from .files import file_source, file_target
from .sides import Row, Side, Source, Target
from .tables import NAMES
from .taking_over import checked

STEP_ROWS = 10_000
Progress = Callable[[str, str, int, int], None]
"""Told what is done (``copied`` or ``compared``) with what, how many of it, and how many there are."""


class Copied(Struct):
    """What was copied: the new store's epoch, its accepted messages, and the rows by what they are."""

    source: str
    target: str
    epoch: int
    accepted: int
    rows: dict[str, int]


def silent(done: str, what: str, so_far: int, total: int) -> None:
    """No progress is told."""


def copy(source: str, target: str, *, progress: Progress = silent, clock: Clock | None = None) -> Copied:
    """Make a copy of the store at one URL the store at another; it is durable when this returns.

    The source must be stopped and sound and stays as it was; nobody changes it meanwhile. The target has
    all states, histories, records, counts and remembered ids. Its epoch is raised and its sessions have
    ended: no lease of before settles anything there, and what was leased is back with its attempt. There
    is no target for anybody before all of it was compared: a copy that was killed is begun anew.

    Raises ``BadInput`` for a URL that is none, ``Conflict`` if there is something at the target,
    ``Refused`` if the source is not sound, ``StoreUnavailable`` if it is in use or a side does not answer.
    """
    at = clock or SystemClock()
    if shown_url(source) == shown_url(target):
        raise BadInput("both URLs are the same", shown_url(source), "name another target")
    with _source(source, at) as old, _target(target, at) as new:
        if users := old.in_use():
            raise StoreUnavailable(f"{shown_url(source)} is in use", f"by {users}", "stop that first")
        return _copy(old, new, Copied(shown_url(source), shown_url(target), 0, 0, {}), progress)


def _copy(old: Source, new: Target, done: Copied, progress: Progress) -> Copied:
    head = old.head()
    done.epoch = next_epoch(head.epoch, new.now.wall)
    carrying = Carrying(done.epoch, old.now, new.now)
    new.begin(head._replace(epoch=done.epoch))
    for what in range(len(NAMES)):
        rows = _told(old, what, "copied", progress)
        new.write(what, carrying.carried(what, rows))
    for what, name in enumerate(NAMES):
        done.rows[name] = _compare(old, new, what, carrying, progress)
    new.settle()
    found = new.verify()
    checked(found, done.target)
    done.accepted = found.accepted
    new.finish()
    return done


def _compare(old: Side, new: Side, what: int, carrying: Carrying, progress: Progress) -> int:
    """See that everything is there as it has to be; the number of rows. Raises ``PostroomError``."""
    rows = 0
    expected = carrying.carried(what, old.rows(what))
    for wanted, found in zip_longest(expected, _told(new, what, "compared", progress)):
        if wanted is None or found is None or list(wanted) != list(found):
            raise PostroomError(
                "the copy is not what was copied",
                f"row {rows + 1} of the {NAMES[what]} differs",
                "nothing was kept: report this",
            )
        rows += 1
    return rows


def _told(side: Side, what: int, done: str, progress: Progress) -> Iterator[Row]:
    """The rows of one side, with progress told."""
    total = side.count(what)
    n = 0
    for n, row in enumerate(side.rows(what), 1):
        if n % STEP_ROWS == 0:
            progress(done, NAMES[what], n, total)
        yield row
    if n % STEP_ROWS:
        progress(done, NAMES[what], n, total)


def _source(url: str, clock: Clock) -> AbstractContextManager[Source]:
    if not is_remote(url):
        return file_source(store_path(url), clock)
    with driver_wanted():
        from .servers import server_source
    return server_source(url)


def _target(url: str, clock: Clock) -> AbstractContextManager[Target]:
    if not is_remote(url):
        return file_target(store_path(url).absolute(), clock)
    with driver_wanted():
        from .servers import server_target
    return server_target(url)
