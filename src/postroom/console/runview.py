"""How a run is shown while it goes on: a live table on a terminal, lines elsewhere, nothing for JSON."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Protocol, TextIO

from . import render

if TYPE_CHECKING:
    from rich.table import Table

    from ..actors.convoys.ledger import Report, Row

STYLES = {
    "running": "cyan",
    "done": "green",
    "failed": "red",
    "timed-out": "red",
    "skipped": "yellow",
    "cancelled": "yellow",
}
REFRESHES_PER_SECOND = 8
SILENT = ("pending", "waiting")
"""Statuses that are no news on a line of their own."""


class View(Protocol):
    """What a run tells while it goes on."""

    def show(self, report: Report) -> None:
        """Something has changed."""
        ...

    def say(self, text: str) -> None:
        """A line besides the tasks."""
        ...


@contextmanager
def view_on(out: TextIO, *, as_json: bool) -> Generator[View]:
    """The view that suits this stream."""
    if as_json:
        yield Silence()
    elif out.isatty() and os.environ.get("TERM") != "dumb":
        yield from _live(out)
    else:
        yield Lines(out)


class Silence:
    """Shows nothing: standard output is for the one JSON document."""

    def show(self, report: Report) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


class Lines:
    """A line for each change that is news."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._known: dict[str, tuple[str, int]] = {}

    def show(self, report: Report) -> None:
        """Write what is new since the last report."""
        if not self._known:
            render.lines(self._out, [f"run {report.run} of {report.convoy}: {len(report.tasks)} tasks"])
        for row in report.tasks:
            now = (row.status, row.attempts)
            if self._known.get(row.id) != now:
                self._known[row.id] = now
                self._tell(row)

    def say(self, text: str) -> None:
        """Write a line."""
        render.lines(self._out, [text])

    def _tell(self, row: Row) -> None:
        retried = row.status == "waiting" and row.attempts > 0
        if row.status in SILENT and not retried:
            return
        status = "retrying" if retried else row.status
        attempt = f" (attempt {row.attempts})" if row.attempts > 1 or retried else ""
        reason = f": {row.reason}" if row.reason and row.status != "running" else ""
        render.lines(self._out, [f"{status:<9}  {row.id}{attempt}{reason}"])


class LiveTable:
    """A table that is drawn anew in place. ``clock`` counts seconds, for the tasks that run."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._report: Report | None = None
        self._since: dict[tuple[str, int], float] = {}
        self._said: list[str] = []

    def show(self, report: Report) -> None:
        """Draw this report from now on."""
        self._report = report
        for row in report.tasks:
            if row.status == "running":
                self._since.setdefault((row.id, row.attempts), self._clock())

    def say(self, text: str) -> None:
        """Keep a line under the table."""
        self._said.append(text)

    def __rich__(self) -> Table:
        """The table as of now."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        caption = render.escape(" · ".join(self._said)) if self._said else None
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=caption)
        for heading in ("task", "status"):
            table.add_column(heading, overflow="fold")
        for heading in ("attempt", "seconds"):
            table.add_column(heading, justify="right")
        table.add_column("", overflow="fold")
        for row in self._report.tasks if self._report else ():
            style = STYLES.get(row.status, "dim")
            table.add_row(
                Text(render.escape(row.id)),
                Text(row.status, style),
                str(row.attempts or ""),
                self._seconds(row),
                Text(render.escape(row.reason), "dim"),
            )
        return table

    def _seconds(self, row: Row) -> str:
        since = self._since.get((row.id, row.attempts))
        seconds = row.seconds
        if row.status == "running" and since is not None:
            seconds += self._clock() - since
        return f"{seconds:.1f}" if row.attempts else ""


def _live(out: TextIO) -> Generator[View]:
    from rich.console import Console
    from rich.live import Live

    table = LiveTable(monotonic)
    console = Console(file=out, no_color="NO_COLOR" in os.environ or None)
    with Live(table, console=console, refresh_per_second=REFRESHES_PER_SECOND, transient=True):
        yield table


def summary(out: TextIO, report: Report, logs: Path, again: str) -> None:
    """Write how it ended, with what to look at and, in ``again``, the command that goes on."""
    rows = [
        (row.id, row.status, row.attempts, f"{row.seconds:.2f}", row.reason or None) for row in report.tasks
    ]
    render.table(out, ("task", "status", "attempts", "seconds", "reason"), rows)
    render.lines(out, [f"run {report.run} of {report.convoy}: {report.status.value}; output in {logs}"])
    if report.status == "interrupted":
        render.lines(out, [f"go on with: {again}"])
