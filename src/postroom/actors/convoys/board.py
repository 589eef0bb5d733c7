"""Where a convoy stands and what follows from what has happened: the rules, and nothing else.

A board is plain data with a few verbs. Each verb changes statuses along the tables of legal moves and
answers with what has to be done now. The manager keeps the board in its records and does it.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field, frozen

from .plan import Convoy, Task
from .states import CONVOY_MOVES, TASK_MOVES, ConvoyStatus, TaskStatus, is_final, moved

FIRST_REST, LONGEST_REST = 1.0, 300.0
"""Seconds before the first retry of a task; doubled for each further one up to the longest."""


@define
class TaskState:
    """Where one task stands.

    ``attempts`` counts those begun and not given back; ``seconds`` is what they took together.
    ``resting`` says that a retry waits for its time. ``reason`` is why the last attempt failed.
    """

    status: TaskStatus = TaskStatus.PENDING
    attempts: int = 0
    seconds: float = 0.0
    resting: bool = False
    reason: str = ""


@frozen
class Result:
    """How one attempt of a task ended: ``status`` is done, failed or timed-out."""

    status: TaskStatus
    seconds: float
    reason: str = ""


@frozen
class Start:
    """Have a worker begin this attempt."""

    task: Task
    attempt: int


@frozen
class Rest:
    """Say ``rested`` for this task once ``seconds`` have passed."""

    task: Task
    attempt: int
    seconds: float


Action = Start | Rest


@define
class Board:
    """One run of a convoy."""

    convoy: Convoy
    status: ConvoyStatus = ConvoyStatus.RUNNING
    tasks: dict[str, TaskState] = field(factory=dict[str, TaskState])

    def begin(self) -> list[Action]:
        """Set out, or go on after an interruption or a killed process: what ran then starts again.

        The attempts that were cut short are given back. Nothing happens on a finished convoy.
        """
        if is_final(CONVOY_MOVES, self.status):
            return []
        for task in self.convoy.tasks:
            self.tasks.setdefault(task.id, TaskState())
        self._requeue_running()
        if self.status is not ConvoyStatus.RUNNING:
            self.status = moved(CONVOY_MOVES, "resume", self.status)
        return self._go_on()

    def interrupt(self) -> None:
        """Start nothing more. What runs may still end, or be cut short; the convoy can be resumed."""
        if self.status is ConvoyStatus.RUNNING:
            self.status = moved(CONVOY_MOVES, "interrupt", self.status)

    def cut_short(self, id: str, attempt: int) -> list[Action]:
        """An attempt was stopped before its end: it does not count, and is made again."""
        if self._runs(id, attempt):
            self._requeue(self.tasks[id])
        return self._go_on()

    def ended(self, id: str, attempt: int, result: Result) -> list[Action]:
        """An attempt has ended. Only the first word on an attempt that runs now counts."""
        if not self._runs(id, attempt):
            return []
        state = self.tasks[id]
        state.seconds += result.seconds
        state.reason = result.reason
        if result.status is TaskStatus.DONE:
            self._move(state, "finish")
            return self._go_on()
        task = self.convoy.task(id)
        if attempt <= task.retries:
            return self._retry(task, state)
        self._move(state, "time out" if result.status is TaskStatus.TIMED_OUT else "fail")
        self._skip_dependants(id)
        return self._go_on()

    def rested(self, id: str, attempt: int) -> list[Action]:
        """The pause before a retry is over."""
        state = self.tasks.get(id)
        if state is None or not state.resting or state.attempts != attempt:
            return []
        state.resting = False
        return self._go_on()

    def _retry(self, task: Task, state: TaskState) -> list[Action]:
        self._move(state, "retry")
        state.resting = True
        pause = min(LONGEST_REST, FIRST_REST * 2 ** (state.attempts - 1))
        return [Rest(task, state.attempts, pause), *self._go_on()]

    def _skip_dependants(self, id: str) -> None:
        for task in self.convoy.dependants(id):
            state = self.tasks[task.id]
            if state.status is TaskStatus.PENDING:
                self._move(state, "skip")
                state.reason = f"{id} did not get done"
                self._skip_dependants(task.id)

    def _requeue_running(self) -> None:
        for state in self.tasks.values():
            state.resting = False
            if state.status is TaskStatus.RUNNING:
                self._requeue(state)

    def _requeue(self, state: TaskState) -> None:
        self._move(state, "requeue")
        state.attempts -= 1

    def _runs(self, id: str, attempt: int) -> bool:
        state = self.tasks.get(id)
        return state is not None and state.status is TaskStatus.RUNNING and state.attempts == attempt

    def _go_on(self) -> list[Action]:
        """Ready what nothing holds back, start what has a free place, conclude when all is over."""
        for task, state in self._in(TaskStatus.PENDING):
            if all(self.tasks[other].status is TaskStatus.DONE for other in task.depends_on):
                self._move(state, "ready")
        started = self._start_free() if self.status is ConvoyStatus.RUNNING else []
        self._conclude()
        return started

    def _start_free(self) -> list[Action]:
        free = self.convoy.concurrency - sum(1 for _ in self._in(TaskStatus.RUNNING))
        waiting = [(task, state) for task, state in self._in(TaskStatus.WAITING) if not state.resting]
        started: list[Action] = []
        for task, state in waiting[: max(free, 0)]:
            self._move(state, "start")
            state.attempts += 1
            started.append(Start(task, state.attempts))
        return started

    def _conclude(self) -> None:
        statuses = {state.status for state in self.tasks.values()}
        over = all(is_final(TASK_MOVES, status) for status in statuses)
        if over and not is_final(CONVOY_MOVES, self.status):
            verb = "finish" if statuses <= {TaskStatus.DONE} else "fail"
            self.status = moved(CONVOY_MOVES, verb, self.status)

    def _in(self, status: TaskStatus) -> Iterator[tuple[Task, TaskState]]:
        """The tasks of one status, in the order of the file."""
        for task in self.convoy.tasks:
            state = self.tasks[task.id]
            if state.status is status:
                yield task, state

    @staticmethod
    def _move(state: TaskState, verb: str) -> None:
        state.status = moved(TASK_MOVES, verb, state.status)
