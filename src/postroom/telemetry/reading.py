"""Reading the store for a scrape: at most once a second, and never on the event loop's time."""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio
from msgspec import Struct

from ..mailbox.evidence import Claims
from ..store.clock import MICROS
from ..store.errors import PostroomError, StoreUnavailable
from ..store.port import Store
from ..store.records import InboxCounts
from .claim_families import read_claims
from .labels import DECLARED_OWNER, declared_in
from .wake_families import read_outcomes

MAX_AGE_SECONDS = 1.0
TIME_LIMIT_SECONDS = 5.0

log = logging.getLogger("postroom.telemetry")


class Reading(Struct, frozen=True):
    """What the store said at one moment. ``sessions`` counts the live ones by kind."""

    counts: list[InboxCounts]
    sessions: dict[str, int]
    activations: int
    declared: set[str]
    wakes: dict[str, int]
    claims: Claims


def read(store: Store) -> Reading:
    """Read everything that a scrape shows. Takes as long as the store takes."""
    now = store.clock.now().boot
    sessions: dict[str, int] = {}
    for session in store.sessions():
        if session.live and session.expires > now:
            sessions[session.kind] = sessions.get(session.kind, 0) + 1
    return Reading(
        store.counts(),
        sessions,
        len(store.activations()),
        declared_in(store.records(DECLARED_OWNER)),
        read_outcomes(store),
        read_claims(store),
    )


class Reader:
    """The latest reading of one store, or None where the last attempt failed.

    A reading serves for one second, so that many scrapers cost what one does. While a read hangs
    in a thread no second one is started, and scrapes are told that it failed.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._latest: Reading | None = None
        self._at: int | None = None
        self._turn = trio.Lock()
        self._hanging = self._failing = False

    @property
    def latest(self) -> Reading | None:
        return self._latest

    def refresh(self) -> Reading | None:
        """Read now, in this thread, unless the latest reading is young enough."""
        if not self._is_fresh():
            self._attempt(lambda: read(self._store))
        return self._latest

    async def refresh_aside(self) -> Reading | None:
        """Like ``refresh``, in a thread, for at most ``TIME_LIMIT_SECONDS``.

        If cancelled, the thread finishes by itself and its result is dropped.
        """
        async with self._turn:
            if self._is_fresh():
                return self._latest
            if not self._store.commits_in_thread:
                # An engine without a device answers at once, and virtual time allows no threads.
                return self.refresh()
            if self._hanging:
                self._failed("the read before this one has not ended yet")
                return None
            self._hanging = True
            with trio.move_on_after(TIME_LIMIT_SECONDS) as limit:
                await trio.to_thread.run_sync(self._read_and_release, abandon_on_cancel=True)
            if limit.cancelled_caught:
                self._failed(f"no answer within {TIME_LIMIT_SECONDS:g} s")
            return self._latest

    def _read_and_release(self) -> None:
        try:
            self._attempt(lambda: read(self._store))
        finally:
            self._hanging = False

    def _attempt(self, attempt: Callable[[], Reading]) -> None:
        try:
            reading = attempt()
        except PostroomError as error:
            told = self._store.is_remote and isinstance(error, StoreUnavailable)
            self._failed(str(error), told=told)
        else:
            self._latest = reading
            self._at = self._store.clock.now().boot
            if self._failing:
                log.warning("metrics: the store is read again")
            self._failing = False

    def _failed(self, why: str, *, told: bool = False) -> None:
        """Forget the last reading: a figure that cannot be confirmed must not look current.

        ``told`` says that the log has it already: a store on a server tells itself that it is away, and back.
        """
        if not (self._failing or told):
            log.warning("metrics: the store could not be read: %s", why)
            self._failing = True
        self._latest = None
        self._at = None

    def _is_fresh(self) -> bool:
        if self._at is None:
            return False
        return 0 <= self._store.clock.now().boot - self._at < MAX_AGE_SECONDS * MICROS
