"""A task as a file declares it, with what all tasks share."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Sequence
from typing import Any

from attrs import evolve

from ..blanks import Path
from ..plan import DEFAULT_TIMEOUT, LOCAL, Gate, OnExhausted, Retry, Step, Task, Work
from . import keys
from .faults import Faults
from .filling import INPUT, Values
from .naming import Names, names_given
from .parts import (
    OF_TASK,
    WORKS,
    pick,
    read_gates,
    read_hooks,
    read_inputs,
    read_outputs,
    read_steps,
    read_work,
)
from .paths import check_files
from .shapes import Table, fitting, table_of

TASK_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
LATE = ("command", "arguments", "prompt", "steps", "env", "gates", "hooks")
"""Keys in which blanks may stand for what other tasks make: they are read when the task runs."""


class Tasks:
    """Reads the tasks of one file. ``taken`` are names of the convoy's hooks, ``agents`` of all agents."""

    def __init__(
        self, folder: str, values: Values, taken: Sequence[str], agents: Sequence[str], faults: Faults
    ) -> None:
        self._folder = folder
        self._values = values
        self._taken = taken
        self._agents = (LOCAL, *agents)
        self._faults = faults
        self._defaults: Table = {}
        self._gates: tuple[Gate, ...] = ()

    def share(self, table: Table, *, stop: bool) -> None:
        """Take what all tasks share. If ``stop``, what is given up stops the convoy by default."""
        path: Path = ("defaults",)
        kept = fitting(self._values.filled(table, path), keys.DEFAULTS, path, self._faults)
        self._gates = read_gates(kept.pop("gates", ()), ("defaults", "gates"), self._faults)
        Names((), (), self._faults).named(self._gates, ("defaults", "gates"))
        self._check_agent(kept, path)
        self._defaults = {"on_exhausted": OnExhausted.STOP, **kept} if stop else kept

    def read(self, id: str, value: object) -> Task | None:
        """The task of this name; None if what is there is no task."""
        path: Path = ("tasks", id)
        if not TASK_ID.fullmatch(id):
            self._faults.add(path, "a task's name is 1 to 64 letters, digits, dots, dashes and underscores")
            return None
        table = table_of(value)
        if table is None:
            self._faults.add(path, "must be a table", f"write [tasks.{id}]")
            return None
        kept = fitting(self._filled(table, path), keys.TASK, path, self._faults)
        pick(table, (*WORKS, "steps"), path, self._faults)
        if "steps" in kept and not kept["steps"]:
            self._faults.add((*path, "steps"), "there are none", "declare at least one, or say command")
        self._check_agent(kept, path)
        return self._made(id, kept, path)

    def _filled(self, table: Table, path: Path) -> Table:
        """The table without blanks, but for those that the task's own inputs fill once they are there."""
        inputs = table_of(table.get("inputs")) or {}
        own = [INPUT + name for name in inputs]
        for name in inputs:
            if INPUT + name in self._values:
                self._faults.add(
                    (*path, "inputs", name), f"[input] has a {name} too", "give one of them another name"
                )
        return {
            key: self._values.filled(item, (*path, key), own if key in LATE else ())
            for key, item in table.items()
        }

    def _made(self, id: str, kept: Table, path: Path) -> Task:
        merged = {**self._defaults, **kept}
        cwd = str(pathlib.Path(self._folder) / merged.get("cwd", "."))
        work = read_work(kept, path, self._faults)
        steps = read_steps(kept.get("steps", ()), cwd, (*path, "steps"), self._faults)
        task = Task(
            id=id,
            cwd=cwd,
            work=work,
            agent=self._agent(kept, work, steps),
            steps=steps,
            depends_on=kept.get("depends_on", ()),
            inputs=read_inputs(kept.get("inputs", {}), (*path, "inputs"), self._faults),
            outputs=read_outputs(kept.get("outputs", {}), cwd, (*path, "outputs"), self._faults),
            files=check_files(kept.get("files", ()), self._folder, (*path, "files"), self._faults),
            gates=self._own_gates(kept, path),
            hooks=read_hooks(kept.get("hooks", ()), OF_TASK, (*path, "hooks"), self._faults),
            priority=merged.get("priority", 0),
            retry=_retry(merged),
            timeout=merged.get("timeout", DEFAULT_TIMEOUT),
            env={**self._defaults.get("env", {}), **kept.get("env", {})},
            review=merged.get("review"),
        )
        return self._fitted(self._named(task, path), kept, path)

    def _own_gates(self, kept: Table, path: Path) -> tuple[Gate, ...]:
        return read_gates(kept["gates"], (*path, "gates"), self._faults) if "gates" in kept else self._gates

    def _agent(self, kept: Table, work: Work, steps: Sequence[Step]) -> str:
        """The agent of a task: whom it names, or whom all share if there is a prompt to read."""
        prompts = work.prompt or any(step.work.prompt for step in steps)
        shared = self._defaults.get("agent", LOCAL) if prompts else LOCAL
        return str(kept.get("agent", shared))

    def _named(self, task: Task, path: Path) -> Task:
        given = names_given(task.gates, task.hooks, *(step.gates for step in task.steps))
        names = Names(self._taken, given, self._faults)
        return evolve(
            task,
            gates=names.named(task.gates, (*path, "gates")),
            steps=tuple(
                evolve(step, gates=names.named(step.gates, (*path, "steps", n, "gates")))
                for n, step in enumerate(task.steps)
            ),
            hooks=names.named(task.hooks, (*path, "hooks")),
        )

    def _fitted(self, task: Task, kept: Table, path: Path) -> Task:
        """The same without what it has no use for; a fault for that if the task says it itself."""
        if runs_programs(task):
            return task
        for key in ("cwd", "env"):
            if key in kept:
                self._faults.add((*path, key), "only a command has that", "pass it among the arguments")
        return evolve(task, cwd=self._folder, env={})

    def _check_agent(self, kept: Table, path: Path) -> None:
        name = kept.get("agent", LOCAL)
        if name not in self._agents:
            do = self._faults.hint(name, self._agents)
            self._faults.add((*path, "agent"), f"no agent is named {name}", do)


def runs_programs(task: Task) -> bool:
    """Whether a folder and an environment mean anything to a task: a mere call has its arguments."""
    return not task.work.call or bool(task.gates or task.hooks or task.outputs)


def _retry(merged: Table) -> Retry:
    given: dict[str, Any] = {keys.RETRY_FIELDS[key]: merged[key] for key in keys.RETRY if key in merged}
    return Retry(**given)
