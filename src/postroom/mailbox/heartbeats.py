"""Signs of life of whoever works on a task from outside, and of the dispatcher."""

from __future__ import annotations

from enum import StrEnum
from math import isfinite
from typing import TYPE_CHECKING

from msgspec import Struct

from ..store.clock import MICROS
from ..store.errors import BadInput
from .keeping import Kept
from .moments import Moment, age_us, moment

if TYPE_CHECKING:
    from ..store.clock import Clock
    from ..store.port import Store
    from ..store.records import Write

OWNER = "postroom/heartbeats"
MANAGER, WORKER, DISPATCHER = "manager", "worker", "dispatcher"
MAIN = "main"
"""The key of the dispatcher's heartbeat, of which there is one in a store."""

WARN_SECONDS, STALE_SECONDS, DEAD_SECONDS = 30.0, 180.0, 300.0
LONGEST_SECONDS = 366 * 86_400.0


class Heartbeat(Struct, frozen=True, gc=False):
    """The last sign of life. ``idle`` counts heartbeats in a row that found nothing to do."""

    at: Moment
    thread_id: str | None = None
    idle: int = 0


class Health(StrEnum):
    """How old the last sign of life is."""

    HEALTHY = "healthy"
    STALE = "stale"
    MISSING = "missing"


FAMILIES = {role: Kept(OWNER, role, Heartbeat) for role in (MANAGER, WORKER, DISPATCHER)}


def check_role(role: str) -> str:
    """``role`` if it is one of a pair. Raises ``BadInput``."""
    if role in (MANAGER, WORKER):
        return role
    raise BadInput(f"no role {role[:60]!r}", "a pair has a manager and a worker", "name one of the two")


def find(store: Store, role: str, key: str) -> tuple[Heartbeat | None, int]:
    """The last heartbeat of a role in the task ``key``, and its version; None and 0 for none."""
    return FAMILIES[role].find(store, key)


def beat(
    store: Store, role: str, key: str, *, thread_id: str | None = None, busy: bool = True
) -> tuple[Heartbeat, Write]:
    """The heartbeat that is now, and its write. ``busy`` says whether there was anything to do."""
    before, version = find(store, role, key)
    idle = 0 if busy else (0 if before is None else before.idle) + 1
    kept = before.thread_id if before is not None and thread_id is None else thread_id
    made = Heartbeat(moment(store.clock), kept, idle)
    return made, FAMILIES[role].write(key, made, version)


def check_seconds(name: str, seconds: float) -> float:
    """``seconds`` if they are a sensible duration. Raises ``BadInput``."""
    if isfinite(seconds) and 0 <= seconds <= LONGEST_SECONDS:
        return seconds
    raise BadInput(f"{name} is {seconds}", "it is in seconds, from 0 to a year", "choose another")


def health(clock: Clock, last: Heartbeat | None, stale_seconds: float = STALE_SECONDS) -> Health:
    """Whether a last heartbeat still counts. Raises ``BadInput`` for an absurd ``stale_seconds``."""
    check_seconds("stale", stale_seconds)
    if last is None:
        return Health.MISSING
    return Health.HEALTHY if age_us(clock, last.at) < stale_seconds * MICROS else Health.STALE
