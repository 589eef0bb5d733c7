"""What an order says, together with what the plan of its run says."""

from __future__ import annotations

from attrs import evolve

from postroom.actors.convoys.messages import Check, Perform
from postroom.actors.convoys.plan import (
    Agent,
    Convoy,
    Gate,
    Hook,
    HookKind,
    HookPoint,
    Reviewing,
    Route,
    Task,
)
from postroom.actors.convoys.rules.standing import Artifact, Failure, Feedback, Result
from postroom.actors.convoys.rules.states import TaskStatus
from postroom.actors.convoys.work.jobs import Jobs

BEFORE = Hook("before", HookPoint.PRE_TASK, HookKind.AGENT, prompt="look", agent="scout")
AFTER = Hook("after", HookPoint.POST_TASK, HookKind.GUARD, ("true",))
MORE = Hook("more", HookPoint.POST_TASK, HookKind.REVIEW)
SCOUT, WRITER = Agent("scout", ("scout",)), Agent("writer", ("writer",))
PLAN = Convoy(
    "test", 2, (Task("a", "/a", gates=(Gate("g"),)), Task("b", "/b")), "/work", (SCOUT, WRITER),
    hooks=(BEFORE, AFTER),
)  # fmt: skip
INPUTS = {"x": Artifact("x", "summary", 1, "hash", "", "x")}
FEEDBACK = Feedback(1, Failure.ERROR, "it was wrong")
DONE = Result(TaskStatus.DONE, 1.0)


class Told:
    """A plan that grows, and how often it was read."""

    def __init__(self, plan: Convoy = PLAN) -> None:
        self.plan = plan
        self.times = 0
        self.jobs = Jobs("r1", "/logs", self.read)

    async def read(self) -> Convoy:
        self.times += 1
        return self.plan


async def test_an_attempt_has_what_comes_before_its_task_and_whom_that_asks() -> None:
    job = await Told().jobs.performing(Perform("a", 2, "writer", 1, INPUTS, FEEDBACK))
    assert (job.run, job.task, job.attempt, job.agent) == ("r1", PLAN.tasks[0], 2, WRITER)
    assert (job.log, job.folder) == ("/logs/a.2.log", "/work")
    assert (job.inputs, job.feedback) == (INPUTS, FEEDBACK)
    assert (job.hooks, job.agents) == ((BEFORE,), (SCOUT,))


async def test_what_is_checked_has_what_comes_after_its_task() -> None:
    job = await Told().jobs.checking(Check("a", 2, DONE, 1, INPUTS))
    assert (job.task, job.attempt, job.log, job.inputs) == (PLAN.tasks[0], 2, "/logs/a.2.log", INPUTS)
    assert (job.hooks, job.agents) == ((AFTER,), ())


async def test_what_a_task_changes_is_measured_if_somebody_reviews_it() -> None:
    asked = evolve(PLAN, tasks=(Task("a", "/a", hooks=(MORE,)), Task("b", "/b")))
    reviewed = evolve(PLAN, reviewing=Reviewing(Route.FAST))
    measured = [
        (await Told(plan).jobs.performing(Perform(task, 1, "local"))).measured
        for plan in (PLAN, asked, reviewed)
        for task in ("a", "b")
    ]
    assert measured == [False, False, True, False, True, True]


async def test_a_plan_is_read_once_and_again_for_a_task_that_was_added_meanwhile() -> None:
    told = Told()
    for task in ("a", "b", "a"):
        await told.jobs.performing(Perform(task, 1, "local"))
    assert told.times == 1
    told.plan = evolve(PLAN, tasks=(*PLAN.tasks, Task("c", "/c")))
    assert (await told.jobs.performing(Perform("c", 1, "local"))).task.cwd == "/c"
    assert (await told.jobs.checking(Check("c", 1, DONE))).task.cwd == "/c"
    assert told.times == 2
