"""What a loop and its criteria can be, and the tables of their legal moves."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from .errors import IllegalMove


class LoopState(StrEnum):
    """``IDLE``: paired and not started. ``PAUSED``: a budget is spent and the manager was asked."""

    IDLE = "idle"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"


class LoopMove(NamedTuple):
    """One legal change of a loop's state."""

    verb: str
    source: LoopState
    target: LoopState


LOOP_MOVES: tuple[LoopMove, ...] = (
    LoopMove("start", LoopState.IDLE, LoopState.RUNNING),
    LoopMove("continue", LoopState.RUNNING, LoopState.RUNNING),
    LoopMove("pause", LoopState.RUNNING, LoopState.PAUSED),
    LoopMove("resume", LoopState.PAUSED, LoopState.RUNNING),
    LoopMove("finish", LoopState.IDLE, LoopState.FINISHED),
    LoopMove("finish", LoopState.RUNNING, LoopState.FINISHED),
    LoopMove("force", LoopState.IDLE, LoopState.FINISHED),
    LoopMove("force", LoopState.RUNNING, LoopState.FINISHED),
    LoopMove("force", LoopState.PAUSED, LoopState.FINISHED),
)


class CriterionState(StrEnum):
    """How far the parties have got with one thing that the work must fulfil."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    SATISFIED = "satisfied"
    DEFERRED = "deferred"
    REJECTED = "rejected"


OPEN_CRITERIA = frozenset({CriterionState.PROPOSED, CriterionState.ACCEPTED})
"""States in which a criterion keeps its task from being finished."""


class CriterionMove(NamedTuple):
    """One legal change of a criterion's state."""

    verb: str
    source: CriterionState
    target: CriterionState


CRITERION_MOVES: tuple[CriterionMove, ...] = (
    CriterionMove("accept", CriterionState.PROPOSED, CriterionState.ACCEPTED),
    CriterionMove("accept", CriterionState.DEFERRED, CriterionState.ACCEPTED),
    CriterionMove("accept", CriterionState.SATISFIED, CriterionState.ACCEPTED),  # an audit found otherwise
    CriterionMove("satisfy", CriterionState.ACCEPTED, CriterionState.SATISFIED),
    CriterionMove("defer", CriterionState.PROPOSED, CriterionState.DEFERRED),
    CriterionMove("defer", CriterionState.ACCEPTED, CriterionState.DEFERRED),
    CriterionMove("reject", CriterionState.PROPOSED, CriterionState.REJECTED),
    CriterionMove("reject", CriterionState.ACCEPTED, CriterionState.REJECTED),
    CriterionMove("reject", CriterionState.DEFERRED, CriterionState.REJECTED),
)
CRITERION_VERBS: dict[str, CriterionState] = {move.verb: move.target for move in CRITERION_MOVES}


class Source(StrEnum):
    """Who a criterion, or a change of one, comes from."""

    USER = "user"
    MANAGER = "manager"
    WORKER = "worker"
    AUDIT = "audit"


def moved(state: LoopState, verb: str) -> LoopState:
    """Where ``verb`` leads a loop. Raises ``IllegalMove``."""
    for move in LOOP_MOVES:
        if move.verb == verb and move.source is state:
            return move.target
    sources = ", ".join(sorted({move.source for move in LOOP_MOVES if move.verb == verb}))
    raise IllegalMove(
        f"cannot {verb} a loop that is {state}", f"only one that is {sources}", "see: postroom loop status"
    )


def criterion_moved(state: CriterionState, verb: str) -> CriterionState:
    """Where ``verb`` leads a criterion. Raises ``IllegalMove``."""
    for move in CRITERION_MOVES:
        if move.verb == verb and move.source is state:
            return move.target
    sources = ", ".join(sorted({move.source for move in CRITERION_MOVES if move.verb == verb}))
    raise IllegalMove(
        f"cannot {verb} a criterion that is {state}",
        f"only one that is {sources}",
        "see: postroom loop status",
    )


PERMISSIONS: dict[str, bool] = {
    "communication.nudge_worker": True,
    "communication.notify_manager": True,
    "communication.escalate": True,
    "context.handoff": True,
    "loop.continue": True,
    "task.finish": True,
    "worker_session.inspect": True,
    "worker_session.interrupt": False,
    "worker_session.stop": False,
}
"""All there are, and whether a task has them from its pairing on."""

GRANTED: tuple[str, ...] = tuple(name for name, granted in PERMISSIONS.items() if granted)

DECISIONS: dict[str, str | None] = {
    "wait": None,
    "nudge": "communication.nudge_worker",
    "interrupt": "worker_session.interrupt",
    "escalate": "communication.escalate",
    "stop": "worker_session.stop",
    "inspect": "worker_session.inspect",
}
"""What a manager can decide, and the permission that it takes."""
