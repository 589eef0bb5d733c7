"""The world of one run: a store in memory, a clock, a fleet, those outside, and what breaks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from traceback import extract_tb
from typing import cast

import trio

from ..mailbox.ids import IdMaker, id_text
from ..store.errors import one_line
from ..store.memory import MemoryStore
from ..store.records import InboxSpec, Register
from ..store.states import LIVE
from ..store.transact import transact_one
from ..testing import VirtualClock
from .cast import LEDGER, LINE, NOTING, PULL, SENDER, Job, Note
from .checkers import EFFECT, Breach, Checkers
from .clock import HostClock
from .faults import Trouble
from .node import Node, hash_free
from .options import Options
from .outside import Asker, Operator, Puller, Sender
from .planning import Fault
from .tally import Tally
from .trace import Trace
from .witness import Fact, witnessed

LOOK_SECONDS = 0.25
CLOSING_SECONDS = 30.0
QUESTIONS_FROM, STEPS_FROM, PULLED_FROM = 100_000, 200_000, 300_000


class World:
    """Everything that there is in one run."""

    def __init__(self, options: Options, trace: Trace) -> None:
        self.options = options
        self.clock = HostClock(VirtualClock())
        self.store = MemoryStore(self.clock, seed=options.seed, commit_delay=options.commit_seconds)
        self.checkers = Checkers()
        self.tally = Tally()
        self.faults = Counter[str]()
        self.trace = trace
        self.sick = True
        self.calm = False
        self.over = False
        self.nodes: list[Node] = []
        self.breaches: list[Breach] = []
        self.seconds = 0.0
        self._outside: list[Trouble] = []

    # What participants tell

    def tell(self, fact: Fact, /) -> None:
        """A fact: every checker sees it at once."""
        self.checkers.see(fact)
        self.tally.see(fact)
        self.trace.fact(fact)

    def note(self, event: str, **what: object) -> None:
        """A fault or a decision, for the trace."""
        self.trace.note(self.clock.now().boot, event, **what)

    def fired(self, fault: Fault, where: str) -> None:
        """A fault has met something."""
        self.faults[fault.kind] += 1
        self.note("fault", kind=fault.kind, node=fault.node, method=where, at_planned=fault.at)

    def happened(self, what: str, times: int = 1) -> None:
        """Something that is worth counting."""
        self.tally.counts[what] += times

    def broken(self, kind: str, what: str) -> None:
        """A promise was not kept, as a participant has seen."""
        self.breaches.append(Breach(kind, what))
        self.note("breach", kind=kind, what=what)

    def broke(self, who: str, error: BaseException) -> None:
        """A process ended of an error that nobody may meet."""
        if isinstance(error, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", error)
            self.broke(who, group.exceptions[0])
        else:
            self.broken("unexpected", f"{who} ended of {type(error).__name__}: {one_line(error)}")

    def ended_of(self, error: BaseException) -> None:
        """An error has ended the run before its end. There is no time any more, so the trace says nothing."""
        while isinstance(error, BaseExceptionGroup):
            error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
        frames = extract_tb(error.__traceback__)
        where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        said = one_line(error)
        self.breaches += self.checkers.breaches
        self.breaches.append(Breach("unexpected", f"the run ended of {type(error).__name__}{where}: {said}"))

    # The run

    async def run(self) -> None:
        """From the first process to the last; afterwards ``breaches`` says what was found."""
        transact_one(self._handle("setup"), Register(tuple(map(InboxSpec, (PULL, SENDER)))))
        operator = Operator(self, self._handle("operator"), self._rng("operator"))
        try:
            async with trio.open_nursery() as self.nursery:
                for name in self.options.nodes:
                    node = Node(self, name)
                    self.nodes.append(node)
                    self.nursery.start_soon(node.run)
                async with trio.open_nursery() as work:
                    self._hire(work)
                    work.start_soon(operator.run)
                    work.start_soon(self._suffer)
                    operator.send_pulled(range(PULLED_FROM, PULLED_FROM + self.options.pulled))
                    with trio.move_on_after(self.options.patience) as late:
                        await self._work_done(work)
                    if late.cancelled_caught:
                        self.broken("stuck", f"{len(work.child_tasks)} participants are not done in time")
                        work.cancel_scope.cancel()
                drained = await self._drain(operator)
                self.seconds = trio.current_time()
                self._judge(drained)
                await self._close()
        finally:
            self.store.close()

    async def _work_done(self, work: trio.Nursery) -> None:
        while work.child_tasks:  # noqa: ASYNC110  # a nursery tells nobody outside that it is empty
            await trio.sleep(LOOK_SECONDS)

    def _hire(self, work: trio.Nursery) -> None:
        """Send those outside to work."""
        options = self.options
        for n in range(options.senders):
            jobs, steps = (_share(amount, n, options.senders) for amount in (options.jobs, options.steps))
            rng = self._rng(f"sender-{n}")
            steps = range(STEPS_FROM + steps.start, STEPS_FROM + steps.stop)
            sender = Sender(self, IdMaker(self.clock, self._rng(f"ids-{n}")), rng, jobs, steps)
            work.start_soon(sender.run)
        for n in range(options.askers):
            share = _share(options.questions, n, options.askers)
            questions = range(QUESTIONS_FROM + share.start, QUESTIONS_FROM + share.stop)
            node = self.nodes[n % len(self.nodes)]
            ids = IdMaker(self.clock, self._rng(f"asker-ids-{n}"))
            work.start_soon(Asker(self, node, ids, self._rng(f"asker-{n}"), questions).run)
        for n in range(max(options.pullers, int(options.pulled > 0))):
            name = f"puller-{n}"
            puller = Puller(self, name, self._handle(name), self.store, self._rng(name))
            self.nursery.start_soon(puller.run)

    async def _suffer(self) -> None:
        """Let every fault come at its time; then lift them all."""
        for _, fault in self.options.armed:
            await trio.sleep_until(fault.at)
            self.note("armed", fault=str(fault))
            ARMING.get(fault.kind, _arm)(self, fault)
        await trio.sleep_until(self.options.seconds)
        for node in self.nodes:
            node.trouble.lift()
        self.sick = False
        self.calm = True
        self.note("calm")

    def node(self, fault: Fault) -> Node:
        """Whose fault it is."""
        return next(node for node in self.nodes if node.name == fault.node)

    async def _drain(self, operator: Operator) -> bool:
        """Wait until everything is in a final state; whether it came to that."""
        with trio.move_on_after(self.options.patience):
            while self._left() or operator.requeue():  # noqa: ASYNC110  # a store in memory tells nobody
                await trio.sleep(LOOK_SECONDS)
            return True
        return False

    async def _close(self) -> None:
        """End every process in good order; one that does not end is broken."""
        self.over = True
        for node in self.nodes:
            node.stop()
        all_go = max(trio.current_time(), *(node.trouble.paused_until for node in self.nodes))
        with trio.move_on_at(all_go + CLOSING_SECONDS):
            while any(node.running for node in self.nodes):  # noqa: ASYNC110  # each ends by itself
                await trio.sleep(LOOK_SECONDS)
        for node in self.nodes:
            if node.running:
                self.broken("stuck", f"{node.running} does not end")
                node.give_up()
        self.nursery.cancel_scope.cancel()

    def _left(self) -> int:
        return sum(getattr(counts, state.word) for counts in self.store.counts() for state in LIVE)

    def _judge(self, drained: bool) -> None:
        self.checkers.finish(self.store, drained=True)
        if not drained and not self.checkers.count("stuck"):
            self.broken("stuck", "it did not drain in time, and nothing is left")
        for owner in (LEDGER, LINE):
            self._judge_state(owner)
        self._judge_turns()
        self.breaches += self.checkers.breaches

    def _judge_state(self, owner: str) -> None:
        """The state of an actor has counted each of its messages that is done, once."""
        states = self.store.records(owner, "state")
        count = json.loads(states[0].value)["count"] if states else 0
        noted = len(self.store.records(owner, EFFECT))
        if count != noted:
            self.broken("effect", f"the state of {owner} has counted {count}, and {noted} are noted")

    def _judge_turns(self) -> None:
        """Every turn that is done has noted its effect, and every job that is done has told the ledger.

        Facts cannot show it: what a turn has dropped before it was settled was never asked of the store.
        """
        noted = {
            record.key
            for counts in self.store.counts()
            for record in self.store.records(counts.inbox, EFFECT)
        }
        queue = self.checkers.queue
        there = [self.store.message(id) for id in sorted({*queue.accepted, *queue.doubtful})]
        messages = [message for message in there if message is not None]
        done = [one for one in messages if one.state == "done" and one.type in NOTING]
        for one in done:
            if id_text(one.id) not in noted:
                self.broken("effect", f"{id_text(one.id)}: its turn is done, and noted nothing")
        jobs = sum(one.type == Job.__name__ for one in done)
        told = sum(one.type == Note.__name__ and one.recipient == LEDGER for one in messages)
        if jobs != told:
            self.broken("effect", f"{jobs} jobs are done, and the ledger was told of {told}")

    # Parts

    def _rng(self, name: str) -> Random:
        return Random(f"{self.options.seed}/{name}")

    def _handle(self, name: str) -> MemoryStore:
        handle = self.store.another_handle(seed=hash_free(self.options.seed, name))
        return witnessed(handle, self.tell, name)  # type: ignore[return-value]


def _arm(world: World, fault: Fault) -> None:
    world.node(fault).trouble.arm(fault)


def _crash(world: World, fault: Fault) -> None:
    world.node(fault).crash(fault)


def _stop(world: World, fault: Fault) -> None:
    if world.node(fault).stop(fault.amount):
        world.fired(fault, "")


def _power_cycle(world: World, fault: Fault) -> None:
    for node in world.nodes:
        node.crash(fault)


def _set_clock(world: World, fault: Fault) -> None:
    world.fired(fault, "")
    world.clock.step_wall(fault.amount)


def _suspend(world: World, fault: Fault) -> None:
    world.fired(fault, "")
    world.clock.suspend(fault.amount)


ARMING: dict[str, Callable[[World, Fault], None]] = {
    "clock": _set_clock,
    "crash": _crash,
    "power-cycle": _power_cycle,
    "stop": _stop,
    "suspend": _suspend,
}
"""Faults that come at once; all others wait in a node's trouble for the calls that they meet."""


def _share(amount: int, n: int, among: int) -> range:
    """The numbers that the n-th of so many does, when ``amount`` is divided among them."""
    return range(amount * n // among, amount * (n + 1) // among)
