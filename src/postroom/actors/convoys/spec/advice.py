"""What is allowed in a convoy, and may not be what was meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..plan import Convoy, Gate, GateKind, Route, Task
from .bounds import route_of
from .graph import Order
from .overlaps import overlaps
from .phases import phases

MOST = 20
"""Warnings of one kind."""


def advice(convoy: Convoy) -> list[str]:
    """Warnings, each one line. The convoy's graph runs in no circle."""
    kinds = (_serialised, _sequential, _idle_gates, _unchecked, _unbounded)
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
    prompts = task.work.prompt or any(step.work.prompt for step in task.steps)
    checks = (*task.gates, *task.hooks, *(gate for step in task.steps for gate in step.gates))
    return bool(prompts) and not checks


def _unbounded(convoy: Convoy) -> Iterator[str]:
    budget = convoy.budget
    asked = convoy.agents and any(task.work.prompt or task.steps for task in convoy.tasks)
    if asked and not (budget.turns or budget.tokens or budget.seconds):
        yield "agents are asked, and [budget] has no bound"
