"""What runs of a fleet have shown: a document for programs, and a table that puts policies side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..report import DUPLICATES
from .options import Kind
from .running import Result

QUANTILES = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "max": 1.0}
OUTCOMES = ("useful", "empty", "lost", "blocked")


def document(results: Sequence[Result]) -> dict[str, Any]:
    """All of it for programs: the first policy's run, and each run under ``policies``."""
    views = [view(result) for result in results]
    return views[0] | {"policies": views}


def view(result: Result) -> dict[str, Any]:
    """One run for programs. Costs are in ``cost.currency``; all times are virtual but ``real_seconds``."""
    ledger, options = result.ledger, result.options
    return {
        "policy": str(options.policy),
        "seed": options.seed,
        "pairs": options.pairs,
        "threads": result.threads,
        "virtual_seconds": result.virtual_seconds,
        "real_seconds": round(result.real_seconds, 3),
        "events": result.events,
        "events_per_second": _rate(result),
        "trace_sha256": result.trace_sha256,
        "tasks": ledger.tasks,
        "lost": result.count("lost"),
        "duplicate_effects": result.count(*DUPLICATES),
        "wakes": {name: ledger.wakes[name] for name in OUTCOMES},
        "wakes_noted": _noted(result),
        "wake_latency_seconds": {name: ledger.quantile(share) for name, share in QUANTILES.items()},
        "turns": dict(sorted(ledger.turns.items())),
        "happened": dict(sorted(ledger.happened.items())),
        "cost": cost(result),
        "depth": [{"at": one.at, "waiting": one.waiting, "working": one.working} for one in ledger.samples],
        "checked": "every operation" if options.thorough else "the end of the run",
        "breaches": [{"kind": breach.kind, "what": breach.what} for breach in result.breaches],
    }


def _noted(result: Result) -> dict[str, int] | None:
    """The store's own account of the wakes; only its own wakener keeps one."""
    if result.options.policy.kind is not Kind.ECONOMY:
        return None
    return {name: getattr(result.noted, name) for name in OUTCOMES}


def cost(result: Result) -> dict[str, Any]:
    """What the wakes that arrived and the turns cost, and what the needless wakes had of it."""
    prices, wakes = result.options.fleet.prices, result.ledger.wakes
    turns = sum(result.ledger.turns.values())
    waking = (wakes["useful"] + wakes["empty"]) * prices.wake
    whole = waking + turns * prices.turn
    tasks = result.ledger.tasks
    return {
        "currency": prices.currency,
        "wakes": round(waking, 2),
        "needless_wakes": round(wakes["empty"] * prices.wake, 2),
        "turns": round(turns * prices.turn, 2),
        "total": round(whole, 2),
        "per_task": round(whole / tasks, 4) if tasks else None,
    }


def table(results: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows, one row for each thing that is told and one column for each policy."""
    costs = [cost(result) for result in results]
    ledgers = [result.ledger for result in results]
    rows: list[list[str]] = [["tasks", *(f"{one.tasks:,}" for one in ledgers)]]
    for name in OUTCOMES:
        rows.append([f"{name} wakes", *(f"{one.wakes[name]:,}" for one in ledgers)])
    rows.append(["wakes into a turn", *(f"{one.happened['wakes into a turn']:,}" for one in ledgers)])
    for name, share in QUANTILES.items():
        rows.append([f"wake latency {name}", *(_seconds(one.quantile(share)) for one in ledgers)])
    rows += [
        ["turns", *(f"{sum(one.turns.values()):,}" for one in ledgers)],
        [f"cost of wakes, {costs[0]['currency']}", *(f"{one['wakes']:,.2f}" for one in costs)],
        ["of them needless", *(f"{one['needless_wakes']:,.2f}" for one in costs)],
        ["cost of turns", *(f"{one['turns']:,.2f}" for one in costs)],
        ["cost of a task", *("-" if one["per_task"] is None else f"{one['per_task']:.3f}" for one in costs)],
        ["most waiting", *(f"{max((s.waiting for s in one.samples), default=0):,}" for one in ledgers)],
        ["lost", *(f"{result.count('lost'):,}" for result in results)],
        ["duplicate effects", *(f"{result.count(*DUPLICATES):,}" for result in results)],
        ["other breaches", *(f"{_others(result):,}" for result in results)],
        ["events a second", *(f"{_rate(result):,}" for result in results)],
    ]
    return ["", *(str(result.options.policy) for result in results)], rows


def _rate(result: Result) -> int:
    """Events in a second of real time."""
    return round(result.events / max(result.real_seconds, 1e-9))


def _others(result: Result) -> int:
    return len(result.breaches) - result.count("lost", *DUPLICATES)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f} s"


MOST_BREACHES = 10


def closing(results: Sequence[Result]) -> list[str]:
    """Below the table: the traces, and what was broken."""
    lines = [f"trace sha256 {one.trace_sha256} ({one.options.policy})" for one in results]
    for result in results:
        broken = result.breaches
        lines += [f"{result.options.policy}: {one.kind}: {one.what}" for one in broken[:MOST_BREACHES]]
        if len(broken) > MOST_BREACHES:
            lines.append(f"{result.options.policy}: and {len(broken) - MOST_BREACHES} more")
    if all(result.clean for result in results):
        lines.append("nothing broken")
    return lines
