"""The checker of a convoy: a turn runs the gates and hooks that look at what was claimed to be done."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import trio

from ...actor import Actor, handles
from ..messages import Check, CheckConvoy, Checked, ConvoyChecked
from ..plan import Agent, Gate, Hook
from ..rules.attempts import UNRUN
from ..rules.standing import Note, Result
from .builtin import Matter
from .changes import Changes
from .commands import marks_of, marks_of_run
from .doing import Setting
from .filling import FOLDER, Filler, Unfilled
from .gates import first_wrong, run_gates
from .halts import Halts
from .hearing import clear
from .hooks import run_hooks
from .inputs import NoInput, paths_of, read_inputs
from .jobs import Job, Jobs
from .leaving import leaving_notes


class Checker(Actor):
    """Runs gates and hooks and says what each of them said; what is cut short by ``halts`` says nothing.

    Hooks that come after something run only if its gates have passed. What was asked for in an earlier
    ``life`` of the run is not done, as by a worker.
    """

    def __init__(self, halts: Halts, jobs: Jobs, life: int) -> None:
        super().__init__()
        self._halts = halts
        self._jobs = jobs
        self._life = life

    @handles(Check, timeout=math.inf)  # each gate and hook has its own
    async def check(self, order: Check) -> Checked | None:
        """Look at a task. Cancelled, a command is ended and the message goes back to the inbox."""
        checked: Checked | None = None
        if order.life < self._life:
            return None
        with self._halts.scope(order.task, order.attempt):
            job = await self._jobs.checking(order)
            notes = await _of_task(job, order.result)
            checked = Checked(order.task, order.attempt, leaving_notes(notes, job.allowed))
        return checked

    @handles(CheckConvoy, timeout=math.inf)
    async def check_convoy(self, order: CheckConvoy) -> ConvoyChecked | None:
        """Look at the whole convoy. Cancelled as ``check``."""
        checked: ConvoyChecked | None = None
        if order.life < self._life:
            return None
        with self._halts.scope(order.point, 0):
            notes = await _of_convoy(order)
            checked = ConvoyChecked(order.point, leaving_notes(notes, order.allowed), order.life, order.look)
        return checked


async def _of_task(job: Job, result: Result) -> list[Note]:
    task, folder = job.task, job.folder or job.task.cwd
    try:
        texts = await trio.to_thread.run_sync(read_inputs, job.inputs) if job.inputs else {}
        filler = Filler({FOLDER: folder, **texts}, allowed=job.allowed)
        gates, hooks = filler.gates(task.gates), filler.hooks(job.hooks)
        given = {**filler.values(task.env), **paths_of(job.inputs)}
    except (NoInput, Unfilled) as error:
        return [Note("inputs", UNRUN, str(error))]
    setting = Setting(task.cwd, Path(job.log), given, marks_of(job.run, task.id, job.attempt, job.log))
    changes = Changes(result.lines, result.files, result.paths)
    matter = Matter(folder, setting.log, changes, task.files, job.allowed)
    return await _looked(gates, hooks, job.agents, setting, matter)


async def _of_convoy(order: CheckConvoy) -> list[Note]:
    setting = Setting(order.folder, Path(order.log), {}, marks_of_run(order.run, order.log))
    clear(setting.log)
    matter = Matter(order.folder, setting.log, allowed=order.allowed)
    return await _looked(order.gates, order.hooks, order.agents, setting, matter)


async def _looked(
    gates: Sequence[Gate],
    hooks: Sequence[Hook],
    agents: Sequence[Agent],
    setting: Setting,
    matter: Matter,
) -> list[Note]:
    async def look() -> Matter:
        return matter

    notes = await run_gates(gates, setting, look)
    return notes if first_wrong(notes) else notes + await run_hooks(hooks, agents, setting)
