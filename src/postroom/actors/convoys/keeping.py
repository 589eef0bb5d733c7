"""Between a board and its manager: read it from the records, write what changed, send what is to be done."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import TYPE_CHECKING, Any, Protocol

from . import messages as m
from .events import SecretRedacted
from .names import (
    CONVOY,
    EVENTS,
    PLAN,
    TASK,
    checker_of,
    log_of,
    manager_of,
    number_key,
    reviewing_of,
    worker_of,
)
from .plan import Convoy, HookPoint, Task
from .pulling import Unsendable, correlation, unsent, wanted
from .record.claims import counted
from .record.interrupted import marked
from .record.putting import pages_of
from .rules import actions as a
from .rules.board import Board
from .rules.hooking import agents_of, reviews_of
from .rules.standing import Artifact, Standing, TaskState
from .work.jobs import performing

if TYPE_CHECKING:
    from ..turn import TurnRecords


class Hands(Protocol):
    """The manager of a run, as far as it is needed here."""

    @property
    def run(self) -> str: ...

    @property
    def records(self) -> TurnRecords: ...

    @property
    def halt(self) -> Callable[[str, int], None]:
        """Cuts short an attempt that runs in this process."""
        ...

    def send(self, to: str, message: object, **envelope: Any) -> str: ...

    def after(self, seconds: float, message: object, **envelope: Any) -> str: ...


async def load(records: TurnRecords, standing: Standing) -> Board:
    """The board of a run that was entered, as its records say."""
    await records.fetch(CONVOY, [""])
    await records.fetch(PLAN)
    await records.fetch(TASK)
    convoy: Convoy = records.get(CONVOY, "", Convoy)
    plan: dict[str, Task] = {task.id: task for _, task in records.all(PLAN, Task)}
    states: dict[str, TaskState] = dict(records.all(TASK, TaskState))
    return Board(convoy, plan, standing, {id: states.get(id) or TaskState() for id in plan})


def keep(manager: Hands, board: Board, now: float) -> None:
    """Write and send what the verbs of this turn have led to; it commits with the turn."""
    actions, events, changed, added = board.taken()
    records, standing = manager.records, board.standing
    for number, id in enumerate(added, len(board.plan) - len(added)):
        records.put(PLAN, number_key(number), board.plan[id])
    for id in changed:
        records.put(TASK, id, board.tasks[id])
    if (write := marked(manager.run, board.status, events)) is not None:
        told = counted(manager.run, board.tasks.values())
        records.writes |= {(each.kind, each.key): each for each in (write, told)}
    for action in actions:
        _act(action, manager, board)
    events += board.taken()[1]  # what was seen while sending; it changes nothing on the board
    for page in pages_of(events, standing.events + 1, now, board.convoy.allowed):
        standing.events += len(page)
        standing.pages += 1
        records.put(EVENTS, number_key(standing.pages), page)


@singledispatch
def _act(action: Any, manager: Hands, board: Board) -> None:
    """Send what an action of the board asks for."""
    raise TypeError(f"nobody does {action!r}")


@_act.register(a.Start)
def _start(action: a.Start, manager: Hands, board: Board) -> None:
    task, state, life = board.plan[action.task], board.tasks[action.task], board.standing.life
    perform = m.Perform(task.id, action.attempt, action.agent, life, _inputs(board, task), state.feedback)
    if board.convoy.agent(action.agent).inbox:
        _have_pulled(perform, manager, board)
    else:
        manager.send(worker_of(manager.run), perform)


def _have_pulled(perform: m.Perform, manager: Hands, board: Board) -> None:
    """Send a task to whoever pulls. One that cannot be sent has failed, as is judged in the next turn."""
    task, attempt = board.plan[perform.task], perform.attempt
    job = performing(manager.run, board.standing.logs, board.convoy, task, perform)
    told = wanted(job)
    if isinstance(told, Unsendable):
        manager.send(manager_of(manager.run), m.Performed(task.id, attempt, unsent(told)))
        return
    message, kinds = told
    if kinds:
        board.events.append(SecretRedacted(task.id, "prompt", kinds))
    key, tie = f"{manager.run}/{task.id}/{attempt}", correlation(task.id, attempt)
    # Nobody is given it once it is overdue; who has it by then goes on, and is not heard.
    manager.send(job.agent.inbox, message, dedup_key=key, correlation=tie, expires=task.timeout)
    manager.after(task.timeout, m.Overdue(task.id, attempt), priority="low")


@_act.register(a.Check)
def _check(action: a.Check, manager: Hands, board: Board) -> None:
    task, state = board.plan[action.task], board.tasks[action.task]
    assert state.result is not None
    life, inputs = board.standing.life, _inputs(board, task)
    manager.send(checker_of(manager.run), m.Check(task.id, action.attempt, state.result, life, inputs))


@_act.register(a.Review)
def _review(action: a.Review, manager: Hands, board: Board) -> None:
    task, state = board.plan[action.task], board.tasks[action.task]
    assert state.result is not None
    review = m.Review(
        manager.run,
        task,
        action.attempt,
        action.route,
        state.result,
        board.convoy.reviewing,
        log_of(board.standing.logs, task.id, action.attempt),
        board.convoy.folder,
        board.standing.review_tokens,
        tuple(state.notes),
        reviews_of(board.convoy, task),
        board.convoy.allowed,
    )
    manager.send(reviewing_of(manager.run), review, dedup_key=f"{task.id}/{action.attempt}")


@_act.register(a.CheckConvoy)
def _check_convoy(action: a.CheckConvoy, manager: Hands, board: Board) -> None:
    convoy, point = board.convoy, action.point
    gates = convoy.gates if point is HookPoint.POST_CONVOY else ()
    hooks = tuple(hook for hook in convoy.hooks if hook.on is point)
    log = f"{board.standing.logs}/{point}.log"
    board.standing.looks += 1
    life, look = board.standing.life, board.standing.looks
    agents, allowed = agents_of(convoy, hooks), convoy.allowed
    check = m.CheckConvoy(manager.run, point, gates, hooks, convoy.folder, log, agents, life, allowed, look)
    manager.send(checker_of(manager.run), check)


@_act.register(a.Rest)
def _rest(action: a.Rest, manager: Hands, board: Board) -> None:
    manager.after(action.seconds, m.Rested(action.task, action.attempt))


@_act.register(a.Await)
def _await(action: a.Await, manager: Hands, board: Board) -> None:
    manager.after(action.seconds, m.Askable(action.agent))


@_act.register(a.Halt)
def _halt(action: a.Halt, manager: Hands, board: Board) -> None:
    manager.halt(action.task, action.attempt)


@_act.register(a.Alarm)
def _alarm(action: a.Alarm, manager: Hands, board: Board) -> None:
    manager.after(action.seconds, m.TimeIsUp())


@_act.register(a.Tell)
def _tell(action: a.Tell, manager: Hands, board: Board) -> None:
    manager.send(board.convoy.budget.owner, {"run": manager.run, "text": action.text}, type="Paused")


def _inputs(board: Board, task: Task) -> dict[str, Artifact]:
    """The outputs that a task takes of others, by its own names for them."""
    found: dict[str, Artifact] = {}
    for given in task.inputs:
        kept = {artifact.name: artifact for artifact in board.tasks[given.task].outputs}
        found[given.name] = kept[given.output]
    return found
