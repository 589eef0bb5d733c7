"""The manager's cycle: look at a task until there is something to decide, then decide on what was seen.

Of two managers, or of one that is run twice, only the first decides on what both have seen: a decision
may name the number of the last event it knows of, and is refused once there is another.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ...mailbox.envelope import micros
from ...mailbox.heartbeats import MANAGER
from ...mailbox.verbs import LONGEST_WAIT
from ...mailbox.waiting import Hints, Patience
from ...store.errors import Conflict
from .standing import Standing, next_actions, standing
from .states import DECISIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...store.port import Store
    from .change import Change

LOOK_SECONDS = 5.0
"""How often a cycle looks although nothing is heard: signs of life grow old without a commit."""

OTHERS = frozenset({"start_dispatch", f"wake_{MANAGER}", f"register_{MANAGER}"})
"""Next actions that are not the manager's to decide."""


class Seen(Struct, frozen=True):
    """What one look has shown. ``matters`` says, in words, what there is to decide; ``seen`` is the event."""

    standing: Standing
    matters: list[str]
    seen: int

    @property
    def decisions(self) -> list[str]:
        """What the manager may decide as things stand."""
        granted = self.standing.loop.permissions
        return [name for name, needs in DECISIONS.items() if needs is None or needs in granted]


def look(store: Store, task: str) -> Seen:
    """One look; nothing is changed. Raises ``Refused`` for a task that was never paired."""
    found = standing(store, task)
    return Seen(found, _matters(found), found.loop.events)


def _matters(found: Standing) -> list[str]:
    side = found.sides[MANAGER]
    held = [f"{side.leased} in hand"] if side.leased else []
    mail = side.mail + side.shared
    waits = [f"{mail} to read"] if mail else []
    return [*held, *waits, *(action for action in next_actions(found) if action not in OTHERS)]


def cycle(store: Store, task: str, seconds: float, *, nap: Callable[[float], None] = time.sleep) -> Seen:
    """Look until there is something to decide, at most for so many seconds; then what there is all the same.

    Raises ``Refused`` for a task that was never paired, and ``BadInput``.
    """
    micros("wait", seconds, 0, LONGEST_WAIT)
    patience = Patience(store.clock, seconds)
    seen = look(store, task)
    with Hints(store, nap) as hints:
        while not seen.matters and (left := patience.left()):
            hints.wait(min(left, LOOK_SECONDS))
            seen = look(store, task)
    return seen


def check_seen(change: Change, seen: int | None) -> None:
    """Raise ``Conflict`` if something has happened in the loop since this event; None asks for nothing."""
    if seen is not None and change.loop.events != seen:
        raise Conflict(
            f"task {change.binding.task} is at event {change.loop.events}",
            f"this was decided at event {seen}",
            "look again with: postroom loop cycle",
        )


def seen_view(seen: Seen) -> dict[str, Any]:
    """What ``loop cycle`` adds to the JSON of ``loop status``."""
    return {"matters": seen.matters, "seen": seen.seen, "decisions": seen.decisions}
