"""Tasks that own the same file and could run at once: neither comes before the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise, product
from typing import NamedTuple

from ..plan import Task
from .graph import Order


class Overlap(NamedTuple):
    """Two tasks and the file of the second, number ``at`` of its files, that the first owns too."""

    first: str
    second: str
    file: str
    at: int


class _Claim(NamedTuple):
    """``place`` is that of the task in the file: of two, the later is said to be in the way."""

    place: int
    task: str
    file: str
    at: int


def overlaps(tasks: Sequence[Task], order: Order) -> Iterator[Overlap]:
    """At least one overlap for each file that tasks own which could run at once, but not every pair.

    Of those that own one file the neighbours in the order are compared: if each of them comes before
    the next, all do. A folder stands for all that is in it.
    """
    owners: dict[str, list[_Claim]] = defaultdict(list)
    inside: dict[str, list[_Claim]] = defaultdict(list)
    for place, task in enumerate(tasks):
        for at, file in enumerate(task.files):
            claim = _Claim(place, task.id, file, at)
            owners[file].append(claim)
            for folder in folders(file):
                inside[folder].append(claim)
    for file, claims in owners.items():
        claims.sort(key=lambda claim: order.place[claim.task])
        pairs = chain(pairwise(claims), product(claims, inside.get(file, ())))
        for one, other in pairs:
            if _at_once(one.task, other.task, order):
                first, second = sorted((one, other))
                yield Overlap(first.task, second.task, second.file, second.at)


def _at_once(one: str, other: str, order: Order) -> bool:
    return one != other and not (order.comes_before(one, other) or order.comes_before(other, one))


def folders(file: str) -> Iterator[str]:
    """The folders that a path is in, from the nearest up."""
    while "/" in file:
        file = file.rpartition("/")[0]
        yield file
