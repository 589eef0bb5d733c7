"""Claims to be done and what became of them, for all runs of convoys: computed from the store."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric

from ..mailbox.evidence import CLAIMS, Claims
from ..store.port import Store


def read_claims(store: Store) -> Claims:
    """The claims of all runs together. Raises ``StoreUnavailable``."""
    kept = [claims for claims, _ in CLAIMS.all(store).values()]
    return Claims(sum(claims.made for claims in kept), sum(claims.refuted for claims in kept))


def claim_families(claims: Claims) -> Iterator[Metric]:
    """Two counters, so that one over the other is the share that cannot be believed."""
    yield CounterMetricFamily(
        "postroom_convoy_claims", "Attempts whose worker said that the task is done.", value=claims.made
    )
    yield CounterMetricFamily(
        "postroom_convoy_claims_refuted",
        "Those of them that a check or reviewer refuted.",
        value=claims.refuted,
    )
