"""The parts of tasks and convoys that are tables of their own: work, gates, hooks, steps, outputs, inputs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from datetime import date, time
from pathlib import PurePosixPath
from typing import Any

from ....mailbox.codec import encode
from ....store.errors import BadInput
from ..blanks import Path
from ..plan import (
    Condition,
    Gate,
    GateKind,
    Hook,
    HookKind,
    HookPoint,
    Input,
    Output,
    OutputKind,
    Step,
    Work,
)
from . import keys
from .faults import Faults
from .paths import check_within
from .shapes import COMMAND, SHELL, Table, described, fitting, items_of, table_of

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PROGRAM = re.compile(r"[A-Za-z0-9._+-]{1,64}")
WORKS = ("command", "call", "prompt")
OF_TASK = (HookPoint.PRE_TASK, HookPoint.POST_TASK)


def pick(table: Table, choices: Sequence[str], path: Path, faults: Faults) -> str:
    """Which of these keys a table has; a fault if it is not exactly one."""
    given = [key for key in choices if key in table]
    if len(given) == 1:
        return given[0]
    if given:
        faults.add(path, f"has {' and '.join(given)}", "keep one of them")
    else:
        faults.add(path, f"has no {', '.join(choices[:-1])} or {choices[-1]}", "say what it does")
    return ""


def read_work(kept: Table, path: Path, faults: Faults) -> Work:
    """What a task or a step is to do."""
    arguments = kept.get("arguments", {})
    if "arguments" in kept:
        _check_json(arguments, (*path, "arguments"), faults)
        if "call" not in kept:
            do = "write them into the command" if "command" in kept else "leave them out"
            faults.add((*path, "arguments"), "only a call has those", do)
    return Work(kept.get("command", ()), kept.get("call", ""), arguments, kept.get("prompt", ""))


def read_gates(items: Iterable[object], path: Path, faults: Faults) -> tuple[Gate, ...]:
    """Gates as they were written; those without a name have none yet."""
    return tuple(_gate(item, (*path, n), faults) for n, item in enumerate(items))


def _gate(item: object, path: Path, faults: Faults) -> Gate:
    if isinstance(item, str) or items_of(item) is not None:
        if not COMMAND.fits(item):
            faults.add(path, f"must be {COMMAND.words}, not {described(item)}")
            return Gate("")
        return Gate("", command=COMMAND.made(item))
    kept = fitting(item, keys.GATE, path, faults)
    table = table_of(item)
    if table is None:
        return Gate("")
    kind = GateKind(kept.get("builtin", GateKind.COMMAND))
    pick(table, ("command", "builtin"), path, faults)
    if kind is not GateKind.BLAST_RADIUS:
        for key in ("max_lines", "max_files"):
            if key in table:
                faults.add((*path, key), "only blast_radius has that", 'write builtin = "blast_radius"')
    usual = Gate("")
    return Gate(
        kept.get("name", ""),
        kind,
        kept.get("command", ()),
        kept.get("timeout", usual.timeout),
        kept.get("max_lines", usual.most_lines),
        kept.get("max_files", usual.most_files),
    )


def read_hooks(
    items: Iterable[object], points: Sequence[HookPoint], path: Path, faults: Faults
) -> tuple[Hook, ...]:
    """Hooks as they were written, each at one of these points; those without a name have none yet."""
    return tuple(_hook(item, points, (*path, n), faults) for n, item in enumerate(items))


_NEEDED = {HookKind.AGENT: ("prompt", "agent"), HookKind.REVIEW: ()}


def _hook(item: object, points: Sequence[HookPoint], path: Path, faults: Faults) -> Hook:
    kept = fitting(item, keys.HOOK, path, faults)
    kind, on = kept.get("type", HookKind.COMMAND), kept.get("on", HookPoint.POST_TASK)
    table = table_of(item) or {}
    if on not in points:
        faults.add((*path, "on"), f"a task has no {on}", "put it among the hooks of [convoy]")
    elif kind is HookKind.REVIEW and on is not HookPoint.POST_TASK:
        faults.add(
            (*path, "on"), f"at {on} there is nothing to review", f'write on = "{HookPoint.POST_TASK}"'
        )
    needed = _NEEDED.get(kind, ("command",))
    for key in needed:
        if key not in table:
            faults.add(path, f"a hook of type {kind} has no {key}", f"give it a {key}")
    for key in ("command", "prompt", "agent"):
        if key in table and key not in needed:
            faults.add((*path, key), f"a hook of type {kind} has none", "leave it out, or change the type")
    usual = Hook("", on, kind)
    return Hook(
        kept.get("name", ""),
        on,
        kind,
        kept.get("command", ()),
        kept.get("prompt", ""),
        kept.get("agent", ""),
        kept.get("timeout", usual.timeout),
    )


def read_steps(items: Iterable[object], folder: str, path: Path, faults: Faults) -> tuple[Step, ...]:
    """The steps of a task that is done in ``folder``. Without an id a step is called by its number."""
    steps: list[Step] = []
    for n, item in enumerate(items):
        here = (*path, n)
        kept = fitting(item, keys.STEP, here, faults)
        pick(table_of(item) or {}, WORKS, here, faults)
        id = kept.get("id", str(n + 1))
        earlier = [step.id for step in steps]
        if id in earlier:
            faults.add((*here, "id"), f"{id} is named twice", "name it anew")
        when = _condition(kept["if"], earlier, folder, (*here, "if"), faults) if "if" in kept else None
        gates = read_gates(kept.get("gates", ()), (*here, "gates"), faults)
        steps.append(Step(id, read_work(kept, here, faults), when, gates))
    return tuple(steps)


def _condition(item: Table, earlier: Sequence[str], folder: str, path: Path, faults: Faults) -> Condition:
    kept = fitting(item, keys.CONDITION, path, faults)
    kind = pick(item, ("step", "file_exists"), path, faults)
    if kind == "file_exists":
        if "exit" in item:
            faults.add((*path, "exit"), "a file has none", "name a step")
        text = kept.get("file_exists", "")
        return Condition(file=check_within(text, folder, (*path, "file_exists"), faults) if text else "")
    step = kept.get("step", "")
    if "step" in kept and step not in earlier:
        faults.add((*path, "step"), f"no earlier step is named {step}", faults.hint(step, earlier))
    codes = fitting(kept.get("exit", {"eq": 0}), keys.EXIT, (*path, "exit"), faults)
    if len(codes) != 1:
        faults.add((*path, "exit"), "must be one of eq, ne, lt and gt", "for example { ne = 0 }")
        return Condition(step)
    ((compare, code),) = codes.items()
    return Condition(step, compare, code)


def read_outputs(table: Table, folder: str, path: Path, faults: Faults) -> tuple[Output, ...]:
    """What a task that is done in ``folder`` makes for others; files last, as TOML writes tables last."""
    found = [
        _output(name, item, folder, (*path, name), faults)
        for name, item in table.items()
        if _named(name, path, faults)
    ]
    return tuple(sorted(found, key=lambda output: output.kind is OutputKind.FILE))


def _output(name: str, item: object, folder: str, path: Path, faults: Faults) -> Output:
    if item in (OutputKind.SUMMARY, OutputKind.JSON):
        return Output(name, OutputKind(str(item)))
    kept = fitting(item, keys.OUTPUT, path, faults) if table_of(item) is not None else {}
    if "file" in kept:
        return Output(name, OutputKind.FILE, check_within(kept["file"], folder, (*path, "file"), faults))
    if not table_of(item):
        known = [kind.value for kind in OutputKind]
        do = faults.hint(item, known) if isinstance(item, str) else ""
        faults.add(path, f'must be "summary", "json" or {{ file = PATH }}, not {described(item)}', do)
    return Output(name, OutputKind.SUMMARY)


def read_inputs(table: Table, path: Path, faults: Faults) -> tuple[Input, ...]:
    """What a task needs of others; whether they have it is for later."""
    found = (
        _input(name, item, (*path, name), faults)
        for name, item in table.items()
        if _named(name, path, faults)
    )
    return tuple(each for each in found if each is not None)


def _input(name: str, item: object, path: Path, faults: Faults) -> Input | None:
    if isinstance(item, str):
        task, dot, output = item.rpartition(".")
        if dot and task and output:
            return Input(name, task, output)
    elif table_of(item) is not None:
        kept = fitting(item, keys.INPUT, path, faults)
        if kept.keys() == {"from", "name"}:
            return Input(name, kept["from"], kept["name"])
        for key in ("from", "name"):
            if key not in (table_of(item) or {}):
                faults.add(path, f"has no {key}", 'write { from = "TASK", name = "OUTPUT" }')
        return None
    faults.add(path, f'must be "TASK.OUTPUT", not {described(item)}')
    return None


def _named(name: str, path: Path, faults: Faults) -> bool:
    if NAME.fullmatch(name):
        return True
    faults.add((*path, name), "a name is 1 to 64 letters, digits, dashes and underscores")
    return False


def first_word(command: Sequence[str]) -> str:
    """What a command is called for short: the name of its program."""
    line = command[2] if tuple(command[:2]) == SHELL and len(command) == 3 else command[0]
    try:
        words = shlex.split(line, comments=True) if line is not command[0] else [line]
    except ValueError:
        words = line.split()
    name = PurePosixPath(words[0]).name if words else ""
    return name if _PROGRAM.fullmatch(name) else ""


def _check_json(value: Any, path: Path, faults: Faults) -> None:
    """Arguments travel in messages, so they are what JSON can say; TOML has dates besides."""
    if _holds_date(value):
        faults.add(path, "a message can hold no date or time", "write it as a text")
        return
    try:
        encode(value)
    except BadInput as error:
        faults.add(path, str(error))


def _holds_date(value: object) -> bool:
    parts = items_of(value) or list((table_of(value) or {}).values())
    return isinstance(value, date | time) or any(map(_holds_date, parts))
