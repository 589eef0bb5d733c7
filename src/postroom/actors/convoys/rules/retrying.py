"""The one way on for an attempt that failed: another one, told what was wrong, or the failure path."""

from __future__ import annotations

import zlib
from fnmatch import fnmatchcase

from .. import events as e
from ..plan import Retry, Task
from .actions import Rest
from .board import Board
from .failing import give_up
from .standing import Failure, Feedback, Note, TaskState

HOPELESS = (Failure.INPUT, Failure.CANCELLED)
"""No further attempt could do better."""


def failed(
    board: Board,
    id: str,
    failure: Failure,
    reason: str,
    now: float,
    *,
    code: int | None = None,
    output: str = "",
    notes: tuple[Note, ...] = (),
) -> None:
    """An attempt has failed, whatever part of it: try again, or give the task up."""
    task, state = board.plan[id], board.tasks[id]
    end_try(state, now, "failed", failure, reason, code)
    state.failure, state.reason, state.result = failure, reason, None
    state.feedback = Feedback(state.attempts, failure, reason, code, output, notes)
    if not _again(board, task, state, failure, reason):
        give_up(board, id, failure, reason, now)
        return
    board.move(id, "retry")
    state.resting = True
    rest = pause(task.retry, id, state.attempts - state.base)
    board.events.append(e.TaskRetried(id, state.attempts, failure, reason, rest))
    board.actions.append(Rest(id, state.attempts, rest))


def end_try(
    state: TaskState,
    now: float,
    outcome: str,
    failure: Failure | None = None,
    reason: str = "",
    code: int | None = None,
) -> None:
    """Write into the list of attempts how the last one ended."""
    last = state.tries[-1]
    last.ended, last.outcome, last.failure, last.reason, last.code = now, outcome, failure, reason, code


def pause(retry: Retry, id: str, made: int) -> float:
    """Seconds before the next attempt, ``made`` having been made.

    The spread is that of the task's name, so that tasks which failed together do not come back
    together, and a run that is played again pauses as it did.
    """
    try:
        whole = min(retry.longest, retry.backoff * retry.factor ** (made - 1))
    except OverflowError:  # after hundreds of attempts
        whole = retry.longest
    spread = zlib.crc32(f"{id}/{made}".encode()) / 2**32
    return round(whole * (1 + retry.jitter * (2 * spread - 1)), 3)


def _again(board: Board, task: Task, state: TaskState, failure: Failure, reason: str) -> bool:
    if failure in HOPELESS or board.standing.stopped or state.attempts - state.base > task.retry.retries:
        return False
    only = task.retry.only
    return not only or any(fnmatchcase(reason, glob) for glob in only)
