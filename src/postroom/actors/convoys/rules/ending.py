"""How a convoy ends: done, failed, or waiting for a person."""

from __future__ import annotations

from .. import events as e
from ..plan import HookPoint
from .actions import CheckConvoy, Tell
from .board import Board
from .states import ConvoyStatus, TaskStatus

BAD = (TaskStatus.FAILED, TaskStatus.TIMED_OUT, TaskStatus.CANCELLED)
"""A convoy with one of these has failed. A task that was left out by its own ``skip`` is no fault."""


def conclude(board: Board) -> None:
    """End the convoy if nothing is left, or pause it if what is left waits for a person."""
    index = board.index
    if index.active or index.counts[TaskStatus.WAITING] or not board.standing.began:
        return
    if index.counts[TaskStatus.DISPUTED]:
        pause(board, _disputed(board))
    elif not index.left:
        _end(board)


def pause(board: Board, reason: str) -> None:
    """Start nothing more until somebody says so; tell whoever owns the budget."""
    if board.status is not ConvoyStatus.RUNNING:
        return
    board.move_convoy("pause")
    board.standing.paused = reason
    board.events.append(e.ConvoyPaused(reason))
    board.actions.append(Tell(f"{board.convoy.name} pauses: {reason}"))


def unpause(board: Board, by: str) -> None:
    """Go on, if nothing but a pause holds the convoy: a dispute that is to stop it must be settled."""
    if board.status is not ConvoyStatus.PAUSED:
        return
    if board.convoy.reviewing.stop_on_dispute and board.index.counts[TaskStatus.DISPUTED]:
        board.standing.paused = _disputed(board)
        return
    board.move_convoy("unpause")
    board.standing.paused = ""
    board.events.append(e.ConvoyUnpaused(by))


def close(board: Board, verb: str) -> None:
    """The convoy is over: ``finish`` or ``fail``."""
    board.move_convoy(verb)
    board.standing.closing, board.standing.paused = False, ""
    board.events.append(e.ConvoyEnded(board.status))


def has_bad(board: Board) -> bool:
    """Whether a task is such that the convoy has failed."""
    return any(board.index.counts[status] for status in BAD)


def has_checks(board: Board, point: HookPoint) -> bool:
    """Whether anything has to look at the whole convoy then."""
    gates = board.convoy.gates if point is HookPoint.POST_CONVOY else ()
    return bool(gates) or any(hook.on is point for hook in board.convoy.hooks)


def _end(board: Board) -> None:
    standing = board.standing
    if has_bad(board) or standing.stopped:
        close(board, "fail")
    elif not has_checks(board, HookPoint.POST_CONVOY):
        close(board, "finish")
    elif not standing.closing and board.status is not ConvoyStatus.INTERRUPTED:
        unpause(board, "nobody: there is nothing left to start")
        standing.closing = True
        board.actions.append(CheckConvoy(HookPoint.POST_CONVOY))


def _disputed(board: Board) -> str:
    count = board.index.counts[TaskStatus.DISPUTED]
    return f"{count} disputed task{'s wait' if count > 1 else ' waits'} for a person"
