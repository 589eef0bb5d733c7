"""Blanks in texts: ``{{input.x}}``, ``{{convoy.folder}}``, and with a filter ``{{input.x|kebab}}``.

What a blank stands for is put in as it is. In a text for the shell the shell reads it like the rest of
the line, quotes and ``$`` included; a value that nobody has looked at goes into a variable instead:
``env = { TITLE = "{{input.title}}" }`` and ``command = 'echo "$TITLE"'``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

BLANK = re.compile(
    r"\{\{[ \t]*+(?P<name>input\.[A-Za-z0-9_-]+|convoy\.[a-z]+)"
    r"(?P<filters>(?:[ \t]*+\|[ \t]*+[A-Za-z0-9_]+)*+)[ \t]*+\}\}"
)
"""Other things in double braces are left alone: they belong to somebody else's templates."""

_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\W_]+")

Path = tuple[str | int, ...]


def kebab(text: str) -> str:
    """``Fix the Login`` and ``fixTheLogin`` as ``fix-the-login``."""
    return "-".join(_words(text))


def snake(text: str) -> str:
    """``Fix the Login`` and ``fixTheLogin`` as ``fix_the_login``."""
    return "_".join(_words(text))


FILTERS: Mapping[str, Callable[[str], str]] = {
    "kebab": kebab,
    "snake": snake,
    "upper": str.upper,
    "lower": str.lower,
}


class Blank(NamedTuple):
    """A blank as it was written, the name it has, such as ``input.x``, and its filters in order."""

    text: str
    name: str
    filters: tuple[str, ...]


def fill(value: Any, values: Mapping[str, str], missing: Callable[[str], str]) -> Any:
    """``value`` with the blanks in all its texts filled in; lists and tables are copied, keys kept.

    ``values`` is by whole names, such as ``input.x``. What ``missing`` answers for a blank, as it was
    written, stands where no value is known: ``str`` leaves it in place. A filter that is not known
    changes nothing.
    """

    def replace(match: re.Match[str]) -> str:
        blank = _blank(match)
        if blank.name not in values:
            return missing(blank.text)
        text = values[blank.name]
        for name in blank.filters:
            text = FILTERS.get(name, str)(text)
        return text

    if isinstance(value, str):
        return BLANK.sub(replace, value)
    if (items := _items_of(value)) is not None:
        filled = [fill(item, values, missing) for item in items]
        return tuple(filled) if isinstance(value, tuple) else filled
    if (table := _table_of(value)) is not None:
        return {key: fill(item, values, missing) for key, item in table.items()}
    return value


def blanks_in(value: Any, path: Path = ()) -> Iterator[tuple[Path, Blank]]:
    """Every blank in the texts of ``value``, each with the way to its text."""
    if isinstance(value, str):
        for match in BLANK.finditer(value):
            yield path, _blank(match)
    elif (items := _items_of(value)) is not None:
        for n, item in enumerate(items):
            yield from blanks_in(item, (*path, n))
    elif (table := _table_of(value)) is not None:
        for key, item in table.items():
            yield from blanks_in(item, (*path, key))


def _items_of(value: object) -> Sequence[Any] | None:
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else None


def _table_of(value: object) -> Mapping[str, Any] | None:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else None


def _blank(match: re.Match[str]) -> Blank:
    filters = tuple(word.strip() for word in match["filters"].split("|")[1:])
    return Blank(match[0], match["name"], filters)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _BORDER.split(text) if word]
