"""Families of one process, counted from the events that the lower floors report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from ..store.events import (
    ActorParked,
    ActorRestarted,
    BatchCommitted,
    CommitFailed,
    LeaseLost,
    Overflowed,
    TurnsEnded,
)
from .histogram import (
    BATCH_OPERATIONS,
    COMMIT_SECONDS,
    LAG_SECONDS,
    WAIT_SECONDS,
    WORK_SECONDS,
    Histogram,
)
from .labels import OTHER, FirstSeen

OUTCOMES = ("ack", "retry", "release", "dead", "lost")
COMMIT_ERRORS = ("store_busy", "store_full", "store_unavailable", "outcome_unknown")
RESTART_REASON_CAP = 20

Labels = tuple[str, ...]


class CounterTable:
    """A counter for each combination of label values."""

    def __init__(self, name: str, text: str, labels: Labels) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._counts: dict[Labels, int] = {}

    def start_at_zero(self, key: Labels) -> None:
        self._counts.setdefault(key, 0)

    def add_one(self, key: Labels) -> None:
        self._counts[key] = self._counts.get(key, 0) + 1

    def family(self) -> Metric:
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for key, count in sorted(self._counts.copy().items()):
            family.add_metric(key, count)
        return family


class HistogramTable:
    """A histogram for each combination of label values."""

    def __init__(
        self, name: str, text: str, bounds: tuple[float, ...], labels: Labels = (), unit: str = ""
    ) -> None:
        self._name, self._text, self._labels, self._unit = name, text, labels, unit
        self._bounds = bounds
        self._histograms: dict[Labels, Histogram] = {}

    def at(self, *key: str) -> Histogram:
        """The histogram of these label values, made if it is not there yet."""
        histogram = self._histograms.get(key)
        if histogram is None:
            histogram = self._histograms[key] = Histogram(self._bounds)
        return histogram

    def family(self) -> Metric:
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels, unit=self._unit)
        for key, histogram in sorted(self._histograms.copy().items()):
            buckets, total = histogram.cumulative()
            family.add_metric(key, buckets, total)
        return family


class ProcessFamilies:
    """What one process has done since it started. Call it with each event; it takes microseconds.

    Roles declared at the start show zeros before anything happens. The number of label values is
    bounded whatever the events say. Events come from one thread; ``collect`` may run in another.
    """

    def __init__(self, roles: Iterable[str] = ()) -> None:
        declared = tuple(dict.fromkeys(roles))
        self._roles = FirstSeen(declared)
        self._reasons = FirstSeen(cap=RESTART_REASON_CAP)
        self._make_commit_tables()
        self._make_turn_tables()
        self._make_trouble_tables()
        for role in declared:
            self._zero(role)
        self._handlers: dict[type, Callable[[Any], None]] = {
            BatchCommitted: self._batch_committed,
            CommitFailed: self._commit_failed,
            TurnsEnded: self._turns_ended,
            ActorRestarted: self._actor_restarted,
            ActorParked: self._actor_parked,
            LeaseLost: self._lease_lost,
            Overflowed: self._overflowed,
        }

    def __call__(self, event: object) -> None:
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def loop_lagged(self, seconds: float) -> None:
        """Count one measurement of how late the event loop was."""
        self._lag.at().add(seconds)

    def collect(self) -> Iterator[Metric]:
        for table in (self._commits, self._batches, self._waits, self._works, self._lag):
            yield table.family()
        for counts in (
            self._failures, self._restarts, self._parked, self._lost, self._overflows,
        ):  # fmt: skip
            yield counts.family()

    def _make_commit_tables(self) -> None:
        self._commits = HistogramTable(
            "postroom_commit_seconds",
            "Time of one group commit, statements and all, by where it waited for the device.",
            COMMIT_SECONDS,
            ("place",),
            "seconds",
        )
        self._batches = HistogramTable(
            "postroom_commit_operations", "Operations in one group commit.", BATCH_OPERATIONS
        )
        self._failures = CounterTable(
            "postroom_store_errors", "Group commits that failed, by error code.", ("error",)
        )
        for place in ("loop", "thread"):
            self._commits.at(place)
        self._batches.at()
        for error in COMMIT_ERRORS:
            self._failures.start_at_zero((error,))

    def _make_turn_tables(self) -> None:
        by = ("role", "outcome")
        self._waits = HistogramTable(
            "postroom_turn_wait_seconds",
            "Time from ready to the start of its turn, by how the turn ended.",
            WAIT_SECONDS,
            by,
            "seconds",
        )
        self._works = HistogramTable(
            "postroom_turn_handling_seconds",
            "Time in the handler, by how the turn ended.",
            WORK_SECONDS,
            by,
            "seconds",
        )

    def _make_trouble_tables(self) -> None:
        self._restarts = CounterTable("postroom_actor_restarts", "Actors started again.", ("role", "reason"))
        self._parked = CounterTable(
            "postroom_actors_parked", "Actors given up after too many restarts.", ("role",)
        )
        self._lost = CounterTable(
            "postroom_turn_lost_leases",
            "Turns of this process whose lease no longer held when they ended.",
            ("role",),
        )
        self._overflows = CounterTable(
            "postroom_turn_overflows",
            "Turns of this process that sent past the bound of a recipient.",
            ("role",),
        )
        self._lag = HistogramTable(
            "postroom_event_loop_lag_seconds",
            "How late the event loop ran a task that was due.",
            LAG_SECONDS,
            (),
            "seconds",
        )
        self._lag.at()

    def _zero(self, role: str) -> None:
        for outcome in OUTCOMES:
            self._waits.at(role, outcome)
            self._works.at(role, outcome)
        self._restarts.start_at_zero((role, "error"))
        for table in (self._parked, self._lost, self._overflows):
            table.start_at_zero((role,))

    def _batch_committed(self, event: BatchCommitted) -> None:
        self._commits.at("thread" if event.in_thread else "loop").add(event.seconds)
        self._batches.at().add(event.operations)

    def _commit_failed(self, event: CommitFailed) -> None:
        self._failures.add_one((event.error if event.error in COMMIT_ERRORS else OTHER,))

    def _turns_ended(self, event: TurnsEnded) -> None:
        role = self._roles.label(event.role)
        outcome = event.outcome if event.outcome in OUTCOMES else OTHER
        self._waits.at(role, outcome).add_all([wait for wait, _ in event.samples])
        self._works.at(role, outcome).add_all([handling for _, handling in event.samples])

    def _actor_restarted(self, event: ActorRestarted) -> None:
        key = (self._roles.label(event.role), self._reasons.label(event.reason))
        self._restarts.add_one(key)

    def _actor_parked(self, event: ActorParked) -> None:
        self._parked.add_one((self._roles.label(event.role),))

    def _lease_lost(self, event: LeaseLost) -> None:
        self._lost.add_one((self._roles.label(event.role),))

    def _overflowed(self, event: Overflowed) -> None:
        self._overflows.add_one((self._roles.label(event.role),))
