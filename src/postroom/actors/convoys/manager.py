"""The manager of a convoy: an actor that has the graph as its state."""

from __future__ import annotations

from attrs import define, field

from ..actor import Actor, handles
from .board import Action, Board, Rest, TaskState
from .messages import Begin, Interrupt, Moved, Noted, Perform, Performed, Rested
from .names import PLAN, watcher_of, worker_of
from .plan import Convoy
from .states import ConvoyStatus


@define
class Standing:
    """The manager's state: where the convoy and its tasks stand. ``logs`` is a folder."""

    status: ConvoyStatus = ConvoyStatus.RUNNING
    tasks: dict[str, TaskState] = field(factory=dict[str, TaskState])
    logs: str = ""


class Manager(Actor):
    """Plays one run of a convoy. Its address is ``manager/RUN``.

    A turn lets the board judge what has happened, and sends what follows from it. What does not
    change, the plan, is a record of its own.
    """

    state: Standing

    @handles(Begin)
    async def begin(self, order: Begin) -> Noted:
        """Set out or go on; what the tasks are is settled by the first of these messages."""
        convoy = self.records.get(PLAN, PLAN, Convoy)
        if convoy is None:
            convoy = order.convoy
            self.records.put(PLAN, PLAN, convoy)
        self.state.logs = order.logs
        board = self._board(convoy)
        self._keep(board, board.begin())
        return Noted()

    @handles(Performed)
    async def performed(self, answer: Performed) -> None:
        """Judge how an attempt ended; the same answer again changes nothing."""
        board = self._board()
        if answer.result is None:
            self._keep(board, board.cut_short(answer.task, answer.attempt))
        else:
            self._keep(board, board.ended(answer.task, answer.attempt, answer.result))

    @handles(Rested)
    async def rested(self, timer: Rested) -> None:
        """Go on with a retry."""
        board = self._board()
        self._keep(board, board.rested(timer.task, timer.attempt))

    @handles(Interrupt)
    async def interrupt(self, _: Interrupt) -> Noted:
        """Start nothing more."""
        board = self._board()
        board.interrupt()
        self._keep(board, [])
        return Noted()

    def _board(self, convoy: Convoy | None = None) -> Board:
        plan: Convoy = convoy or self.records.get(PLAN, PLAN, Convoy)
        return Board(plan, self.state.status, self.state.tasks)

    def _keep(self, board: Board, actions: list[Action]) -> None:
        self.state.status = board.status
        for action in actions:
            self._act(action)
        self.send(watcher_of(self._run), Moved())

    def _act(self, action: Action) -> None:
        task, attempt = action.task, action.attempt
        if isinstance(action, Rest):
            self.after(action.seconds, Rested(task.id, attempt))
            return
        # An attempt that was cut short may still lie in the worker's inbox: then it is this one.
        self.send(
            worker_of(self._run),
            Perform(self._run, task, attempt, f"{self.state.logs}/{task.id}.{attempt}.log"),
            dedup_key=f"{task.id}/{attempt}",
        )

    @property
    def _run(self) -> str:
        return self.address.partition("/")[2]
