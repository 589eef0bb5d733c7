"""The keys a convoy file may have, and what each may hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from .faults import Faults, Path, nearest

LONGEST_TIMEOUT = 7 * 24 * 3600.0
MOST_RETRIES = 100
MOST_AT_ONCE = 64


Table = dict[str, Any]


class Shape(NamedTuple):
    """``words`` says what is wanted; ``fits`` whether a value is that."""

    words: str
    fits: Callable[[object], bool]


def items_of(value: object) -> list[Any] | None:
    """``value`` if it is a list."""
    if not isinstance(value, list):
        return None
    return cast(list[Any], value)  # type: ignore[redundant-cast]  # not to pyright


def table_of(value: object) -> Table | None:
    """``value`` if it is a table; its keys are texts, as TOML has no others."""
    return cast(Table, value) if isinstance(value, dict) else None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _is_text(value) and 0 < len(value) <= 128


def _is_words(value: object) -> bool:
    items = items_of(value)
    return items is not None and all(map(_is_text, items))


def _is_command(value: object) -> bool:
    if isinstance(value, str):
        return _is_text(value) and bool(value.strip())
    items = items_of(value)
    return bool(items and items[0]) and _is_words(value)


def _is_seconds(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0.001 <= float(cast(float, value)) <= LONGEST_TIMEOUT


def _whole(low: int, high: int) -> Shape:
    def fits(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return Shape(f"a whole number from {low} to {high}", fits)


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _is_environment(value: object) -> bool:
    table = table_of(value)
    return table is not None and all(map(_is_text, table.values())) and all(map(_is_variable, table))


def _is_variable(name: str) -> bool:
    return bool(name) and "=" not in name and "\0" not in name


def _is_table_of_inputs(value: object) -> bool:
    table = table_of(value)
    return table is not None and all(
        _is_text(item) or isinstance(item, int | float) for item in table.values()
    )


TEXT = Shape("a text", _is_text)
TABLE = Shape("a table", _is_table)

TOP: Mapping[str, Shape] = {
    "convoy": TABLE,
    "input": Shape("a table of texts and numbers", _is_table_of_inputs),
    "tasks": TABLE,
}
CONVOY: Mapping[str, Shape] = {
    "name": Shape("a text of 1 to 128 characters", _is_name),
    "concurrency": _whole(1, MOST_AT_ONCE),
}
TASK: Mapping[str, Shape] = {
    "command": Shape("a list of texts, or one text for the shell", _is_command),
    "call": TEXT,
    "arguments": TABLE,
    "depends_on": Shape("a list of texts", _is_words),
    "retries": _whole(0, MOST_RETRIES),
    "timeout": Shape("a number of seconds above 0 and at most a week", _is_seconds),
    "cwd": TEXT,
    "env": Shape("a table of texts by names of variables", _is_environment),
}


def fitting(table: Table, shapes: Mapping[str, Shape], path: Path, faults: Faults) -> Table:
    """What of ``table`` has a known key and a value that fits; the rest are faults."""
    kept: Table = {}
    for key, value in table.items():
        shape = shapes.get(key)
        if shape is None:
            faults.add((*path, key), "unknown key", nearest(key, shapes))
        elif not shape.fits(value):
            faults.add((*path, key), f"must be {shape.words}, not {_described(value)}")
        else:
            kept[key] = value
    return kept


def _described(value: object) -> str:
    """A value as a fault shows it: short, and never a whole table."""
    if table_of(value) is not None:
        return "a table"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
