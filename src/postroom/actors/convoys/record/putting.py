"""Events on their way to the record: no secret goes along, and none is larger than it may be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import fields

from ..allowed import Allowed
from ..events import NAMES, TYPES, Event, SecretRedacted
from .facts import Fact
from .secrets import redact

LONGEST_EVENT = 64 * 1024
"""Bytes that the data of one event may have."""

LONGEST_TEXT = 3400
"""Characters that are kept of a text: an event has three at most, and each character may be escaped."""

LONGEST_PAGE = 256 * 1024
"""Bytes, about, after which another page is begun: a record holds no more than 1 MiB."""

OVERHEAD = 256
"""Bytes, at most about, of a fact without its texts."""

ESCAPED = 6
"""Bytes that one character may take in JSON."""

NAMED = frozenset({"task", "agent", "instead_of", "failure", "status", "point", "route", "verdict", "state"})
"""Fields whose values are checked names or words of ours, and need not be looked through."""


def pages_of(
    events: Iterable[Event], first: int, now: float, allowed: Sequence[Allowed] = ()
) -> Iterator[list[Fact]]:
    """The facts of these events, numbered from ``first``, in pages that fit a record each.

    Where a secret was taken out of an event, another one after it says so; what is ``allowed`` is none.
    """
    page: list[Fact] = []
    size = 0
    for seq, (event, texts) in enumerate(_with_notes(events, allowed), first):
        page.append(Fact(seq, now, NAMES[type(event)], texts))
        size += OVERHEAD + sum(ESCAPED * len(text) for text in texts.values() if isinstance(text, str))
        if size >= LONGEST_PAGE:
            yield page
            page, size = [], 0
    if page:
        yield page


def shortened(text: str) -> str:
    """A text as long as an event may have it: what is too long loses its middle."""
    if len(text) <= LONGEST_TEXT:
        return text
    gap = f" ... {len(text) - LONGEST_TEXT} characters left out ... "
    half = (LONGEST_TEXT - len(gap)) // 2
    return f"{text[:half]}{gap}{text[-half:]}"


def _with_notes(
    events: Iterable[Event], allowed: Sequence[Allowed]
) -> Iterator[tuple[Event, dict[str, Any]]]:
    for event in events:
        data = {name: getattr(event, name) for name in _FIELDS[type(event)]}
        kinds: tuple[str, ...] = ()
        for name in _TEXTS[type(event)]:
            text = data[name]
            if text:
                clean, found = redact(text, allowed)
                data[name] = shortened(clean)
                kinds += found
        yield event, data
        if kinds:
            note = SecretRedacted(data.get("task", ""), NAMES[type(event)], tuple(dict.fromkeys(kinds)))
            yield note, {name: getattr(note, name) for name in _FIELDS[SecretRedacted]}


def _texts(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.type == "str" and field.name not in NAMED)


_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in TYPES.values()}
_TEXTS = {kind: _texts(kind) for kind in TYPES.values()}
