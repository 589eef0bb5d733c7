"""Fleets of app threads on virtual time: what waking costs under each policy, and what simulating costs."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

from msgspec import structs

from ..simulation.fleet import options, running, spec
from ..simulation.fleet.options import Options
from ..simulation.fleet.running import Result
from .rows import Measured, Params

HARSH: dict[str, Any] = {
    "fleet": {"pairs": 3, "days": 0.03, "workers_per_manager": 2},
    "arrivals": {"tasks_per_day": 500, "day": [0, 24], "burst": 2, "follow_up": 0.3, "shared": 0.1},
    "turns": {"worker": [20, 400], "manager": [20, 100], "fails": 0.08},
    "threads": {
        "crashes": 0.06, "restart": [20, 400], "lease": 200, "heartbeat": 90,
        "unassigned": 0.2, "assigned_after": [60, 3000],
    },
    "operators": {
        "delay": [1, 90], "late": 0.08, "late_delay": [120, 1500], "lost": 0.1, "fails": 0.1, "unsure": 0.06,
    },
    "dispatcher": {"crashes_per_day": 150, "restart": [1, 120]},
}  # fmt: skip
"""Everything goes wrong, often."""

HOURLY: dict[str, Any] = {
    "arrivals": {"tasks_per_day": 24, "day": [0, 24], "follow_up": 0.0},
    "dispatcher": {"crashes_per_day": 0},
}
"""One message per thread and hour: each task is one for its worker, and its report one for its manager."""


def _options(
    policy: str, seed: int = 1, *, pairs: int, days: float, fleet: dict[str, Any] | None = None
) -> Options:
    loaded = spec.load(None) if fleet is None else spec.checked(fleet, "bench")
    return options.options(loaded, seed=seed, policy=options.policy(policy), pairs=pairs, days=days)


def idle_pair(params: Params) -> Measured:
    """Wakes that a pair without work is sent in a virtual day."""
    quiet = {"arrivals": {"tasks_per_day": 0}}
    result = running.run(_options("economy", pairs=1, days=1, fleet=quiet))
    return Measured(sum(result.ledger.wakes.values()), _detail(result))


def against_fixed(params: Params) -> Measured:
    """Empty wakes of ``economy`` in a day of the default fleet, in percent of those of ``fixed:120s``."""
    ours, fixed = (running.run(_options(policy, pairs=10, days=1)) for policy in ("economy", "fixed:120s"))
    ours_p99, fixed_p99 = ours.ledger.quantile(0.99) or 0.0, fixed.ledger.quantile(0.99) or 0.0
    empty, theirs = ours.ledger.wakes["empty"], fixed.ledger.wakes["empty"]
    detail = {
        "empty": empty, "fixed_empty": theirs, "p99_s": ours_p99, "fixed_p99_s": fixed_p99,
        "p99_ratio": ours_p99 / fixed_p99, "breaches": len(ours.breaches) + len(fixed.breaches),
    }  # fmt: skip
    return Measured(empty / theirs * 100, {name: float(value) for name, value in detail.items()})


def seeds(count: int) -> Callable[[Params], Measured]:
    """The row over so many seeds of a harsh fleet: breaches of any kind."""

    def measure(params: Params) -> Measured:
        began, breaches, tasks, deaths = time.perf_counter(), 0, 0, 0
        for seed in range(1, count + 1):
            result = running.run(_options("economy", seed, pairs=3, days=0.03, fleet=HARSH))
            breaches += len(result.breaches)
            tasks += result.ledger.tasks
            deaths += result.ledger.happened["process deaths"]
        took = time.perf_counter() - began
        return Measured(breaches, {"seeds": count, "tasks": tasks, "process_deaths": deaths, "seconds": took})

    return measure


def thousand_pairs(params: Params) -> Measured:
    """A virtual day of 1,000 pairs of the default fleet, in seconds."""
    result = running.run(structs.replace(_options("economy", pairs=1000, days=1), thorough=False))
    return Measured(result.real_seconds, _detail(result))


def many_threads(params: Params) -> Measured:
    """A virtual hour of 100,000 threads with a message each, in seconds; and what an event costs."""
    small = _hour(500)
    large = _hour(50_000)
    cost, least = _cost(large), _cost(small)
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(large.real_seconds, {**_detail(large), "cost_ratio": cost / least, "mib": mib})


def _hour(pairs: int) -> Result:
    whole = _options("economy", pairs=pairs, days=1 / 24, fleet=HOURLY)
    return running.run(structs.replace(whole, thorough=False))


def _cost(result: Result) -> float:
    return result.real_seconds / result.events


def _detail(result: Result) -> dict[str, float]:
    return {
        "events": result.events,
        "events_per_s": result.events / result.real_seconds,
        "tasks": result.ledger.tasks,
        "breaches": len(result.breaches),
    }
