"""Starting what has a free place: the ready queue, the agents that may be asked, and the budget."""

from __future__ import annotations

from .. import events as e
from ..plan import Budget
from .actions import Alarm, Start
from .board import Board
from .ending import conclude, pause
from .standing import Standing, Try
from .states import ConvoyStatus, is_over

TICK = 0.001
"""Seconds that nobody counts: sums of times are not exact, and an alarm must not ring for ever."""


def go_on(board: Board, now: float) -> None:
    """Start what can be started, and conclude when all is over. The last step of whatever happens."""
    counted = board.standing.since > 0
    count_time(board, now)
    board.hear_breakers()
    if board.status is ConvoyStatus.RUNNING and board.standing.began:
        _start_free(board, now)
        board.hear_breakers()
    if not is_over(board.status):
        conclude(board)
    _count_from(board, now, counted)


def spending(budget: Budget, standing: Standing) -> list[tuple[str, float, float]]:
    """What is used of each thing that is bounded, and its bound with what was allowed besides."""
    spent, more = standing.spent, standing.allowed
    everything = (
        ("turns", spent.turns, _bound(budget.turns, more.turns)),
        ("tokens", spent.tokens, _bound(budget.tokens, more.tokens)),
        ("seconds", spent.seconds, _bound(budget.seconds, more.seconds)),
    )
    return [(what, used, bound) for what, used, bound in everything if bound]


def time_is_up(board: Board, now: float) -> None:
    """The time that a run may last is over, if it was not extended; then the convoy pauses and asks."""
    count_time(board, now)
    used, bound = board.standing.spent.seconds, _seconds(board)
    if not bound or board.status is not ConvoyStatus.RUNNING:
        return
    if used < bound - TICK:
        _watch_time(board)
    else:
        _ask(board, "seconds", used, bound)


def count_time(board: Board, now: float) -> None:
    """Add to what is spent the time since it was last added; it counts only while the convoy runs."""
    standing = board.standing
    if standing.since:
        standing.spent.seconds += max(0.0, now - standing.since)
        standing.since = now


def _count_from(board: Board, now: float, counted: bool) -> None:
    """Time counts from now on, if the convoy runs; one that did not run before is told of its end."""
    runs = board.status is ConvoyStatus.RUNNING
    board.standing.since = now if runs else 0.0
    if runs and not counted:
        _watch_time(board)


def _watch_time(board: Board) -> None:
    bound = _seconds(board)
    if bound:
        board.actions.append(Alarm(max(0.0, bound - board.standing.spent.seconds)))


def _start_free(board: Board, now: float) -> None:
    while len(board.index.active) < board.convoy.concurrency:
        id = board.index.next()
        if id is None:
            if board.anybody_unserved:  # it can be asked for more while they wait for their agent
                _budget_reached(board)
            return
        if _budget_reached(board):
            board.index.offer(id)
            return
        _start(board, id, now)


def _start(board: Board, id: str, now: float) -> None:
    task, state = board.plan[id], board.tasks[id]
    choice = board.breakers.choose(id, task.agent, now)
    if not choice.agent:
        board.set_aside(id, choice.at - now)
        return
    board.move(id, "start")
    state.attempts += 1
    state.agent, state.claimed, state.checked = choice.agent, False, None
    state.reason = state.feedback.reason if state.feedback is not None else ""
    state.tries.append(Try(state.attempts, choice.agent, now))
    board.standing.spent.turns += 1
    board.events.append(e.TaskStarted(id, state.attempts, choice.agent, choice.instead_of))
    board.actions.append(Start(id, state.attempts, choice.agent))


def _budget_reached(board: Board) -> bool:
    """Whether the next attempt would go beyond what may be spent; then the convoy pauses and asks."""
    for what, used, bound in spending(board.convoy.budget, board.standing):
        if used >= bound:
            _ask(board, what, used, bound)
            return True
    return False


def _ask(board: Board, what: str, used: float, bound: float) -> None:
    board.events.append(e.BudgetReached(what, round(used, 3), bound))
    pause(board, f"its budget is used up: {used:g} of {bound:g} {what}")


def _seconds(board: Board) -> float:
    return _bound(board.convoy.budget.seconds, board.standing.allowed.seconds)


def _bound(given: float, more: float) -> float:
    return given + more if given else 0
