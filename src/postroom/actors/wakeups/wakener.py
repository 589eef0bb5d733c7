"""The wakener: judges whoever may have mail, and wakes them through a driver.

It works by bells and alarms: what it does costs by the addresses that get mail, never by all that
there are. What it knows is in the records, so after a crash another one goes on from there: a wake
that was reserved and perhaps not sent stays pending until its window ends, and counts as lost then.
"""

from __future__ import annotations

from functools import partial
from math import inf
from random import Random

import trio

from ...mailbox import pairs, wakes
from ...mailbox.address import SHARED
from ...mailbox.ids import IdMaker
from ...mailbox.verbs import claimable
from ...mailbox.wakes import Wake
from ...store.clock import MICROS
from ...store.commit import GroupCommit
from ...store.errors import StoreUnavailable
from ...store.looking import look
from ...store.port import Store
from . import planning
from .alarms import Alarms
from .drivers import Driver
from .patrol import AGAIN_SECONDS, PATROL_SECONDS, counted, patrol
from .planning import Look
from .rules import Reason, Status
from .sides import Sides, Wanted
from .waking import Waking

DEBOUNCE_SECONDS = 0.5
RELOOK_SECONDS = 5.0
"""How often mail is looked at that waits behind a lease, or in a shared inbox: its end rings no bell."""

BREATH_SECONDS = 10.0
"""How long after a turn in flight somebody is not woken: mostly they poll again by themselves."""

BLOCKED_SECONDS = 60.0

CANDIDATES = 16
"""Members of a role that are looked at in one go for each message in its shared inbox."""


def everybody(task: str, role: str) -> bool:
    """All roles of all tasks are to be woken."""
    return True


