"""What people write: an actor with handlers for types of messages."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any, ClassVar, get_type_hints

from .handlers import Handler, handlers_of
from .handlers import handles as handles

if TYPE_CHECKING:
    from ..store.records import Delivery
    from .turn import Turn, TurnRecords


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
        cls.handlers = {**cls.handlers, **handlers_of(cls)}
        if "state" in inspect.get_annotations(cls):
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
        """This actor's keyed records, as they will be if this turn commits.

        A coroutine whose store may be on a server awaits their ``fetch`` first, so that nobody else waits.
        """
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

    def turn_begins(self, turn: Turn | None) -> None:
        """For the runtime: whose turn it is now; None after the turn."""
        self._turn = turn

    def _now(self) -> Turn:
        if self._turn is None:
            raise RuntimeError("only a handler that is running may do this: no turn is under way")
        return self._turn


def _state_type(cls: type) -> type:
    """The class that ``state`` is annotated with, also under postponed annotations."""
    kind = inspect.get_annotations(cls)["state"]
    if isinstance(kind, str):
        names = {**vars(sys.modules[cls.__module__]), **_caller_names()}
        only = type(cls.__name__, (), {"__annotations__": {"state": kind}})
        kind = get_type_hints(only, globalns=names)["state"]
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
