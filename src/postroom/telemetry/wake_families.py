"""How wakes ended, for all time: computed from the store, so equal from every exporter."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric

from ..mailbox import wakes
from ..store.port import Store

OUTCOMES: tuple[str, ...] = ("useful", "empty", "lost", "blocked")


def read_outcomes(store: Store) -> dict[str, int]:
    """How many wakes of all addresses ended in each way. Raises ``StoreUnavailable``."""
    kept = [wake for wake, _ in wakes.WAKES.all(store).values()]
    return {outcome: sum(getattr(wake, outcome) for wake in kept) for outcome in OUTCOMES}


def wake_families(outcomes: dict[str, int]) -> Iterator[Metric]:
    """The one family; each outcome is there from the start."""
    family = CounterMetricFamily(
        "postroom_wakeups",
        "Wakes by how they ended; blocked ones had no thread to wake.",
        labels=("outcome",),
    )
    for outcome in OUTCOMES:
        family.add_metric((outcome,), outcomes.get(outcome, 0))
    yield family
