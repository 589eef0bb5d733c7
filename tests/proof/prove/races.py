"""Races for one lease, around the moment at which it ends.

Two to four participants with handles of their own each have a short script. A transaction has three
steps (begin, apply, commit); chance interleaves the steps of all and lets between nothing and a
millisecond pass between them. Whoever holds the write lock first goes first, at the instant at which it
began; ``referee`` then says from its table what everybody must have been told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from postroom.simulation.checkers import Checkers
from postroom.simulation.witness import witnessed
from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.errors import PostroomError, StoreBusy
from postroom.store.identity import derived_id, id_text
from postroom.store.memory import MemoryStore
from postroom.store.port import Store
from postroom.store.transact import transact, transact_one

from .outcome import Outcome, Tell
from .races_real import real_races
from .referee import LEASE_US, Referee

RACES_A_STORE = 100
ONE_REAL_IN = 100
"""Of so many races, one is run by real processes on a file."""

HOLDER = (
    ("ack",), ("ack",), ("ack", "ack"), ("extend", "ack"), ("extend", "extend", "ack"), ("retry",),
    ("retry", "ack"), ("retry", "retry"), ("release",), ("release", "ack"), ("dead",), ("dead", "dead"),
    ("ack", "retry"), ("ack", "extend"), ("renew", "ack"), ("renew", "extend", "ack"), ("close", "ack"),
)  # fmt: skip
"""What the first holder of the lease may do; its session is renewed or closed where it has one."""

OTHERS = (
    ("claim", "ack"), ("claim", "ack", "ack"), ("claim", "retry"), ("claim",), ("claim", "extend", "ack"),
    ("keyed", "keyed", "ack"), ("tick",), ("tick", "tick"), ("tick", "claim", "ack"), ("activate",),
    ("activate", "claim", "ack"), ("renew",), ("both",), ("both", "both"),
)  # fmt: skip
"""What others may do. ``both`` is the holder's own second thread: it settles under the same fence."""


class Racer:
    """One participant: a handle, a session of its own, a script, and what it holds."""

    def __init__(self, name: str, store: Store, script: tuple[str, ...]) -> None:
        self.name, self.store, self.script = name, store, list(script)
        self.session = 0
        self.lapsing = False
        self.term: r.Term | None = None
        self.fence = 0


