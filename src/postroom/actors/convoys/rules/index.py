"""What can start next: derived from the plan and from where its tasks stand, and kept up to date.

Each change costs what it touches and no more, so that a task of 100,000 costs what one of 1,000 does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush

from ..plan import Task
from .holds import Holds
from .standing import TaskState
from .states import ACTIVE, OVER, TaskStatus


class Index:
    """Which task is next.

    ``dependants`` are those that need a task, ``active`` those being worked on, ``counts`` how many
    are where.
    """

    def __init__(self, plan: Mapping[str, Task], tasks: Mapping[str, TaskState]) -> None:
        self._plan = plan
        self._tasks = tasks
        self._order = {id: n for n, id in enumerate(plan)}
        self.dependants: dict[str, list[str]] = defaultdict(list)
        for task in plan.values():
            for other in task.needs:
                self.dependants[other].append(task.id)
        self._unmet = {
            task.id: sum(tasks[other].status is not TaskStatus.DONE for other in task.needs)
            for task in plan.values()
        }
        self._holds = Holds()
        self.active: set[str] = set()
        self.counts = Counter(state.status for state in tasks.values())
        self._ready = [self._rank(id) for id, state in tasks.items() if _startable(state)]
        heapify(self._ready)
        for id, state in tasks.items():
            if state.status in ACTIVE:
                self.active.add(id)
                self._holds.take(id, plan[id].files)

    @property
    def left(self) -> int:
        """How many tasks are not over."""
        return sum(count for status, count in self.counts.items() if status not in OVER)

    def add(self, task: Task) -> None:
        """A task has come in; its state is pending."""
        self._order[task.id] = len(self._order)
        for other in task.needs:
            self.dependants[other].append(task.id)
        self._unmet[task.id] = sum(self._tasks[o].status is not TaskStatus.DONE for o in task.needs)
        self.counts[TaskStatus.PENDING] += 1

    def moved(self, id: str, before: TaskStatus, after: TaskStatus) -> None:
        """A task has changed its status."""
        if after is TaskStatus.DONE or before is TaskStatus.DONE:
            step = -1 if after is TaskStatus.DONE else 1
            for other in self.dependants.get(id, ()):
                self._unmet[other] += step
        if after in ACTIVE and before not in ACTIVE:
            self.active.add(id)
            self._holds.take(id, self._plan[id].files)
        elif before in ACTIVE and after not in ACTIVE:
            self.active.discard(id)
            self._offer(self._holds.give_back(id, self._plan[id].files))
        self.counts[before] -= 1
        self.counts[after] += 1

    def met(self, ids: Iterable[str]) -> list[str]:
        """Those among ``ids`` that need nobody any more."""
        return [id for id in ids if not self._unmet[id]]

    def offer(self, id: str) -> None:
        """A task waits for a place."""
        heappush(self._ready, self._rank(id))

    def next(self) -> str | None:
        """The task to start now: the most urgent, then the most waited for, then as in the file.

        It is taken off; who asks starts it or offers it again. One whose files are somebody's comes
        back by itself when they are free.
        """
        while self._ready:
            id = heappop(self._ready)[-1]
            if _startable(self._tasks[id]) and not self._holds.parked(id, self._plan[id].files):
                return id
        return None

    def _offer(self, ids: Iterable[str]) -> None:
        for id in ids:
            self.offer(id)

    def _rank(self, id: str) -> tuple[int, int, int, str]:
        return (-self._plan[id].priority, -len(self.dependants.get(id, ())), self._order[id], id)


def _startable(state: TaskState) -> bool:
    return state.status is TaskStatus.WAITING and not state.resting
