"""Copying a stopped store: all of it, compared row by row, and no store to anybody before that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing
from itertools import islice, zip_longest

from msgspec import Struct, field

from ..clock import Clock, SystemClock
from ..errors import BadInput, PostroomError, StoreUnavailable
from ..shown import is_remote, shown_url
from ..sqlite.opening import next_epoch
from ..urls import driver_wanted, store_path
from .carrying import Carrying
from .files import file_source
from .into_file import file_target
from .mark import Mark, check
from .sides import Row, Source, Target
from .tables import MESSAGES, NAMES
from .taking_over import not_the_same, sound

STEP_ROWS = 10_000
Progress = Callable[[str, str, int, int], None]
"""Told what is done (``copied`` or ``compared``) with what, how many of it, and how many there are. What is
``copied`` is durable.
"""

GoingOn = Callable[[int, int, int], None]
"""Told when the copy that is gone on with was begun (wall time in microseconds), how many of the messages are
there already, and how many there are.
"""


class Copied(Struct):
    """What was copied: the new store's epoch, its accepted messages, and the rows by what they are.

    ``found`` are the rows that were there already, of a copy that was cut off.
    """

    source: str
    target: str
    epoch: int = 0
    accepted: int = 0
    rows: dict[str, int] = field(default_factory=dict[str, int])
    found: dict[str, int] = field(default_factory=dict[str, int])


def silent(done: str, what: str, so_far: int, total: int) -> None:
    """No progress is told."""


def quiet(begun_at: int, so_far: int, total: int) -> None:
    """Nobody is told that a copy is gone on with."""


def copy(
    source: str,
    target: str,
    *,
    anew: bool = False,
    progress: Progress = silent,
    going_on: GoingOn = quiet,
    clock: Clock | None = None,
) -> Copied:
    """Make a copy of the store at one URL the store at another; it is durable when this returns.

    The source must be stopped and sound and stays as it was; nobody changes it meanwhile. The target has
    all states, histories, records, counts and remembered ids. Its epoch is raised and its sessions have
    ended: no lease of before settles anything there, and what was leased is back with its attempt. There
    is no target for anybody before all of it was compared.

    A copy that was cut off, whatever the moment, is gone on with: what it had written is not written again,
    but compared like all else. With ``anew`` that is thrown away first. If the copy turns out not to be
    what was copied, nothing of it is kept.

    Raises ``BadInput`` for a URL that is none, ``Conflict`` if there is something at the target, also an
    unfinished copy of something else or of what the source was before, ``Refused`` if the source is not
    sound, ``StoreUnavailable`` if it is in use or a side does not answer.
    """
    at = clock or SystemClock()
    if shown_url(source) == shown_url(target):
        raise BadInput("both URLs are the same", shown_url(source), "name another target")
    with _source(source, at) as old, _target(target, at) as new:
        if users := old.in_use():
            raise StoreUnavailable(f"{shown_url(source)} is in use", f"by {users}", "stop that first")
        done = Copied(shown_url(source), shown_url(target))
        return _Copying(old, new, done, progress).carry_out(anew, going_on)


class _Step:
    """Some rows on their way, counted as they pass."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = rows
        self.passed = 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.passed += 1
            yield row


class _Copying:
    """One copy, or what was left to do of it."""

    def __init__(self, old: Source, new: Target, done: Copied, progress: Progress) -> None:
        self._old = old
        self._new = new
        self._done = done
        self._progress = progress
        self._head = old.head()
        self._totals = [old.count(what) for what in range(len(NAMES))]

    def carry_out(self, anew: bool, going_on: GoingOn) -> Copied:
        """Do what is left to do. What is found not to be the same is thrown away."""
        new, done = self._new, self._done
        mark = self._begin(anew, going_on)
        try:
            if not new.is_whole():
                self._fill(Carrying(mark.epoch, mark.source_now, mark.target_now))
            done.accepted = sound(new.verify())
        except StoreUnavailable:
            raise
        except PostroomError:
            new.discard()
            raise
        new.finish()
        done.epoch = mark.epoch
        done.rows = dict(zip(NAMES, self._totals, strict=True))
        return done

    def _begin(self, anew: bool, going_on: GoingOn) -> Mark:
        """Begin, or see what there is to go on with."""
        old, new = self._old, self._new
        wanted = Mark(
            self._done.source,
            (*self._head, *self._totals, *old.signs()),
            new.schema,
            next_epoch(self._head.epoch, new.now.wall),
            old.now,
            new.now,
        )
        if new.mark is not None and anew:
            new.discard()
        if new.mark is None:
            new.begin(wanted, self._head._replace(epoch=wanted.epoch))
            return wanted
        check(new.mark, wanted, self._done.target)
        self._done.found = {name: new.count(what) for what, name in enumerate(NAMES)}
        begun_at = new.mark.target_now.wall
        going_on(begun_at, self._done.found[NAMES[MESSAGES]], self._totals[MESSAGES])
        return new.mark

    def _fill(self, carrying: Carrying) -> None:
        for what in range(len(NAMES)):
            self._write(what, carrying)
        self._new.close_up()
        for what in range(len(NAMES)):
            self._compare(what, carrying)
        self._new.settle(self._head)

    def _write(self, what: int, carrying: Carrying) -> None:
        """Write what is not there yet, in steps that are durable one by one."""
        there, total = self._new.count(what), self._totals[what]
        if there >= total:
            return
        with closing(self._old.rows(what, there)) as left:
            rows = iter(carrying.carried(what, left))
            while there < total:
                step = _Step(islice(rows, STEP_ROWS))
                self._new.write(what, step)
                if not step.passed:
                    return  # fewer than were counted: the comparison will say so
                there += step.passed
                self._progress("copied", NAMES[what], there, total)

    def _compare(self, what: int, carrying: Carrying) -> None:
        """See that everything is there as it has to be. Raises ``PostroomError``."""
        total, n = self._totals[what], 0
        with closing(self._old.rows(what)) as old, closing(self._new.rows(what)) as new:
            for n, (wanted, found) in enumerate(zip_longest(carrying.carried(what, old), new), 1):
                if wanted is None or found is None or list(wanted) != list(found):
                    raise not_the_same(f"row {n} of the {NAMES[what]} differs")
                if n % STEP_ROWS == 0:
                    self._progress("compared", NAMES[what], n, total)
        if n != total:
            raise not_the_same(f"there are {n} {NAMES[what]}, and {total} were counted")
        if n % STEP_ROWS:
            self._progress("compared", NAMES[what], n, total)


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
        from .into_server import server_target
    return server_target(url)
