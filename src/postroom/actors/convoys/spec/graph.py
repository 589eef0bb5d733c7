"""The graph of tasks: where it runs in a circle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter


def cycle_in(depends_on: Mapping[str, Iterable[str]]) -> list[str]:
    """The names along one cycle, each depending on the next, first and last the same; else empty."""
    try:
        TopologicalSorter(depends_on).prepare()
    except CycleError as error:
        names: list[str] = error.args[1]  # each before the one that depends on it
        ring = names[:0:-1]
        first = ring.index(min(ring, key=list(depends_on).index))
        return [*ring[first:], *ring[:first], ring[first]]
    return []
