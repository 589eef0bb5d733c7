"""Exit codes, and the ends of a command that are no error of postroom."""

from __future__ import annotations

from ..store.errors import (
    BadInput,
    Conflict,
    PostroomError,
    Refused,
    StoreUnavailable,
)

DONE = 0
FAILED = 1
USAGE = 2
LOST = 3
NOTHING_TO_DO = 4
NO_STORE = 5
INTERRUPTED = 130
TERMINATED = 143

# The nearest ancestor of an error decides, so a new kind of refusal needs no entry here.
EXIT_CODES: dict[type[BaseException], int] = {
    PostroomError: FAILED,
    Refused: FAILED,
    BadInput: USAGE,
    Conflict: LOST,
    StoreUnavailable: NO_STORE,
}


class Terminated(BaseException):
    """SIGTERM has come. Like ``KeyboardInterrupt`` it passes through ``except Exception``."""


def exit_code(error: PostroomError) -> int:
    """The exit code of the contract for an error."""
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)
