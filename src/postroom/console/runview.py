"""How a run is shown while it goes on: a live table on a terminal, lines elsewhere, nothing for JSON."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Protocol, TextIO

from ..actors.convoys.plan import LOCAL
from ..actors.convoys.rules.states import ACTIVE
from . import render

if TYPE_CHECKING:
    from ..actors.convoys.ledger import Report, Row
    from ..actors.convoys.plan import Convoy

REFRESHES_PER_SECOND = 8
SILENT = ("pending", "waiting")
"""Statuses that are no news on a line of their own."""


class View(Protocol):
    """What a run tells while it goes on."""

    def recall(self, report: Report) -> None:
        """What had happened before: it is no news."""
        ...

    def show(self, report: Report) -> None:
        """Something has changed."""
        ...

    def say(self, text: str) -> None:
        """A line besides the tasks."""
        ...


@contextmanager
def view_on(out: TextIO, convoy: Convoy, *, as_json: bool) -> Generator[View]:
    """The view that suits this stream."""
    if as_json:
        yield Silence()
    elif out.isatty() and os.environ.get("TERM") != "dumb":
        yield from _live(out, convoy)
    else:
        yield Lines(out)


class Silence:
    """Shows nothing: standard output is for the one JSON document."""

    def recall(self, report: Report) -> None:
        """Nothing."""

    def show(self, report: Report) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


class Lines:
    """A line for each change that is news."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._known: dict[str, tuple[str, int]] = {}
        self._paused = ""
        self._begun = False

    def recall(self, report: Report) -> None:
        """Leave out of the lines what had happened before."""
        self._known = {row.id: (row.status, row.attempts) for row in report.tasks}

    def show(self, report: Report) -> None:
        """Write what is new since the last report."""
        if not self._begun:
            self._begun = True
            self.say(f"run {report.run} of {report.convoy}: {render.counted(len(report.tasks), 'task')}")
        for row in report.tasks:
            now, before = (row.status, row.attempts), self._known.get(row.id, ("", 0))
            if now != before:
                self._known[row.id] = now
                self._tell(row, begun=row.attempts > before[1])
        if report.standing.paused != self._paused:
            self._paused = report.standing.paused
            if self._paused:
                self.say(f"paused     {self._paused}")

    def say(self, text: str) -> None:
        """Write a line."""
        render.lines(self._out, [text])

    def _tell(self, row: Row, *, begun: bool) -> None:
        """Write where a task is; an attempt that began and ended between two looks is told of too."""
        retried = row.status == "waiting" and row.attempts > 0
        again = f" (attempt {row.attempts})" if row.attempts > 1 or retried else ""
        if begun:
            agent = row.state.agent
            by = f" by {agent}" if agent and agent != LOCAL else ""
            self.say(f"{'running':<9}  {row.id}{again}{by}")
        if row.status == "running" or (row.status in SILENT and not retried):
            return
        status = "retrying" if retried else row.status
        reason = f": {row.reason}" if row.reason and row.status not in ACTIVE else ""
        self.say(f"{status:<9}  {row.id}{again}{reason}")


def _live(out: TextIO, convoy: Convoy) -> Generator[View]:
    from rich.console import Console
    from rich.live import Live

    from .livetable import LiveTable

    table = LiveTable(convoy, monotonic)
    console = Console(file=out, no_color="NO_COLOR" in os.environ or None)
    with Live(table, console=console, refresh_per_second=REFRESHES_PER_SECOND, transient=True):
        yield table
