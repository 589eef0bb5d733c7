"""Finding secrets in texts and values, and taking them out on the way to anybody else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from attrs import frozen

from ..allowed import Allowed
from .shapes import Kind, Span, assigned, by_form, connections, credentials, hinted, placeholder, private_keys


@frozen
class Finding:
    """A secret: its kind, and where it is in the text."""

    kind: Kind
    start: int
    end: int


def find(text: str, allowed: Sequence[Allowed] = (), path: str = "") -> list[Finding]:
    """The secrets in a text, in the order of their places; they do not overlap. Takes linear time.

    ``allowed`` are those that are none, ``path`` is the file that the text is from.
    """
    if not hinted(text):
        return []
    found: list[Finding] = []
    for kind, (start, end) in sorted(_spans(text), key=_place):
        if found and start < found[-1].end:
            found[-1] = Finding(found[-1].kind, found[-1].start, max(end, found[-1].end))
        else:
            found.append(Finding(kind, start, end))
    return [f for f in found if not _is_allowed(text[f.start : f.end], allowed, path)]


def redact(text: str, allowed: Sequence[Allowed] = ()) -> tuple[str, tuple[str, ...]]:
    """The text with ``[redacted: KIND]`` in place of each secret, and the kinds there were.

    What is ``allowed`` everywhere is none. Doing it again changes nothing.
    """
    found = find(text, allowed)
    if not found:
        return text, ()
    parts: list[str] = []
    place = 0
    for finding in found:
        parts += (text[place : finding.start], _mask(finding.kind))
        place = finding.end
    return "".join((*parts, text[place:])), _kinds(finding.kind for finding in found)


def redact_value(value: Any, allowed: Sequence[Allowed] = ()) -> tuple[Any, tuple[str, ...]]:
    """A JSON value without its secrets, and the kinds there were; what is ``allowed`` everywhere is none.

    A secret is what looks like one, and any text or number under a name such as ``password``, ``apiKey``
    or ``Authorization``.
    """
    kinds: list[str] = []
    return _redacted(value, kinds, allowed), _kinds(kinds)


def kind_of_name(name: str) -> Kind | None:
    """The kind of secret that a value of this name is; None if it need not be one."""
    if placeholder(name):
        return None
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return next((kind for ending, kind in _NAMES if plain.endswith(ending)), None)


_NAMES = (
    *((ending, Kind.PASSWORD) for ending in ("password", "passwd", "passphrase", "pwd")),
    *((ending, Kind.BEARER) for ending in ("authorization", "bearer", "cookie")),
    *((ending, Kind.API_KEY) for ending in ("apikey", "accesskey", "secretkey", "authkey")),
    *((ending, Kind.GENERIC) for ending in ("secret", "token", "credential", "credentials", "privatekey")),
)


def _redacted(value: Any, kinds: list[str], allowed: Sequence[Allowed]) -> Any:
    if isinstance(value, str):
        text, found = redact(value, allowed)
        kinds += found
        return text
    if isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        return {
            _redacted(key, kinds, allowed): _of_name(key, inner, kinds, allowed)
            for key, inner in table.items()
        }
    if isinstance(value, list | tuple):
        return [_redacted(inner, kinds, allowed) for inner in cast("list[Any]", value)]
    return value


def _of_name(name: str, value: Any, kinds: list[str], allowed: Sequence[Allowed]) -> Any:
    kind = kind_of_name(name)
    plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    if kind is None or not plain:
        return _redacted(value, kinds, allowed)
    if isinstance(value, str) and (not value or placeholder(value) or _is_allowed(value, allowed)):
        return value
    kinds.append(kind)
    return _mask(kind)


def _is_allowed(text: str, allowed: Sequence[Allowed], path: str = "") -> bool:
    return any(one.covers(text, path) for one in allowed)


def _spans(text: str) -> Iterator[tuple[Kind, Span]]:
    yield from by_form(text)
    yield from assigned(text)
    for kind, finder in _FINDERS:
        for span in finder(text):
            yield kind, span


_FINDERS: tuple[tuple[Kind, Callable[[str], Iterator[Span]]], ...] = (
    (Kind.BEARER, credentials),
    (Kind.PRIVATE_KEY, private_keys),
    (Kind.CONNECTION, connections),
)


def _place(found: tuple[Kind, Span]) -> tuple[int, int]:
    return found[1][0], -found[1][1]


def _mask(kind: Kind) -> str:
    return f"[redacted: {kind}]"


def _kinds(found: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(kind) for kind in found))
