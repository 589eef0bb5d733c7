"""What comes before and after the work of a task: the hooks of its own and of the convoy, and reviews."""

from __future__ import annotations

from collections.abc import Sequence

from ..plan import Agent, Convoy, Hook, HookKind, HookPoint, Route, Task


def hooks_of(convoy: Convoy, task: Task, point: HookPoint) -> tuple[Hook, ...]:
    """What runs of a task at this point: its own hooks and those that the convoy has for every task."""
    return tuple(hook for hook in _hooks(convoy, task, point) if hook.kind is not HookKind.REVIEW)


def reviews_of(convoy: Convoy, task: Task) -> tuple[Hook, ...]:
    """The hooks that ask for one more reviewer of a task."""
    return tuple(hook for hook in _hooks(convoy, task, HookPoint.POST_TASK) if hook.kind is HookKind.REVIEW)


def is_checked(convoy: Convoy, task: Task) -> bool:
    """Whether anything has to look at a task that is claimed to be done."""
    return bool(task.gates) or bool(hooks_of(convoy, task, HookPoint.POST_TASK))


def is_reviewed(convoy: Convoy, task: Task) -> bool:
    """Whether a reviewer may want to know what a task changes."""
    route = convoy.reviewing.route if task.review is None else task.review
    return route is not Route.NONE or bool(reviews_of(convoy, task))


def agents_of(convoy: Convoy, hooks: Sequence[Hook]) -> tuple[Agent, ...]:
    """The agents that hooks name."""
    return tuple(convoy.agent(name) for name in dict.fromkeys(hook.agent for hook in hooks) if name)


def _hooks(convoy: Convoy, task: Task, point: HookPoint) -> list[Hook]:
    return [hook for hook in (*task.hooks, *convoy.hooks) if hook.on is point]
