"""Read a convoy file: from TOML to a ``Convoy``, or to every fault it has."""

from __future__ import annotations

import os
import pathlib
import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import date, time
from typing import Any

from ...mailbox import toml
from ...mailbox.codec import encode
from ...store.errors import BadInput
from . import shapes
from .callables import check_call
from .commands import SHELL, check_command
from .faults import BadFile, Fault, Faults, Path, nearest
from .graph import cycle_in
from .plan import DEFAULT_CONCURRENCY, DEFAULT_RETRIES, DEFAULT_TIMEOUT, Convoy, Task
from .shapes import Table, items_of, table_of

TASK_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
FOLDER = "convoy.folder"
BLANK = re.compile(r"\{\{\s*(input\.[A-Za-z0-9_-]+|convoy\.[a-z]+)\s*\}\}")
POSITION = re.compile(r"(.*) \(at line (\d+), column (\d+)\)")


def read_convoy(file: pathlib.Path, settings: Mapping[str, str] | None = None) -> Convoy:
    """The convoy a file declares, with ``settings`` in place of its ``[input]`` values.

    Raises ``BadFile``, a ``BadInput`` with everything that is wrong. Imports the modules of its
    callables; nothing else is run or changed.
    """
    faults = Faults(str(file))
    raw = _parse(file)
    top = shapes.fitting(raw, shapes.TOP, (), faults)
    head = shapes.fitting(top.get("convoy", {}), shapes.CONVOY, ("convoy",), faults)
    folder = whole_path(file).parent
    values = {FOLDER: str(folder)}
    values |= _inputs(_filled(top.get("input", {}), values, ("input",), faults), settings or {}, faults)
    declared: Table = top.get("tasks", {})
    if raw.get("tasks", {}) == {}:
        faults.add(("tasks",), "there are none", "declare at least one, such as [tasks.build]")
    tasks: list[Task] = []
    for id, value in declared.items():
        task = _task(id, value, values, folder, faults)
        if task is not None:
            tasks.append(task)
    _check_graph(tasks, declared, faults)
    faults.settle()
    for task in tasks:
        _check_work(task, faults)
    faults.settle()
    name = head.get("name", file.stem)
    return Convoy(name, head.get("concurrency", DEFAULT_CONCURRENCY), tuple(tasks))


def whole_path(file: pathlib.Path) -> pathlib.Path:
    """The path from the root, without ``..``: what names a file whatever the current folder is."""
    return pathlib.Path(os.path.abspath(file))  # noqa: PTH100  # Path.absolute keeps ".."


def _parse(file: pathlib.Path) -> Table:
    try:
        raw = toml.read_bytes(file)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise BadInput(f"cannot read {file}", why, "name a convoy file") from error
    try:
        text = raw.decode()
        return toml.parse(text)
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        fault = Fault(_place(before), "not UTF-8", "save it as UTF-8")
    except tomllib.TOMLDecodeError as error:
        fault = _syntax_fault(str(error), raw.decode())
    raise BadFile(str(file), (fault,))


def _syntax_fault(message: str, text: str) -> Fault:
    found = POSITION.fullmatch(message)
    if found:
        what, line, column = found.groups()
        return Fault(f"line {line}, column {column}", f"not TOML: {_uncapitalised(what)}", "mend that line")
    what = message.removesuffix(" (at end of document)")
    return Fault(_place(text), f"not TOML: {_uncapitalised(what)}", "the file ends too early")


def _place(before: str) -> str:
    """Line and column, from 1, of what follows this text."""
    lines = before.split("\n")
    return f"line {len(lines)}, column {len(lines[-1]) + 1}"


def _uncapitalised(text: str) -> str:
    return text[:1].lower() + text[1:]


