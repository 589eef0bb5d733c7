"""A run played by hand: a board, its clock, and what would have been kept of it if its process died."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from postroom.actors.convoys.plan import Convoy, Gate, Reviewing, Route, Task
from postroom.actors.convoys.rules import attempts, coming
from postroom.actors.convoys.rules.actions import Action, Start
from postroom.actors.convoys.rules.board import Board
from postroom.actors.convoys.rules.standing import Failure, Note, Result, Standing, TaskState
from postroom.actors.convoys.rules.starting import go_on
from postroom.actors.convoys.rules.states import TaskStatus
from postroom.actors.convoys.wires import convoy_wire

WIRE = convoy_wire()
DONE = Result(TaskStatus.DONE, 1.0)
GATES = (Gate("tests", command=("true",)),)
PANEL = Reviewing(Route.PANEL)
YES = tuple(Note(name, "passed") for name in "xyz")
NO = (Note("x", "blocked", "names are unclear"), Note("y", "blocked"), Note("z", "passed"))


def task(id: str, *needs: str, **more: Any) -> Task:
    """A task that depends on others."""
    return Task(id, "/", depends_on=needs, **more)


class Play:
    """One run, and everything it has put on record: ``facts``. ``now`` is the time, in wall seconds."""

    def __init__(self, *tasks: Task, concurrency: int = 8, **convoy: Any) -> None:
        self.now = 1000.0
        self.facts: list[Any] = []
        self._kept: dict[str, bytes] = {}
        plan = {one.id: one for one in tasks}
        states = {id: TaskState() for id in plan}
        self.board = Board(Convoy("test", concurrency, (), **convoy), plan, Standing(), states)
        self._standing = WIRE.encode(self.board.standing)

    # What happens to it: each answers what is to be done then

    def then(self, verb: Any, *args: Any, **more: Any) -> list[Action]:
        """Use a verb of the rules on the board, and whatever follows from it."""
        verb(self.board, *args, **more)
        return self.go_on()

    def go_on(self) -> list[Action]:
        """Let follow what follows; it is kept as a manager keeps it."""
        go_on(self.board, self.now)
        actions, events, changed, _ = self.board.taken()
        self.facts += events
        self._kept |= {id: WIRE.encode(self.board.tasks[id]) for id in changed}
        self._standing = WIRE.encode(self.board.standing)
        return actions

    def begin(self) -> list[Action]:
        return self.then(coming.begin, self.now)

    def interrupt(self) -> list[Action]:
        return self.then(coming.interrupt, "interrupted")

    def done(self, id: str, **more: Any) -> list[Action]:
        return self.ended(id, evolve(DONE, **more))

    def fails(
        self, id: str, failure: Failure = Failure.ERROR, reason: str = "exit 1", **more: Any
    ) -> list[Action]:
        status = TaskStatus.TIMED_OUT if failure is Failure.TIMEOUT else TaskStatus.FAILED
        return self.ended(id, Result(status, 1.0, reason, failure, **more))

    def ended(self, id: str, result: Result, attempt: int | None = None) -> list[Action]:
        return self.then(attempts.claimed, id, attempt or self[id].attempts, result, self.now)

    def cut_short(self, id: str) -> list[Action]:
        return self.then(attempts.cut_short, id, self[id].attempts, "cut short")

    def checked(self, id: str, *notes: Note) -> list[Action]:
        return self.then(attempts.checked, id, self[id].attempts, notes, self.now)

    def reviewed(
        self, id: str, verdict: str, notes: tuple[Note, ...] = (), *, panel: bool = True
    ) -> list[Action]:
        attempt = self[id].attempts
        return self.then(attempts.reviewed, id, attempt, verdict, notes, 10, self.now, panel=panel)

    def rested(self, id: str) -> list[Action]:
        return self.then(attempts.rested, id, self[id].attempts)

    def askable(self, agent: str, after: float) -> list[Action]:
        self.now += after
        return self.then(attempts.askable, agent)

    def killed(self) -> None:
        """The process is gone: what is left of the run is what was kept."""
        self.board = self.twin()

    def twin(self) -> Board:
        """A board made of nothing but what was kept."""
        states = {id: self.kept(id) for id in self.board.plan}
        standing: Standing = WIRE.decode(self._standing, Standing)
        return Board(self.board.convoy, dict(self.board.plan), standing, states)

    # How it stands

    def __getitem__(self, id: str) -> TaskState:
        return self.board.tasks[id]

    def kept(self, id: str) -> TaskState:
        """What would be read of a task."""
        kept = self._kept.get(id)
        return TaskState() if kept is None else WIRE.decode(kept, TaskState)

    @property
    def status(self) -> str:
        return self.board.status.value

    @property
    def statuses(self) -> dict[str, str]:
        return {id: state.status.value for id, state in self.board.tasks.items()}

    def of(self, kind: type) -> list[Any]:
        """The facts of one kind."""
        return [fact for fact in self.facts if isinstance(fact, kind)]


def started(actions: list[Action]) -> list[tuple[str, int]]:
    """The attempts that these actions begin."""
    return [(action.task, action.attempt) for action in actions if isinstance(action, Start)]


def agents(actions: list[Action]) -> list[tuple[str, str]]:
    """Who is to do what."""
    return [(action.task, action.agent) for action in actions if isinstance(action, Start)]
