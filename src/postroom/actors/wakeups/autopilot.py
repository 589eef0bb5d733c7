"""Autopilot: whether a task's roles are woken without a person, and when that ends by itself.

It ends after a few heartbeats in a row in which neither side found anything to do, so that a task that
is over costs nothing more. Mail that comes later starts nothing: a person decides that.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from ...mailbox import heartbeats, pairs
from ...mailbox.heartbeats import MANAGER, WORKER
from ...mailbox.keeping import Kept
from ...store.errors import BadInput
from ...store.records import Put, Write
from .planning import ROLES, binding_of, look
from .rules import Reason

if TYPE_CHECKING:
    from ...mailbox.pairs import Binding
    from ...store.port import Store

QUIET_AFTER, MOST_QUIET = 3, 1000


class PilotState(StrEnum):
    """``STOPPED`` by a person, ``QUIET`` by itself."""

    RUNNING = "running"
    STOPPED = "stopped"
    QUIET = "quiet"


MOVES: dict[str, tuple[frozenset[PilotState | None], PilotState]] = {
    "start": (frozenset({None, PilotState.STOPPED, PilotState.QUIET}), PilotState.RUNNING),
    "stop": (frozenset({None, PilotState.RUNNING, PilotState.QUIET}), PilotState.STOPPED),
    "rest": (frozenset({PilotState.RUNNING}), PilotState.QUIET),
}
"""What moves an autopilot from which states to which. None is a task that never had one."""

AT_REST = frozenset({Reason.HEALTHY, Reason.NO_MAIL})


class Pilot(Struct, frozen=True):
    """The autopilot of one task. ``since`` is wall time in microseconds.

    ``quiet_after`` is how many idle heartbeats in a row of both roles end it.
    """

    state: PilotState
    since: int
    quiet_after: int = QUIET_AFTER


PILOTS = Kept("postroom/autopilot", "autopilot", Pilot)


def find(store: Store, task: str) -> tuple[Pilot | None, int]:
    """The autopilot of a task and its record's version; None and 0 if it never had one."""
    return PILOTS.find(store, task)


def runs(store: Store, task: str, *, unless_stopped: bool = False) -> bool:
    """Whether a task's roles are to be woken; ``unless_stopped``: also where nobody said anything."""
    found = find(store, task)[0]
    return unless_stopped if found is None else found.state is PilotState.RUNNING


def start(store: Store, task: str, quiet_after: int = QUIET_AFTER) -> tuple[Pilot, Put | None]:
    """The running autopilot of a task and what to write for it; nothing if it runs already.

    Heartbeats of before do not count: both sides begin anew. Raises ``Refused`` for an unknown task,
    and ``BadInput``.
    """
    if not 1 <= quiet_after <= MOST_QUIET:
        raise BadInput(f"quiet after {quiet_after}", f"it lies in 1 to {MOST_QUIET}", "choose another")
    return _moved(store, task, "start", quiet_after)


def stop(store: Store, task: str) -> tuple[Pilot, Put | None]:
    """The stopped autopilot of a task, as ``start``."""
    return _moved(store, task, "stop", None)


def _moved(store: Store, task: str, move: str, quiet_after: int | None) -> tuple[Pilot, Put | None]:
    binding_of(store, task)
    found, version = find(store, task)
    sources, target = MOVES[move]
    if found is not None and found.state not in sources:
        return found, None
    kept = QUIET_AFTER if found is None else found.quiet_after
    made = Pilot(target, store.clock.now().wall, kept if quiet_after is None else quiet_after)
    return made, Put((PILOTS.write(task, made, version),))


def idle_heartbeats(store: Store, task: str, since: int = 0) -> dict[str, int]:
    """How many heartbeats in a row found nothing to do, of each role, if the last came after ``since``."""
    found = {role: heartbeats.find(store, role, task)[0] for role in ROLES}
    return {role: 0 if one is None or one.at.wall < since else one.idle for role, one in found.items()}


def rested(store: Store, binding: Binding) -> Write | None:
    """The write that ends the autopilot of a task in which nothing happens; None while it is to go on.

    Call it when a heartbeat has come. It ends if both roles had ``quiet_after`` idle heartbeats in a
    row, and neither has mail, a lease or a wake under way.
    """
    found, version = find(store, binding.task)
    sources, target = MOVES["rest"]
    if found is None or found.state not in sources:
        return None
    idle = idle_heartbeats(store, binding.task, found.since)
    if min(idle[MANAGER], idle[WORKER]) < found.quiet_after:
        return None
    looks = (look(store, binding.task, role, pairs.address_of(binding, role)) for role in ROLES)
    if not all(one.verdict[1] in AT_REST for one in looks):
        return None
    made = Pilot(target, store.clock.now().wall, found.quiet_after)
    return PILOTS.write(binding.task, made, version)
