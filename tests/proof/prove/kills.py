"""Strike real processes at random moments under load: SIGKILL, SIGSTOP with SIGCONT, SIGTERM.

A killed process is started again at once, one in twenty after the others had to do without it. One
that is stopped sleeps on past its session while others are struck, or for a moment only. A terminated
one finishes its turns and gives the rest back. Some strikes hit ``postroom poll`` and ``postroom ack``
in the middle. At the end everything has to be in its place, once.
"""

from __future__ import annotations

import json
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from accounts import Accounts, accounts
from children import COMMAND_LINE, Child
from crew import LEDGER, PULL

from .charges import Charges, charges, unexplained
from .herd import BACKLOG, GRACE_SECONDS, HELD_BY, SESSION_SECONDS, Herd
from .outcome import Outcome, Tell

DELIVERY_SECONDS = 2.0
"""The longest from the kill of a node to the first turn in the one that is started for it (99 of 100)."""

STANDSTILL_SECONDS = SESSION_SECONDS + 3.0
"""The longest that the ledger may do nothing although it has mail: who has it may sleep for a session."""

ABSENT_SHARE, ABSENT_SECONDS = 0.05, 4.0
NODES = 3
SLEEPER_SHARE = 0.15
EARLY_SHARE = 0.2
"""How many strikes do not wait until everybody who was started has had a turn."""

WEIGHTS: dict[tuple[str, str], int] = {
    ("node", "kill"): 40, ("node", "term"): 12, ("node", "doze"): 8, ("node", "sleep"): 8,
    ("sender", "kill"): 5, ("sender", "doze"): 2, ("sender", "sleep"): 1,
    ("puller", "kill"): 7, ("puller", "term"): 3, ("puller", "doze"): 2, ("puller", "sleep"): 4,
    ("clerk", "kill"): 3, ("clerk", "term"): 3, ("clerk", "sleep"): 2,
}  # fmt: skip
"""How often each kind of process is struck, and how."""

LOST, NOTHING_TO_DO = 3, 4
STRUCK = (143, -signal.SIGKILL, -signal.SIGTERM)
"""Exit codes of commands; SIGTERM before the command has begun to heed it ends Python itself."""

HARD = frozenset({"kill", "sleep"})
"""Blows after which begun turns count as attempts."""


