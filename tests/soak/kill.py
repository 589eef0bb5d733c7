"""Kill processes at random moments under load, many times, and see that nothing is lost or done twice.

    .venv/bin/python tests/soak/kill.py [--kills N] [--seconds S] [--seed N] [--processes N] [--json]

Nodes run a pool of workers and one ledger, whose state moves between them; a sender keeps the pool
full; a puller leases for a second at a time. Any of them is killed with SIGKILL and started again,
one kill in five while another is still starting, one in ten after the others had to do without it.
At the end everything has to be in its place. Exits with 1 if it is not.
"""

from __future__ import annotations

import argparse
import json
import select
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random

# As pytest does for the tests; a script has only what is installed.
sys.path.append(str(Path(__file__).parents[1] / "support"))

from accounts import Accounts, accounts, waiting
from children import Child
from crew import LEDGER, POOL, PULL

from postroom.store.records import InboxSpec, Register
from postroom.store.sqlite.file import FileStore
from postroom.store.transact import transact_one
from postroom.store.urls import open_store

DELIVERY_SECONDS = 2.0
"""The longest from the start of a killed node to the first turn in it."""

STANDSTILL_SECONDS = 5.0
"""The longest that the ledger may do nothing although it has mail."""

ABSENT_SHARE, ABSENT_SECONDS = 0.1, 6.0
"""How many of the killed stay away, and for how long: longer than the ledger may stand still."""

BACKLOG = 10_000
DRAIN_SECONDS = 120.0
LOOK_SECONDS = 0.05


class Soak:
    """One run: the children, and what is learnt from them.

    ``first`` are seconds from the start of a node to its first turn, ``own`` those that were left
    once Python had loaded everything.
    """

    def __init__(self, folder: Path, processes: int, rng: Random) -> None:
        self.url = f"sqlite:///{folder / 'soak.db'}"
        self.store: FileStore = open_store(self.url, create=True)
        self.rng = rng
        self.children: dict[str, Child] = {}
        self.kills = dict.fromkeys(("node", "sender", "puller"), 0)
        self.sent = 0
        self.first: list[float] = []
        self.loading: dict[str, float] = {}
        self.own: list[float] = []
        self.unstarted: set[str] = set()
        self.least_waiting = BACKLOG * 10
        self.standstill = 0.0
        self.faults: list[str] = []
        self._nodes = [f"p{number}" for number in range(processes)]
        self._moved = (0, time.monotonic())

    # The crew

    def prepare(self) -> None:
        """Fill the pool before anybody works, then start everybody."""
        specs = tuple(InboxSpec(a, bound=10_000_000) for a in (POOL, PULL, LEDGER, "worker/p0"))
        transact_one(self.store, Register(specs))
        self.spawn("sender")
        while self.store.counts(POOL)[0].ready < BACKLOG:
            self.listen(1)
        for name in (*self._nodes, "puller"):
            self.spawn(name)

    def spawn(self, name: str) -> None:
        if name in self._nodes:
            child = Child("node", self.url, "--name", name)
            self.unstarted.add(name)
        elif name == "sender":
            words = ("--start", str(self.sent + 1), "--waiting", str(BACKLOG + 2_000))
            child = Child("sender", self.url, *words)
        else:
            child = Child("puller", self.url)
        self.children[name] = child

    def kill_one(self) -> None:
        """SIGKILL one of them, mostly a node, and start it again."""
        kinds = self.rng.choices(("node", "sender", "puller"), (70, 15, 15))[0]
        name = self.rng.choice(self._nodes) if kinds == "node" else kinds
        child = self.children[name]
        child.kill()
        self.hear(name)
        child.close()
        self.unstarted.discard(name)
        self.kills[kinds] += 1
        self.least_waiting = min(self.least_waiting, self.store.counts(POOL)[0].ready)
        del self.children[name]
        if self.rng.random() < ABSENT_SHARE:
            self.listen(ABSENT_SECONDS)
        self.spawn(name)

    # Listening

    def listen(self, seconds: float, until_started: bool = False) -> None:
        """Take in what the children tell, for so long, or until every node has had a first turn."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not (until_started and not self.unstarted):
            readable, _, _ = select.select(list(self.children.values()), [], [], min(left, LOOK_SECONDS))
            for name, child in list(self.children.items()):
                if child in readable:
                    self.hear(name)
                    if child.process.poll() is not None:
                        self.mourn(name)
            self.watch_ledger()

    def hear(self, name: str) -> None:
        child = self.children[name]
        for told in child.events():
            if told["event"] == "loaded":
                self.loading[name] = told["at"]
            elif told["event"] == "first":
                self.first.append(told["at"] - child.born)
                self.own.append(told["at"] - self.loading[name])
                self.unstarted.discard(name)
            elif told["event"] == "sent":
                self.sent = told["upto"] - 1
            elif told["event"] == "refused":
                self.faults.append(f"{name}: {told['error']}")

    def mourn(self, name: str) -> None:
        """One has ended by itself, which none should."""
        self.faults.append(f"{name} ended by itself with {self.children[name].process.returncode}")
        self.children.pop(name).close()
        self.unstarted.discard(name)
        self.spawn(name)

    def watch_ledger(self) -> None:
        """How long does the ledger stand still while it has mail?"""
        (ledger,) = self.store.counts(LEDGER)
        now = time.monotonic()
        if ledger.done != self._moved[0] or not ledger.ready + ledger.leased:
            self._moved = (ledger.done, now)
        self.standstill = max(self.standstill, now - self._moved[1])

    # The end

    def wind_up(self) -> None:
        """No more sending; let the nodes do all there is, then end everybody in good order."""
        self.end("sender")
        deadline = time.monotonic() + DRAIN_SECONDS
        while waiting(self.store) and time.monotonic() < deadline:
            self.listen(0.2)
        self.end("puller")
        for name in self._nodes:
            self.end(name)

    def end(self, name: str) -> None:
        child = self.children[name]
        if name in self._nodes:
            child.signal(signal.SIGTERM)
        else:
            child.order()
        code = child.ended()
        self.hear(name)
        if code:
            self.faults.append(f"{name} ended with {code}")
        self.children.pop(name).close()

    def close(self) -> None:
        for child in self.children.values():
            child.close()
        self.store.close()


def run(soak: Soak, kills: int, seconds: float) -> None:
    """Kill until there were enough kills or no time is left, then wind up."""
    soak.prepare()
    soak.listen(20, until_started=True)
    soak.first.clear()  # all started at once and nobody was killed: that is no restart
    soak.own.clear()
    stop = time.monotonic() + seconds
    while sum(soak.kills.values()) < kills and time.monotonic() < stop:
        if soak.rng.random() < 0.8:
            soak.listen(10, until_started=True)
        soak.listen(soak.rng.uniform(0, 0.6))
        soak.kill_one()
    soak.listen(10, until_started=True)
    soak.wind_up()


def percentile(values: list[float], share: float) -> float:
    """The value that this share of all does not exceed; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def report(soak: Soak, found: Accounts, took: float) -> dict[str, object]:
    """What is printed, by name."""
    return {
        **{f"kills_{kind}": n for kind, n in soak.kills.items()},
        "kills": sum(soak.kills.values()),
        "messages": found.accepted,
        "jobs": found.jobs,
        "lost": found.lost,
        "duplicated": found.duplicated,
        "stuck": found.stuck,
        "dead": found.dead,
        "waiting_least": soak.least_waiting,
        "first_delivery_p50_s": round(percentile(soak.first, 0.5), 3),
        "first_delivery_p99_s": round(percentile(soak.first, 0.99), 3),
        "first_delivery_max_s": round(max(soak.first, default=0.0), 3),
        "without_python_p99_s": round(percentile(soak.own, 0.99), 3),
        "ledger_standstill_max_s": round(soak.standstill, 3),
        "seconds": round(took, 1),
    }


