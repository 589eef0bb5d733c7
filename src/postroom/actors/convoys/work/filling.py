"""What an attempt really does: its task with every blank filled in, and its prompts without secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve

from ..allowed import Allowed
from ..blanks import fill
from ..plan import Gate, Hook, Step, Task, Work
from ..record.secrets import redact
from ..rules.standing import Feedback

FEEDBACK = re.compile(r"\{\{[ \t]*+feedback[ \t]*+\}\}")
"""The blank, in prompts only, for what was wrong with the attempt before."""

FOLDER = "convoy.folder"
"""The name of the blank for the convoy's folder."""

HEADING = "What was wrong with the attempt before"


class Unfilled(Exception):
    """A blank that nothing is known for."""


class Filler:
    """Fills in the blanks of one task. ``values`` are by whole names, such as ``input.x``.

    ``kinds`` collects what secrets were taken out of prompts; what is ``allowed`` is none. Every verb
    raises ``Unfilled``.
    """

    def __init__(
        self,
        values: Mapping[str, str],
        feedback: Feedback | None = None,
        allowed: Sequence[Allowed] = (),
    ) -> None:
        self._values = values
        self._allowed = allowed
        self._feedback = readable(feedback) if feedback is not None else ""
        self.kinds: dict[str, None] = {}

    def task(self, task: Task) -> Task:
        """The task as it is to be done. Its hooks are those of the convoy too, so they are filled apart."""
        return evolve(
            task,
            work=self._work(task.work),
            env=self.values(task.env),
            steps=tuple(self._step(step) for step in task.steps),
        )

    def values(self, value: Any) -> Any:
        """Texts, lists or tables, filled."""
        return fill(value, self._values, _missing)

    def gates(self, gates: Sequence[Gate]) -> list[Gate]:
        """Gates with their commands filled."""
        return [evolve(gate, command=self.values(gate.command)) for gate in gates]

    def hooks(self, hooks: Sequence[Hook]) -> list[Hook]:
        """Hooks with their commands and prompts filled."""
        return [
            evolve(hook, command=self.values(hook.command), prompt=self.prompt(hook.prompt, told=False))
            for hook in hooks
        ]

    def prompt(self, prompt: str, *, told: bool = True) -> str:
        """A prompt as the agent gets it: nothing that a blank stands for is taken for a blank itself.

        ``told`` is whether it is told what was wrong before even if it has no blank for that.
        """
        if not prompt:
            return prompt
        parts = [self.values(part) for part in FEEDBACK.split(prompt)]
        whole = self._feedback.join(parts)
        if told and self._feedback and len(parts) == 1:
            whole = f"{whole}\n\n## {HEADING}\n\n{self._feedback}"
        clean, kinds = redact(whole, self._allowed)
        self.kinds.update(dict.fromkeys(kinds))
        return clean

    def _step(self, step: Step) -> Step:
        return evolve(step, work=self._work(step.work), gates=tuple(self.gates(step.gates)))

    def _work(self, work: Work) -> Work:
        return evolve(
            work,
            command=self.values(work.command),
            arguments=self.values(work.arguments),
            prompt=self.prompt(work.prompt, told=True),
        )


def readable(feedback: Feedback) -> str:
    """What was wrong with an attempt, for whoever makes the next one."""
    lines = [f"Attempt {feedback.attempt} failed ({feedback.failure}): {feedback.reason}"]
    if feedback.code is not None:
        lines.append(f"Its exit status was {feedback.code}.")
    for note in feedback.notes:
        lines.append(f"- {note.name}: {note.verdict}{f': {note.text}' if note.text else ''}")
        lines += [f"  {line}" for line in note.output.splitlines()]
    if feedback.output:
        lines += ["The end of what it said:", feedback.output.rstrip("\n")]
    return "\n".join(lines)


def _missing(blank: str) -> str:
    raise Unfilled(f"nothing is known for {blank}")
