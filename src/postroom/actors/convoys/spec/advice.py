"""What is allowed in a convoy, and may not be what was meant."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from ..blanks import blanks_in
from ..plan import Convoy, Gate, GateKind, Route, Task
from .bounds import route_of
from .graph import Order
from .overlaps import overlaps
from .phases import phases
from .shapes import SHELL

MOST = 20
"""Warnings of one kind."""


def advice(convoy: Convoy) -> list[str]:
    """Warnings, each one line. The convoy's graph runs in no circle."""
    kinds = (
        _serialised,
        _sequential,
        _linked,
        _idle_gates,
        _unchecked,
        _unbounded,
        _never_disputed,
        _spoken_to_the_shell,
    )
    return [line for kind in kinds for line in _cut(list(kind(convoy)))]


def _cut(lines: Sequence[str]) -> Sequence[str]:
    more = len(lines) - MOST
    return [*lines[:MOST], f"and {more} more like this"] if more > 0 else lines


def _serialised(convoy: Convoy) -> Iterator[str]:
    order = Order({task.id: task.needs for task in convoy.tasks})
    for found in overlaps(convoy.tasks, order):
        yield f"{found.first} and {found.second} both own {found.file}: they run one after the other"


def _sequential(convoy: Convoy) -> Iterator[str]:
    """In a chain each phase has one task, and each task needs the one before it."""
    if len(convoy.tasks) > 1 and convoy.concurrency > 1 and all(len(p) == 1 for p in phases(convoy.tasks)):
        yield f"each task waits for the one before it: concurrency {convoy.concurrency} never pays"


def _linked(convoy: Convoy) -> Iterator[str]:
    """Files are known by their names, and nothing looks behind a link."""
    folder = os.path.realpath(convoy.folder)
    for task in convoy.tasks:
        for file in task.files:
            real = os.path.relpath(os.path.realpath(f"{folder}/{file}"), folder)
            if real != file:
                yield f"{task.id}: {file} leads to {real} by a symbolic link: name that, if it is meant"


def _idle_gates(convoy: Convoy) -> Iterator[str]:
    """Gates that cannot say what they are there for."""
    for task in convoy.tasks:
        for gate in (*task.gates, *(gate for step in task.steps for gate in step.gates)):
            if gate.kind is GateKind.NO_OP and not task.files:
                yield f"{task.id}: gate {gate.name} compares the files of a task, and it owns none"
            elif _lets_all_pass(gate):
                yield f"{task.id}: gate {gate.name} lets everything pass"


def _lets_all_pass(gate: Gate) -> bool:
    return gate.kind is GateKind.COMMAND and gate.command[-1].strip() in ("true", ":", "exit 0")


def _unchecked(convoy: Convoy) -> Iterator[str]:
    """An agent says that it is done, and nobody looks."""
    for task in convoy.tasks:
        if _claims(task) and route_of(task, convoy) is Route.NONE and not convoy.gates:
            yield f"{task.id}: nothing checks what {task.agent} claims: it has no gate and no review"


def _claims(task: Task) -> bool:
    checks = (*task.gates, *task.hooks, *(gate for step in task.steps for gate in step.gates))
    return task.has_prompt and not checks


def _unbounded(convoy: Convoy) -> Iterator[str]:
    budget = convoy.budget
    asked = convoy.agents and any(task.work.prompt or task.steps for task in convoy.tasks)
    if asked and not (budget.turns or budget.tokens or budget.seconds):
        yield "agents are asked, and [budget] has no bound"


def _never_disputed(convoy: Convoy) -> Iterator[str]:
    """Its attempts are used up before its panels have blocked it often enough."""
    panels = convoy.reviewing.panels
    for task in convoy.tasks:
        attempts = 1 + task.retry.retries
        if route_of(task, convoy) is Route.PANEL and attempts < panels:
            yield f"{task.id}: it has {attempts} attempts, so it fails before {panels} panels dispute it"


def _spoken_to_the_shell(convoy: Convoy) -> Iterator[str]:
    """What another task has made, in a line that the shell reads: it may say more than was meant."""
    for task in convoy.tasks:
        works = (task.work, *(step.work for step in task.steps))
        gates = (*task.gates, *(gate for step in task.steps for gate in step.gates))
        commands = [work.command for work in works] + [gate.command for gate in gates]
        commands += [hook.command for hook in task.hooks]
        lines = [command[2:3] for command in commands if command[:2] == SHELL]
        for name in dict.fromkeys(blank.name for _, blank in blanks_in(lines)):
            yield f"{task.id}: the shell reads {name} as part of its line: put it in env, and name that"
