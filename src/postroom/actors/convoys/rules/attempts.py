"""What is heard of attempts: that one was claimed to be done, was checked, was reviewed, or failed."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from .. import events as e
from ..plan import GateKind, Route, Task
from .actions import Check, Review
from .board import Board
from .ending import pause
from .hooking import is_checked, reviews_of
from .retrying import end_try, failed
from .routing import routed
from .standing import Failure, Feedback, Note, Result, TaskState
from .states import TaskStatus
from .tokens import count, count_notes

PASSED, BLOCKED, UNRUN, SKIPPED, REDACTED = "passed", "blocked", "unrun", "skipped", "redacted"
"""What a check or a reviewer says. Who cannot run has not passed anything."""

AGENT_FAULTS = (Failure.ERROR, Failure.TIMEOUT, Failure.AGENT)
"""Failures that speak against the agent, and not only against its work."""

UNASKED = (Failure.HOOK, Failure.INPUT, Failure.CANCELLED)
"""Attempts that failed so did not get as far as their agent, and say nothing about it."""


def claimed(board: Board, id: str, attempt: int, result: Result, now: float) -> None:
    """Whoever made an attempt says how it ended. Only the first word on one that runs counts."""
    state = board.tasks.get(id)
    if state is None or not _is_now(state, attempt, TaskStatus.RUNNING):
        return
    _account(board, id, result)
    _note(board, id, attempt, result.notes)
    result = _with_earlier(state, _with_outputs(board.plan[id], result))
    if result.status is not TaskStatus.DONE:
        failure = result.failure or Failure.ERROR
        _hear_of_agent(board, state.agent, id, failure, now)
        failed(
            board, id, failure, result.reason, now,
            code=result.code, output=result.output, notes=result.notes,
        )  # fmt: skip
        return
    board.breakers.succeeded(state.agent, id)
    state.claimed, state.tries[-1].claimed, state.result = True, True, result
    board.events.append(e.TaskClaimed(id, attempt, result.seconds, result.tokens))
    _note_if_idle(board, id, attempt, result)
    if is_checked(board.convoy, board.plan[id]):
        board.move(id, "check")
        board.actions.append(Check(id, attempt))
    else:
        _review(board, id, now)


def checked(board: Board, id: str, attempt: int, notes: Sequence[Note], now: float) -> None:
    """The gates and hooks of a task have looked at it."""
    state = board.tasks.get(id)
    if state is None or not _is_now(state, attempt, TaskStatus.CHECKING):
        return
    state.notes += notes
    count_notes(board, id, notes)
    board.events += [_of_gate(id, attempt, note) for note in notes]
    wrong = wrong_among(notes)
    if wrong:
        state.checked = False
        reason = f"{wrong[0].name}: {wrong[0].text}" if wrong[0].text else f"{wrong[0].name} did not pass"
        failed(board, id, _kind(board, id, wrong[0]), reason, now, notes=tuple(notes))
        return
    if any(note.verdict == PASSED for note in notes):
        state.checked = True
    _review(board, id, now)


def wrong_among(notes: Sequence[Note]) -> list[Note]:
    """What has not passed. Who says nothing that is known has not."""
    return [note for note in notes if note.verdict not in (PASSED, SKIPPED)]


def reviewed(
    board: Board,
    id: str,
    attempt: int,
    verdict: str,
    notes: Sequence[Note],
    tokens: int,
    now: float,
    *,
    panel: bool = False,
) -> None:
    """The reviewers of a task, one or a ``panel``, have come to a verdict."""
    state = board.tasks.get(id)
    if state is None or not _is_now(state, attempt, TaskStatus.REVIEWING):
        return
    board.standing.review_tokens += tokens
    state.notes += notes
    count_notes(board, id, notes)
    for note in notes:
        board.events.append(e.ReviewVerdict(id, attempt, note.name, note.verdict, note.text))
    board.events.append(e.ReviewEnded(id, attempt, verdict))
    if verdict == PASSED:
        state.checked = True
        _finish(board, id, now)
    elif verdict == SKIPPED:
        _finish(board, id, now)
    else:
        state.panels += panel and verdict == BLOCKED
        _blocked(board, id, verdict, notes, now)


def cut_short(board: Board, id: str, attempt: int, reason: str) -> None:
    """An attempt was stopped before its end: it does not count, and is made again."""
    state = board.tasks.get(id)
    if state is not None and _is_now(state, attempt, TaskStatus.RUNNING):
        requeue(board, id, reason)


def requeue(board: Board, id: str, reason: str) -> None:
    """Take back an attempt and let the task wait for a place."""
    state = board.move(id, "requeue")
    board.breakers.given_up(state.agent, id)
    board.events.append(e.TaskRequeued(id, state.attempts, reason))
    state.attempts -= 1
    state.tries.pop()
    board.standing.spent.turns -= 1
    state.result = None
    board.index.offer(id)


def rested(board: Board, id: str, attempt: int) -> None:
    """The pause before a retry is over."""
    state = board.tasks.get(id)
    if state is not None and state.resting and state.attempts == attempt:
        board.offer_again(id)


def askable(board: Board, agent: str) -> None:
    """An agent, or a fallback of it, was left alone for long enough."""
    board.offer_unserved(agent)


def route_of(board: Board, id: str) -> tuple[Route, str]:
    """Who reviews what is claimed, and why: one reviewer at least where a hook asks for a review."""
    state = board.tasks[id]
    assert state.result is not None, "what is looked into was claimed"
    route, why = routed(board.convoy.reviewing, board.plan[id], state.result, state.agent)
    if route is Route.NONE and reviews_of(board.convoy, board.plan[id]):
        return Route.FAST, "a hook asks for it"
    return route, why


def _is_now(state: TaskState, attempt: int, status: TaskStatus) -> bool:
    return state.status is status and state.attempts == attempt


def _account(board: Board, id: str, result: Result) -> None:
    state = board.tasks[id]
    state.seconds = round(state.seconds + result.seconds, 3)
    state.outputs = list(result.outputs)
    # A task that says itself what to run has no agent that could tell of tokens.
    asked = board.plan[id].has_prompt and result.failure not in (*UNASKED, Failure.AGENT)
    count(board, id, state.agent if asked else "", result.tokens)
    count_notes(board, id, result.notes)


def _note(board: Board, id: str, attempt: int, notes: Sequence[Note]) -> None:
    """What was seen while an attempt was made: by hooks before it, by gates of its steps, in its prompts."""
    board.tasks[id].notes = [note for note in notes if note.verdict != REDACTED]
    for note in notes:
        redacted = note.verdict == REDACTED
        kinds = tuple(note.text.split(", "))
        board.events.append(
            e.SecretRedacted(id, "prompt", kinds) if redacted else _of_gate(id, attempt, note)
        )


def _note_if_idle(board: Board, id: str, attempt: int, result: Result) -> None:
    """A task that owns files and has left them as they were may not have done what was meant.

    That stops nothing: who wants it to fail gives it the gate ``no_op``, which looks itself.
    """
    task = board.plan[id]
    gates = (*task.gates, *(gate for step in task.steps for gate in step.gates))
    if task.files and result.files == 0 and all(gate.kind is not GateKind.NO_OP for gate in gates):
        note = Note(GateKind.NO_OP, SKIPPED, "warning: it owns files and has changed none of them")
        board.tasks[id].notes.append(note)
        board.events.append(_of_gate(id, attempt, note))


def _with_outputs(task: Task, result: Result) -> Result:
    """A task that left out what others may take of it is not done, whatever it says."""
    left = {artifact.name for artifact in result.outputs}
    missing = [output.name for output in task.outputs if output.name not in left]
    if not missing or result.status is not TaskStatus.DONE:
        return result
    reason = f"it left no output {missing[0]}"
    return evolve(result, status=TaskStatus.FAILED, failure=Failure.ERROR, reason=reason)


def _with_earlier(state: TaskState, result: Result) -> Result:
    """What a task has changed is what all its attempts have: one that changes nothing is no way out."""
    if result.files < 0 or result.lines < 0:
        return result
    state.lines += result.lines
    state.paths = list(dict.fromkeys((*state.paths, *result.paths)))
    files = max(result.files, len(state.paths))
    return evolve(result, lines=state.lines, files=files, paths=tuple(state.paths))


def _hear_of_agent(board: Board, agent: str, id: str, failure: Failure, now: float) -> None:
    if failure in AGENT_FAULTS:
        board.breakers.failed(agent, id, now)
    elif failure in UNASKED:
        board.breakers.given_up(agent, id)
    else:
        board.breakers.succeeded(agent, id)


def _review(board: Board, id: str, now: float) -> None:
    state = board.tasks[id]
    route, why = route_of(board, id)
    if route is Route.NONE:
        if why:
            state.checked = True
            board.events.append(e.ReviewEnded(id, state.attempts, f"passed: {why}"))
        _finish(board, id, now)
        return
    board.move(id, "review")
    board.events.append(e.ReviewStarted(id, state.attempts, route, why))
    board.actions.append(Review(id, state.attempts, route))


def _blocked(board: Board, id: str, verdict: str, notes: Sequence[Note], now: float) -> None:
    state, reviewing = board.tasks[id], board.convoy.reviewing
    state.checked = False
    against = [note for note in notes if note.verdict != PASSED]
    said = "; ".join(f"{note.name}: {note.text}" for note in against if note.text)
    reason = said or ("a review could not run" if verdict == UNRUN else "a review blocked it")
    if state.panels < reviewing.panels or verdict != BLOCKED:
        failed(board, id, Failure.REVIEW, reason, now, notes=tuple(notes))
        return
    end_try(state, now, "disputed", Failure.REVIEW, reason)
    board.move(id, "dispute")
    state.failure, state.reason, state.result = Failure.REVIEW, reason, None
    state.feedback = Feedback(state.attempts, Failure.REVIEW, reason, notes=tuple(notes))
    board.events.append(e.DisputeRaised(id, state.panels))
    if reviewing.stop_on_dispute:
        pause(board, f"{id} is disputed: {reason}")


def _finish(board: Board, id: str, now: float) -> None:
    state = board.move(id, "finish")
    end_try(state, now, "done")
    state.failure, state.reason, state.feedback, state.result = None, "", None, None
    board.events.append(e.TaskDone(id, state.attempts, state.seconds, state.checked))
    board.ready(board.index.dependants.get(id, ()))


def _of_gate(id: str, attempt: int, note: Note) -> e.Event:
    if note.verdict == PASSED:
        return e.GatePassed(id, attempt, note.name, note.seconds)
    if note.verdict == SKIPPED:
        return e.GateSkipped(id, attempt, note.name, note.text)
    return e.GateFailed(id, attempt, note.name, note.seconds, note.text)


def _kind(board: Board, id: str, note: Note) -> Failure:
    gates = {gate.name for gate in board.plan[id].gates}
    return Failure.GATE if note.name in gates else Failure.HOOK
