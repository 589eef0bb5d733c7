"""Counting claims: how often somebody said that a task is done, and how often that was refuted."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import json

from ....mailbox.evidence import CLAIMS, Claims
from ....store.records import Write
from ..rules.standing import TaskState

REFUTED = frozenset({"failed", "disputed"})


def claims_of(states: Iterable[TaskState]) -> Claims:
    """What came of the claims of these tasks' attempts: a check or a reviewer may have found otherwise."""
    made = [attempt for state in states for attempt in state.tries if attempt.claimed]
    return Claims(len(made), sum(attempt.outcome in REFUTED for attempt in made))


def counted(run: str, states: Iterable[TaskState]) -> Write:
    """The record of a run's claims, for those who count them over all runs."""
    return Write(CLAIMS.owner, CLAIMS.kind, run, json.encode(claims_of(states)))
