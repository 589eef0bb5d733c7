"""What the client answers, as typed records: the JSON of the commands, whichever way it came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from ..mailbox.codec import one_line
from ..store.errors import PostroomError

T = TypeVar("T")


class Sent(Struct, frozen=True):
    """A send that is durable. ``state`` is ``accepted``, ``duplicate``, ``held`` or ``bounced``.

    ``id`` is that of the live message, which for a duplicate by ``dedup_key`` is another than the one
    that was sent. ``copies`` are the ids behind a route to several. ``overflow`` names a full inbox.
    """

    id: str
    state: str
    copies: tuple[str, ...] = ()
    overflow: str | None = None


class Delivered(Struct, frozen=True, kw_only=True):
    """A message with the lease it is held under; ``body`` is decoded.

    ``fence`` proves the lease. ``attempt`` counts from 1. ``created_at`` is ISO 8601 in UTC.
    """

    id: str
    fence: int
    type: str
    body: Any
    sender: str
    recipient: str
    attempt: int
    max_attempts: int
    created_at: str
    lease_seconds: float
    priority: str = "normal"
    correlation_id: str | None = None
    causation_id: str | None = None
    reply_to: str | None = None
    headers: dict[str, Any] | None = None


class Settled(Struct, frozen=True):
    """The end of a lease. ``already`` when it had been settled so before; ``sent`` is what left with it."""

    id: str
    state: str
    already: bool = False
    sent: tuple[Sent, ...] = ()


class Extended(Struct, frozen=True):
    """A lease that lasts so many seconds from now."""

    id: str
    lease_seconds: float


class Alive(Struct, frozen=True, kw_only=True):
    """A heartbeat that was kept, and what to do next.

    ``mail`` is what can be claimed and ``leased`` what is held; ``idle`` counts heartbeats in a row that
    found neither. ``next`` are commands. ``state`` and ``paused`` are of the task's loop.
    """

    task: str
    role: str
    address: str
    mail: int
    leased: int
    idle: int
    next: tuple[str, ...]
    state: str
    paused: bool
    thread_id: str | None = None


class Reply(Struct, frozen=True, kw_only=True):
    """The answer to a question; ``body`` is decoded."""

    id: str
    type: str
    body: Any
    sender: str
    correlation_id: str | None = None
    causation_id: str | None = None


class Known(Struct, frozen=True, kw_only=True):
    """What is remembered of a message, as far as asking needs it."""

    id: str
    state: str
    fence: int
    type: str
    body: Any
    sender: str
    recipient: str
    correlation_id: str | None = None
    causation_id: str | None = None
    reason: str | None = None
    last_error: str | None = None


class Polled(Struct, frozen=True):
    """The answer of ``poll``."""

    messages: list[Delivered]


def read(view: Mapping[str, object], kind: type[T]) -> T:
    """A view as its record. Raises ``PostroomError`` for one that postroom cannot have made."""
    try:
        return msgspec.convert(view, kind)
    except msgspec.ValidationError as error:
        raise strange(str(error)) from error


def strange(why: str) -> PostroomError:
    """An answer that is none of postroom's."""
    return PostroomError(
        "an answer that is not understood", one_line(why), "is it postroom that listens there?"
    )
