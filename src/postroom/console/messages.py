"""How one message is shown, and what is read from the command line or standard input as one."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from ..mailbox.codec import MAX_BYTES, canonical
from ..store.errors import BadInput
from . import render

SENDS_LIMIT = 64 << 20


def read_body(text: str) -> bytes:
    """The canonical JSON of an argument, or of standard input for ``-``. Raises ``BadInput``."""
    return canonical(read_stdin(MAX_BYTES, "a body") if text == "-" else text)


def read_stdin(limit: int, name: str) -> bytes:
    """All of standard input. Raises ``BadInput`` beyond ``limit`` bytes."""
    source = getattr(sys.stdin, "buffer", None)  # a service may run without any
    if source is None:
        raise BadInput("standard input is closed", f"{name} should come from there", "give it in place")
    data: bytes = source.read(limit + 1)
    if len(data) > limit:
        raise BadInput(
            f"standard input is longer than {limit} bytes",
            f"{name} may not be longer",
            "send a reference to the data instead",
        )
    return data


def write_message(out: TextIO, view: dict[str, Any]) -> None:
    """Write everything about one message, then its history."""
    plain = {key: value for key, value in view.items() if key not in ("body", "headers", "history")}
    render.fields(out, plain.items())
    if view.get("headers"):
        render.lines(out, [f"headers  {render.json_text(view['headers'])}"])
    render.lines(out, [f"body  {render.json_text(view['body'])}"])
    if view.get("history"):
        rows = [
            (
                event.get("at"), event.get("event"), event.get("state"), event.get("attempt"),
                event.get("reason"), event.get("error"),
            )
            for event in view["history"]
        ]  # fmt: skip
        render.table(out, ("at", "event", "state", "attempt", "reason", "error"), rows)
