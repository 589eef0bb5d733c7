"""The addresses and records of a run, by its id."""

from __future__ import annotations

RUNS = "postroom/convoys"
"""Owner of the index of runs: one record of kind ``run`` for each."""

RUN, PLAN = "run", "plan"
"""Kinds of records; a plan belongs to the manager of its run."""


def manager_of(run: str) -> str:
    return f"manager/{run}"


def worker_of(run: str) -> str:
    """A role of its own: members of ``worker`` would also be given what is sent to ``any:worker``."""
    return f"convoy-worker/{run}"


def watcher_of(run: str) -> str:
    return f"convoy-watcher/{run}"
