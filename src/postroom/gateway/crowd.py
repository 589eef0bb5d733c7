"""How many connections there may be, and who has to leave when one too many comes.

Connections that the server waits for cost next to nothing and can be had by anybody, so they make room
for new ones: first those that never sent a request, the oldest first. Requests under way are never
dropped, and long polls that are parked are counted apart.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import trio

from .statuses import TooBusy

CONNECTIONS = 256
PARKED = 2000


class Guest:
    """One connection: ``scope`` ends it; ``evicted`` if that was to make room, or because of closing."""

    __slots__ = ("evicted", "scope")

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.evicted = False

    def allow(self, seconds: float) -> None:
        """Give it so long from now on, in place of what it had left."""
        self.scope.deadline = trio.current_time() + seconds

    def evict(self) -> None:
        self.evicted = True
        self.scope.cancel()


class Crowd:
    """The connections of one server."""

    def __init__(self, connections: int = CONNECTIONS, parked: int = PARKED) -> None:
        self._most = connections
        self._most_parked = parked
        self._strangers: dict[Guest, None] = {}
        self._resting: dict[Guest, None] = {}
        self._busy: set[Guest] = set()
        self._parked: set[trio.CancelScope] = set()
        self.closing = False

    def __len__(self) -> int:
        return len(self._strangers) + len(self._resting) + len(self._busy)

    @property
    def parked(self) -> int:
        """How many long polls wait."""
        return len(self._parked)

    def enter(self, guest: Guest) -> bool:
        """Let one in, if there is room or somebody can leave; whether it was."""
        if self.closing:
            return False
        if len(self) - len(self._parked) >= self._most and not self._make_room():
            return False
        self._strangers[guest] = None
        return True

    def _make_room(self) -> bool:
        for leaving in (self._strangers, self._resting):
            for guest in leaving:
                del leaving[guest]
                guest.evict()
                return True
        return False

    def leave(self, guest: Guest) -> None:
        """It is closed."""
        self._strangers.pop(guest, None)
        self._resting.pop(guest, None)
        self._busy.discard(guest)

    def begin(self, guest: Guest) -> None:
        """Its request is complete, so it will be answered."""
        self.leave(guest)
        self._busy.add(guest)

    def rest(self, guest: Guest) -> bool:
        """Its request is answered; whether it may stay for another."""
        self.leave(guest)  # one that was refused early was never busy
        if not self.closing:
            self._resting[guest] = None
        return not self.closing

    @contextmanager
    def parking(self, scope: trio.CancelScope) -> Generator[None]:
        """Count a poll that waits; ``scope`` is cancelled when the server closes. Raises ``TooBusy``."""
        if len(self._parked) >= self._most_parked:
            raise TooBusy("too many long polls", f"{self._most_parked} are waiting", "poll again later")
        if self.closing:
            scope.cancel()
        self._parked.add(scope)
        try:
            yield
        finally:
            self._parked.discard(scope)

    def close(self) -> None:
        """End whoever only waits; requests under way go on."""
        self.closing = True
        for guest in (*self._strangers, *self._resting):
            guest.evict()
        for scope in tuple(self._parked):
            scope.cancel()