def judge(soak: Soak, found: Accounts, late: float) -> list[str]:
    """Everything that was not as it has to be."""
    faults = [*soak.faults, *found.faults]
    wrong = {name: getattr(found, name) for name in ("lost", "duplicated", "stuck", "dead")}
    faults += [f"{name}: {count}" for name, count in wrong.items() if count]
    slow = [seconds for seconds in soak.first if seconds > late]
    if slow:
        faults.append(f"{len(slow)} first deliveries took more than {late} s, {max(slow):.2f} s at most")
    if soak.standstill > STANDSTILL_SECONDS:
        faults.append(f"the ledger stood still for {soak.standstill:.1f} s")
    return faults + [f"no turn after the start of {name}" for name in sorted(soak.unstarted)]


def main() -> int:
    """Soak, print a table or JSON, and tell by the exit code whether all was well."""
    parser = argparse.ArgumentParser(description="SIGKILL processes at random moments under load")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=1800.0, help="stop killing after so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=3, help="how many nodes")
    parser.add_argument("--late", type=float, default=DELIVERY_SECONDS, help="the longest first delivery")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), args.processes, Random(args.seed))
        try:
            run(soak, args.kills, args.seconds)
            found = accounts(soak.store, soak.sent)
        finally:
            soak.close()
    facts = report(soak, found, time.monotonic() - began)
    faults = judge(soak, found, args.late)
    if args.json:
        print(json.dumps({**facts, "faults": faults, "seed": args.seed}))
    else:
        for name, value in facts.items():
            print(f"{name.replace('_', ' '):<26}{value:>12}")
        for fault in faults:
            print(f"FAULT  {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
