"""What a person, or a program on behalf of one, has done to a run. What cannot be done is refused."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from ....store.errors import BadInput, Conflict
from .. import events as e
from ..plan import OnOverlap, Task
from .actions import Halt
from .attempts import BLOCKED
from .board import Board
from .coming import set_out
from .ending import has_bad, unpause
from .failing import cancel as cancelled
from .failing import cascade, fell_to_a_stop, give_up, stop
from .holds import overlap
from .retrying import end_try
from .standing import Failure, Feedback, Note, Spent, TaskState
from .starting import count_time
from .states import ACTIVE, LOST, OVER, ConvoyStatus, TaskStatus, is_over

REDONE = (TaskStatus.FAILED, TaskStatus.TIMED_OUT, TaskStatus.DISPUTED)
"""What ``again`` without names has done again."""


def again(board: Board, ids: Iterable[str], by: str) -> list[str]:
    """Have tasks done again, with all their attempts, and what was lost with them; answers which.

    Without names, all that failed; if only the checks of the whole convoy did, those run again. Raises
    ``BadInput`` for an unknown task and ``Conflict`` for one that is not over, or done, or that needs
    one which is lost and not named.
    """
    named = list(dict.fromkeys(ids))
    _check_again(board, named)
    chosen = named or [id for id, state in board.tasks.items() if state.status in REDONE]
    if board.standing.stopped:
        chosen += [id for id, state in board.tasks.items() if fell_to_a_stop(state)]
    redone: list[str] = []
    rest = chosen[::-1]
    while rest:
        id = rest.pop()
        if board.tasks[id].status in (*LOST, TaskStatus.DISPUTED):
            _begin_anew(board, id, by)
            redone.append(id)
            rest += [other for other in board.index.dependants.get(id, ()) if _may_come_back(board, other)]
    for id in redone:
        _lose_again(board, id)
    if redone or (board.status is ConvoyStatus.FAILED and not has_bad(board)):
        _reopen(board, by)
    if board.standing.began:
        board.ready(redone)
    return redone


def cancel(board: Board, ids: Iterable[str], reason: str, now: float) -> list[str]:
    """Cancel tasks, all that are not over without names; what depends on them is left out.

    Raises ``BadInput`` for an unknown task and ``Conflict`` for one that is over, or a convoy that is.
    """
    named = list(dict.fromkeys(ids))
    for id in named:
        if not _can_be_cancelled(_state(board, id)):
            raise Conflict(f"{id} is {board.tasks[id].status}", "it is over", "leave it alone")
    if is_over(board.status):
        raise Conflict(f"the convoy is {board.status}", "it is over", "leave it alone")
    chosen = named or [id for id, state in board.tasks.items() if _can_be_cancelled(state)]
    for id in chosen:
        state = board.tasks[id]
        if state.status in ACTIVE:
            board.breakers.given_up(state.agent, id)
            board.actions.append(Halt(id, state.attempts))
            end_try(state, now, "cancelled", Failure.CANCELLED, reason)
    cancelled(board, chosen, reason)
    if not named:
        stop(board, f"cancelled: {reason}")
    return chosen


def inject(board: Board, task: Task, by: str, key: str) -> None:
    """Add a task to a run. The same ``key`` again changes nothing.

    Raises ``BadInput`` for a task that does not fit the run and ``Conflict`` for a name that is taken,
    once there are enough, and on a run that was stopped.
    """
    standing = board.standing
    if key in standing.injected:
        return
    _check_fits(board, task)
    if standing.stopped and not is_over(board.status):
        raise Conflict(
            f"{task.id} cannot start", f"the convoy was stopped: {standing.stopped}", "retry it first"
        )
    if len(standing.injected) >= board.convoy.injections:
        raise Conflict(
            f"{task.id} is one too many", f"a run takes {board.convoy.injections}", "begin a run of its own"
        )
    standing.injected[key] = task.id
    board.plan[task.id] = evolve(task, source=task.source or by or key)
    board.tasks[task.id] = TaskState()
    board.changed[task.id] = None
    board.added.append(task.id)
    board.index.add(task)
    board.events.append(e.TaskInjected(task.id, by, key))
    standing.closing = False  # what is being checked now is not all of it any more
    if is_over(board.status):
        _reopen(board, by)
    if standing.began:
        board.ready([task.id])


def allow(board: Board, more: Spent, by: str, now: float) -> None:
    """Add to the budget, and go on if the convoy had paused.

    Raises ``BadInput`` for less than nothing and ``Conflict`` on a convoy that is over.
    """
    if min(more.turns, more.tokens, more.seconds) < 0:
        raise BadInput("a budget cannot be taken from", "less than nothing is added", "add more")
    if is_over(board.status):
        raise Conflict(f"the convoy is {board.status}", "it needs no budget any more", "leave it alone")
    count_time(board, now)
    allowed = board.standing.allowed
    allowed.turns += more.turns
    allowed.tokens += more.tokens
    allowed.seconds += more.seconds
    board.events.append(e.BudgetRaised(by, more.turns, more.tokens, more.seconds))
    unpause(board, by)


def settle_dispute(board: Board, id: str, resolution: str, by: str, text: str, now: float) -> None:
    """A person decides: ``pass`` it, ``fail`` it, or have it done ``again``, told what was said.

    What a person fails goes the way of all tasks that failed for good, as its plan says. Raises
    ``BadInput`` and ``Conflict``.
    """
    state = _state(board, id)
    if state.status is not TaskStatus.DISPUTED:
        raise Conflict(f"{id} is {state.status}", "it is not disputed", "see `postroom status`")
    if resolution not in ("pass", "fail", "again"):
        raise BadInput(f"resolution {resolution}", "it is none", "say pass, fail or again")
    board.events.append(e.DisputeResolved(id, resolution, by, text))
    if resolution == "again":
        _tell(state, by, text)
        again(board, [id], by)
        return
    if resolution == "pass":
        board.move(id, "overrule")
        state.checked, state.failure, state.reason, state.feedback = True, None, f"passed by {by}", None
        board.events.append(e.TaskDone(id, state.attempts, state.seconds, True))
        board.ready(board.index.dependants.get(id, ()))
    else:
        give_up(board, id, Failure.REVIEW, text or state.reason, now)
    unpause(board, by)


def resolve_dead(board: Board, id: str, by: str, text: str) -> None:
    """A person has seen to a dead letter; its task stays as it is. Raises ``BadInput`` and ``Conflict``."""
    state = _state(board, id)
    if state.dead is None or state.dead.by:
        raise Conflict(f"{id} is no open dead letter", "nobody has to see to it", "see `postroom dead list`")
    _resolve(board, id, by, text)


def _state(board: Board, id: str) -> TaskState:
    state = board.tasks.get(id)
    if state is None:
        raise BadInput(f"no task is named {id}", "the run has none of this name", "see `postroom status`")
    return state


# Doing again


def _check_again(board: Board, named: list[str]) -> None:
    for id in named:
        state = _state(board, id)
        if state.status not in OVER or state.status is TaskStatus.DONE:
            raise Conflict(f"{id} is {state.status}", "only what failed can be done again", "leave it alone")
    for id in named:
        for other in _lost_needs(board, id):
            if other not in named and not (board.standing.stopped and fell_to_a_stop(board.tasks[other])):
                raise Conflict(
                    f"{id} needs {other}", f"that is {board.tasks[other].status}", f"have {other} done again"
                )


def _lost_needs(board: Board, id: str) -> list[str]:
    return [other for other in board.plan[id].needs if board.tasks[other].status in LOST]


def _may_come_back(board: Board, id: str) -> bool:
    """Whether a task was lost with others and is not any more. One that nobody wants stays cancelled."""
    state = board.tasks[id]
    if state.status not in LOST or (state.status is TaskStatus.CANCELLED and not fell_to_a_stop(state)):
        return False
    return not _lost_needs(board, id)


def _lose_again(board: Board, id: str) -> None:
    """What was cancelled by a stop may need a task that does not come back."""
    lost = _lost_needs(board, id) if board.tasks[id].status is TaskStatus.PENDING else []
    for other in lost[:1]:
        cascade(board, other)


def _begin_anew(board: Board, id: str, by: str) -> None:
    state = board.move(id, "again")
    state.base, state.panels, state.checked, state.claimed = state.attempts, 0, None, False
    state.lines, state.paths = 0, []
    state.failure, state.reason = None, ""
    board.events.append(e.TaskAgain(id, by))
    if state.dead is not None and not state.dead.by:
        _resolve(board, id, by, "done again")


def _resolve(board: Board, id: str, by: str, text: str) -> None:
    dead = board.tasks[id].dead
    assert dead is not None, "only what is a dead letter is resolved"
    dead.by, dead.resolution = by or "somebody", text
    board.changed[id] = None
    board.events.append(e.DeadResolved(id, dead.by, text))


def _tell(state: TaskState, by: str, text: str) -> None:
    """Have the next attempt told what a person has said to the dispute."""
    said = state.feedback or Feedback(state.attempts, Failure.REVIEW, state.reason)
    if text:
        said = evolve(said, reason=text, notes=(*said.notes, Note(by or "somebody", BLOCKED, text)))
    state.feedback = said


def _reopen(board: Board, by: str) -> None:
    standing = board.standing
    standing.stopped, standing.closing = "", False
    unpause(board, by)
    if not is_over(board.status):
        return
    board.move_convoy("reopen")
    board.events.append(e.ConvoyReopened(by))
    if not standing.began:
        set_out(board)


# Cancelling and adding


def _can_be_cancelled(state: TaskState) -> bool:
    return state.status not in OVER or state.status is TaskStatus.DISPUTED


def _check_fits(board: Board, task: Task) -> None:
    if task.id in board.plan:
        raise Conflict(f"there is a task {task.id} already", "names are used once in a run", "name it anew")
    for other in task.needs:
        if other not in board.plan:
            raise BadInput(f"{task.id} needs {other}", "no task of the run is named so", "name one that is")
        if board.tasks[other].status in LOST:
            raise Conflict(
                f"{task.id} needs {other}", f"that is {board.tasks[other].status}", "retry it first"
            )
    for given in task.inputs:
        if all(output.name != given.output for output in board.plan[given.task].outputs):
            raise BadInput(
                f"{task.id} takes {given.output} of {given.task}", "it has no such output", "name one"
            )
    if board.convoy.on_overlap is OnOverlap.REFUSE:
        _refuse_overlap(board, task)


def _refuse_overlap(board: Board, task: Task) -> None:
    """Two tasks own the same file only if one comes after the other."""
    before: set[str] = set()
    rest = list(task.needs)
    while rest:
        id = rest.pop()
        if id not in before:
            before.add(id)
            rest += board.plan[id].needs
    for id, other in board.plan.items():
        shared = overlap(other.files, task.files)
        if shared and id not in before and board.tasks[id].status not in OVER:
            raise BadInput(f"{task.id} owns {shared}", f"that is {id}'s", "wait for it, or name others")
