"""Watching workers that hold work: whose signs of life end meanwhile is told of, to their manager."""

from __future__ import annotations

import logging
from functools import partial
from math import inf

import trio

from ...mailbox import heartbeats, pairs, wakes
from ...mailbox.heartbeats import STALE_SECONDS, WORKER, Health, Heartbeat
from ...mailbox.moments import age_us
from ...mailbox.pairs import ACTIVE, Binding
from ...store.clock import MICROS
from ...store.commit import GroupCommit
from ...store.errors import Refused, StoreUnavailable
from ...store.looking import look
from ...store.port import Store
from . import planning, stale
from .alarms import Alarms
from .patrol import AGAIN_SECONDS, PATROL_SECONDS, counted, patrol

log = logging.getLogger("postroom.wakeups")


class StaleWatch:
    """Watches addresses from when they may have got work until they hold none any more.

    Every ``patrol`` seconds (infinity for never) all that hold work are looked for: only the commits of
    this process are heard for certain.
    """

    def __init__(self, store: Store, commit: GroupCommit, *, patrol: float = PATROL_SECONDS) -> None:
        self._store = store
        self._commit = commit
        self._patrol_seconds = patrol
        self._alarms = Alarms()

    def ring(self, inboxes: set[str]) -> None:
        """There may be mail in these inboxes: in a while somebody may have held it for too long."""
        for inbox in inboxes:
            self._alarms.later(inbox, STALE_SECONDS)

    async def run(self) -> None:
        """Look at whoever is due, for ever, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(patrol, self._look_around, self._patrol_seconds)
            while True:
                await self._alarms.wait()
                for address in self._alarms.due(trio.current_time()):
                    try:
                        again = await self._look(address)
                    except StoreUnavailable:
                        again = AGAIN_SECONDS
                    if again < inf:
                        self._alarms.later(address, again)

    async def _look_around(self) -> None:
        """Find all that hold work."""
        for counts in await counted(self._store):
            if counts.leased:
                self._alarms.later(counts.inbox, 0.0)
        found = await look(self._store, partial(wakes.WAKES.all, self._store))
        for address, (wake, _) in found.items():
            if wake.shared:
                self._alarms.later(address, 0.0)

    async def _look(self, address: str) -> float:
        """Seconds until it is to be looked at again; infinity if it holds nothing, or never gave a sign."""
        await trio.lowlevel.checkpoint()
        found = await look(self._store, partial(self._judged, address))
        if not isinstance(found, tuple):
            return found
        await self._tell(*found)
        return STALE_SECONDS

    def _judged(self, address: str) -> float | tuple[Binding, Heartbeat]:
        """Whose last sign of life is too old while it holds mail; else what ``_look`` answers."""
        task = pairs.task_of(self._store, address)[0]
        binding = None if task is None else pairs.find(self._store, task)[0]
        if binding is None or binding.state != ACTIVE:
            return inf
        last = heartbeats.find(self._store, WORKER, binding.task)[0]
        if last is None:
            return inf
        clock = self._store.clock
        if heartbeats.health(clock, last) is Health.HEALTHY:
            return STALE_SECONDS - age_us(clock, last.at) / MICROS
        if not planning.holds_mail(self._store, address, wakes.find(self._store, address)[0]):
            return inf
        return binding, last

    async def _tell(self, binding: Binding, last: Heartbeat) -> None:
        try:
            await self._commit.submit(stale.notice(binding, last))
        except Refused as error:
            log.warning("%s went stale and %s cannot be told: %s", binding.worker, binding.manager, error)
