"""A convoy as TOML with nothing left to guess: after defaults and settings, every value there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, cast

import tomli_w

from ....store.errors import BadInput
from ..allowed import Allowed
from ..plan import (
    Agent,
    Condition,
    Convoy,
    Gate,
    GateKind,
    Hook,
    Output,
    OutputKind,
    Retry,
    Reviewer,
    Reviewing,
    Step,
    Task,
    Work,
)
from ..plan import Input as Input
from . import keys
from .parsing import LONGEST
from .shapes import Table
from .tasks import runs_programs


def resolved(convoy: Convoy) -> str:
    """The text of a file that declares this very convoy, wherever it lies and whatever it is set to.

    Every value is there, those that tasks share under ``[defaults]``; what is empty is left out.
    Tasks that came in while it ran are like the others here: ``source`` is left out. Raises ``BadInput``
    for a convoy whose defaults and inputs make it so long that it could not be read again.
    """
    shared = _shared(convoy)
    document: Table = {
        "convoy": _head(convoy),
        "defaults": shared,
        "agents": {agent.name: _agent(agent) for agent in convoy.agents},
        "review": _reviewing(convoy.reviewing),
        "budget": {key: getattr(convoy.budget, key) for key in keys.BUDGET},
        "secrets": {"allow": [_allowed(each) for each in convoy.allowed]} if convoy.allowed else {},
        "tasks": _tasks(convoy, shared),
    }
    text = tomli_w.dumps({key: value for key, value in document.items() if value})
    _check_length(convoy, len(text.encode()))
    return text


def _tasks(convoy: Convoy, shared: Table) -> Table:
    """All tasks; what is much too long is seen before it is written."""
    tables: Table = {}
    length = 0
    for task in convoy.tasks:
        tables[task.id] = _task(task, shared)
        length += len(repr(tables[task.id]))
        _check_length(convoy, length // 2)  # TOML may be shorter than what Python makes of it
    return tables


def _check_length(convoy: Convoy, length: int) -> None:
    if length > LONGEST:
        raise BadInput(
            f"{convoy.name} is too long once its defaults and inputs are filled in",
            f"it could not be read again: at most {LONGEST // 2**20} MiB are taken",
            "split it, or keep long texts in files",
        )


def _head(convoy: Convoy) -> Table:
    return {
        "name": convoy.name,
        "concurrency": convoy.concurrency,
        "folder": convoy.folder,
        "on_overlap": convoy.on_overlap.value,
        "max_injections": convoy.injections,
        "gates": [_gate(gate) for gate in convoy.gates],
        "hooks": [_hook(hook) for hook in convoy.hooks],
    }


def _common(task: Task) -> Table:
    """What a task has that all may share."""
    return {"timeout": task.timeout, "priority": task.priority, "cwd": task.cwd, **_retry(task.retry)}


def _shared(convoy: Convoy) -> Table:
    """What most tasks have in common: said once, or the text of a large convoy would be very long."""
    each = [_common(task) for task in convoy.tasks]
    return {key: _most_common([table[key] for table in each]) for key in (each[0] if each else ())}


def _most_common(values: Sequence[Any]) -> Any:
    ((text, _),) = Counter(map(repr, values)).most_common(1)
    return next(value for value in values if repr(value) == text)


def _task(task: Task, shared: Table) -> Table:
    work: Table = {"steps": [_step(step) for step in task.steps]} if task.steps else _work(task.work)
    own = {key: value for key, value in _common(task).items() if repr(value) != repr(shared[key])}
    if not runs_programs(task):
        own.pop("cwd", None)
    table: Table = {
        **work,
        "agent": task.agent,
        "depends_on": list(task.depends_on),
        "inputs": {given.name: _input(given) for given in task.inputs},
        "outputs": {output.name: _output(output) for output in task.outputs},
        "files": list(task.files),
        "gates": [_gate(gate) for gate in task.gates],
        "hooks": [_hook(hook) for hook in task.hooks],
        "env": task.env if runs_programs(task) else {},
        **({"review": task.review.value} if task.review is not None else {}),
    }
    return {key: value for key, value in table.items() if value not in ([], {})} | own


def _work(work: Work) -> Table:
    if work.call:
        return {"call": work.call, "arguments": work.arguments}
    return {"prompt": work.prompt} if work.prompt else {"command": list(work.command)}


def _step(step: Step) -> Table:
    when: Table = {"if": _condition(step.when)} if step.when is not None else {}
    return {"id": step.id, **_work(step.work), **when, "gates": [_gate(gate) for gate in step.gates]}


def _condition(when: Condition) -> Table:
    return {"file_exists": when.file} if when.file else {"step": when.step, "exit": {when.compare: when.code}}


def _gate(gate: Gate) -> Table:
    table: Table = {"name": gate.name, "timeout": gate.timeout}
    if gate.kind is GateKind.COMMAND:
        return {**table, "command": list(gate.command)}
    limits: Table = {"max_lines": gate.most_lines, "max_files": gate.most_files}
    return {**table, "builtin": gate.kind.value, **(limits if gate.kind is GateKind.BLAST_RADIUS else {})}


def _hook(hook: Hook) -> Table:
    return {"name": hook.name, "on": hook.on.value, "type": hook.kind.value, "timeout": hook.timeout} | (
        _said(hook, ("command", "prompt", "agent"))
    )


def _agent(agent: Agent) -> Table:
    return _said(agent, ("command", "call", "inbox", "fallback", "threshold", "cooldown"))


def _reviewer(reviewer: Reviewer) -> Table:
    return _said(reviewer, ("name", "command", "call", "inbox", "timeout"))


def _reviewing(reviewing: Reviewing) -> Table:
    table = _fields(reviewing, keys.REVIEW_FIELDS)
    table["on_dispute"] = keys.STOP if reviewing.stop_on_dispute else keys.CONTINUE
    return {**table, "reviewers": [_reviewer(reviewer) for reviewer in reviewing.reviewers]}


def _allowed(allowed: Allowed) -> Table:
    return _said(allowed, ("literal", "pattern", "reason", "paths"))


def _retry(retry: Retry) -> Table:
    return _fields(retry, keys.RETRY_FIELDS)


def _input(given: Input) -> Table:
    return {"from": given.task, "name": given.output}


def _output(output: Output) -> object:
    return {"file": output.path} if output.kind is OutputKind.FILE else output.kind.value


def _fields(part: object, fields: Mapping[str, str]) -> Table:
    """Attributes of a part by the keys that they come from."""
    return {key: _plain(getattr(part, attribute)) for key, attribute in fields.items()}


def _said(part: object, attributes: tuple[str, ...]) -> Table:
    """Attributes that are named as their keys are; those that say nothing are left out."""
    values = {attribute: _plain(getattr(part, attribute)) for attribute in attributes}
    return {key: value for key, value in values.items() if value not in ("", [])}


def _plain(value: object) -> object:
    """A value as TOML has it."""
    if isinstance(value, StrEnum):
        return value.value
    return list(cast("Iterable[object]", value)) if isinstance(value, tuple) else value
