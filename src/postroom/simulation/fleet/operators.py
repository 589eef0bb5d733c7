"""Operators: whoever is told to wake a thread, and does so after a while, much later, or never."""

from __future__ import annotations

from functools import partial
from random import Random

from ...actors.wakeups.drivers import Delivered, Order
from ...mailbox import wakes
from .agenda import now
from .crew import Crew, World
from .options import Kind
from .spreads import draw


class Operators:
    """The driver of a simulated fleet: hands an order to the threads when its time has come."""

    def __init__(self, world: World, crew: Crew) -> None:
        self._world = world
        self._crew = crew
        self._rng = Random(f"{world.options.seed}/operators")
        self._strict = world.options.policy.kind is Kind.ECONOMY

    async def wake(self, order: Order) -> Delivered:
        """Take an order from the wakener."""
        return self.take(order)

    def take(self, order: Order) -> Delivered:
        """Take an order, and decide what becomes of it."""
        world, habits = self._world, self._world.options.fleet.operators
        chance = 1.0 if world.calm else self._rng.random()
        seconds: float | None = draw(self._rng, habits.delay)
        answer = Delivered.SENT
        if (chance := chance - habits.fails) < 0:
            world.note("wake refused", thread=order.address)
            world.ledger.happened["wakes refused"] += 1
            return Delivered.FAILED
        if (chance := chance - habits.unsure) < 0:
            answer = Delivered.UNKNOWN
            seconds = seconds if self._rng.random() < 0.5 else None
        elif (chance := chance - habits.lost) < 0:
            seconds = None
        elif chance - habits.late < 0:
            seconds = draw(self._rng, habits.late_delay)
        self._enter(order, seconds, answer)
        return answer

    def _enter(self, order: Order, seconds: float | None, answer: Delivered) -> None:
        world = self._world
        if self._strict:
            self._judge(order)
        world.note("wake ordered", thread=order.address, answer=str(answer), seconds=seconds)
        if seconds is None:
            world.ledger.wakes["lost"] += 1
        else:
            world.agenda.put(seconds, partial(self._crew.wake, order.address))

    def _judge(self, order: Order) -> None:
        """No wake into a turn, and none while an earlier one may still be answered."""
        world, clock, address = self._world, self._world.store.clock, order.address
        at = clock.now().boot
        wake, _ = wakes.find(world.store, address)
        window = wakes.left_us(clock, wake)
        if not window or wake.receipt != order.receipt:
            world.ledger.blame("doubled", f"{address}: woken at {now():g} s without being reserved")
        world.ledger.ordered(address, order.receipt, at, at + window)
        if self._crew.holds_lease(address):
            world.ledger.blame("interrupted", f"{address}: woken at {now():g} s in the midst of a turn")
