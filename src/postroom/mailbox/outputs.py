"""Sends written as JSON objects, and what leaves together with an ack.

The keys are the flags of ``send``; there is one reader for all who take them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import msgspec
from msgspec import Struct

from ..store.errors import BadInput
from ..store.records import NewMessage, Send, StoredMessage, Unrouted
from . import codec
from .envelope import MAX_ATTEMPTS, compose
from .ids import derive, id_text, parse_id

BOUNCE = "postroom.bounce"
"""The type under which the store tells a sender that a message bounced."""


class SendFlags(Struct, frozen=True, kw_only=True, rename={"sender": "from"}):
    """One send as it is written by people and programs; ``body`` is any JSON value.

    ``delay`` and ``expires`` are in seconds. What is null counts as not given.
    """

    to: str
    type: str
    body: Any
    sender: str | None = None
    id: str | None = None
    dedup_key: str | None = None
    delay: float | None = None
    expires: float | None = None
    priority: str | None = None
    correlation: str | None = None
    reply_to: str | None = None
    max_attempts: int | None = None
    hold: bool | None = None

    def message(
        self, id: bytes, *, sender: str, correlation: str | None, causation: str | None
    ) -> NewMessage:
        """The checked message; the arguments are for what the flags leave open. Raises ``BadInput``."""
        return compose(
            id=id if self.id is None else parse_id(self.id),
            recipient=self.to,
            sender=sender if self.sender is None else self.sender,
            type=self.type,
            body=codec.encode(self.body),
            priority="normal" if self.priority is None else self.priority,
            correlation=correlation if self.correlation is None else self.correlation,
            causation=causation,
            reply_to=self.reply_to,
            dedup_key=self.dedup_key,
            delay=0.0 if self.delay is None else self.delay,
            expires=self.expires,
            max_attempts=MAX_ATTEMPTS if self.max_attempts is None else self.max_attempts,
        )

    def send(
        self,
        id: bytes,
        *,
        sender: str,
        correlation: str | None = None,
        causation: str | None = None,
        bounded: bool = True,
    ) -> Send:
        """The operation for these flags. Raises ``BadInput``."""
        message = self.message(id, sender=sender, correlation=correlation, causation=causation)
        return Send(message, Unrouted.HOLD if self.hold else Unrouted.REFUSE, bounded)


KEYS: tuple[str, ...] = SendFlags.__struct_encode_fields__


def read_flags(given: Mapping[str, object]) -> SendFlags:
    """Check keys and types. Raises ``BadInput``, which names the nearest known key."""
    for key in given:
        if key not in KEYS:
            raise BadInput(f"unknown key {key[:60]!r}", f"known are {', '.join(KEYS)}", _nearest(key))
    try:
        return msgspec.convert(given, SendFlags)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # half a character is no text
        raise BadInput("not a send", str(error), "see: postroom send --help") from error


def read_lines(text: str | bytes) -> list[dict[str, Any]]:
    """Sends as NDJSON, one object on each line that is not empty. Raises ``BadInput`` with the line."""
    lines: Sequence[str | bytes] = text.split(b"\n") if isinstance(text, bytes) else text.split("\n")
    found: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = codec.strict(line)
        except BadInput as error:
            raise BadInput(f"line {number}: {error.what}", error.why, error.do) from error
        if not _is_object(value):
            raise BadInput(f"line {number}: not a send", "a send is a JSON object", "write {...}")
        found.append(value)
    return found


def reply_address(source: StoredMessage) -> str:
    """Who is waiting for an answer to this message."""
    return source.reply_to or source.sender


def answer(source: StoredMessage, fence: int, type: str, body: bytes, unrouted: Unrouted) -> Send:
    """The reply to a message, as output 0 of the turn under ``fence``. Raises ``BadInput``."""
    if source.type == BOUNCE:
        raise BadInput("a bounce cannot be answered", "nobody is there to read it", "ack it without a reply")
    message = compose(
        id=derive(source.id, fence, 0),
        recipient=reply_address(source),
        sender=source.recipient,
        type=type,
        body=body,
        correlation=source.correlation_id or id_text(source.id),
        causation=id_text(source.id),
    )
    return Send(message, unrouted, bounded=False)


def outgoing(source: StoredMessage, fence: int, sends: Sequence[Mapping[str, object]]) -> list[Send]:
    """What a turn on ``source`` sends besides its reply, as outputs 1 and on.

    Raises ``BadInput`` for the first that is wrong, by its number.
    """
    causation = id_text(source.id)
    found: list[Send] = []
    for n, flags in enumerate(sends, 1):
        try:
            send = read_flags(flags).send(
                derive(source.id, fence, n),
                sender=source.recipient,
                correlation=source.correlation_id or causation,
                causation=causation,
                bounded=False,
            )
        except BadInput as error:
            raise BadInput(f"send {n}: {error.what}", error.why, error.do) from error
        if any(send.message.id == other.message.id for other in found):
            raise BadInput(f"send {n}: its id is that of another", "an id is one message's", "use a new id")
        found.append(send)
    return found


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _nearest(key: str) -> str:
    from difflib import get_close_matches  # only a mistake pays for it

    near = get_close_matches(key, KEYS, 1, 0.5)
    return f"did you mean {near[0]}?" if near else "remove it"
