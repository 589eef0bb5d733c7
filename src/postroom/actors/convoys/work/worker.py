"""The worker of a convoy: a turn makes one attempt of one task."""

from __future__ import annotations

import math

import trio

from ...actor import Actor, handles
from ..messages import Perform, Performed
from ..rules.standing import Failure, Result
from ..rules.states import TaskStatus
from .attempt import make, seconds_since
from .calls import Calls
from .halts import Halts
from .jobs import Job, Jobs
from .leaving import leaving_reason


class Worker(Actor):
    """Makes attempts and says how they ended. ``halts`` cuts short what runs, ``jobs`` know the plan.

    What was asked for in an earlier ``life`` of the run is not done: whoever played it then is gone, and
    it is asked for again.
    """

    def __init__(self, halts: Halts, calls: Calls, jobs: Jobs, life: int) -> None:
        super().__init__()
        self._halts = halts
        self._calls = calls
        self._jobs = jobs
        self._life = life

    @handles(Perform, timeout=math.inf)  # each task has its own
    async def perform(self, order: Perform) -> Performed | None:
        """Make the attempt. Cancelled, a command is ended and the message goes back to the inbox."""
        if order.life < self._life:
            return None
        job, started = await self._jobs.performing(order), trio.current_time()
        result: Result | None = None
        with self._halts.scope(order.task, order.attempt, job.task.timeout) as scope:
            result = await _made(job, self._calls, again=order.life > 1 or self.message.attempt > 1)
        if scope.cancelled_caught and not self._halts.halted(order.task, order.attempt):
            late = f"took longer than {job.task.timeout:g} s"
            result = Result(TaskStatus.TIMED_OUT, seconds_since(started), late, Failure.TIMEOUT)
        return Performed(order.task, order.attempt, result)


async def _made(job: Job, calls: Calls, *, again: bool) -> Result:
    started = trio.current_time()
    try:
        return await make(job, calls, again=again)
    except OSError as error:  # such as a full disk: what was done cannot be kept
        why = leaving_reason(f"cannot be kept: {error.strerror or error}")
        return Result(TaskStatus.FAILED, seconds_since(started), why, Failure.ERROR)
