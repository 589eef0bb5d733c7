"""What a run puts on record: one class for each kind of fact, so that no fact is recorded half."""

from __future__ import annotations

from typing import Any, TypeVar

from attrs import frozen

TYPES: dict[str, type] = {}
"""The classes by the names that events have outside."""

K = TypeVar("K", bound=type)


def _event(name: str) -> Any:
    """A class decorator: the name of this kind of event."""

    def decorate(cls: K) -> K:
        TYPES[name] = cls
        return cls

    return decorate


@_event("convoy.started")
@frozen
class ConvoyStarted:
    tasks: int


@_event("convoy.resumed")
@frozen
class ConvoyResumed:
    requeued: int


@_event("convoy.paused")
@frozen
class ConvoyPaused:
    reason: str


@_event("convoy.unpaused")
@frozen
class ConvoyUnpaused:
    by: str


@_event("convoy.interrupted")
@frozen
class ConvoyInterrupted:
    reason: str


@_event("convoy.stopped")
@frozen
class ConvoyStopped:
    reason: str


@_event("convoy.reopened")
@frozen
class ConvoyReopened:
    by: str


@_event("convoy.ended")
@frozen
class ConvoyEnded:
    status: str


@_event("convoy.checked")
@frozen
class ConvoyChecked:
    point: str
    passed: bool
    reason: str = ""


@_event("task.started")
@frozen
class TaskStarted:
    task: str
    attempt: int
    agent: str
    instead_of: str = ""


@_event("task.claimed")
@frozen
class TaskClaimed:
    """Whoever did it says that it is done. That it is, is another event."""

    task: str
    attempt: int
    seconds: float
    tokens: int | None = None


@_event("task.done")
@frozen
class TaskDone:
    task: str
    attempts: int
    seconds: float
    checked: bool | None = None


@_event("task.retried")
@frozen
class TaskRetried:
    task: str
    attempt: int
    failure: str
    reason: str
    pause: float


@_event("task.requeued")
@frozen
class TaskRequeued:
    task: str
    attempt: int
    reason: str


@_event("task.ended")
@frozen
class TaskEnded:
    """A task is over and not done: failed, timed-out, skipped, cancelled."""

    task: str
    status: str
    reason: str
    failure: str = ""
    attempts: int = 0


@_event("task.again")
@frozen
class TaskAgain:
    task: str
    by: str


@_event("task.injected")
@frozen
class TaskInjected:
    task: str
    by: str
    key: str


@_event("gate.passed")
@frozen
class GatePassed:
    task: str
    attempt: int
    gate: str
    seconds: float


@_event("gate.failed")
@frozen
class GateFailed:
    task: str
    attempt: int
    gate: str
    seconds: float
    reason: str


@_event("gate.skipped")
@frozen
class GateSkipped:
    """It had nothing to look at, or others do what it asks for. That is not a pass."""

    task: str
    attempt: int
    gate: str
    reason: str = ""


@_event("review.started")
@frozen
class ReviewStarted:
    task: str
    attempt: int
    route: str
    why: str


@_event("review.verdict")
@frozen
class ReviewVerdict:
    task: str
    attempt: int
    reviewer: str
    verdict: str
    text: str = ""


@_event("review.ended")
@frozen
class ReviewEnded:
    task: str
    attempt: int
    verdict: str


@_event("dispute.raised")
@frozen
class DisputeRaised:
    task: str
    panels: int


@_event("dispute.resolved")
@frozen
class DisputeResolved:
    task: str
    resolution: str
    by: str
    text: str = ""


@_event("agent.breaker")
@frozen
class AgentBreaker:
    agent: str
    state: str


@_event("budget.reached")
@frozen
class BudgetReached:
    what: str
    used: float
    bound: float


@_event("budget.raised")
@frozen
class BudgetRaised:
    by: str
    turns: int
    tokens: int
    seconds: float


@_event("budget.uncounted")
@frozen
class BudgetUncounted:
    """There is a bound on tokens, and this agent, or reviewer, does not say how many it uses."""

    agent: str


@_event("dead.added")
@frozen
class DeadAdded:
    task: str
    failure: str
    reason: str
    attempts: int


@_event("dead.resolved")
@frozen
class DeadResolved:
    task: str
    by: str
    text: str


@_event("secret.redacted")
@frozen
class SecretRedacted:
    """A secret was on its way out at ``where`` and was taken out."""

    task: str
    where: str
    kinds: tuple[str, ...]


Event = Any
"""An instance of one of ``TYPES``."""

NAMES: dict[type, str] = {kind: name for name, kind in TYPES.items()}
