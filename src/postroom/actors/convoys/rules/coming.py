"""How a run sets out, is interrupted, and goes on."""

from __future__ import annotations

from collections.abc import Sequence

from .. import events as e
from ..plan import HookPoint
from .actions import Check, CheckConvoy, Halt, Review
from .attempts import PASSED, requeue, route_of, wrong_among
from .board import Board
from .ending import close, has_checks
from .failing import stop
from .standing import Note
from .states import ConvoyStatus, TaskStatus, is_over
from .tokens import count_notes


def begin(board: Board, now: float) -> None:
    """Set out, or go on after an interruption or a killed process.

    Attempts that ran then are given back and made again, but for those of agents who pull: they go
    on. What was being checked or reviewed is checked and reviewed again. Nothing happens on a convoy
    that is over.
    """
    standing = board.standing
    if is_over(board.status):
        return
    standing.life += 1
    standing.since = 0.0  # nobody has played it since then
    if not standing.began and not standing.since_first:
        standing.since_first = now
        board.events.append(e.ConvoyStarted(len(board.tasks)))
    else:
        _take_up(board)
    if not standing.began:
        set_out(board)


def set_out(board: Board) -> None:
    """Let tasks begin, once what is to look at the convoy before them has passed."""
    if has_checks(board, HookPoint.PRE_CONVOY):
        board.actions.append(CheckConvoy(HookPoint.PRE_CONVOY))
    else:
        _let_begin(board)


def convoy_checked(board: Board, point: HookPoint, notes: Sequence[Note]) -> None:
    """The hooks and gates of the whole convoy have run.

    What they say is heard once, and not of a convoy that was interrupted meanwhile: they run again
    when it goes on.
    """
    standing, before = board.standing, point is HookPoint.PRE_CONVOY
    awaited = not standing.began if before else standing.closing
    if is_over(board.status) or board.status is ConvoyStatus.INTERRUPTED or not awaited:
        return
    count_notes(board, "", notes)
    wrong = wrong_among(notes)
    board.events.append(e.ConvoyChecked(point, not wrong, _said(notes)))
    if wrong:
        stop(board, f"{point}: {_said(wrong)}")
        close(board, "fail")
    elif before:
        _let_begin(board)
    else:
        close(board, "finish")


def _said(notes: Sequence[Note]) -> str:
    """What these have said: a command that failed is no fault, but is told of."""
    telling = [note for note in notes if note.verdict != PASSED]
    return "; ".join(f"{note.name}: {note.text or 'did not pass'}" for note in telling)


def interrupt(board: Board, reason: str) -> None:
    """Start nothing more. What runs may still end, or be cut short; the convoy can be resumed."""
    if board.status in (ConvoyStatus.RUNNING, ConvoyStatus.PAUSED):
        board.move_convoy("interrupt")
        board.events.append(e.ConvoyInterrupted(reason))


def _let_begin(board: Board) -> None:
    board.standing.began = True
    board.ready(list(board.plan))


def _take_up(board: Board) -> None:
    """What was under way when the last player ended is begun again."""
    board.standing.closing = False
    if board.status is not ConvoyStatus.RUNNING:
        board.move_convoy("resume" if board.status is ConvoyStatus.INTERRUPTED else "unpause")
    board.standing.paused = ""
    requeued = 0
    for id, state in board.tasks.items():
        if state.status is TaskStatus.RUNNING and not board.convoy.agent(state.agent).inbox:
            requeue(board, id, "whoever played the convoy is gone")
            requeued += 1
        elif state.status is TaskStatus.CHECKING:
            board.actions.append(Check(id, state.attempts))
        elif state.status is TaskStatus.REVIEWING:
            board.actions.append(Review(id, state.attempts, route_of(board, id)[0]))
        elif state.resting:
            board.offer_again(id)
        if state.tries and state.tries[-1].outcome == "cancelled":
            # It may still lie in an inbox, if nobody played the convoy when it was cancelled.
            board.actions.append(Halt(id, state.attempts))
    board.events.append(e.ConvoyResumed(requeued))
