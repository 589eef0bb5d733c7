"""The one way out for a task that will not be done, and for all that can no longer be done without it."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import NamedTuple

from .. import events as e
from ..plan import OnExhausted
from .board import Board
from .standing import DeadLetter, Failure, TaskState
from .states import TaskStatus

FIRST, LAST = 6, 5
"""Names of a chain that are shown from its beginning and before its end; those between are counted."""

UNBEGUN = (TaskStatus.PENDING, TaskStatus.WAITING)


def give_up(board: Board, id: str, failure: Failure, reason: str, now: float) -> None:
    """A task has failed for good: do with it what its plan says, then cascade."""
    state, policy = board.tasks[id], board.plan[id].retry.on_exhausted
    disputed = state.status is TaskStatus.DISPUTED  # a person says so, and no machine
    if policy is OnExhausted.SKIP:
        _end(board, id, "leave out" if disputed else "skip", failure, reason)
    else:
        timed_out = failure is Failure.TIMEOUT and state.status is TaskStatus.RUNNING
        verb = "uphold" if disputed else "time out" if timed_out else "fail"
        _end(board, id, verb, failure, reason)
        state.dead = DeadLetter(now, failure, reason)
        board.events.append(e.DeadAdded(id, failure, reason, state.attempts))
    cascade(board, id)
    if policy is OnExhausted.STOP:
        stop(board, f"{id} failed: {reason}")


def cascade(board: Board, id: str) -> None:
    """What depends on a task that was not done is left out; what waits for an output of it fails."""
    lost = deque([_Chain((id,), 1, (id,))])
    while lost:
        chain = lost.popleft()
        for other in board.index.dependants.get(chain.last[-1], ()):
            if board.tasks[other].status is TaskStatus.PENDING:
                _lose(board, other, chain)
                lost.append(chain.on_to(other))


def cancel(board: Board, ids: Collection[str], reason: str) -> None:
    """These tasks are not wanted any more."""
    for id in ids:
        _end(board, id, "cancel", Failure.CANCELLED, reason)
    for id in ids:
        cascade(board, id)


def stop(board: Board, reason: str) -> None:
    """Start nothing more: what has not begun is cancelled, what runs may end."""
    standing = board.standing
    if standing.stopped:
        return
    standing.stopped = reason
    board.events.append(e.ConvoyStopped(reason))
    for id in [id for id, state in board.tasks.items() if state.status in UNBEGUN]:
        _end(board, id, "cancel", None, f"the convoy was stopped: {reason}")


def fell_to_a_stop(state: TaskState) -> bool:
    """Whether a task was cancelled because its convoy was stopped, and not because nobody wants it."""
    return state.status is TaskStatus.CANCELLED and state.failure is None


class _Chain(NamedTuple):
    """Tasks that were lost one by the other: the first and the last of them, and how many there are.

    It is bounded, because a convoy may be a chain of 100,000 tasks.
    """

    first: tuple[str, ...]
    length: int
    last: tuple[str, ...]

    def on_to(self, id: str) -> _Chain:
        first = self.first if self.length > FIRST else (*self.first, id)
        return _Chain(first, self.length + 1, (*self.last[-LAST + 1 :], id))

    def __str__(self) -> str:
        between = self.length - FIRST - LAST
        if between > 1:
            return " -> ".join((*self.first[:FIRST], f"({between} more)", *self.last))
        rest = self.length - len(self.first)
        return " -> ".join((*self.first, *self.last[len(self.last) - rest :]))


def _lose(board: Board, id: str, chain: _Chain) -> None:
    before, root = chain.last[-1], chain.first[0]
    given = next((given for given in board.plan[id].inputs if given.task == before), None)
    if given is None:
        _end(board, id, "skip", None, f"{before} did not get done")
        return
    why = board.tasks[root].reason
    reason = f"input {given.name} cannot come any more: {chain.on_to(id)}; {root}: {why}"
    _end(board, id, "fail", Failure.INPUT, reason)


def _end(board: Board, id: str, verb: str, failure: Failure | None, reason: str) -> None:
    state = board.move(id, verb)
    state.resting, state.failure, state.reason, state.result = False, failure, reason, None
    board.events.append(e.TaskEnded(id, state.status, reason, failure or "", state.attempts))
