"""What a value in a convoy file may be, and what is made of it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, cast

from ....mailbox.address import check_address
from ....store.errors import BadInput
from ..blanks import Path
from .faults import Faults

WEEK = 7 * 24 * 3600.0
SHORTEST = 0.001
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)[ ]?(ms|s|m|min|h|d)")
_UNITS: Mapping[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

SHELL = ("sh", "-c")

Table = dict[str, Any]


def _as_it_is(value: Any) -> Any:
    return value


class Shape(NamedTuple):
    """``words`` says what is wanted, ``fits`` whether a value is that, ``made`` what it becomes.

    ``known`` are the words that can be meant, where there are only so many. ``part`` is what each item
    of a list, or each value of a table, has to be.
    """

    words: str
    fits: Callable[[object], bool]
    made: Callable[[Any], Any] = _as_it_is
    known: tuple[str, ...] = ()
    part: Shape | None = None


def items_of(value: object) -> list[Any] | None:
    """``value`` if it is a list."""
    if not isinstance(value, list):
        return None
    return cast(list[Any], value)  # type: ignore[redundant-cast]  # not to pyright


def table_of(value: object) -> Table | None:
    """``value`` if it is a table; its keys are texts, as TOML has no others."""
    return cast(Table, value) if isinstance(value, dict) else None


def fitting(value: object, shapes: Mapping[str, Shape], path: Path, faults: Faults) -> Table:
    """What of a table has a known key and a value that fits, as it is to be used; the rest are faults."""
    table = table_of(value)
    if table is None:
        faults.add(path, f"must be a table, not {described(value)}")
        return {}
    kept: Table = {}
    for key, item in table.items():
        shape = shapes.get(key)
        if shape is None:
            faults.add((*path, key), "unknown key", faults.hint(key, shapes))
        elif shape.fits(item):
            kept[key] = shape.made(item)
        elif (wrong := _misfits(shape.part, item, (*path, key), faults)) and (parts := table_of(item)):
            kept[key] = shape.made({name: part for name, part in parts.items() if name not in wrong})
        elif not wrong:
            _add_misfit(shape, item, (*path, key), faults)
    return kept


def _misfits(shape: Shape | None, whole: object, path: Path, faults: Faults) -> list[str | int]:
    """Where the parts of a list or a table are that do not fit, each of them noted."""
    places: list[str | int] = []
    named: Iterable[tuple[str | int, Any]] = (table_of(whole) or {}).items()
    for place, part in enumerate(items_of(whole) or ()) if items_of(whole) else named:
        if shape is not None and not shape.fits(part):
            _add_misfit(shape, part, (*path, place), faults)
            places.append(place)
    return places


def _add_misfit(shape: Shape, value: object, path: Path, faults: Faults) -> None:
    do = faults.hint(value, shape.known) if isinstance(value, str) and shape.known else ""
    faults.add(path, f"must be {shape.words}, not {described(value)}", do)


def described(value: object) -> str:
    """A value as a fault shows it: short, and never a whole table."""
    if table_of(value) is not None:
        return "a table"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def whole(low: int, high: int) -> Shape:
    """A whole number within these bounds."""

    def fits(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return Shape(f"a whole number from {low} to {high}", fits)


def number(low: float, high: float) -> Shape:
    """A number within these bounds."""

    def fits(value: object) -> bool:
        return _is_number(value) and low <= float(cast(float, value)) <= high

    return Shape(f"a number from {low:g} to {high:g}", fits, float)


def seconds(least: float = SHORTEST) -> Shape:
    """Seconds as a number, or a duration as a text such as 90s, 30m and 2h; it is a number then."""
    low = "0 or more" if not least else "above 0"

    def fits(value: object) -> bool:
        found = _duration(value)
        return found is not None and least <= found <= WEEK

    words = f"a number of seconds {low} and at most a week, or a text such as 90s, 30m or 2h"
    return Shape(words, fits, _duration)


def one_of(kind: type[StrEnum]) -> Shape:
    """One of the words of an enumeration."""
    return one_word(tuple(member.value for member in kind), kind)


def one_word(known: tuple[str, ...], made: Callable[[str], Any]) -> Shape:
    """One of these words, for something that is kept in another form."""

    def fits(value: object) -> bool:
        return isinstance(value, str) and value in known

    return Shape(_alternatives(known), fits, made, known)


def _alternatives(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _duration(value: object) -> float | None:
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        return float(match[1]) * _UNITS[match[2]] if match else None
    return float(cast(float, value)) if _is_number(value) else None


def is_text(value: object) -> bool:
    """Whether it is a text that can be passed on: NUL cannot."""
    return isinstance(value, str) and "\0" not in value


def _is_filled(value: object) -> bool:
    return isinstance(value, str) and is_text(value) and bool(value.strip())


def _is_name(value: object) -> bool:
    return isinstance(value, str) and is_text(value) and 0 < len(value) <= 128


def _is_texts(value: object) -> bool:
    items = items_of(value)
    return items is not None and all(map(is_text, items))


def _is_command(value: object) -> bool:
    if isinstance(value, str):
        return _is_filled(value)
    items = items_of(value)
    return bool(items and items[0]) and _is_texts(value)


def _words_of(command: Any) -> tuple[str, ...]:
    return (*SHELL, command) if isinstance(command, str) else tuple(command)


def _is_environment(value: object) -> bool:
    table = table_of(value)
    return table is not None and all(map(is_text, table.values())) and all(map(_is_variable, table))


def _is_variable(name: str) -> bool:
    return bool(name) and "=" not in name and "\0" not in name


def _is_input(value: object) -> bool:
    return is_text(value) or isinstance(value, int | float)


def _is_table_of_inputs(value: object) -> bool:
    table = table_of(value)
    return table is not None and all(map(_is_input, table.values()))


def _is_table(value: object) -> bool:
    return table_of(value) is not None


def _is_list(value: object) -> bool:
    return items_of(value) is not None


def _is_address(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        check_address(value)
    except BadInput:
        return False
    return True


TEXT = Shape("a text", is_text)
FILLED = Shape("a text that says something", _is_filled)
NAME = Shape("a text of 1 to 128 characters", _is_name)
TEXTS = Shape("a list of texts", _is_texts, tuple, part=TEXT)
TABLE = Shape("a table", _is_table)
LIST = Shape("a list", _is_list)
COMMAND = Shape("a list of texts, or one text for the shell", _is_command, _words_of, part=TEXT)
ENVIRONMENT = Shape("a table of texts by names of variables", _is_environment, part=TEXT)
INPUTS = Shape(
    "a table of texts and numbers", _is_table_of_inputs, part=Shape("a text or a number", _is_input)
)
ADDRESS = Shape("an address, such as worker/anna", _is_address)
