"""The worker of a convoy: a turn makes one attempt of one task."""

from __future__ import annotations

import math

import trio

from ...actor import Actor, handles
from ..messages import Perform, Performed
from ..rules.standing import Failure, Result
from ..rules.states import TaskStatus
from .attempt import make, seconds_since
from .halts import Halts
from .leaving import leaving_reason


class Worker(Actor):
    """Makes attempts and says how they ended. ``halts`` cuts short what runs.

    What was asked for in an earlier ``life`` of the run is not done: whoever played it then is gone, and
    it is asked for again.
    """

    def __init__(self, halts: Halts, life: int) -> None:
        super().__init__()
        self._halts = halts
        self._life = life

    @handles(Perform, timeout=math.inf)  # each task has its own
    async def perform(self, job: Perform) -> Performed | None:
        """Make the attempt. Cancelled, a command is ended and the message goes back to the inbox."""
        if job.life < self._life:
            return None
        result: Result | None = None
        with self._halts.scope(job.task.id, job.attempt):
            result = await _timed(job, again=job.life > 1 or self.message.attempt > 1)
        return Performed(job.task.id, job.attempt, result)


async def _timed(job: Perform, *, again: bool) -> Result:
    started = trio.current_time()
    with trio.move_on_after(job.task.timeout):
        try:
            return await make(job, again=again)
        except OSError as error:  # such as a full disk: what was done cannot be kept
            why = leaving_reason(f"cannot be kept: {error.strerror or error}")
            return Result(TaskStatus.FAILED, seconds_since(started), why, Failure.ERROR)
    late = f"took longer than {job.task.timeout:g} s"
    return Result(TaskStatus.TIMED_OUT, seconds_since(started), late, Failure.TIMEOUT)
