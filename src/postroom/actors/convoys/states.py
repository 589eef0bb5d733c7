"""The lives of a task and of a convoy, each as one table of legal moves.

The manager changes a status only through ``moved``, so what is not listed here cannot happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar


class TaskStatus(StrEnum):
    """Where a task is. ``PENDING`` waits for other tasks, ``WAITING`` for a free worker."""

    PENDING = "pending"
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class ConvoyStatus(StrEnum):
    """Where a convoy is. ``INTERRUPTED`` has work left and can be resumed."""

    RUNNING = "running"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    DONE = "done"
    FAILED = "failed"


S = TypeVar("S", TaskStatus, ConvoyStatus)


class Move(NamedTuple, Generic[S]):
    """One legal change of status."""

    verb: str
    source: S
    target: S


TASK_MOVES: tuple[Move[TaskStatus], ...] = (
    Move("ready", TaskStatus.PENDING, TaskStatus.WAITING),
    Move("skip", TaskStatus.PENDING, TaskStatus.SKIPPED),
    Move("cancel", TaskStatus.PENDING, TaskStatus.CANCELLED),
    Move("start", TaskStatus.WAITING, TaskStatus.RUNNING),
    Move("cancel", TaskStatus.WAITING, TaskStatus.CANCELLED),
    Move("finish", TaskStatus.RUNNING, TaskStatus.DONE),
    Move("retry", TaskStatus.RUNNING, TaskStatus.WAITING),
    Move("requeue", TaskStatus.RUNNING, TaskStatus.WAITING),
    Move("fail", TaskStatus.RUNNING, TaskStatus.FAILED),
    Move("time out", TaskStatus.RUNNING, TaskStatus.TIMED_OUT),
    Move("cancel", TaskStatus.RUNNING, TaskStatus.CANCELLED),
)

CONVOY_MOVES: tuple[Move[ConvoyStatus], ...] = (
    Move("pause", ConvoyStatus.RUNNING, ConvoyStatus.PAUSED),
    Move("interrupt", ConvoyStatus.RUNNING, ConvoyStatus.INTERRUPTED),
    Move("finish", ConvoyStatus.RUNNING, ConvoyStatus.DONE),
    Move("fail", ConvoyStatus.RUNNING, ConvoyStatus.FAILED),
    Move("unpause", ConvoyStatus.PAUSED, ConvoyStatus.RUNNING),
    Move("interrupt", ConvoyStatus.PAUSED, ConvoyStatus.INTERRUPTED),
    Move("resume", ConvoyStatus.INTERRUPTED, ConvoyStatus.RUNNING),
    Move("finish", ConvoyStatus.INTERRUPTED, ConvoyStatus.DONE),
    Move("fail", ConvoyStatus.INTERRUPTED, ConvoyStatus.FAILED),
)


class IllegalMove(Exception):
    """A status was to change along an edge that no table lists: a fault in postroom itself."""


def moved(moves: Sequence[Move[S]], verb: str, source: S) -> S:
    """The status that ``verb`` leads to from ``source``. Raises ``IllegalMove``."""
    for move in moves:
        if move.verb == verb and move.source is source:
            return move.target
    raise IllegalMove(f"{verb} from {source}")


def is_final(moves: Sequence[Move[S]], status: S) -> bool:
    """Whether no move leads out of ``status``."""
    return not any(move.source is status for move in moves)
