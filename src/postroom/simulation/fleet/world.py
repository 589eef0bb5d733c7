"""The world of one fleet: founds it, lets it live for its time, lets it come to rest, and judges it."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import TypeVar

import msgspec
import trio
from msgspec import Struct

from ...actors.clerk import Clerk
from ...actors.wakeups.wakener import Wakener
from ...mailbox import wakes
from ...mailbox.ids import IdMaker
from ...store.clock import MICROS
from ...store.commit import GroupCommit
from ...store.port import Store
from ...store.states import LIVE
from ...testing import memory_store
from ..checkers import Breach, Checkers, Conservation, Liveness
from ..trace import Trace
from ..witness import Fact
from . import founding
from .agenda import Agenda, now
from .arrivals import Source
from .crew import TASK, Body, Crew
from .house import House
from .ledger import Ledger, Sample
from .operators import Operators
from .options import Kind, Options
from .policies import Clockwork, Waking
from .spreads import draw

T = TypeVar("T")
SAMPLES = 144
"""How often the fleet is looked at while tasks arrive."""

LOOK_SECONDS = 60.0
MANY = 1_000_000

Progress = Callable[[float, float], None]
"""Told how many virtual seconds have passed, of how many."""


class Noted(Struct, frozen=True):
    """What the store has noted of the wakes of all addresses, for all time."""

    useful: int = 0
    empty: int = 0
    lost: int = 0
    blocked: int = 0


class World:
    """Everything that one run has. Nothing of it outlives the run."""

    def __init__(self, options: Options, trace: Trace, progress: Progress) -> None:
        self.options = options
        self.store = memory_store(options.seed, commit_delay=0.0)
        self.agenda = Agenda()
        self.ledger = Ledger()
        self.calm = False
        self.seconds = 0.0
        self.noted = Noted()
        self.checkers = Checkers() if options.thorough else None
        self._trace = trace
        self._progress = progress
        self._founded = founding.found(self.store, options)
        self._crew = Crew(self, self._founded.members)
        self._operators = Operators(self, self._crew)
        self._clockwork: Clockwork | None = None
        if options.policy.kind is not Kind.ECONOMY:
            self._clockwork = Clockwork(self, self._crew, self._operators, options.policy)
        self._house = House(self, self._waking, None if self.checkers is None else self._tell)
        self._source = Source(self, self._founded.pairs)

    @property
    def threads(self) -> int:
        """How many app threads there are."""
        return len(self._founded.members)

    # What those who live in it use

    def note(self, event: str, /, **what: object) -> None:
        """Write a line of the trace."""
        self._trace.note(round(trio.current_time() * MICROS), event, **what)

    async def use(self, verb: Callable[[Clerk], Awaitable[T]], /) -> T:
        """Do something through the serving process, again and again until it answers."""
        return await self._house.use(verb)

    def slept(self, address: str, found: bool, /) -> None:
        """A thread has gone to sleep after a wake that found mail, or none."""
        if self._clockwork is not None:
            self._clockwork.slept(address, found)

    def _tell(self, fact: Fact) -> None:
        assert self.checkers is not None
        self.checkers.see(fact)

    def _waking(self, store: Store, commit: GroupCommit, ids: IdMaker, rng: Random) -> Waking:
        """Whoever orders the wakes in one life of the process."""
        if self._clockwork is not None:
            return self._clockwork
        return Wakener(store, commit, ids, self._operators, rng=rng, patrol=math.inf)

    # Its life

    async def run(self) -> None:
        """Live. At the end everything was given time to come to rest, and was judged."""
        try:
            async with trio.open_nursery() as nursery:
                self.nursery = nursery
                nursery.start_soon(self.agenda.run)
                nursery.start_soon(self._house.run)
                nursery.start_soon(self._sample)
                self._assign_the_rest()
                if self._clockwork is not None:
                    self._clockwork.start()
                await self._source.run()
                self.calm = True
                drained = await self._rest()
                nursery.cancel_scope.cancel()
            self.seconds = now()
            self._judge(drained)
        finally:
            self.store.close()

    def _assign_the_rest(self) -> None:
        """Threads that nobody knows yet become known later, one by one."""
        rng = Random(f"{self.options.seed}/assigned")
        for address in self._founded.unassigned:
            seconds = draw(rng, self.options.fleet.threads.assigned_after)
            self.agenda.put(seconds, partial(self._begin_to_assign, address))

    def _begin_to_assign(self, address: str) -> None:
        self.nursery.start_soon(self._assign, address)

    async def _assign(self, address: str) -> None:
        await self.use(lambda clerk: clerk.put(founding.assignment(self.store, address).writes))
        self.note("thread assigned", thread=address)

    async def _sample(self) -> None:
        """Look at the fleet now and then, and say how far it is."""
        whole = self.options.seconds
        for n in range(SAMPLES + 1):
            await trio.sleep_until(whole * n / SAMPLES)
            working = self.ledger.awake
            self.ledger.samples.append(Sample(now(), max(0, self.ledger.live - working), working))
            self._progress(now(), whole)

    async def _rest(self) -> bool:
        """Wait until nothing is left to do; whether it came to that in time."""
        over = now() + self.options.fleet.patience * 3600
        pause = LOOK_SECONDS
        while now() < over:
            await trio.sleep(pause)
            if not self.ledger.awake:
                if not any(getattr(one, state.word) for one in self.store.counts() for state in LIVE):
                    return True
                pause = min(pause * 1.5, 600.0)
        return False

    # Its judgement

    def _judge(self, drained: bool) -> None:
        if self.checkers is not None:
            self.checkers.finish(self.store, drained=drained)
        else:
            for checker in (Conservation(), Liveness()):
                checker.finish(self.store, drained=drained)
                self.ledger.breaches += checker.breaches
        if not drained:
            hours = self.options.fleet.patience
            self.ledger.blame("stuck", f"not everything was done {hours:g} h after the last task had come")
        self._judge_tasks(drained)
        self._judge_wakes()

    def _judge_tasks(self, drained: bool) -> None:
        """Every task has its report, once, or is a dead letter, or is mail that waits where time ran out."""
        dead = self.store.dead(None, MANY)
        decoder = msgspec.json.Decoder(Body)
        buried = {decoder.decode(one.body).task for one in dead if one.type in (TASK, "report")}
        self.ledger.happened["dead letters"] = len(dead)
        if not drained:
            places = [(counts.inbox, state.word) for counts in self.store.counts() for state in LIVE]
            live = (one for inbox, state in places for one in self.store.peek(inbox, MANY, state=state))
            buried |= {decoder.decode(one.body).task for one in live if one.type in (TASK, "report")}
        for task in self.ledger.unreported(buried):
            self.ledger.blame("lost", f"task {task}: nothing was heard of it")
        for task in self.ledger.repeated():
            self.ledger.blame("duplicated", f"task {task}: it was reported more than once")

    def _judge_wakes(self) -> None:
        """What the store has noted of wakes."""
        kept = [wake for wake, _ in wakes.WAKES.all(self.store).values()]
        self.noted = Noted(*(sum(getattr(wake, name) for wake in kept) for name in Noted.__struct_fields__))
        self.ledger.wakes["blocked"] = self.noted.blocked

    @property
    def breaches(self) -> list[Breach]:
        """Every promise that was not kept."""
        return [*([] if self.checkers is None else self.checkers.breaches), *self.ledger.breaches]