class Wakener:
    """Wakes app threads, for one store and one trio program.

    ``wanted`` says which role of which task is woken at all. ``rng`` decides who of a role is asked
    first to take its shared mail. Every ``patrol`` seconds (infinity for never) the counts of all
    inboxes are compared with what was heard, since a bell may go unheard; only other processes are
    not heard for certain.
    """

    def __init__(
        self,
        store: Store,
        commit: GroupCommit,
        ids: IdMaker,
        driver: Driver,
        *,
        rng: Random,
        wanted: Wanted = everybody,
        debounce: float = DEBOUNCE_SECONDS,
        patrol: float = PATROL_SECONDS,
    ) -> None:
        self._store = store
        self._rng = rng
        self._debounce = debounce
        self._patrol_seconds = patrol
        self._waking = Waking(store, commit, ids, driver)
        self._sides = Sides(store, wanted)
        self._alarms = Alarms()
        self._loaded = -inf
        self._busy: set[str] = set()
        self._flew: dict[str, float] = {}
        self._blocked: set[str] = set()

    def ring(self, inboxes: set[str]) -> None:
        """There may be mail in these inboxes. Several bells within the debounce time are one."""
        at = trio.current_time() + self._debounce
        for inbox in inboxes:
            self._alarms.set(inbox, at)

    async def run(self) -> None:
        """Judge and wake, for ever, until cancelled. A store that is away for a while ends nothing.

        Cancelled, drivers that are at work are too; what they have done is told by the polls that follow.
        """
        self._busy.clear()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(patrol, self._look_around, self._patrol_seconds)
            while True:
                await self._alarms.wait()
                await trio.lowlevel.checkpoint()
                for inbox in self._alarms.due(trio.current_time()):
                    try:
                        await self._attend(inbox, nursery)
                    except StoreUnavailable:
                        self._alarms.later(inbox, AGAIN_SECONDS)

    # Looking at everything, now and then

    async def _look_around(self) -> None:
        """Read the bindings, and set alarms by what the store holds now."""
        await self._load()
        found = await look(self._store, partial(wakes.WAKES.all, self._store))
        now = trio.current_time()
        for address, (wake, _) in found.items():
            if wake.state in wakes.UNDER_WAY:
                self._alarms.set(address, now + wakes.left_us(self._store.clock, wake) / MICROS)
        for counts in await counted(self._store):
            if counts.ready and not counts.paused:
                self._alarms.set(counts.inbox, now + self._debounce)

    async def _load(self) -> None:
        began = trio.current_time()
        bindings = await look(self._store, partial(pairs.bindings, self._store))
        self._sides.load(bindings)
        self._loaded = began

    # Judging one address

    async def _attend(self, inbox: str, nursery: trio.Nursery) -> None:
        if inbox.startswith(SHARED):
            await self._attend_shared(inbox, nursery)
        else:
            await self._judge(inbox, nursery)

    async def _judge(self, address: str, nursery: trio.Nursery) -> bool:
        """Look at an address and do what the rules say; whether it is being woken now.

        One address at a time: what others do meanwhile shows when the wake is reserved.
        """
        if address in self._busy:
            return True
        found = await self._look(address)
        if found is None:
            return False
        status, reason = found.verdict
        if reason is not Reason.NO_THREAD:
            self._blocked.discard(address)
        if status is Status.READY and self._rests(address):
            return False
        if status is Status.READY:
            self._busy.add(address)
            nursery.start_soon(self._wake, found)
            return True
        self._note(found, reason, nursery)
        return False

    async def _look(self, address: str) -> Look | None:
        """What there is to know of an address; None if nobody is to wake it."""
        found = await look(self._store, partial(self._found, address))
        if found is None:
            await self._ask_later(address)
        return found

    def _found(self, address: str) -> Look | None:
        side = self._sides.of(address)
        if side is None:
            return None
        binding, role = side
        return planning.look(self._store, binding.task, role, address)

    async def _ask_later(self, address: str) -> None:
        """It may be the manager of a binding made since all were read: read them again, not too often."""
        if not await look(self._store, partial(self._is_new, address)):
            return
        age = trio.current_time() - self._loaded
        if age < RELOOK_SECONDS:
            self._alarms.later(address, RELOOK_SECONDS - age)
            return
        await self._load()
        if await look(self._store, partial(self._sides.knows, address)):
            self._alarms.later(address, 0.0)

    def _is_new(self, address: str) -> bool:
        return not self._sides.knows(address) and planning.has_thread(self._store, address)

    def _rests(self, address: str) -> bool:
        """Whether its last turn ended so lately that it may yet poll by itself."""
        since = trio.current_time() - self._flew.get(address, -inf)
        if since < BREATH_SECONDS:
            self._alarms.later(address, BREATH_SECONDS - since)
            return True
        self._flew.pop(address, None)
        return False

    def _note(self, found: Look, reason: Reason, nursery: trio.Nursery) -> None:
        """Have it looked at again when that may matter; count what is over, and what is blocked."""
        address = found.address
        if reason is Reason.WAKE_PENDING:
            self._alarms.later(address, wakes.left_us(self._store.clock, found.wake) / MICROS)
        elif reason is Reason.JOINING:
            self._alarms.later(address, found.joining_us / MICROS)
        elif reason is Reason.IN_FLIGHT and found.mail:
            self._flew[address] = trio.current_time()
            self._alarms.later(address, RELOOK_SECONDS)
        elif reason is Reason.NO_THREAD:
            self._alarms.later(address, BLOCKED_SECONDS)
            if address not in self._blocked:
                self._blocked.add(address)
                nursery.start_soon(self._put, found, wakes.blocked(found.wake))
                return
        if wakes.overdue(self._store.clock, found.wake):
            nursery.start_soon(self._put, found, wakes.settled(self._store.clock, found.wake))

    async def _attend_shared(self, inbox: str, nursery: trio.Nursery) -> None:
        """Have some of a role look whether they are to take its shared mail, not all at once."""
        left = await look(self._store, partial(claimable, self._store, inbox))
        if not left:
            return
        self._alarms.later(inbox, RELOOK_SECONDS)
        role = inbox.removeprefix(SHARED)
        for address in self._sides.members(role, self._rng.random())[: CANDIDATES * left]:
            if await self._judge(address, nursery):
                left -= 1
            if not left:
                return

    async def _wake(self, found: Look) -> None:
        try:
            again = await self._waking.wake(found)
        finally:
            self._busy.discard(found.address)
        if again < inf:
            self._alarms.later(found.address, again)

    async def _put(self, found: Look, wake: Wake) -> None:
        await self._waking.note(wakes.write(found.address, wake, found.version))
