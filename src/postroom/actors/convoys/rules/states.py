"""The lives of a task and of a convoy, each as one table of legal moves.

The manager changes a status only through ``moved``, so what is not listed here cannot happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar


class TaskStatus(StrEnum):
    """Where a task is.

    ``PENDING`` waits for other tasks, ``WAITING`` for a free place, ``CHECKING`` for its gates and
    hooks, ``REVIEWING`` for its reviewers, ``DISPUTED`` for a person.
    """

    PENDING = "pending"
    WAITING = "waiting"
    RUNNING = "running"
    CHECKING = "checking"
    REVIEWING = "reviewing"
    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    DISPUTED = "disputed"


class ConvoyStatus(StrEnum):
    """Where a convoy is. ``INTERRUPTED`` has work left and can be resumed."""

    RUNNING = "running"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    DONE = "done"
    FAILED = "failed"


S = TypeVar("S", TaskStatus, ConvoyStatus)
T = TaskStatus
C = ConvoyStatus


class Move(NamedTuple, Generic[S]):
    """One legal change of status."""

    verb: str
    source: S
    target: S


def _moves(verb: str, sources: Sequence[S], target: S) -> list[Move[S]]:
    return [Move(verb, source, target) for source in sources]


ACTIVE = (T.RUNNING, T.CHECKING, T.REVIEWING)
"""A task in one of these is being worked on, and holds a place and its files."""

OVER = (T.DONE, T.FAILED, T.TIMED_OUT, T.SKIPPED, T.CANCELLED, T.DISPUTED)
"""A task in one of these is over, as far as the convoy by itself is concerned."""

LOST = (T.FAILED, T.TIMED_OUT, T.SKIPPED, T.CANCELLED)
"""A task in one of these was not done, so what needs it cannot be done either."""

TASK_MOVES: tuple[Move[TaskStatus], ...] = (
    *_moves("ready", [T.PENDING], T.WAITING),
    *_moves("start", [T.WAITING], T.RUNNING),
    *_moves("check", [T.RUNNING], T.CHECKING),
    *_moves("review", [T.RUNNING, T.CHECKING], T.REVIEWING),
    *_moves("finish", ACTIVE, T.DONE),
    *_moves("retry", ACTIVE, T.WAITING),
    *_moves("requeue", [T.RUNNING], T.WAITING),
    *_moves("fail", [T.PENDING, *ACTIVE], T.FAILED),
    *_moves("time out", [T.RUNNING], T.TIMED_OUT),
    *_moves("skip", [T.PENDING, *ACTIVE], T.SKIPPED),
    *_moves("cancel", [T.PENDING, T.WAITING, *ACTIVE, T.DISPUTED], T.CANCELLED),
    *_moves("dispute", [T.REVIEWING], T.DISPUTED),
    # A person has the last word.
    *_moves("uphold", [T.DISPUTED], T.FAILED),
    *_moves("leave out", [T.DISPUTED], T.SKIPPED),
    *_moves("overrule", [T.DISPUTED], T.DONE),
    *_moves("again", [*LOST, T.DISPUTED], T.PENDING),
)

CONVOY_MOVES: tuple[Move[ConvoyStatus], ...] = (
    *_moves("pause", [C.RUNNING], C.PAUSED),
    *_moves("unpause", [C.PAUSED], C.RUNNING),
    *_moves("interrupt", [C.RUNNING, C.PAUSED], C.INTERRUPTED),
    *_moves("resume", [C.INTERRUPTED], C.RUNNING),
    *_moves("finish", [C.RUNNING, C.PAUSED, C.INTERRUPTED], C.DONE),
    *_moves("fail", [C.RUNNING, C.PAUSED, C.INTERRUPTED], C.FAILED),
    # A person has a task done again, or settles a dispute.
    *_moves("reopen", [C.DONE, C.FAILED], C.RUNNING),
)


class IllegalMove(Exception):
    """A status was to change along an edge that no table lists: a fault in postroom itself."""


_TARGETS = {(move.verb, move.source): move.target for move in TASK_MOVES}
_CONVOY_TARGETS = {(move.verb, move.source): move.target for move in CONVOY_MOVES}


def moved(verb: str, source: TaskStatus) -> TaskStatus:
    """The status of a task that ``verb`` leads to from ``source``. Raises ``IllegalMove``."""
    try:
        return _TARGETS[verb, source]
    except KeyError:
        raise IllegalMove(f"{verb} a task that is {source}") from None


def convoy_moved(verb: str, source: ConvoyStatus) -> ConvoyStatus:
    """The status of a convoy that ``verb`` leads to from ``source``. Raises ``IllegalMove``."""
    try:
        return _CONVOY_TARGETS[verb, source]
    except KeyError:
        raise IllegalMove(f"{verb} a convoy that is {source}") from None


def is_over(status: TaskStatus | ConvoyStatus) -> bool:
    """Whether only a person can change this status."""
    return status in (*OVER, C.DONE, C.FAILED)
