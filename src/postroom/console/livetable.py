"""The table of a run on a terminal, drawn anew in place: what goes on first, and all that is spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..actors.convoys.spec.phases import phases
from . import render
from .allowance import used_of

if TYPE_CHECKING:
    from rich.table import Table

    from ..actors.convoys.ledger import Report, Row
    from ..actors.convoys.plan import Convoy

STYLES = {
    "running": "cyan",
    "checking": "cyan",
    "reviewing": "magenta",
    "done": "green",
    "failed": "red",
    "timed-out": "red",
    "skipped": "yellow",
    "cancelled": "yellow",
    "disputed": "bold magenta",
}
ORDER = ("running", "checking", "reviewing", "disputed", "failed", "timed-out", "waiting")
"""What is shown first where there is no room for all; the rest follows as in the file."""

MOST_ROWS = 30


class LiveTable:
    """The table of one convoy. ``clock`` counts seconds, for the tasks that run and for the whole."""

    def __init__(self, convoy: Convoy, clock: Callable[[], float]) -> None:
        self._convoy = convoy
        self._clock = clock
        self._began = clock()
        self._report: Report | None = None
        self._since: dict[tuple[str, int], float] = {}
        self._said: list[str] = []
        groups = phases(convoy.tasks)
        self._phases = len(groups)
        self._phase = {task.id: n for n, group in enumerate(groups, 1) for task in group}

    def recall(self, report: Report) -> None:
        """Begin with what had happened before."""
        self._report = report

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

        rows = self._report.tasks if self._report else ()
        shown = chosen(rows, MOST_ROWS)
        table = Table(
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            title=render.escape(self._title()),
            caption=render.escape(" · ".join(self._under(rows, len(shown)))),
        )
        table.add_column("phase", justify="right")
        for heading in ("task", "status"):
            table.add_column(heading, overflow="fold")
        for heading in ("attempt", "seconds"):
            table.add_column(heading, justify="right")
        for heading in ("agent", "checks", ""):
            table.add_column(heading, overflow="fold")
        for row in shown:
            cells = (f"{self._phase.get(row.id, self._phases)}/{self._phases}", row.id)
            rest = (str(row.attempts or ""), self._seconds(row), row.state.agent, checks_of(row), row.reason)
            status = Text(row.status, STYLES.get(row.status, "dim"))
            table.add_row(
                *(Text(render.escape(cell)) for cell in cells),
                status,
                *(Text(render.escape(cell)) for cell in rest),
            )
        return table

    def _title(self) -> str:
        report = self._report
        if report is None:
            return self._convoy.name
        elapsed = render.age(self._clock() - self._began)
        return f"{report.convoy} · {report.status.value} · {elapsed} · run {report.run}"

    def _under(self, rows: Iterable[Row], shown: int) -> list[str]:
        """How many tasks are where, what is spent, why it waits, and what was said."""
        counts = Counter(row.status for row in rows)
        words = [f"{count} {status}" for status, count in counts.items()]
        if (hidden := counts.total() - shown) > 0:
            words.append(f"{hidden} not shown")
        if self._report is not None:
            words += [str(used) for used in used_of(self._convoy, self._report.standing)]
            words += filter(None, (self._report.standing.paused, self._report.standing.stopped))
        return words + self._said

    def _seconds(self, row: Row) -> str:
        since = self._since.get((row.id, row.attempts))
        seconds = row.seconds
        if row.status == "running" and since is not None:
            seconds += self._clock() - since
        return f"{seconds:.1f}" if row.attempts else ""


def chosen(rows: tuple[Row, ...], most: int) -> list[Row]:
    """At most so many rows, in the order of the file: those where something goes on before all others."""
    if len(rows) <= most:
        return list(rows)
    rank = {status: n for n, status in enumerate(ORDER)}
    numbers = sorted(range(len(rows)), key=lambda n: (rank.get(rows[n].status, len(ORDER)), n))
    return [rows[n] for n in sorted(numbers[:most])]


def checks_of(row: Row) -> str:
    """What gates, hooks and reviewers have said: the names of what did not pass, else how many did."""
    notes = row.state.notes
    wrong = [f"{note.name} {note.verdict}" for note in notes if note.verdict != "passed"]
    return ", ".join(wrong) or (f"{len(notes)} passed" if notes else "")
