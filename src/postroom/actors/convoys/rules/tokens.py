"""The one way in which tokens count, whoever has used them: agents with their tasks, hooks, reviewers."""

from __future__ import annotations

from collections.abc import Iterable

from .. import events as e
from .board import Board
from .standing import Note


def count(board: Board, id: str, who: str, tokens: int | None) -> None:
    """Count the tokens that somebody has used for a task; with an empty ``id``, for the whole convoy.

    None means that nobody counted. ``who`` is empty where nobody was asked who could tell.
    """
    if tokens is not None:
        _spend(board, id, tokens)
    elif who:
        _name(board, who)


def count_notes(board: Board, id: str, notes: Iterable[Note]) -> None:
    """Count what hooks or reviewers have used, by what is noted of them."""
    for note in notes:
        count(board, id, note.asked, note.tokens)


def _spend(board: Board, id: str, tokens: int) -> None:
    standing = board.standing
    standing.spent.tokens += tokens
    if id:
        state = board.tasks[id]
        state.tokens += tokens
        state.tries[-1].tokens += tokens
    else:
        standing.convoy_tokens += tokens


def _name(board: Board, who: str) -> None:
    """Where tokens are bound, put on record once who does not say how many it uses."""
    uncounted = board.standing.uncounted
    if board.convoy.budget.tokens and who not in uncounted:
        uncounted.append(who)
        board.events.append(e.BudgetUncounted(who))
