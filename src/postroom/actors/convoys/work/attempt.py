"""One attempt of a task, from what comes before it to what it leaves behind."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import trio
from attrs import asdict

from ..plan import HookKind, Step, Task
from ..rules.attempts import REDACTED
from ..rules.standing import Artifact, Failure, Feedback, Note, Result
from ..rules.states import TaskStatus
from . import changes as c
from .builtin import Matter
from .calls import Calls
from .commands import marks_of
from .doing import Ending, Setting
from .filling import FOLDER, Filler, Unfilled
from .gates import first_wrong
from .hearing import clear
from .hooks import run_hooks
from .inputs import NoInput, paths_of, read_inputs
from .jobs import Job
from .leaving import leaving_end, leaving_notes, leaving_reason
from .outputs import NoOutput, collect
from .paths import Unsafe
from .steps import Steps, take

ONLY_STEP = ""


async def make(job: Job, calls: Calls, *, again: bool = False) -> Result:
    """Make the attempt and say how it ended, by the word of whoever made it.

    ``again`` says that it may have been begun before, by a process that is gone. Raises ``OSError``
    where its log or its outputs cannot be written. ``calls`` makes those of functions.
    """
    if again or not _is_one_call(job):
        clear(Path(job.log))
    return await _Attempt(job, calls).made()


class _Attempt:
    """An attempt under way. ``notes`` are what its hooks and gates have said so far."""

    def __init__(self, job: Job, calls: Calls) -> None:
        self._job = job
        self._calls = calls
        self._started = trio.current_time()
        self._folder = job.folder or job.task.cwd
        self._before: c.Look | None = None
        self.notes: list[Note] = []

    async def made(self) -> Result:
        try:
            return await self._made()
        except (NoInput, Unfilled) as error:
            return self._result(Ending(Failure.INPUT, str(error)))
        except Unsafe as error:
            return self._result(Ending(Failure.ERROR, str(error)))

    async def _made(self) -> Result:
        job = self._job
        texts = await trio.to_thread.run_sync(read_inputs, job.inputs) if job.inputs else {}
        filler = Filler({FOLDER: self._folder, **texts}, job.feedback, job.allowed)
        task = filler.task(job.task) if _has_blanks(job) else job.task
        setting = self._setting(task)
        self.notes += await run_hooks(filler.hooks(job.hooks), job.agents, setting)
        if filler.kinds:
            self.notes.append(Note("secret", REDACTED, ", ".join(filler.kinds)))
        stopped = first_wrong(self.notes)
        if stopped is not None:
            return self._result(Ending(Failure.HOOK, f"{stopped.name}: {stopped.text}"))
        if job.measured or c.measured(task):
            self._before = await self._seen()
        steps = await take(task.steps or (Step(ONLY_STEP, task.work),), job.agent, setting, self._matter)
        self.notes += steps.notes
        return await self._judged(task, steps)

    async def _judged(self, task: Task, steps: Steps) -> Result:
        """What came of it, with the outputs it has left and what it has changed."""
        job, ending, outputs = self._job, steps.ending, tuple[Artifact, ...]()
        if ending.failure is None and task.outputs:
            shelf = Path(job.log).parent / "artifacts" / f"{task.id}.{job.attempt}"
            work = partial(collect, task.outputs, steps.said, task.cwd, shelf, job.allowed)
            try:
                outputs = await trio.to_thread.run_sync(work)
            except NoOutput as error:
                ending = Ending(Failure.ERROR, str(error), ending.code, ending.words)
        changes = await self._changes()
        return self._result(ending, "".join(steps.said), steps.tokens, outputs, changes)

    def _result(
        self,
        ending: Ending,
        said: str = "",
        tokens: int | None = None,
        outputs: tuple[Artifact, ...] = (),
        changes: c.Changes = c.NOTHING,
    ) -> Result:
        """A result on its way out of the worker: short, and without secrets."""
        allowed = self._job.allowed
        return Result(
            TaskStatus.DONE if ending.failure is None else TaskStatus.FAILED,
            seconds_since(self._started),
            leaving_reason(ending.reason, allowed),
            ending.failure,
            ending.code,
            leaving_end(said, allowed),
            tokens,
            outputs,
            leaving_notes(self.notes, allowed),
            changes.lines,
            changes.files,
            changes.paths,
        )

    def _setting(self, task: Task) -> Setting:
        job, log = self._job, Path(self._job.log)
        given, marks = dict(task.env), marks_of(job.run, task.id, job.attempt, job.log)
        given |= paths_of(job.inputs)
        if job.feedback is not None and not _is_one_call(job):
            told = log.with_suffix(".feedback.json")
            _tell(job.feedback, told)
            marks["POSTROOM_FEEDBACK"] = str(told)
        return Setting(task.cwd, log, given, marks, job.feedback, self._calls)

    async def _matter(self) -> Matter:
        changes = await self._changes()
        job = self._job
        return Matter(self._folder, Path(job.log), changes, job.task.files, job.allowed)

    async def _changes(self) -> c.Changes:
        if self._before is None:
            return c.NOTHING
        return c.changes(self._before, await self._seen())

    async def _seen(self) -> c.Look:
        return await trio.to_thread.run_sync(c.look_at_own, self._folder, self._job.task.files)


def seconds_since(started: float) -> float:
    """Seconds since then, by the clock of the event loop."""
    return round(trio.current_time() - started, 3)


def _is_one_call(job: Job) -> bool:
    """Whether it is a call and nothing else: then it writes a log only once it has ended."""
    work = job.task.work
    calls = bool(work.call or (job.agent.call and not work.command))
    return calls and not job.task.steps and not job.hooks


def _has_blanks(job: Job) -> bool:
    """Whether anything may have to be filled in, or looked through for secrets."""
    asks = job.task.has_prompt
    return bool(job.inputs or asks or any(hook.kind is HookKind.AGENT for hook in job.hooks))


def _tell(feedback: Feedback, path: Path) -> None:
    """Write down what was wrong before, for commands to read."""
    path.write_text(json.dumps(asdict(feedback), ensure_ascii=False, indent=2) + "\n")
