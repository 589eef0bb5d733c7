"""Which HTTP status an error has, and the refusals that only HTTP knows."""

from __future__ import annotations

from ..store.errors import (
    BadInput,
    Conflict,
    EmptyGroup,
    InboxEnded,
    InboxFull,
    PostroomError,
    Refused,
    StoreFull,
    StoreUnavailable,
    UnknownInbox,
    UnknownMessage,
)
from .tokens import Forbidden, Unauthorized


class NotFound(Refused):
    """There is nothing under this path."""

    code = "not_found"


class WrongMethod(BadInput):
    """The path exists, and this method is not for it. ``allow`` is the one that is."""

    code = "method_not_allowed"

    def __init__(self, allow: str) -> None:
        super().__init__("the wrong method", f"here it is {allow}", f"use {allow}")
        self.allow = allow


class TooSlow(BadInput):
    """The request did not come within its time."""

    code = "too_slow"


class TooLarge(BadInput):
    """The request is larger than is taken."""

    code = "too_large"


class HeadTooLarge(BadInput):
    """The head of the request is larger than is taken."""

    code = "head_too_large"


class WrongContent(BadInput):
    """The request is not in JSON."""

    code = "wrong_content_type"


class TooBusy(PostroomError):
    """There are more requests under way than are taken."""

    code = "too_busy"


# The nearest ancestor of an error decides. What is refused for the state of things has no status of its
# own in HTTP, so a refusal that is none of the others shares that of conflicts; the code tells them apart.
STATUSES: dict[type[BaseException], int] = {
    PostroomError: 500,
    BadInput: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    UnknownInbox: 404,
    UnknownMessage: 404,
    InboxEnded: 404,
    EmptyGroup: 404,
    WrongMethod: 405,
    TooSlow: 408,
    Conflict: 409,
    Refused: 409,
    TooLarge: 413,
    WrongContent: 415,
    InboxFull: 429,
    HeadTooLarge: 431,
    StoreUnavailable: 503,
    TooBusy: 503,
    StoreFull: 507,
}

REASONS: dict[int, str] = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    507: "Insufficient Storage",
}


def status_of(error: PostroomError) -> int:
    """The HTTP status of an error."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