def _inputs(declared: Table, settings: Mapping[str, str], faults: Faults) -> dict[str, str]:
    """The inputs by the names that blanks use, such as ``input.version``."""
    inputs = {key: _as_text(value) for key, value in declared.items()}
    for key, value in settings.items():
        if key not in inputs:
            do = nearest(key, inputs) or "declare it under [input]"
            faults.add(("input", key), "set, but the file declares no such input", do)
        inputs[key] = value
    return {f"input.{key}": value for key, value in inputs.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _task(
    id: str, value: object, values: dict[str, str], folder: pathlib.Path, faults: Faults
) -> Task | None:
    path: Path = ("tasks", id)
    if not TASK_ID.fullmatch(id):
        faults.add(path, "a task's name is 1 to 64 letters, digits, dots, dashes and underscores")
        return None
    table = table_of(value)
    if table is None:
        faults.add(path, "must be a table", f"write [tasks.{id}]")
        return None
    kept = shapes.fitting(table, shapes.TASK, path, faults)
    _check_kind(kept, table, path, faults)
    for key in ("command", "call", "arguments", "cwd", "env"):
        if key in kept:
            kept[key] = _filled(kept[key], values, (*path, key), faults)
    if "arguments" in kept:
        _check_json(kept["arguments"], (*path, "arguments"), faults)
    command = kept.get("command", ())
    return Task(
        id=id,
        cwd=str(folder / kept.get("cwd", ".")),
        command=(*SHELL, command) if isinstance(command, str) else tuple(command),
        call=kept.get("call", ""),
        arguments=kept.get("arguments", {}),
        depends_on=tuple(kept.get("depends_on", ())),
        retries=kept.get("retries", DEFAULT_RETRIES),
        timeout=float(kept.get("timeout", DEFAULT_TIMEOUT)),
        env=kept.get("env", {}),
    )


def _check_kind(kept: Table, table: Table, path: Path, faults: Faults) -> None:
    """A task runs a command or calls a function, and has only the keys of its kind."""
    if "command" in table and "call" in table:
        faults.add(path, "has both a command and a call", "keep one")
    elif "command" not in table and "call" not in table:
        faults.add(path, "has neither a command nor a call", "say what it does")
    elif "call" in kept:
        for key in ("cwd", "env"):
            if key in kept:
                faults.add((*path, key), "only a command has that", "pass it among the arguments")
    elif "arguments" in kept:
        faults.add((*path, "arguments"), "only a call has those", "write them into the command")


def _filled(value: Any, values: Mapping[str, str], path: Path, faults: Faults) -> Any:
    """``value`` with the blanks in its texts filled in: ``{{input.x}}`` and ``{{convoy.folder}}``."""
    if isinstance(value, str):
        return BLANK.sub(_replacement(values, path, faults), value)
    if (items := items_of(value)) is not None:
        return [_filled(item, values, (*path, n), faults) for n, item in enumerate(items)]
    if (table := table_of(value)) is not None:
        return {key: _filled(item, values, (*path, key), faults) for key, item in table.items()}
    return value


def _replacement(values: Mapping[str, str], path: Path, faults: Faults) -> Callable[[re.Match[str]], str]:
    def replace(blank: re.Match[str]) -> str:
        name = blank[1]
        if name not in values:
            faults.add(path, f"nothing is named {name}", nearest(name, values))
        return values.get(name, "")

    return replace


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


def _check_graph(tasks: list[Task], declared: Table, faults: Faults) -> None:
    for task in tasks:
        for n, other in enumerate(task.depends_on):
            path = ("tasks", task.id, "depends_on", n)
            if other not in declared:
                faults.add(path, f"no task is named {other}", nearest(other, declared))
            elif other in task.depends_on[:n]:
                faults.add(path, f"{other} is named twice", "name it once")
    cycle = cycle_in({task.id: task.depends_on for task in tasks})
    if cycle:
        faults.add(("tasks",), f"depend on each other: {' -> '.join(cycle)}", "remove one of these")


def _check_work(task: Task, faults: Faults) -> None:
    path: Path = ("tasks", task.id)
    if not task.depends_on and not os.path.isdir(task.cwd):  # noqa: PTH112  # Path raises for a long name
        faults.add((*path, "cwd"), f"no such folder: {task.cwd}", "create it, or name another")
    elif task.call:
        check_call(task, (*path, "call"), faults)
    else:
        check_command(task, (*path, "command"), faults)
