"""What surrounds a body: every field checked once, before the store sees it."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from ..store.errors import BadInput
from ..store.records import NewMessage
from . import codec
from .address import check_inbox, check_recipient

PRIORITIES = ("low", "normal", "high", "urgent")
_CODES = {word: code for code, word in enumerate(PRIORITIES)}

MAX_ATTEMPTS = 5
MOST_ATTEMPTS = 1000
TYPE_LENGTH = 128
TEXT_LENGTH = 256
HEADER_BYTES = 16_384
LONGEST = 10 * 366 * 86400.0
"""The longest delay or expiry, in seconds."""


def compose(
    *,
    id: bytes,
    recipient: str,
    sender: str,
    type: str,
    body: bytes,
    priority: str = "normal",
    correlation: str | None = None,
    causation: str | None = None,
    reply_to: str | None = None,
    dedup_key: str | None = None,
    headers: Mapping[str, object] | None = None,
    delay: float = 0.0,
    expires: float | None = None,
    due_at: int | None = None,
    expires_at: int | None = None,
    max_attempts: int = MAX_ATTEMPTS,
) -> NewMessage:
    """A checked message. ``body`` is canonical JSON, as ``codec`` makes it.

    ``delay`` and ``expires`` are seconds from acceptance; ``due_at`` and ``expires_at`` are
    microseconds of wall time that a user gave as absolute, and win over them. Raises ``BadInput``.
    """
    if len(body) > codec.MAX_BYTES:
        raise BadInput("a body that is too large", f"{len(body)} bytes", "put it in a file")
    if not 1 <= max_attempts <= MOST_ATTEMPTS:
        raise BadInput(
            f"max_attempts is {max_attempts}", f"it must lie in 1 to {MOST_ATTEMPTS}", "choose another"
        )
    if reply_to is not None:
        check_recipient(reply_to)
    delay_us = micros("delay", delay, 0, LONGEST) if delay else 0
    ttl_us = None if expires is None else micros("expires", expires, 0.001, LONGEST)
    if ttl_us is not None and due_at is None and ttl_us <= delay_us:
        raise BadInput(
            "it would expire before it is due", f"{expires} s is not after {delay} s", "expire later"
        )
    return NewMessage(
        id,
        check_recipient(recipient),
        check_sender(sender),
        check_text("type", type, TYPE_LENGTH),
        body,
        _code(priority),
        None if correlation is None else check_text("correlation", correlation),
        None if causation is None else check_text("causation", causation),
        reply_to,
        None if dedup_key is None else check_text("dedup_key", dedup_key),
        None if headers is None else _headers(headers),
        max_attempts,
        delay_us,
        ttl_us,
        due_at,
        expires_at,
    )


def like(message: NewMessage, id: bytes, type: str, body: bytes) -> NewMessage:
    """Another message to the same recipient under the same envelope, which has been checked.

    ``body`` is canonical JSON, as ``codec`` makes it. Raises ``BadInput`` for a type that is none.
    """
    return NewMessage(
        id,
        message.recipient,
        message.sender,
        check_text("type", type, TYPE_LENGTH) if type != message.type else type,
        body,
        message.priority,
        message.correlation_id,
        message.causation_id,
        message.reply_to,
        message.dedup_key,
        message.headers,
        message.max_attempts,
        message.delay_us,
        message.ttl_us,
        message.due_at,
        message.expires_at,
    )


def _code(priority: str) -> int:
    code = _CODES.get(priority)
    if code is None:
        raise BadInput(
            f"no priority {priority[:60]!r}", f"there are {', '.join(PRIORITIES)}", "take one of them"
        )
    return code


def check_sender(text: str) -> str:
    """``text`` if mail can come from there: an address, or ``any:ROLE`` for one of a role."""
    return check_inbox(text)


def check_text(name: str, text: str, most: int = TEXT_LENGTH) -> str:
    """``text`` if it is one short printable line. Raises ``BadInput`` under the field's name."""
    if text.isprintable() and 0 < len(text) <= most:
        return text
    why = "it is empty" if not text else f"it is longer than {most} characters"
    if text and not text.isprintable():
        why = "it has characters that cannot be printed"
    raise BadInput(f"not a {name}: {text[:60]!r}", why, "choose another")


def micros(name: str, seconds: float, low: float, high: float) -> int:
    """A duration in whole microseconds. Raises ``BadInput`` outside ``low`` to ``high`` seconds."""
    if isfinite(seconds) and low <= seconds <= high:
        return round(seconds * 1_000_000)
    raise BadInput(f"{name} is {seconds}", f"it is in seconds, from {low:g} to {high:g}", "choose another")


def _headers(headers: Mapping[str, object]) -> bytes:
    encoded = codec.encode(dict(headers))
    if len(encoded) > HEADER_BYTES:
        raise BadInput(
            "headers that are too large", f"{len(encoded)} bytes, at most {HEADER_BYTES}", "drop some"
        )
    return encoded