class Strikes:
    """One run of blows at a herd. ``done`` counts them by kind and blow.

    ``missed`` are those among them that met nobody: a command that had ended, a process whom no moment
    without the lock was found for. They count for nothing.
    """

    def __init__(self, herd: Herd) -> None:
        self.herd = herd
        self.rng = herd.rng
        self.done: Counter[tuple[str, str]] = Counter()
        self.missed = 0
        self.with_lock = 0
        self._met = 0
        self.slowest_term = 0.0
        self.per_minute = 0.0
        self._blows: dict[str, Callable[[str], None]] = {
            "kill": self.kill,
            "term": self.term,
            "doze": self.doze,
            "sleep": self.sleep,
        }

    @property
    def count(self) -> int:
        return self.done.total() - self.missed

    def run(self, amount: int, seconds: float, tell: Tell) -> None:
        """Strike until there were enough blows or no time is left, then wind up."""
        self.herd.prepare()
        began = time.monotonic()
        stop = began + seconds
        while self.count < amount and time.monotonic() < stop:
            if self.rng.random() >= EARLY_SHARE:
                self.herd.listen(10, until_started=True)
            self.herd.listen(self.rng.uniform(0, 0.4))
            self.strike()
            tell(self.count)
        self.herd.listen(20, until_started=True)
        late = [f"no turn in {name} within 20 s of its start" for name in sorted(self.herd.unstarted)]
        self.herd.faults += late
        self.per_minute = 60 * self.count / (time.monotonic() - began)
        self.herd.wind_up()

    def strike(self) -> None:
        """One blow at one of those that are awake."""
        kind, blow = self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if kind == "clerk":
            self.strike_clerk(blow)
        else:
            name = self.rng.choice(self._within_reach()) if kind == "node" else kind
            if blow != "kill" and (name in self.herd.asleep or name in self.herd.rejoining):
                return  # asleep already; only a kill reaches it
            self._blows[blow](name)
        self.done[kind, blow] += 1

    def _within_reach(self) -> list[str]:
        """Mostly the nodes that are awake, so that sleepers come back; a kill also ends sleepers."""
        awake = [name for name in self.herd.nodes if name not in self.herd.asleep]
        return awake if awake and self.rng.random() >= SLEEPER_SHARE else self.herd.nodes

    def kill(self, name: str) -> None:
        """SIGKILL, and start it again."""
        self.herd.bury(name)
        if self.rng.random() < ABSENT_SHARE:
            self.herd.struck.pop(name, None)
            self.herd.listen(ABSENT_SECONDS)
        self.herd.spawn(name)

    def term(self, name: str) -> None:
        """SIGTERM: a node drains and is gone within its grace, a puller that is no node just dies."""
        child = self.herd.children[name]
        began = time.monotonic()
        child.signal(signal.SIGTERM)
        code = child.ended(within=60)
        took = time.monotonic() - began
        self.herd.hear(name)
        if name in self.herd.nodes:
            self.slowest_term = max(self.slowest_term, took)
            early = name in self.herd.unstarted
            if code and not (early and code == -signal.SIGTERM):
                self.herd.faults.append(f"{name} ended with {code} on SIGTERM")
            if not code and self.herd.session_of(name) is not None:
                self.herd.faults.append(f"{name} left its session open on SIGTERM")
        self.herd.forget(name)
        self.herd.spawn(name)

    def doze(self, name: str) -> None:
        """SIGSTOP for a moment, whatever it holds then. Nobody takes its place."""
        before = self.herd.session_of(name)
        self.herd.struck.pop(name, None)
        self.herd.children[name].stop()
        self.with_lock += not self.herd.lock_is_free()
        self.herd.listen(self.rng.uniform(0.02, 0.3))
        if name in self.herd.children:
            self.herd.children[name].go_on()
        after = self.herd.session_of(name)
        if before is not None and (after is None or after.id != before.id):
            self.herd.faults.append(f"{name} lost its session by a short sleep")

    def sleep(self, name: str) -> None:
        """SIGSTOP past its session or lease, at a moment at which it holds no lock, so others overtake."""
        for _ in range(50):
            self.herd.put_to_sleep(name, SESSION_SECONDS + self.rng.uniform(0.5, 1.5))
            if self.herd.lock_is_free():
                return
            self.herd.asleep.pop(name)
            self.herd.children[name].go_on()
            self.herd.listen(0.003)
        self.missed += 1

    # Command lines

    def strike_clerk(self, blow: str) -> None:
        """Strike ``postroom poll`` somewhere; if it had its message by then, ``postroom ack`` too."""
        met = self._met
        shared = ("--store", self.herd.url, "--json")
        poll = self._struck(blow, "poll", PULL, "--wait", "1", "--lease", "1", *shared)
        given: list[dict[str, Any]] = []
        if poll[0] == 0 and poll[1].strip():
            given = json.loads(poll[1])["messages"]
        for message in given:
            done = json.dumps({"to": LEDGER, "type": "Done", "body": {"n": message["body"]["n"]}})
            words = ("ack", str(message["id"]), "--fence", str(message["fence"]), "--send", "-", *shared)
            code, said = self._struck(blow, *words, given=done)
            if code not in (0, LOST, *STRUCK):
                self.herd.faults.append(f"postroom ack ended with {code}: {said}")
        if poll[0] not in (0, NOTHING_TO_DO, *STRUCK):
            self.herd.faults.append(f"postroom poll ended with {poll[0]}: {poll[1]}")
        self.missed += self._met == met

    def _struck(self, blow: str, *words: str, given: str = "") -> tuple[int, str]:
        """A command that is struck within its first third of a second, if it lasts so long."""
        with Child(*words, program=COMMAND_LINE) as child:
            child.say(given)
            self.herd.listen(self.rng.uniform(0.05, 0.35))
            self._met += child.process.poll() is None
            if blow == "sleep":
                child.stop()
                self.herd.listen(1.2)
                child.go_on()
            else:
                child.signal(signal.SIGKILL if blow == "kill" else signal.SIGTERM)
            code = child.ended(within=60)
            return code, child.text()


