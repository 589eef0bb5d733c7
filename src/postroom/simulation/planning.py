"""What a run will do to the fleet: faults as data, each drawn from the seed before anything runs.

A fault is armed at a time and says itself how it ends, so that a run can be repeated without some of
them and the others do not change.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from msgspec import Struct

from .between import OPERATIONS

WHOLE_FLEET = ""


class Fault(Struct, frozen=True):
    """One thing that goes wrong.

    ``at`` is when, in seconds from the beginning; ``node`` is whose (empty for the host itself or all
    of the fleet). ``method`` is the operation of the port that it concerns. ``times`` is how many calls
    it meets, ``seconds`` how long it lasts; None for until all faults are lifted. ``amount`` is how far
    a clock is set, or how long a process is down, in seconds.
    """

    kind: str
    at: float
    node: str = WHOLE_FLEET
    method: str = ""
    times: int | None = None
    seconds: float | None = None
    amount: float = 0.0
    seen: bool = True

    def __str__(self) -> str:
        words = [f"{self.at:.3f} s", self.kind]
        words += [word for word in (self.node, self.method) if word]
        if self.times is not None:
            words.append(f"x{self.times}")
        if self.seconds is not None:
            words.append(f"for {self.seconds:g} s")
        if self.amount:
            words.append(f"by {self.amount:g} s")
        if not self.seen:
            words.append("unseen")
        return " ".join(words)


UNTOUCHED = {
    "backup": "nobody in a simulated fleet makes one",
    "close": "a process that closes its handle is done with it",
    "commit_delay": "it is the simulation's own",
    "on_commit": "it only has a bell rung; that it rings in vain is a fault of its own",
    "rollback": "what was not committed ends with its connection: that cannot fail and leave it open",
    "rung": "what the process itself has committed is in its memory",
    "verify": "the checkers' own",
    "watch": "a store in memory has none",
}
"""Operations of the port that are not made to fail, each with its reason."""

WRITING = ("begin", "apply", "commit")
FAILING = tuple(name for name in OPERATIONS if name not in UNTOUCHED)
"""Operations that are made to fail: all that the port has, but for those above."""

READING = tuple(name for name in FAILING if name not in WRITING)

Draw = Callable[[Random, float, list[str]], Fault]


def _lasting(rng: Random) -> tuple[int | None, float | None]:
    """How a fault ends: after some calls, after some time, or when all faults are lifted."""
    way = rng.randrange(10)
    if way < 6:
        return rng.randint(1, 3), None
    if way < 9:
        return None, round(rng.uniform(0.05, 1.5), 3)
    return None, None


def _failing(kind: str, methods: tuple[str, ...]) -> Draw:
    def draw(rng: Random, at: float, nodes: list[str]) -> Fault:
        times, seconds = _lasting(rng)
        return Fault(kind, at, rng.choice(nodes), rng.choice(methods), times, seconds)

    return draw


def _lost_bell(rng: Random, at: float, nodes: list[str]) -> Fault:
    return Fault("lost-bell", at, rng.choice(nodes), "changed_elsewhere", seconds=rng.uniform(0.1, 3.0))


def _lost_renewal(rng: Random, at: float, nodes: list[str]) -> Fault:
    """Until all faults are lifted: a session is renewed when it begins, and then every 15 s."""
    return Fault("lost-renewal", at, rng.choice(nodes), "apply")


def _clock(kind: str, steps: tuple[float, ...]) -> Draw:
    def draw(rng: Random, at: float, nodes: list[str]) -> Fault:
        return Fault(kind, at, amount=rng.choice(steps))

    return draw


def _pause(rng: Random, at: float, nodes: list[str]) -> Fault:
    """Mostly short; now and then past the lease of a session, which is 60 s."""
    long = rng.randrange(12) == 0
    seconds = rng.uniform(61.0, 75.0) if long else rng.uniform(0.1, 3.0)
    return Fault("pause", at, rng.choice(nodes), seconds=round(seconds, 3))


def _crash(kind: str, *, unseen: int) -> Draw:
    """One in ``unseen`` crashes is not seen by the others; then only the lapsed session tells."""

    def draw(rng: Random, at: float, nodes: list[str]) -> Fault:
        seen = unseen == 0 or rng.randrange(unseen) > 0
        node, down = rng.choice(nodes), round(rng.uniform(0.0, 2.0), 3)
        if kind == "crash":
            return Fault(kind, at, node, amount=down, seen=seen)
        return Fault(kind, at, node, "commit", times=1, amount=down, seen=seen)

    return draw


def _power(rng: Random, at: float, nodes: list[str]) -> Fault:
    return Fault("power-cycle", at, amount=round(rng.uniform(0.1, 2.0), 3))


def _stop(rng: Random, at: float, nodes: list[str]) -> Fault:
    return Fault("stop", at, rng.choice(nodes), amount=round(rng.uniform(0.0, 1.0), 3))


HOUR, DECADE = 3600.0, 10 * 365.25 * 86_400
FAULTS: dict[str, Draw] = {
    "refuse": _failing("refuse", WRITING),
    "refuse-reading": _failing("refuse", READING),
    "busy": _failing("busy", ("begin",)),
    "unknown-kept": _failing("unknown-kept", ("commit",)),
    "unknown-lost": _failing("unknown-lost", ("commit",)),
    "fail-after": _failing("fail-after", FAILING),
    "lost-bell": _lost_bell,
    "clock-hour": _clock("clock", (HOUR, -HOUR)),
    "clock-decade": _clock("clock", (DECADE, -DECADE)),
    "suspend": _clock("suspend", (5.0, 70.0, 400.0)),
    "pause": _pause,
    "crash": _crash("crash", unseen=20),
    "crash-before-commit": _crash("crash-before-commit", unseen=0),
    "crash-after-commit": _crash("crash-after-commit", unseen=0),
    "lost-renewal": _lost_renewal,
    "power-cycle": _power,
    "stop": _stop,
}
"""Every kind of fault that a scenario can give a weight, and how one is drawn."""


def plan(rng: Random, weights: dict[str, int], amount: int, until: float, nodes: list[str]) -> list[Fault]:
    """Draw the faults of one run, in the order of their times, all before ``until`` seconds."""
    kinds = [kind for kind in sorted(weights) if weights[kind]]
    chosen = rng.choices(kinds, [weights[kind] for kind in kinds], k=amount) if kinds else []
    drawn = [FAULTS[kind](rng, round(rng.uniform(0.05, until), 3), nodes) for kind in chosen]
    return sorted(drawn, key=lambda fault: fault.at)
