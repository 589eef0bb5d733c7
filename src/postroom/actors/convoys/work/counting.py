"""What a line of JSON among the words tells, and how many tokens an agent says in one that it used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ....mailbox.codec import strict
from ....store.errors import BadInput

TOKENS, OUTPUT = "tokens", "output"
MOST_TOKENS = 2**53


def counted(value: object) -> int | None:
    """Tokens, if the value is a whole number of them; None means that nobody counted."""
    return value if type(value) is int and 0 <= value < MOST_TOKENS else None


def of_words(words: str) -> tuple[str, int | None]:
    """What a command has said, and the tokens that its last line tells, if that is a JSON object.

    A line that tells nothing else is none of its words.
    """
    before, line = _last_line(words)
    table = table_in(line) or {}
    tokens = counted(table.get(TOKENS))
    return (before if tokens is not None and len(table) == 1 else words), tokens


def of_answer(answer: object) -> tuple[object, int | None]:
    """What a call has returned, and the tokens it tells if that is a table: then ``output`` is the answer."""
    if not isinstance(answer, Mapping):
        return answer, None
    table = cast(Mapping[str, object], answer)
    tokens = counted(table.get(TOKENS))
    return (table[OUTPUT] if tokens is not None and OUTPUT in table else table), tokens


def _last_line(words: str) -> tuple[str, str]:
    """What is before the last line that says something, and that line."""
    kept = words.rstrip()
    start = kept.rfind("\n") + 1
    return words[:start], kept[start:]


def table_in(line: str) -> dict[str, Any] | None:
    """The JSON object that a line is; None for any other line."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        return cast("dict[str, Any]", strict(line))
    except BadInput:
        return None