def percentile(values: list[float], share: float) -> float:
    """The value that this share of all does not exceed; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def run(
    amount: int,
    seed: int,
    tell: Tell,
    *,
    seconds: float = 7200.0,
    nodes: int = NODES,
    late: float = DELIVERY_SECONDS,
    backlog: int = BACKLOG,
) -> Outcome:
    """Strike ``amount`` times, or for ``seconds`` at most, and judge what is left."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        herd = Herd(Path(folder), nodes, Random(seed), backlog=backlog)
        strikes = Strikes(herd)
        try:
            strikes.run(amount, seconds, tell)
            found = accounts(herd.store, herd.sent)
            lost_leases = sum(counts.lost_leases for counts in herd.store.counts())
        finally:
            herd.close()
        charged = charges(herd.store.path)
    outcome = judge(strikes, found, charged, late)
    outcome.figures |= {
        "attempts_charged": len(charged.all),
        "redeliveries": charged.again,
        "attempts_of_one_max": charged.most,
        "late_settlements_refused": lost_leases,
        "seconds": round(time.monotonic() - began, 1),
    }
    return outcome


def judge(strikes: Strikes, found: Accounts, charged: Charges, late: float) -> Outcome:
    """Everything that was not as it has to be, and the figures."""
    herd = strikes.herd
    outcome = Outcome(strikes.count, found.accepted, found.lost, found.duplicated, stuck=found.stuck)
    outcome.notes.append("nobody sees all leases of real processes; two at once show as an effect done twice")
    turns = HELD_BY["node"]
    for fault in (*herd.faults, *found.faults, *unexplained(charged.all, herd.hit, turns)):
        outcome.wrong(fault)
    if found.dead:
        outcome.wrong(f"{found.dead} messages are dead: {'; '.join(found.lives)}")
    fair = sum(HELD_BY[kind] * n for (kind, blow), n in strikes.done.items() if blow in HARD)
    if len(charged.all) > fair + _short_leases(strikes):
        outcome.wrong(
            f"{len(charged.all)} attempts were charged, of {fair} turns at most that can have begun"
        )
    p99 = percentile(herd.first, 0.99)
    if p99 > late:
        outcome.wrong(f"of 100 first deliveries 99 took up to {p99:.2f} s, not {late} s")
    if herd.standstill > STANDSTILL_SECONDS:
        outcome.wrong(f"the ledger stood still for {herd.standstill:.1f} s")
    if strikes.slowest_term > GRACE_SECONDS + 3:
        outcome.wrong(f"a node took {strikes.slowest_term:.1f} s to end on SIGTERM")
    outcome.figures |= {f"{blow}_{kind}": n for (kind, blow), n in sorted(strikes.done.items())}
    outcome.figures |= {
        "kill_to_first_delivery_p50_s": round(percentile(herd.first, 0.5), 3),
        "kill_to_first_delivery_p99_s": round(p99, 3),
        "kill_to_first_delivery_max_s": round(max(herd.first, default=0.0), 3),
        "kills_timed": len(herd.first),
        "without_python_p99_s": round(percentile(herd.own, 0.99), 3),
        "waiting_least": herd.least_waiting,
        "ledger_standstill_max_s": round(herd.standstill, 3),
        "ledger_moved": herd.moves.get(LEDGER, 0),
        "dispatcher_moved": herd.moves.get("postroom/dispatcher", 0),
        "rejoined": herd.rejoined,
        "stopped_with_the_lock": strikes.with_lock,
        "met_nobody": strikes.missed,
        "term_max_s": round(strikes.slowest_term, 3),
        "jobs": found.jobs,
        "wal_max_mib": round(herd.wal_max / (1 << 20), 1),
        "strikes_per_minute": round(strikes.per_minute, 1),
    }
    return outcome


def _short_leases(strikes: Strikes) -> int:
    """What a terminated or dozing puller, or a clerk, lets lapse: its leases last for a second."""
    return sum(
        HELD_BY[kind] * n
        for (kind, blow), n in strikes.done.items()
        if kind in ("puller", "clerk") and blow not in HARD
    )
