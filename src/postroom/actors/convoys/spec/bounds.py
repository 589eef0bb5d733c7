"""What a convoy may cost: attempts, reviews and time, from what its file says."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from ..plan import Convoy, Gate, Hook, HookPoint, Retry, Route, Task
from .graph import Order
from .overlaps import overlaps


@frozen
class Bounds:
    """``attempts``, ``prompts`` (attempts that an agent makes) and ``reviews`` are at most so many.

    Times are in seconds. ``longest_once`` is what no order of the tasks can be shorter than if each
    takes its whole timeout and none fails. ``longest`` is the most that the run can take, all retries,
    gates and reviews included, but not the time in which it waits for a person or for an agent that
    is left alone.
    """

    attempts: int
    prompts: int
    reviews: int
    longest_once: float
    longest: float


def bounds_of(convoy: Convoy) -> Bounds:
    """The bounds of a convoy whose graph runs in no circle."""
    order = Order({task.id: task.needs for task in convoy.tasks})
    tasks = {task.id: task for task in convoy.tasks}
    once = {task.id: task.timeout for task in convoy.tasks}
    busy = {id: _attempts(task) * _attempt_seconds(task, convoy) for id, task in tasks.items()}
    whole = {id: busy[id] + _pauses(task.retry) for id, task in tasks.items()}
    longest = sum(whole.values())
    if not _in_each_others_way(convoy, order):
        # Whenever a place is free, the longest chain goes on: Graham's bound for list scheduling (1966).
        chain = _chain(whole, tasks, order)
        longest = min(longest, sum(busy.values()) / convoy.concurrency + chain)
    made = sum(map(_attempts, convoy.tasks))
    prompted = sum(_attempts(task) for task in convoy.tasks if task.has_prompt)
    turns = convoy.budget.turns or made
    return Bounds(
        attempts=min(made, turns),
        prompts=min(prompted, turns),
        reviews=sum(_attempts(task) * _reviewers(task, convoy) for task in convoy.tasks),
        longest_once=max(_chain(once, tasks, order), sum(once.values()) / convoy.concurrency),
        longest=longest + _around(convoy),
    )


def route_of(task: Task, convoy: Convoy) -> Route:
    """How a task is reviewed, by its own word or by the convoy's."""
    return task.review if task.review is not None else convoy.reviewing.route


def _attempts(task: Task) -> int:
    return 1 + task.retry.retries


def _reviewers(task: Task, convoy: Convoy) -> int:
    route = route_of(task, convoy)
    if route in (Route.PANEL, Route.AUTO):
        return convoy.reviewing.panel_size
    return int(route is Route.FAST)


def _attempt_seconds(task: Task, convoy: Convoy) -> float:
    """One attempt with the gates, hooks and reviews after it. What comes before it is within its timeout."""
    hooks = [hook for hook in (*convoy.hooks, *task.hooks) if hook.on is HookPoint.POST_TASK]
    checks = _seconds(task.gates) + _seconds(hooks)
    slowest = sorted((reviewer.timeout for reviewer in convoy.reviewing.reviewers), reverse=True)
    return task.timeout + checks + sum(slowest[: _reviewers(task, convoy)])


def _pauses(retry: Retry) -> float:
    pauses = (min(retry.longest, retry.backoff * retry.factor**n) for n in range(retry.retries))
    return sum(pauses) * (1 + retry.jitter)


def _around(convoy: Convoy) -> float:
    """The gates and hooks of the convoy itself."""
    points = (HookPoint.PRE_CONVOY, HookPoint.POST_CONVOY)
    hooks = [hook for hook in convoy.hooks if hook.on in points]
    return _seconds(convoy.gates) + _seconds(hooks)


def _seconds(parts: Iterable[Gate | Hook]) -> float:
    return sum(part.timeout for part in parts)


def _in_each_others_way(convoy: Convoy, order: Order) -> bool:
    """Whether a task may wait, with places free, for a file or for a reviewer."""
    reviewed = any(_reviewers(task, convoy) for task in convoy.tasks)
    return reviewed or next(overlaps(convoy.tasks, order), None) is not None


def _chain(seconds: dict[str, float], tasks: dict[str, Task], order: Order) -> float:
    """The longest way through the graph."""
    ends: dict[str, float] = {}
    for id in order.sequence:
        ends[id] = seconds[id] + max((ends[other] for other in tasks[id].needs), default=0.0)
    return max(ends.values(), default=0.0)
