"""What runs have shown, as a document for programs and as lines for people."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import Any

from msgspec import Struct

from .options import Options
from .running import Result

DUPLICATES = ("duplicated", "effect")
"""Kinds of breaches that mean that something had its effect twice, or did not fit its message."""


class Failure(Struct, frozen=True):
    """A run with breaches, and the smallest of its kind that was found."""

    result: Result
    smallest: Options | None = None


class Findings:
    """Adds up runs, one after the other."""

    def __init__(self) -> None:
        self.runs = 0
        self.messages = 0
        self.redelivered = 0
        self.virtual_seconds = 0.0
        self.events = 0
        self.lost = 0
        self.duplicates = 0
        self.faults = Counter[str]()
        self.happened = Counter[str]()
        self.failures: list[Failure] = []
        self._digests: list[str] = []
        self._first: Result | None = None

    def add(self, result: Result) -> None:
        """Take in one run; a failure is added by itself, once it has been shrunk."""
        self._first = self._first or result
        self.runs += 1
        self.messages += result.messages
        self.redelivered += result.redelivered
        self.virtual_seconds += result.virtual_seconds
        self.events += result.events
        self.lost += result.count("lost")
        self.duplicates += result.count(*DUPLICATES)
        self.faults.update(result.faults)
        self.happened.update(result.happened)
        self._digests.append(result.trace_sha256)

    @property
    def trace_sha256(self) -> str:
        """The digest of the trace; of several runs, that of their digests one after the other."""
        if len(self._digests) == 1:
            return self._digests[0]
        return sha256("".join(self._digests).encode()).hexdigest()

    def document(self, scenario: str, seed: int) -> dict[str, Any]:
        """All of it for programs. Wakes are those of app threads, which no fleet here has."""
        document: dict[str, Any] = {
            "scenario": scenario,
            "seed": seed,
            "runs": self.runs,
            "virtual_seconds": round(self.virtual_seconds, 6),
            "events": self.events,
            "trace_sha256": self.trace_sha256,
            "messages": self.messages,
            "redelivered": self.redelivered,
            "lost": self.lost,
            "duplicate_effects": self.duplicates,
            "wakes": {"useful": 0, "empty": 0, "lost": 0, "blocked": 0},
            "wake_latency_seconds": {"p50": None, "p99": None},
            "faults": dict(sorted(self.faults.items())),
            "happened": dict(sorted(self.happened.items())),
            "breaches": [_failure_view(failure) for failure in self.failures],
        }
        if self.runs == 1 and self._first is not None:
            document["options"] = self._first.options.lines()
        return document

    def lines(self) -> list[str]:
        """All of it for people."""
        met = sum(self.faults.values())
        lines = [
            f"{_several(self.runs, 'run')}, {_several(self.messages, 'message')} checked, "
            f"{self.virtual_seconds:,.1f} virtual seconds, {_several(self.events, 'event')}",
            f"faults that met something: {met:,}" + _listed(self.faults),
            f"what came of it: {_several(self.redelivered, 'redelivery', 'redeliveries')}"
            + _listed(self.happened),
            f"trace sha256 {self.trace_sha256}",
        ]
        for failure in self.failures:
            lines += ["", *failure_lines(failure)]
        breaches = sum(len(failure.result.breaches) for failure in self.failures)
        lines.append(
            f"lost {self.lost}, duplicate effects {self.duplicates}, "
            + (f"{_several(breaches, 'breach', 'breaches')} in all" if breaches else "nothing broken")
        )
        return lines


def failure_lines(failure: Failure) -> list[str]:
    """A run that failed: what it was, what broke, how to see it again."""
    options = failure.result.options
    lines = [f"seed {options.seed} FAILED", *(f"  {line}" for line in options.lines())]
    lines += [f"  {breach.kind}: {breach.what}" for breach in failure.result.breaches[:10]]
    left = len(failure.result.breaches) - 10
    if left > 0:
        lines.append(f"  and {left} more")
    lines.append(f"  see it again: {options.command}")
    if failure.smallest is not None and failure.smallest != options:
        lines.append(f"  smallest that fails: {failure.smallest.command}")
    return lines


def _failure_view(failure: Failure) -> dict[str, Any]:
    options = failure.result.options
    return {
        "seed": options.seed,
        "options": options.lines(),
        "command": options.command,
        "smallest": None if failure.smallest is None else failure.smallest.command,
        "breaches": [{"kind": breach.kind, "what": breach.what} for breach in failure.result.breaches],
    }


def _several(amount: int, one: str, many: str | None = None) -> str:
    return f"{amount:,} {one if amount == 1 else many or one + 's'}"


def _listed(counts: Counter[str]) -> str:
    listed = ", ".join(f"{name} {times:,}" for name, times in sorted(counts.items()) if times)
    return f" ({listed})" if listed else ""
