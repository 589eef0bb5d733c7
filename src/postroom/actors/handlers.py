"""Handlers: which method of an actor takes which type of message, and how long it may take."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from math import isfinite
from typing import Any, TypeVar

from msgspec import Struct

from .wire import type_name

TURN_SECONDS = 300.0
MARK = "__postroom_handles__"

R = TypeVar("R")
A = TypeVar("A")
M = TypeVar("M")


class Handler(Struct, frozen=True):
    """One handler of an actor class. ``timeout`` and ``progress_within`` are seconds."""

    method: str
    kind: Any
    type: str
    timeout: float
    exact: bool
    progress_within: float | None
    in_thread: bool


class _Mark(Struct, frozen=True):
    kind: Any
    timeout: float | None
    progress_within: float | None


def handles(
    kind: type[M], *, timeout: float | None = None, progress_within: float | None = None
) -> Callable[[Callable[[A, M], R]], Callable[[A, M], R]]:
    """Make a method the handler of messages of this class. What it returns is the reply.

    A coroutine runs as a cancel scope of ``timeout`` seconds (300); with ``progress_within`` it must
    also call ``self.alive()`` that often. A plain function runs in a thread, which is abandoned at the
    deadline: its effects are then not kept.
    """

    def decorate(method: Callable[[A, M], R]) -> Callable[[A, M], R]:
        setattr(method, MARK, _Mark(kind, timeout, progress_within))
        return method

    return decorate


def handlers_of(cls: type) -> dict[str, Handler]:
    """The handlers that a class itself defines, by type of message."""
    found: dict[str, Handler] = {}
    for name, method in list(vars(cls).items()):
        mark = getattr(method, MARK, None)
        if isinstance(mark, _Mark):
            handler = _handler(name, method, mark)
            found[handler.type] = handler
    return found


def _handler(name: str, method: Callable[..., Any], mark: _Mark) -> Handler:
    return Handler(
        method=name,
        kind=mark.kind,
        type=type_name(mark.kind),
        timeout=TURN_SECONDS if mark.timeout is None else mark.timeout,
        exact=mark.timeout is not None and isfinite(mark.timeout),
        progress_within=mark.progress_within,
        in_thread=not inspect.iscoroutinefunction(method),
    )
