"""A herd of real processes on one file, under load, and what they tell while they are struck.

Nodes run a pool of workers and one ledger, whose state moves between them; a sender keeps the pool
full; a puller leases for a second at a time. Everybody is started again at once.
"""

from __future__ import annotations

import select
import signal
import time
from pathlib import Path
from random import Random

from accounts import waiting
from children import Child
from crew import LEDGER, POOL, PULL
from msgspec import Struct

from postroom.store.errors import StoreBusy
from postroom.store.records import Control, InboxSpec, Register, Session, Switch
from postroom.store.sqlite.file import FileStore
from postroom.store.transact import transact_one
from postroom.store.urls import open_file_store

BACKLOG = 10_000
"""Messages that wait in the pool at least, as long as the sender lives."""

SESSION_SECONDS, GRACE_SECONDS = 3.0, 3.0
PACE_SECONDS = 0.03
"""How long a job waits in its turn on average, so that nodes have turns under way and mail in their
hands whenever they are struck, and leave something of two cores. At the end nobody waits any more."""

CONCURRENCY, PULLED = 4, 5
HELD_BY = {"node": CONCURRENCY + 1, "puller": PULLED, "clerk": 1, "sender": 0}
"""Messages of which a process of each kind may have begun the turns when it is struck."""

REJOIN_SECONDS = 15.0
DRAIN_SECONDS = 400.0
"""Until everything is done at the end: mail that was struck again and again waits up to 390 s."""

LOOK_SECONDS = 0.05


class Asleep(Struct):
    """A process that stands still until ``until``; ``session`` is the one it had, if it is a node."""

    until: float
    session: int | None


