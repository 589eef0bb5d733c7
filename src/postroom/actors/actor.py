"""What people write: an actor with handlers for types of messages."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_type_hints

from msgspec import Struct

from .wire import type_name

if TYPE_CHECKING:
    from ..store.records import Delivery
    from .turn import Turn, TurnRecords

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


class Actor:
    """One participant. While a handler runs, what it sends and writes only collects.

    When it returns, one transaction settles the message, writes the state and the records and
    sends the outputs: all or nothing. When it raises, nothing of it happened.

    Annotate ``state`` with an attrs class that can be made without arguments to have a durable
    state; then one instance at most lives anywhere, and its turns follow one another.
    """

    handlers: ClassVar[dict[str, Handler]] = {}
    state_type: ClassVar[type | None] = None
    address: str = ""
    _turn: Turn | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.handlers = dict(cls.handlers)
        for name, method in list(vars(cls).items()):
            mark = getattr(method, MARK, None)
            if isinstance(mark, _Mark):
                handler = _handler(name, method, mark)
                cls.handlers[handler.type] = handler
        if "state" in cls.__dict__.get("__annotations__", {}):
            cls.state_type = _state_type(cls)

    async def on_start(self) -> None:
        """Called before the first turn of an instance. An error here is the actor's failure."""

    async def on_stop(self) -> None:
        """Called after the last turn of an instance."""

    @property
    def message(self) -> Delivery:
        """The envelope of the message whose turn this is."""
        return self._now().delivery

    @property
    def records(self) -> TurnRecords:
        """This actor's keyed records, as they will be if this turn commits."""
        return self._now().records

    def send(self, to: str, message: object, **envelope: Any) -> str:
        """Send a message when this turn commits; answers its id.

        ``envelope`` takes ``type``, ``priority``, ``correlation``, ``reply_to``, ``dedup_key``,
        ``headers``, ``delay``, ``expires`` and ``max_attempts``. Mail for somebody unknown or ended
        bounces back as a message of type ``postroom.bounce``.
        """
        return self._now().send(to, message, envelope)

    def after(self, seconds: float, message: object, **envelope: Any) -> str:
        """A timer: send a message to this actor itself, due in so many seconds."""
        return self._now().send(self.address, message, {**envelope, "delay": seconds})

    def alive(self) -> None:
        """A sign of life, for handlers with ``progress_within``."""
        self._now().alive()

    def _now(self) -> Turn:
        if self._turn is None:
            raise RuntimeError("only a handler that is running may do this: no turn is under way")
        return self._turn


def _handler(name: str, method: Callable[..., Any], mark: _Mark) -> Handler:
    return Handler(
        method=name,
        kind=mark.kind,
        type=type_name(mark.kind),
        timeout=TURN_SECONDS if mark.timeout is None else mark.timeout,
        exact=mark.timeout is not None,
        progress_within=mark.progress_within,
        in_thread=not inspect.iscoroutinefunction(method),
    )


def _state_type(cls: type) -> type:
    """The class that ``state`` is annotated with, also under postponed annotations."""
    kind = cls.__dict__["__annotations__"]["state"]
    if isinstance(kind, str):
        kind = get_type_hints(cls, localns=_caller_names())["state"]
    if not isinstance(kind, type):
        raise TypeError(f"the state of {cls.__name__} must be annotated with a class")
    return kind


def _caller_names() -> dict[str, Any]:
    """Names of the function in which the class is being defined, where it is a local one."""
    frame = inspect.currentframe()
    names: dict[str, Any] = {}
    for _ in range(4):
        frame = frame.f_back if frame is not None else None
        if frame is not None:
            names = {**frame.f_locals, **names}
    return names
