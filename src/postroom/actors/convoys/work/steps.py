"""The parts of a task, one after the other, each if its condition holds and up to the first that fails."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence

import trio
from attrs import define, field

from ..plan import Agent, Condition, Step
from ..rules.standing import Failure, Note
from .doing import Ending, Setting, do
from .gates import Look, first_wrong, run_gates
from .paths import Unsafe, stat_inside

COMPARE: Mapping[str, Callable[[int, int], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "gt": operator.gt,
}


@define
class Steps:
    """What came of the steps of one attempt.

    ``ended`` are those that were done, ``notes`` what their gates said. A step that failed has not
    failed the attempt if one whose condition asks for its exit code was done after it: ``answered``.
    """

    ended: dict[str, Ending] = field(factory=dict[str, Ending])
    notes: list[Note] = field(factory=list[Note])
    answered: set[str] = field(factory=set[str])
    wrong: Ending | None = None

    @property
    def said(self) -> list[str]:
        """The words of each."""
        return [ending.words for ending in self.ended.values()]

    @property
    def tokens(self) -> int | None:
        """What they used together; None if nobody counted."""
        counted = [ending.tokens for ending in self.ended.values() if ending.tokens is not None]
        return sum(counted) if counted else None

    @property
    def ending(self) -> Ending:
        """How the attempt ended: by what went wrong, or else as its last step."""
        failed = (id for id, ending in self.ended.items() if ending.failure is not None)
        open_failure = next((id for id in failed if id not in self.answered), None)
        if self.wrong is not None:
            return self.wrong
        if open_failure is not None:
            return _of_step(open_failure, self.ended[open_failure])
        last = next(reversed(self.ended.values()), Ending())
        return Ending(code=last.code, words=last.words)


async def take(steps: Sequence[Step], agent: Agent, setting: Setting, look: Look) -> Steps:
    """Do the steps that are to be done, and try the gates of each right after it."""
    done = Steps()
    for n, step in enumerate(steps):
        try:
            if step.when is not None and not await _holds(step.when, done, setting.cwd):
                continue
        except (Unsafe, OSError) as error:
            done.wrong = _of_step(step.id, Ending(Failure.ERROR, f"its condition: {error}"))
            return done
        if step.when is not None and step.when.step:
            done.answered.add(step.when.step)
        ending = done.ended[step.id] = await do(step.work, agent, setting)
        if ending.failure is not None:
            if any(later.when is not None and later.when.step == step.id for later in steps[n + 1 :]):
                continue
            return done
        notes = await run_gates(step.gates, setting, look)
        done.notes += notes
        wrong = first_wrong(notes)
        if wrong is not None:
            why = Ending(Failure.GATE, f"{wrong.name}: {wrong.text}", ending.code, ending.words)
            done.wrong = _of_step(step.id, why)
            return done
    return done


async def _holds(when: Condition, done: Steps, folder: str) -> bool:
    if when.file:
        return await trio.to_thread.run_sync(stat_inside, folder, when.file) is not None
    ending = done.ended.get(when.step)
    if ending is None:  # it was left out itself
        return False
    return COMPARE[when.compare](_code(ending), when.code)


def _code(ending: Ending) -> int:
    """The exit status; what has none ends with 0 or 1."""
    if ending.code is not None:
        return ending.code
    return 0 if ending.failure is None else 1


def _of_step(id: str, ending: Ending) -> Ending:
    reason = f"step {id}: {ending.reason}" if id else ending.reason
    return Ending(ending.failure, reason, ending.code, ending.words)
