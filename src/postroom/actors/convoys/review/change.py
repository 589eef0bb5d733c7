"""A change, as those who are to review it see it: without secrets, and short enough for a message."""

from __future__ import annotations

from typing import Any

from attrs import asdict

from ..messages import Review, ReviewWanted
from ..plan import Reviewer
from ..record.secrets import redact, redact_value


def change_of(order: Review, reviewer: Reviewer) -> dict[str, Any]:
    """The JSON document that a command reads from its standard input, and a call is given."""
    result = order.result
    change: dict[str, Any] = {
        "run": order.run,
        "task": order.task.id,
        "attempt": order.attempt,
        "reviewer": reviewer.name,
        "folder": order.folder or order.task.cwd,
        "paths": list(result.paths),
        "lines": result.lines,
        "files": result.files,
        "output": result.output,
        "notes": [asdict(note) for note in order.notes],
    }
    without_secrets, _ = redact_value(change, order.allowed)
    return dict(without_secrets)


def wanted_of(order: Review, reviewer: Reviewer) -> ReviewWanted:
    """The message to a reviewer who pulls."""
    return ReviewWanted(
        order.run,
        order.task.id,
        order.attempt,
        reviewer.name,
        order.folder or order.task.cwd,
        order.result.paths,
        redact(order.result.output, order.allowed)[0],
        order.notes,
    )


def log_of(order: Review, seat: str) -> str:
    """The file that takes what a reviewer prints: beside that of the attempt."""
    return f"{order.log.removesuffix('.log')}.review-{seat}.log"
