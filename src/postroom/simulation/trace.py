"""The trace of a run: one line of canonical JSON for each fact, fault and decision, in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, cast

import msgspec

from ..store.errors import PostroomError
from ..store.identity import id_text
from .witness import Committed, Doubted, Fact

Write = Callable[[bytes], object]


class Trace:
    """Digests every line, and hands it to ``write`` where somebody keeps it."""

    def __init__(self, write: Write | None = None) -> None:
        self.events = 0
        self._write = write
        self._digest = sha256()
        self._encoder = msgspec.json.Encoder(order="sorted", enc_hook=_plain)

    def fact(self, fact: Fact) -> None:
        """What a participant was told. ``at`` is boot time in microseconds."""
        line: dict[str, Any] = {"at": fact.at, "event": type(fact).__name__.lower()}
        handle = getattr(fact, "handle", None)
        if handle is not None:
            line["handle"] = handle
        if isinstance(fact, Committed | Doubted):
            line |= _named("operation", fact.operation) | _named("answer", fact.answer)
        self._line(line)

    def note(self, at: int, event: str, **what: Any) -> None:
        """A fault or a decision of the simulation itself."""
        self._line({"at": at, "event": event, **what})

    def _line(self, line: dict[str, Any]) -> None:
        text = self._encoder.encode(line) + b"\n"
        self.events += 1
        self._digest.update(text)
        if self._write is not None:
            self._write(text)

    def sha256(self) -> str:
        """The digest of all lines so far."""
        return self._digest.hexdigest()


class Untraced(Trace):
    """Counts what would have been traced: for many runs that only their checkers judge."""

    def fact(self, fact: Fact) -> None:
        self.events += 1

    def note(self, at: int, event: str, **what: Any) -> None:
        self.events += 1

    def sha256(self) -> str:
        """Nothing was traced."""
        return ""


def _named(role: str, record: Any) -> dict[str, Any]:
    """A record of the port under the name of its class."""
    return {f"{role}_kind": type(record).__name__, role: _legible(record)}


def _legible(value: Any) -> Any:
    """A value of the port for people: ids as text, bodies as they are, nothing that is empty."""
    if isinstance(value, str | int):
        return value
    if isinstance(value, bytes):
        return id_text(value) if len(value) == 16 else value.decode("utf-8", "backslashreplace")
    if isinstance(value, list | tuple):
        return [_legible(one) for one in cast("Sequence[Any]", value)]
    if isinstance(value, msgspec.Struct):
        found = {name: getattr(value, name) for name in value.__struct_fields__}
        return {name: _legible(one) for name, one in found.items() if one not in EMPTY}
    if isinstance(value, PostroomError):
        return {"code": value.code, "what": value.what, "why": value.why}
    return value


EMPTY: tuple[object, ...] = (None, (), [])
"""Values of fields that say nothing; zeros and False do."""


def _plain(value: Any) -> Any:
    raise TypeError(f"nothing in a trace is of type {type(value).__name__}")
