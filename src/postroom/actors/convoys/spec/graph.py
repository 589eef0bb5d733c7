"""The graph of tasks: where it runs in a circle, and what comes before what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

MOST_CYCLES = 20
"""Circles that are looked for: whoever made so many has made a mistake in few places."""

MOST_NAMED = 12
"""Names of a circle that are told."""


def cycles_in(needs: Mapping[str, Iterable[str]]) -> Iterator[list[str]]:
    """Circles without a name in common, each from its first name on to that name again.

    Each name needs the next. There are none more if ``needs`` runs in no circle.
    """
    left = {name: list(others) for name, others in needs.items()}
    place = {name: n for n, name in enumerate(left)}
    for _ in range(MOST_CYCLES):
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            names: list[str] = error.args[1]  # each before the one that needs it
            ring = names[:0:-1]
            first = ring.index(min(ring, key=place.__getitem__))
            yield [*ring[first:], *ring[:first], ring[first]]
            for name in ring:
                del left[name]
        else:
            return


def told(ring: Sequence[str]) -> str:
    """A circle in words; of a long one only where it begins and ends."""
    left = len(ring) - MOST_NAMED
    names = [*ring[: MOST_NAMED - 1], f"({left} more)", ring[-1]] if left > 0 else ring
    return " -> ".join(names)


class Order:
    """What comes before what in a graph without a circle. Needs that it does not have are left out."""

    def __init__(self, needs: Mapping[str, Iterable[str]]) -> None:
        self.sequence = [name for name in TopologicalSorter(needs).static_order() if name in needs]
        self.place = {name: n for n, name in enumerate(self.sequence)}
        self._before: dict[str, int] = {}
        for name in self.sequence:
            before = 0
            for other in needs[name]:
                if other in self.place:
                    before |= self._before[other] | 1 << self.place[other]
            self._before[name] = before

    def comes_before(self, first: str, second: str) -> bool:
        """Whether ``first`` is always over before ``second`` begins."""
        return bool(self._before[second] >> self.place[first] & 1)
