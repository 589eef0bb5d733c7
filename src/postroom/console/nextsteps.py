"""What a person can do next about a run, as exact commands."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from .allowance import used_of

if TYPE_CHECKING:
    from ..actors.convoys.ledger import Report
    from ..actors.convoys.plan import Convoy

MOST_DISPUTES = 5
OTHERWISE = "  # or: fail, again"


def next_steps(report: Report, convoy: Convoy, file: str, store: str) -> list[str]:
    """The commands that lead on from where a run stands; none if it is done. ``store`` is a URL."""
    if report.status == "done":
        return []
    disputes = [
        _command("dispute", "resolve", report.run, row.id, "pass", "--text", "WHY", store=store) + OTHERWISE
        for row in report.tasks
        if row.status == "disputed"
    ]
    steps = disputes[:MOST_DISPUTES]
    if report.status == "failed":
        dead = any(row.status in ("failed", "timed-out") for row in report.tasks)
        if dead:
            steps.append(_command("dead", "list", "--run", report.run, store=store))
        if dead or _failed_as_a_whole(report):
            steps.append(_command("run", file, "--retry-failed", store=store))
        return steps
    return [*steps, resume_command(file, store, _wanting(report, convoy))]


def _failed_as_a_whole(report: Report) -> bool:
    """Whether only the hooks or gates of the whole convoy have failed: a retry has them run again."""
    from ..actors.convoys.rules.failing import fell_to_a_stop

    cancelled = [row.state for row in report.tasks if row.status == "cancelled"]
    return all(map(fell_to_a_stop, cancelled))


def resume_command(file: str, store: str, allow: str = "") -> str:
    """The command that goes on with the newest unfinished run of a file."""
    return _command("run", file, "--resume", *(("--allow", allow) if allow else ()), store=store)


def _wanting(report: Report, convoy: Convoy) -> str:
    """What the budget has to be raised by, for nothing more would start without it."""
    if report.status != "paused":
        return ""
    used = [one for one in used_of(convoy, report.standing) if one.used >= one.bound]
    return ",".join(f"{one.what}={getattr(convoy.budget, one.what):g}" for one in used)


def _command(*words: str, store: str) -> str:
    return shlex.join(("postroom", *words, "--store", store))
