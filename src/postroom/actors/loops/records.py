"""What is kept of a task's loop: one record that changes, and a history that only grows.

All of it belongs to ``postroom/loops``. The loop is kept under its task's name and belongs to one
binding: a task that is paired again begins with a fresh one. Each event of its history is a record of
its own, written together with the change that it tells of.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ...mailbox.keeping import Kept
from ...mailbox.moments import Moment, moment
from .states import GRANTED, CriterionState, LoopState, Source

if TYPE_CHECKING:
    from ...mailbox.pairs import Binding
    from ...store.port import Store

OWNER = "postroom/loops"


class Result(StrEnum):
    """What a check has shown. A check that could not be made is ``UNKNOWN``, which is no pass."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"


class Evidence(Struct, frozen=True, omit_defaults=True):
    """One check: of what, how, and what it showed. ``kind`` is what a loop may require."""

    kind: str
    checked: str
    how: str
    result: Result
    failure_mode: str | None = None


class Criterion(Struct, frozen=True):
    """One thing that the work must fulfil. ``reason`` is that of its last move."""

    id: str
    text: str
    source: Source
    state: CriterionState = CriterionState.PROPOSED
    reason: str | None = None


class Loop(Struct, frozen=True, omit_defaults=True):
    """The loop of one binding.

    ``since`` is the binding's. ``evidence`` is that of the present iteration. ``limits`` are the budgets
    that were set; ``spent`` is what was counted or reported, and a name that is missing there was not
    reported; ``base`` is what the store had counted when the loop began. ``revision`` grows when what
    the two sides have agreed on changes; ``events`` is the length of the history.
    """

    since: int
    changed: Moment
    state: LoopState = LoopState.IDLE
    started: Moment | None = None
    iteration: int = 0
    required: tuple[str, ...] = ()
    require_acks: bool = False
    evidence: tuple[Evidence, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    limits: dict[str, int] = {}
    spent: dict[str, int] = {}
    base: dict[str, int] = {}
    nudge_seconds: float | None = None
    permissions: tuple[str, ...] = GRANTED
    paused_by: str | None = None
    revision: int = 1
    events: int = 0


class Event(Struct, frozen=True, omit_defaults=True):
    """One line of a loop's history. ``at`` is wall time in microseconds; ``by`` is who wanted it."""

    at: int
    event: str
    by: str
    iteration: int = 0
    data: dict[str, Any] = {}


class Once(Struct, frozen=True):
    """What was done under an idempotency key: its content, and the answer that was given."""

    content: str
    answer: dict[str, Any]


LOOPS = Kept(OWNER, "loop", Loop)


def history_of(task: str) -> Kept[Event]:
    """The records of a task's history; their keys are numbers of nine digits."""
    return Kept(OWNER, f"history/{task}", Event)


def keys_of(task: str) -> Kept[Once]:
    """The records of what was done once under a key."""
    return Kept(OWNER, f"once/{task}", Once)


def history(store: Store, task: str) -> list[Event]:
    """All events of a task, of earlier bindings too, oldest first."""
    return [event for event, _ in history_of(task).all(store).values()]


def loop_of(store: Store, binding: Binding) -> tuple[Loop, int]:
    """The loop of a binding and its record's version; a fresh one if it has none yet.

    The fresh one of a task that was paired before goes on with its history.
    """
    found, version = LOOPS.find(store, binding.task)
    if found is not None and found.since == binding.since:
        return found, version
    events = 0 if found is None else found.events
    return Loop(binding.since, moment(store.clock), events=events), version
