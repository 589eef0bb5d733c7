"""The worker of a convoy: a turn makes one attempt of one task."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from signal import Signals
from traceback import format_exception

import trio

from ..actor import Actor, handles
from .board import Result
from .callables import resolve
from .commands import run_command
from .messages import Perform, Performed
from .plan import Task
from .states import TaskStatus

LONGEST_REASON = 400


class Worker(Actor):
    """Runs commands and functions, and answers how they ended. ``stop`` cuts short what runs."""

    def __init__(self, stop: trio.Event) -> None:
        super().__init__()
        self._stop = stop

    @handles(Perform, timeout=math.inf)  # each task has its own
    async def perform(self, job: Perform) -> Performed:
        """Make the attempt. Cancelled, a command is ended and the message goes back to the inbox."""
        result: Result | None = None
        async with trio.open_nursery() as nursery:

            async def cut_short() -> None:
                await self._stop.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(cut_short)
            result = await _perform(job)
            nursery.cancel_scope.cancel()
        return Performed(job.task.id, job.attempt, result)


async def _perform(job: Perform) -> Result:
    task, log = job.task, Path(job.log)
    started = trio.current_time()
    status, reason = TaskStatus.TIMED_OUT, f"took longer than {task.timeout:g} s"
    with trio.move_on_after(task.timeout):
        status, reason = await (_call(task, log) if task.call else _command(job, log))
    return Result(status, round(trio.current_time() - started, 3), reason[:LONGEST_REASON])


async def _command(job: Perform, log: Path) -> tuple[TaskStatus, str]:
    try:
        code = await run_command(job.task, run=job.run, attempt=job.attempt, log=log)
    except OSError as error:
        return TaskStatus.FAILED, f"could not be started: {error.strerror or error}"
    if code == 0:
        return TaskStatus.DONE, ""
    ending = f"killed by {Signals(-code).name}" if code < 0 else f"exit {code}"
    last = _last_line(log)
    return TaskStatus.FAILED, f"{ending}: {last}" if last else ending


async def _call(task: Task, log: Path) -> tuple[TaskStatus, str]:
    """Call the function in a thread. At the deadline the thread is left alone: none can be killed."""
    call = partial(_call_here, task, log)
    return await trio.to_thread.run_sync(call, abandon_on_cancel=True)


def _call_here(task: Task, log: Path) -> tuple[TaskStatus, str]:
    try:
        answer = resolve(task.call)(**task.arguments)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a user's function may raise anything
        log.write_text("".join(format_exception(error)))
        return TaskStatus.FAILED, f"{type(error).__name__}: {error}"
    log.write_text(f"{answer}\n")
    return TaskStatus.DONE, ""


def _last_line(log: Path) -> str:
    """The last words of a command, which mostly say what was wrong."""
    with log.open("rb") as output:
        output.seek(max(0, log.stat().st_size - 4096))
        lines = output.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