class Herd:
    """The children of one run, and what is learnt from them.

    ``first`` are seconds from the kill of a node to the first turn in the one started for it, ``own``
    those that were left once Python had loaded everything. ``hit`` are sessions struck hard.
    """

    def __init__(self, folder: Path, nodes: int, rng: Random, *, backlog: int = BACKLOG) -> None:
        self.url = f"sqlite:///{folder / 'herd.db'}"
        self.store: FileStore = open_file_store(self.url, create=True)
        self.rng = rng
        self.backlog = backlog
        self.pace = PACE_SECONDS
        self.nodes = [f"p{number}" for number in range(nodes)]
        self.children: dict[str, Child] = {}
        self.asleep: dict[str, Asleep] = {}
        self.rejoining: dict[str, Asleep] = {}
        self.rejoined = 0
        self.sent = 0
        self.struck: dict[str, float] = {}
        self.first: list[float] = []
        self.loading: dict[str, float] = {}
        self.own: list[float] = []
        self.unstarted: set[str] = set()
        self.least_waiting = backlog * 10
        self.standstill = 0.0
        self.wal_max = 0
        self.faults: list[str] = []
        self.hit: set[int] = set()
        self.terms: dict[str, tuple[int, int]] = {}
        self.moves: dict[str, int] = {}
        self._moved = (0, time.monotonic())
        self._tended = 0.0

    # Starting

    def prepare(self) -> None:
        """Fill the pool before anybody works, then start everybody."""
        specs = tuple(InboxSpec(a, bound=10_000_000) for a in (POOL, PULL, LEDGER, "worker/p0"))
        transact_one(self.store, Register(specs))
        self.spawn("sender")
        while self.store.counts(POOL)[0].ready < self.backlog:
            self.listen(0.2)
        for name in (*self.nodes, "puller"):
            self.spawn(name)
        self.listen(30, until_started=True)
        self.first.clear()  # all started at once and nobody was killed: that is no restart
        self.own.clear()

    def spawn(self, name: str) -> None:
        """Start one of them; a killed one tells how long it took from its kill."""
        if name in self.nodes:
            times = ("--session", str(SESSION_SECONDS), "--grace", str(GRACE_SECONDS))
            work = ("--concurrency", str(CONCURRENCY), "--pace", str(self.pace))
            child = Child("node", self.url, "--name", name, *times, *work)
            self.unstarted.add(name)
        elif name == "sender":
            words = ("--start", str(self.sent + 1), "--waiting", str(self.backlog * 6 // 5))
            child = Child("sender", self.url, *words)
        else:
            child = Child("puller", self.url)
        self.children[name] = child

    # Striking

    def bury(self, name: str) -> None:
        """SIGKILL one and take in its last words."""
        self._hits(name)
        self.struck[name] = time.monotonic()
        child = self.children[name]
        child.kill()
        self._hits(name)
        self.hear(name)
        self.forget(name)
        self.struck.setdefault(name, child.born)
        self.least_waiting = min(self.least_waiting, self.store.counts(POOL)[0].ready)

    def forget(self, name: str) -> None:
        """One is gone: nothing more is expected of it."""
        self.children.pop(name).close()
        self.unstarted.discard(name)
        self.asleep.pop(name, None)
        self.rejoining.pop(name, None)

    def put_to_sleep(self, name: str, seconds: float) -> None:
        """SIGSTOP one for so long; ``listen`` wakes it."""
        session = self.session_of(name)
        self._hits(name)
        self.children[name].stop()
        self._hits(name)
        self.unstarted.discard(name)
        self.struck.pop(name, None)
        self.asleep[name] = Asleep(time.monotonic() + seconds, session.id if session else None)

    def wake(self, name: str) -> None:
        """SIGCONT one; a node whose session may be over has to join again by itself."""
        slept = self.asleep.pop(name)
        self.children[name].go_on()
        if slept.session is not None:
            self.rejoining[name] = Asleep(time.monotonic() + REJOIN_SECONDS, slept.session)

    def session_of(self, name: str) -> Session | None:
        """The newest session of a node that has not ended, if it has one."""
        return max(self._sessions(name), key=lambda s: s.id, default=None)

    def _sessions(self, name: str) -> list[Session]:
        return [s for s in self.store.sessions() if s.name == name and s.live]

    def _hits(self, name: str) -> None:
        """Remember whom a blow meets. Asked before and after it: one may just have opened its session."""
        self.hit |= {session.id for session in self._sessions(name)}

    def lock_is_free(self) -> bool:
        """Whether the store can be written while one stands still: others hold the lock for moments only."""
        deadline = time.monotonic() + 0.25
        while time.monotonic() < deadline:
            try:
                self.store.begin()
            except StoreBusy:
                self.listen(0.002)
                continue
            self.store.rollback()
            return True
        return False

    # Listening

    def listen(self, seconds: float, *, until_started: bool = False) -> None:
        """Take in what the children tell, for so long, or until every node has had a first turn."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not (until_started and not self.unstarted):
            readable, _, _ = select.select(list(self.children.values()), [], [], min(left, LOOK_SECONDS))
            for name, child in list(self.children.items()):
                if child in readable:
                    self.hear(name)
                    if child.process.poll() is not None:
                        self.mourn(name)
            if time.monotonic() - self._tended >= LOOK_SECONDS:
                self.tend()

    def tend(self) -> None:
        """Wake who has slept enough, see who is back, and watch who holds what."""
        self._tended = now = time.monotonic()
        for name in [name for name, slept in self.asleep.items() if slept.until <= now]:
            self.wake(name)
        for name, slept in list(self.rejoining.items()):
            session = self.session_of(name)
            if session is not None and session.id != slept.session:
                self.rejoined += 1
                del self.rejoining[name]
            elif slept.until <= now:
                self.faults.append(f"{name} did not join again within {REJOIN_SECONDS} s")
                del self.rejoining[name]
        self.watch_terms()
        self.watch_ledger()
        self.wal_max = max(self.wal_max, self.wal_bytes())

    def hear(self, name: str) -> None:
        """Take in what one of them has told."""
        child = self.children[name]
        for told in child.events():
            if told["event"] == "loaded":
                self.loading[name] = told["at"]
            elif told["event"] == "first":
                if name in self.struck:
                    self.first.append(told["at"] - self.struck.pop(name))
                    self.own.append(told["at"] - self.loading[name])
                self.unstarted.discard(name)
            elif told["event"] == "sent":
                self.sent = told["upto"] - 1
            elif told["event"] == "refused":
                self.faults.append(f"{name}: {told['error']}")

    def mourn(self, name: str) -> None:
        """One has ended by itself, which none should."""
        self.faults.append(f"{name} ended by itself with {self.children[name].process.returncode}")
        self.forget(name)
        self.spawn(name)

    def watch_terms(self) -> None:
        """Terms only grow, and grow whenever another session holds a name."""
        for held in self.store.activations():
            session, term = self.terms.get(held.name, (held.session, held.term))
            if held.term < term or (held.term == term and held.session not in (session, 0) and session):
                self.faults.append(f"{held.name} went from term {term} of {session} to {held}")
            if held.session and held.session != session:
                self.moves[held.name] = self.moves.get(held.name, 0) + 1
            self.terms[held.name] = (held.session, held.term)

    def watch_ledger(self) -> None:
        """How long does the ledger stand still while it has mail?"""
        (ledger,) = self.store.counts(LEDGER)
        now = time.monotonic()
        if ledger.done != self._moved[0] or not ledger.ready + ledger.leased:
            self._moved = (ledger.done, now)
        self.standstill = max(self.standstill, now - self._moved[1])

    def wal_bytes(self) -> int:
        """How long the write-ahead log is."""
        wal = self.store.path.with_name(self.store.path.name + "-wal")
        return wal.stat().st_size if wal.exists() else 0

    # The end

    def wind_up(self) -> None:
        """No more sending; let the nodes do all there is, then end everybody in good order."""
        while self.asleep:
            self.listen(0.1)
        self.listen(REJOIN_SECONDS, until_started=True)
        self.end("sender")
        self.pace = 0.0
        for name in self.nodes:
            self.end(name)
            self.spawn(name)
        deadline = time.monotonic() + DRAIN_SECONDS
        while (waiting(self.store) or self.rejoining) and time.monotonic() < deadline:
            self.listen(0.2)
        self.end("puller")
        for name in self.nodes:
            self.end(name)

    def end(self, name: str) -> None:
        """End one in good order: by SIGTERM, or by the order to stop."""
        child = self.children[name]
        if name in self.nodes:
            child.signal(signal.SIGTERM)
        else:
            child.order()
        code = child.ended()
        self.hear(name)
        early = name in self.unstarted and code == -signal.SIGTERM
        if code and not early:
            self.faults.append(f"{name} ended with {code}")
        self.forget(name)

    def work_off(self) -> None:
        """Have one node do what is there."""
        self.pace = 0.0
        self.spawn(self.nodes[0])
        deadline = time.monotonic() + DRAIN_SECONDS
        while waiting(self.store) and time.monotonic() < deadline:
            self.listen(0.1)
        self.end(self.nodes[0])

    def empty(self, inbox: str) -> None:
        """Give up what waits in an inbox that nobody serves."""
        transact_one(self.store, Control(inbox, Switch.PURGE), deadline_seconds=20)

    def reopen(self) -> None:
        """Open the store that was closed so that others could do with the file as they like."""
        self.store = open_file_store(self.url, create=False)

    def close(self) -> None:
        """Whatever happened, nobody is left."""
        for child in self.children.values():
            child.close()
        self.store.close()
