"""How threads are woken: by postroom's own wakener, or by the clocks that people use without one."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Protocol

import trio

from ...actors.wakeups.drivers import Order
from ...mailbox.ids import IdMaker, id_text
from .crew import Crew, State, World, thread_id
from .operators import Operators
from .options import Kind, Policy

FIRST_SECONDS, LONGEST_SECONDS = 120.0, 3600.0
"""Between which intervals ``backoff`` doubles."""


class Waking(Protocol):
    """Something that orders wakes."""

    def ring(self, inboxes: set[str]) -> None: ...

    async def run(self) -> None: ...


class Clockwork:
    """Wakes every thread that is not in a turn whenever its interval is over, whether there is mail or not.

    With ``doubles``, a wake that found nothing doubles the thread's interval, which then counts from when
    the thread went back to sleep, and one that found mail makes it the first one again.
    """

    def __init__(self, world: World, crew: Crew, operators: Operators, policy: Policy) -> None:
        self._world = world
        self._crew = crew
        self._operators = operators
        self._doubles = policy.kind is Kind.BACKOFF
        self._first = FIRST_SECONDS if self._doubles else float(policy.seconds)
        self._rng = Random(f"{world.options.seed}/clockwork")
        self._ids = IdMaker(world.store.clock, Random(f"{world.options.seed}/receipts"))
        self._intervals: dict[str, float] = {}
        self._set: dict[str, int] = {}

    def start(self) -> None:
        """Set every thread's clock, each at a moment of its own within the first interval."""
        for address in self._crew.members:
            self._put(address, self._rng.random() * self._first)

    def ring(self, inboxes: set[str]) -> None:
        """It hears of no mail."""

    async def run(self) -> None:
        """Everything happens by the agenda."""
        await trio.sleep_forever()

    def slept(self, address: str, found: bool) -> None:
        """A thread has gone to sleep after a wake that found mail, or none."""
        if self._doubles:
            longer = min(2 * self._intervals.get(address, self._first), LONGEST_SECONDS)
            self._intervals[address] = self._first if found else longer
            self._put(address, self._intervals[address])

    def _put(self, address: str, seconds: float) -> None:
        """Set a thread's clock; an earlier setting counts no more."""
        setting = self._set[address] = self._set.get(address, 0) + 1
        self._world.agenda.put(seconds, partial(self._fire, address, setting))

    def _fire(self, address: str, setting: int) -> None:
        if self._set[address] != setting:
            return
        thread = self._crew.members[address]
        if thread.state is not State.AWAKE:
            receipt = id_text(self._ids.new())
            order = Order(thread.task, thread.role, address, thread_id(address), "poll", receipt)
            self._operators.take(order)
        self._put(address, self._intervals.get(address, self._first))
