"""Tasks in phases: each is in the first in which all that it needs is in earlier ones."""

from __future__ import annotations

from collections.abc import Sequence

from ..plan import Task
from .graph import Order


def phases(tasks: Sequence[Task]) -> list[list[Task]]:
    """The phases, each in the order of the file. They show the graph: a run does not wait for them.

    What a task needs is among ``tasks`` and runs in no circle.
    """
    place: dict[str, int] = {}
    known = {task.id: task for task in tasks}
    for id in Order({task.id: task.needs for task in tasks}).sequence:
        place[id] = max((place[other] + 1 for other in known[id].needs), default=0)
    found: list[list[Task]] = [[] for _ in range(max(place.values(), default=-1) + 1)]
    for task in tasks:
        found[place[task.id]].append(task)
    return found
