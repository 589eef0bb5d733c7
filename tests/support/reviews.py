"""A reviewing without its convoy: who orders reviews, who votes, and what the manager is told."""

from __future__ import annotations

from collections.abc import Sequence

import trio
from fleet import Process
from stage import pause
from trio.testing import MockClock

from postroom import Actor, System, handles
from postroom.actors.convoys.messages import Review, Reviewed, ReviewWanted, Said
from postroom.actors.convoys.names import manager_of, reviewer_of, reviewing_of
from postroom.actors.convoys.plan import Hook, Reviewer, Reviewing, Route, Task
from postroom.actors.convoys.review.reviewing import Reviewing as ReviewingActor
from postroom.actors.convoys.review.votes import Vote, Voted
from postroom.actors.convoys.rules.standing import Note, Result
from postroom.actors.convoys.rules.states import TaskStatus

RUN = "run-1"
VERDICTS = {"ok": "passed", "no": "blocked", "gone": "unrun"}
"""What a reviewer votes by the first word of its name, such as ``no-2``."""


def declared(*names: str, timeout: float = 300.0) -> tuple[Reviewer, ...]:
    """Reviewers who run here, or who pull from ``critic/NAME`` if they are named ``pull-...``."""
    return tuple(
        Reviewer(name, inbox=f"critic/{name}", timeout=timeout)
        if name.startswith("pull")
        else Reviewer(name, ("true",), timeout=timeout)
        for name in names
    )


def order(
    rules: Reviewing,
    route: Route = Route.FAST,
    task: str = "a",
    attempt: int = 1,
    *,
    used: int = 0,
    hooks: Sequence[Hook] = (),
) -> Review:
    """The manager's order to review a task."""
    result = Result(TaskStatus.DONE, 1.0, output="done", lines=3, files=1, paths=("a.py",))
    plan = Task(task, "/work")
    return Review(RUN, plan, attempt, route, result, rules, "/logs/a.log", "/work", used, (), tuple(hooks))


class Stage:
    """What happened. ``tokens`` is what each vote costs, ``takes`` how long each lasts, in seconds."""

    def __init__(self, clock: MockClock, *, tokens: int | None = None, takes: float = 1.0) -> None:
        self.clock = clock
        self.tokens = tokens
        self.takes = takes
        self.told: list[Reviewed] = []
        self.asked: list[str] = []
        self.now = 0
        self.most = 0
        self.cut: set[str] = set()

    async def set_up(self, process: Process, *pullers: str) -> System:
        """Start a manager who only listens, reviewers, and the reviewing, in this process."""
        office = process.office
        await office.start(manager_of(RUN), self._listener())
        await office.start(reviewer_of(RUN), self._voter(), concurrency=20)
        for name in pullers:
            await office.start(f"critic/{name}", self.puller())
        await office.start(reviewing_of(RUN), ReviewingActor)
        return office

    async def answers(self, count: int) -> list[Reviewed]:
        """Wait until the manager was told so many verdicts."""
        with trio.fail_after(10_000):
            while len(self.told) < count:
                await pause(0.05, self.clock)
        return self.told

    def _listener(self) -> type[Actor]:
        stage = self

        class Listener(Actor):
            @handles(Reviewed)
            async def hear(self, told: Reviewed) -> None:
                stage.told.append(told)

        return Listener

    def _voter(self) -> type[Actor]:
        stage = self

        class Voter(Actor):
            @handles(Vote)
            async def vote(self, asked: Vote) -> Voted:
                name = asked.reviewer.name
                stage.asked.append(f"{asked.task}/{name}")
                stage.now += 1
                stage.most = max(stage.most, stage.now)
                try:
                    await pause(stage.takes, stage.clock)
                finally:
                    stage.now -= 1
                if name in stage.cut:
                    stage.cut.discard(name)
                    return Voted(asked.task, asked.attempt, asked.seat, None)
                note = Note(name, VERDICTS[name.partition("-")[0]], f"{name} has looked")
                return Voted(asked.task, asked.attempt, asked.seat, note, stage.tokens)

        return Voter

    def puller(self) -> type[Actor]:
        """Somebody who pulls, and blocks everything."""
        stage = self

        class Puller(Actor):
            @handles(ReviewWanted)
            async def look(self, wanted: ReviewWanted) -> Said:
                stage.asked.append(f"{wanted.task}/{wanted.reviewer}")
                await pause(stage.takes, stage.clock)
                return Said(verdict="block", reason="not like this", tokens=stage.tokens)

        return Puller
