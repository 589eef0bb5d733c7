"""The addresses and records of a run, by its id."""

from __future__ import annotations

RUNS = "postroom/convoys"
"""Owner of the index: a record of kind ``run`` for each run, one of kind ``open`` for those not over."""

RUN, OPEN, TEXT, CONVOY, PLAN, TASK, EVENTS = "run", "open", "text", "convoy", "plan", "task", "events"
"""Kinds of records. All but ``run`` and ``open`` belong to the manager of a run.

``text`` is the file as it was resolved, in pieces. ``convoy`` is one record, all of the plan but its
tasks. They are under ``plan``, by ``number_key`` in the order of the file; where each of them stands
is under ``task``, by its id; and the pages of what was put on record are under ``events``, by
``number_key`` from 1.
"""


def manager_of(run: str) -> str:
    return f"manager/{run}"


def worker_of(run: str) -> str:
    """A role of its own: members of ``worker`` would also be given what is sent to ``any:worker``."""
    return f"convoy-worker/{run}"


def checker_of(run: str) -> str:
    return f"convoy-checker/{run}"


def reviewing_of(run: str) -> str:
    return f"convoy-reviewing/{run}"


def reviewer_of(run: str) -> str:
    return f"convoy-reviewer/{run}"


def crew_of(run: str) -> tuple[str, ...]:
    """All who work for the manager of a run."""
    return (worker_of(run), checker_of(run), reviewing_of(run), reviewer_of(run))


def number_key(number: int) -> str:
    """The key of a record that is one of a series: keys are in the order of their numbers."""
    return f"{number:012d}"


def log_of(logs: str, task: str, attempt: int) -> str:
    """The file that takes what an attempt prints, in the folder ``logs`` of its run."""
    return f"{logs}/{task}.{attempt}.log"
