"""Supervision as data: who is started again when an actor ends, and when that must stop.

The strategies, restart types and the intensity rule are those of Erlang/OTP's supervisor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from enum import StrEnum

from attrs import field, frozen, validators

from .actor import Actor


class Restart(StrEnum):
    """Which ends of an actor are mended by a new instance."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


class Strategy(StrEnum):
    """Who else is started anew together with an actor that failed."""

    ONE_FOR_ONE = "one-for-one"
    ONE_FOR_ALL = "one-for-all"
    REST_FOR_ONE = "rest-for-one"


class Reason(StrEnum):
    """Why an actor has ended."""

    NORMAL = "normal"
    ERROR = "error"
    SHUTDOWN = "shutdown"


RESTARTS: dict[tuple[Restart, Reason], bool] = {
    (Restart.PERMANENT, Reason.NORMAL): True,
    (Restart.PERMANENT, Reason.ERROR): True,
    (Restart.PERMANENT, Reason.SHUTDOWN): False,
    (Restart.TRANSIENT, Reason.NORMAL): False,
    (Restart.TRANSIENT, Reason.ERROR): True,
    (Restart.TRANSIENT, Reason.SHUTDOWN): False,
    (Restart.TEMPORARY, Reason.NORMAL): False,
    (Restart.TEMPORARY, Reason.ERROR): False,
    (Restart.TEMPORARY, Reason.SHUTDOWN): False,
}
"""Whether an actor that ended is started again. A shutdown is never undone."""


@frozen
class ChildSpec:
    """How to start one actor. ``start`` makes an instance; a class will do.

    ``concurrency`` above 1 is for actors without a state. ``bound``, ``policy`` and ``ordered`` are
    those of its inbox.
    """

    address: str
    start: Callable[[], Actor]
    restart: Restart = field(default=Restart.PERMANENT, converter=Restart)
    concurrency: int = field(default=1, validator=validators.ge(1))
    bound: int | None = None
    policy: str | None = None
    ordered: bool | None = None


@frozen
class Intensity:
    """At most ``restarts`` within ``period`` seconds; one more, and the actor is parked."""

    restarts: int = field(default=5, validator=validators.ge(0))
    period: float = field(default=30.0, validator=validators.gt(0))


def affected(strategy: Strategy, children: Sequence[str], failed: str) -> list[str]:
    """Who is started anew when ``failed`` is, in starting order. They are stopped in reverse."""
    at = list(children).index(failed)
    match strategy:
        case Strategy.ONE_FOR_ONE:
            return [failed]
        case Strategy.ONE_FOR_ALL:
            return list(children)
        case Strategy.REST_FOR_ONE:
            return list(children[at:])


class RestartLog:
    """The times of recent restarts, against an intensity."""

    def __init__(self, intensity: Intensity) -> None:
        self._intensity = intensity
        self._times: deque[float] = deque()

    def allows(self, now: float) -> bool:
        """Note a restart at this time; False if it is one too many."""
        while self._times and self._times[0] <= now - self._intensity.period:
            self._times.popleft()
        self._times.append(now)
        return len(self._times) <= self._intensity.restarts
