"""Errors of the client: those of the store, rebuilt from what a gateway says."""

from __future__ import annotations

from typing import NoReturn

import msgspec
from msgspec import Struct

from ..mailbox.codec import one_line
from ..store.errors import (
    BadInput,
    Conflict,
    EmptyGroup,
    InboxEnded,
    InboxFull,
    LostLease,
    OutcomeUnknown,
    PostroomError,
    Refused,
    StoreBusy,
    StoreFull,
    StoreUnavailable,
    UnknownInbox,
    UnknownMessage,
)
from .records import strange

KINDS: dict[str, type[PostroomError]] = {
    kind.code: kind
    for kind in (
        PostroomError,
        BadInput,
        Refused,
        UnknownInbox,
        UnknownMessage,
        InboxEnded,
        InboxFull,
        EmptyGroup,
        Conflict,
        LostLease,
        StoreUnavailable,
        StoreBusy,
        StoreFull,
        OutcomeUnknown,
    )
}

# What a newer gateway, or a gateway alone, says no with: its status tells what kind of error that is.
BY_STATUS: dict[int, type[PostroomError]] = {
    400: BadInput,
    401: Refused,
    403: Refused,
    404: Refused,
    405: BadInput,
    408: StoreUnavailable,
    409: Conflict,
    413: BadInput,
    415: BadInput,
    429: InboxFull,
    431: BadInput,
    502: StoreUnavailable,
    503: StoreUnavailable,
    504: StoreUnavailable,
    507: StoreFull,
}


class _Told(Struct):
    code: str
    what: str
    why: str = ""
    do: str = ""


class _Document(Struct):
    error: _Told


_decoder = msgspec.json.Decoder(_Document)


def rebuilt(status: int, content: bytes) -> PostroomError:
    """The error that a gateway's answer stands for; ``code`` is what it says, whatever the kind."""
    try:
        told = _decoder.decode(content).error
    except msgspec.MsgspecError:
        kind = BY_STATUS.get(status, PostroomError)
        text = one_line(content[:200].decode(errors="replace").strip())
        return kind(f"the gateway answered {status}", text, "is it postroom that listens there?")
    kind = KINDS.get(told.code) or BY_STATUS.get(status, PostroomError)
    error = kind(one_line(told.what, 1000), one_line(told.why, 1000), one_line(told.do, 1000))
    error.code = told.code
    return error


def refuse_content(error: msgspec.MsgspecError) -> NoReturn:
    """Raise for an answer that is no JSON."""
    raise strange(str(error)) from error


def closed() -> StoreUnavailable:
    """The error of a client that is not open."""
    return StoreUnavailable(
        "the client is not open", "it was closed, or never entered", "use: async with Client(...)"
    )