class Race:
    """One message, those who want it, and the referee."""

    def __init__(self, number: int, stores: list[Store], clock: ManualClock, rng: Random) -> None:
        self.clock, self.rng = clock, rng
        self.inbox, self.actor = f"race/{number}", f"actor/{number}"
        self.id = derived_id(bytes(16), f"race {number}".encode())
        self.number = number
        scripts = [rng.choice(HOLDER), *(rng.choice(OTHERS) for _ in range(rng.randrange(1, 4)))]
        self.racers = [Racer(f"racer {n}", stores[n], s) for n, s in enumerate(scripts)]
        self.on_session = rng.random() < 0.4
        self.referee = Referee(self.actor)
        self.faults: list[str] = []

    def run(self) -> list[str]:
        """Hold the race; answers what was not as it must be."""
        self._prepare()
        self.clock.advance((LEASE_US - self.rng.choice((1, 2, 3, 501, 1001, 2000))) / 1e6)
        under_way = {racer: self._turns(racer) for racer in self.racers}
        while under_way:
            racer = self.rng.choice(list(under_way))
            self.clock.advance(self.rng.choice((0, 0, 1, 1, 2, 499, 999, 1000)) / 1e6)
            if next(under_way[racer], None) is None:
                del under_way[racer]
        self._judge()
        self._clean_up()
        return [f"{[racer.script for racer in self.racers]}: {fault}" for fault in self.faults]

    def _prepare(self) -> None:
        holder = self.racers[0]
        transact_one(holder.store, r.Register((r.InboxSpec(self.inbox), r.InboxSpec("out/put"))))
        message = r.NewMessage(self.id, self.inbox, "operator/cli", "job", b"{}")
        transact_one(holder.store, r.Send(message))
        for racer in self.racers:
            lease = LEASE_US if racer is holder and self.on_session else 1000 * LEASE_US
            opened = transact_one(racer.store, r.OpenSession(racer.name, "racer", "here", lease))
            assert isinstance(opened, r.Session)
            racer.session = opened.id
            racer.lapsing = lease == LEASE_US
            self.referee.sessions[opened.id] = opened.expires
        if self.rng.random() < 0.4:
            term = transact_one(holder.store, r.Activate(self.actor, holder.session))
            assert isinstance(term, r.Term)
            holder.term = self.referee.term = term
            self.referee.terms = term.term
        session = holder.session if self.on_session else 0
        claimed = transact_one(holder.store, r.Claim((self.inbox,), 1, session, LEASE_US))
        assert isinstance(claimed, r.Claimed)
        holder.fence = claimed.deliveries[0].fence
        self.referee.leased(self.clock.now().boot, holder.fence, session)

    def _turns(self, racer: Racer) -> Iterator[str]:
        """The steps of one participant; each yield lets others go on."""
        for action in racer.script:
            operation = self._operation(racer, action)
            if operation is None:
                continue
            while True:
                try:
                    racer.store.begin()
                    break
                except StoreBusy:
                    yield "busy"
            began = self.clock.now().boot
            yield "begun"
            (answer,) = racer.store.apply([operation])
            yield "applied"
            racer.store.commit()
            told = self.referee.answer(began, operation)
            self._compare(racer, action, operation, answer, told)
            yield "committed"

    def _operation(self, racer: Racer, action: str) -> r.Operation | None:
        fence = self.racers[0].fence if action == "both" else racer.fence
        match action:
            case "ack" | "both":
                return self._ack(fence, racer.term) if fence else None
            case "retry":
                return r.Settle(self.id, fence, r.Verdict.RETRY, delay_us=0) if fence else None
            case "release" | "dead":
                return r.Settle(self.id, fence, r.Verdict(action)) if fence else None
            case "extend":
                return r.Extend(self.id, fence, LEASE_US) if fence else None
            case "claim" | "keyed":
                key = f"{racer.name} of {self.number}" if action == "keyed" else None
                return r.Claim((self.inbox,), 1, 0, LEASE_US, key=key)
            case "renew":
                return r.RenewSession(self.racers[0].session, 1000 * LEASE_US)
            case "close":
                return r.CloseSession(racer.session)
            case "activate":
                return r.Activate(self.actor, racer.session)
            case _:
                return r.Tick()

    def _ack(self, fence: int, term: r.Term | None) -> r.Settle:
        """An ack with an effect, and with an output that names its fence."""
        effect = r.Write("ledger", "effect", id_text(self.id), b"1")
        output = r.NewMessage(self._output(fence), "out/put", self.inbox, "note", b"{}")
        return r.Settle(
            self.id, fence, r.Verdict.ACK, outputs=[r.Send(output, bounded=False)], writes=[effect], term=term
        )

    def _output(self, fence: int) -> bytes:
        return derived_id(self.id, fence.to_bytes(8))

    def _compare(
        self, racer: Racer, action: str, operation: r.Operation, answer: r.Answer, wanted: tuple[object, ...]
    ) -> None:
        if isinstance(answer, r.Claimed) and answer.deliveries:
            racer.fence = answer.deliveries[0].fence
        if isinstance(answer, r.Term):
            racer.term = answer
        seen = in_words(answer)
        if seen != wanted:
            self.faults.append(f"{racer.name} {action}: told {seen}, must be {wanted}")

    def _judge(self) -> None:
        """The message, its effect and its outputs are those of the one settlement that stood."""
        store, referee = self.racers[0].store, self.referee
        found = store.message(self.id)
        effects = store.records("ledger", "effect", id_text(self.id))
        if found is None or (found.fence, found.attempts) != (referee.fence, referee.attempts):
            self.faults.append(f"it ends as {found}, must be {vars(referee)}")
        times = effects[0].version if effects else 0
        if times != (referee.state == "done"):
            self.faults.append(f"its effect is there {times} times and it is {referee.state}")
        fences = {self.racers[0].fence, *(f for racer in self.racers if (f := racer.fence))}
        sent = [fence for fence in fences if store.message(self._output(fence)) is not None]
        if sent != ([referee.fence] if referee.state == "done" else []):
            self.faults.append(f"outputs under {sent}, and it is {referee.state} under {referee.fence}")

    def _clean_up(self) -> None:
        store = self.racers[0].store
        transact(store, [r.Settle(self.id, self.referee.fence, r.Verdict.DEAD)])
        transact(store, [r.Control(self.inbox, r.Switch.PURGE)])
        transact(store, [r.CloseSession(racer.session) for racer in self.racers])


def in_words(answer: r.Answer) -> tuple[object, ...]:
    """What a participant was told, as the referee says it."""
    match answer:
        case PostroomError():
            return (answer.code,)
        case r.Claimed():
            return ("claimed", *(d.fence for d in answer.deliveries))
        case r.Settled():
            return ("already" if answer.already else answer.state,)
        case r.Ticked():
            return ("ticked", answer.taken_back)
        case r.Term():
            return ("active", answer.term)
        case _:
            return ("yes",)


def virtual_races(amount: int, seed: int, outcome: Outcome, tell: Callable[[int], None]) -> None:
    """Races on virtual time; each store holds a number of them."""
    for first in range(0, amount, RACES_A_STORE):
        clock, checkers = ManualClock(), Checkers()
        memory = MemoryStore(clock)
        handles = [memory, *(memory.another_handle(seed=n) for n in range(1, 4))]
        stores = [witnessed(handle, checkers.see, f"handle {n}") for n, handle in enumerate(handles)]
        last = min(amount, first + RACES_A_STORE)
        for number in range(first, last):
            for fault in Race(number, stores, clock, Random(f"{seed} {number}")).run():
                outcome.wrong(f"seed {seed} race {number}: {fault}")
        checkers.finish(stores[0], drained=False)
        outcome.blame(checkers.breaches, f"seed {seed} races {first} to {last}")
        outcome.messages += checkers.messages
        for store in reversed(stores):
            store.close()
        outcome.amount += last - first
        tell(outcome.amount)


def run(amount: int, seed: int, tell: Tell) -> Outcome:
    """So many races: most on virtual time, a share by real processes on a file."""
    outcome = Outcome(0)
    real = amount // ONE_REAL_IN
    virtual_races(amount - real, seed, outcome, tell)
    if real:
        real_races(real, seed, outcome)
        tell(outcome.amount)
    outcome.figures["real_races"] = real
    return outcome
