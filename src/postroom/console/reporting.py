"""Where a run stands, for people and for programs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TextIO

from msgspec.structs import asdict

from ..actors.convoys.record.claims import claims_of
from . import render
from .allowance import used_of
from .livetable import checks_of, chosen

if TYPE_CHECKING:
    from pathlib import Path

    from ..actors.convoys.ledger import Report
    from ..actors.convoys.plan import Convoy

MOST_ROWS = 200
HEADINGS = ("task", "status", "attempts", "seconds", "agent", "checks", "reason")


def report_view(report: Report, convoy: Convoy, logs: Path, steps: list[str]) -> dict[str, Any]:
    """The JSON of a run: the report, what is spent, where the output is, and the commands that lead on."""
    budget = {one.what: {"used": one.used, "bound": one.bound} for one in used_of(convoy, report.standing)}
    claims = asdict(claims_of(row.state for row in report.tasks))
    more = {"claims": claims, "budget": budget, "events": report.standing.events}
    return {**report.view(), **more, "logs": str(logs), "next": steps}


def write_report(out: TextIO, report: Report, convoy: Convoy, logs: Path, steps: list[str]) -> None:
    """Write a table of the tasks, and what to look at and to do."""
    rows = chosen(report.tasks, MOST_ROWS)
    render.table(
        out,
        HEADINGS,
        [
            (
                row.id, row.status, row.attempts, f"{row.seconds:.2f}", row.state.agent or None,
                checks_of(row) or None, row.reason or None,
            )
            for row in rows
        ],
    )  # fmt: skip
    if len(rows) < len(report.tasks):
        counts = Counter(row.status for row in report.tasks)
        listed = ", ".join(f"{count} {status}" for status, count in counts.items())
        render.lines(out, [f"{len(rows)} of {len(report.tasks)} tasks are shown: {listed}"])
    render.lines(out, [f"run {report.run} of {report.convoy}: {report.status.value}; output in {logs}"])
    render.lines(out, [f"used {one}" for one in used_of(convoy, report.standing)])
    claims = claims_of(row.state for row in report.tasks)
    said = f"{claims.refuted} of {claims.made} claims to be done were refuted"
    render.lines(out, [said] if claims.refuted else [])
    why = report.standing.paused or report.standing.stopped
    render.lines(out, [f"because {why}"] if why else [])
    write_steps(out, steps)


def write_steps(out: TextIO, steps: list[str]) -> None:
    """Write the commands that lead on."""
    render.lines(out, [f"go on with: {step}" for step in steps[:1]])
    render.lines(out, [f"or: {step}" for step in steps[1:]])
