"""Jobs: what an order to a worker or a checker says, together with what the plan of the run says of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import field, frozen

from ..allowed import Allowed
from ..messages import Check, Perform
from ..names import log_of
from ..plan import Agent, Convoy, Hook, HookPoint, Task
from ..rules.hooking import agents_of, hooks_of, is_reviewed
from ..rules.standing import Artifact, Feedback


@frozen
class Job:
    """One attempt, to be made or to be checked; its output goes to the file ``log``.

    ``inputs`` are the outputs of other tasks by the names this one has for them, ``hooks`` those of
    the convoy and the task that come before or after it, ``agents`` those that these hooks name.
    ``measured`` is whether somebody, such as a reviewer, wants to know what it changes. ``allowed`` is
    what looks like a secret and is none.
    """

    run: str
    task: Task
    attempt: int
    agent: Agent
    log: str
    folder: str = ""
    inputs: dict[str, Artifact] = field(factory=dict[str, Artifact])
    feedback: Feedback | None = None
    hooks: tuple[Hook, ...] = ()
    agents: tuple[Agent, ...] = ()
    measured: bool = False
    allowed: tuple[Allowed, ...] = ()


class Jobs:
    """Makes jobs of the orders of one ``run``, whose logs are in the folder ``logs``.

    ``read`` answers the plan as it is on record. It is read once, and again for a task that is not in
    it: that was added meanwhile, and is on record before anybody is asked to do it.
    """

    def __init__(self, run: str, logs: str, read: Callable[[], Awaitable[Convoy]]) -> None:
        self._run = run
        self._logs = logs
        self._read = read
        self._convoy: Convoy | None = None
        self._tasks: dict[str, Task] = {}

    async def performing(self, order: Perform) -> Job:
        """The attempt that a worker is to make."""
        convoy, task = await self._known(order.task)
        return performing(self._run, self._logs, convoy, task, order)

    async def checking(self, order: Check) -> Job:
        """The attempt that a checker is to look at."""
        convoy, task = await self._known(order.task)
        hooks = hooks_of(convoy, task, HookPoint.POST_TASK)
        return Job(
            self._run,
            task,
            order.attempt,
            convoy.agent(task.agent),
            log_of(self._logs, task.id, order.attempt),
            convoy.folder,
            order.inputs,
            hooks=hooks,
            agents=agents_of(convoy, hooks),
            allowed=convoy.allowed,
        )

    async def _known(self, task: str) -> tuple[Convoy, Task]:
        if self._convoy is None or task not in self._tasks:
            self._convoy = await self._read()
            self._tasks = {task.id: task for task in self._convoy.tasks}
        return self._convoy, self._tasks[task]


def performing(run: str, logs: str, convoy: Convoy, task: Task, order: Perform) -> Job:
    """The attempt that somebody is to make, who knows the plan."""
    hooks = hooks_of(convoy, task, HookPoint.PRE_TASK)
    return Job(
        run,
        task,
        order.attempt,
        convoy.agent(order.agent),
        log_of(logs, task.id, order.attempt),
        convoy.folder,
        order.inputs,
        order.feedback,
        hooks,
        agents_of(convoy, hooks),
        is_reviewed(convoy, task),
        convoy.allowed,
    )
