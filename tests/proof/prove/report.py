"""The table of the proof, on a terminal and as a document with the conditions it was made under."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import apsw
from msgspec import Struct, field
from prove.outcome import Outcome
from prove.rows import Row

HEADINGS = ("fault", "amount", "messages", "lost", "duplicated", "double leases", "stuck", "other", "seconds")


class Result(Struct):
    """What became of one row. ``seconds`` are those of its parts together, ``wanted`` its amount.

    ``failed`` counts the parts that were not clean or broke down; ``failures`` names the first of them.
    """

    wanted: int
    outcome: Outcome = field(default_factory=lambda: Outcome(0))
    seconds: float = 0.0
    failures: list[str] = []
    failed: int = 0

    @property
    def whole(self) -> bool:
        """Whether all of it was done; a soak that goes on later need not be."""
        return self.outcome.amount >= self.wanted


Results = Mapping[str, Result]


def conditions(seed: int, jobs: int, seconds: float) -> dict[str, str]:
    """Under what the figures were made."""
    return {
        "commit": commit(),
        "seed": str(seed),
        "rows side by side": str(jobs),
        "elapsed": f"{seconds:.0f} s",
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "SQLite": apsw.sqlite_lib_version(),
        **{name: version(name) for name in ("apsw", "trio")},
    }


def commit() -> str:
    """What is being proved."""
    changes = " and changes" if _git("status", "--porcelain") else ""
    return _git("rev-parse", "--short", "HEAD") + changes


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def line(row: Row, result: Result) -> tuple[str, ...]:
    """One row of the table."""
    found = result.outcome
    counts = (found.lost, found.duplicated, found.double_leases, found.stuck, found.other)
    amount = f"{found.amount:,}"
    if found.amount < result.wanted:
        amount += f" of {result.wanted:,}"
    words = [row.title, amount, f"{found.messages:,}", *(f"{count:,}" for count in counts)]
    return (*words, f"{result.seconds:.0f}")


def total(results: Results) -> tuple[str, ...]:
    """The last line: everything together."""
    found = [result.outcome for result in results.values()]
    columns = ("messages", "lost", "duplicated", "double_leases", "stuck", "other")
    sums = (f"{sum(getattr(one, column) for one in found):,}" for column in columns)
    return ("all", "", *sums, f"{sum(result.seconds for result in results.values()):.0f}")


def table(rows: Sequence[Row], results: Results) -> list[str]:
    """The table for a terminal, figures to the right."""
    lines = [HEADINGS, *(line(row, results[row.name]) for row in rows if row.name in results), total(results)]
    widths = [max(len(one[n]) for one in lines) for n in range(len(HEADINGS))]
    return [
        "  ".join(
            text.ljust(width) if n == 0 else text.rjust(width)
            for n, (text, width) in enumerate(zip(one, widths, strict=True))
        )
        for one in lines
    ]


def wrong(results: Results, *, goes_on: bool = False) -> list[str]:
    """Everything that was not as it must be, in words. What ``goes_on`` may have reached less so far."""
    said: list[str] = []
    for name, result in results.items():
        said += [f"{name}: {what}" for what in (*result.outcome.breaches, *result.failures)]
        if result.failed > len(result.failures):
            said.append(f"{name}: {result.failed} parts failed in all")
        if not (result.outcome.clean or result.outcome.breaches or result.failures):
            said.append(f"{name}: it counted what must be 0")
        if not (result.whole or goes_on):
            said.append(f"{name}: {result.outcome.amount:,} of {result.wanted:,} were done")
    return said


def document(
    rows: Sequence[Row], results: Results, under: Mapping[str, str], command: str, faults: Sequence[str]
) -> str:
    """The same as a page that can be kept."""
    head = [
        "# What the proof has found",
        "",
        f"Made by `{command}`. Every column but amount, messages and seconds must be 0. A message counts",
        "in each unit that checks it: once for every image of a power cut that it must be in, for instance.",
    ]
    body = ["| " + " | ".join(HEADINGS) + " |", "|---|" + "---:|" * (len(HEADINGS) - 1)]
    body += ["| " + " | ".join(line(row, results[row.name])) + " |" for row in rows if row.name in results]
    body.append("| " + " | ".join(total(results)) + " |")
    figures = ["## Figures", ""]
    for row in rows:
        if row.name in results and results[row.name].outcome.figures:
            found = results[row.name].outcome.figures
            figures.append(
                f"- **{row.title}**: " + ", ".join(f"{k} {v:,.6g}" for k, v in sorted(found.items()))
            )
    notes = [
        f"- {row.title}: {note}"
        for row in rows
        if row.name in results
        for note in results[row.name].outcome.notes
    ]
    parts = [
        head,
        ["", *body],
        ["", *figures] if len(figures) > 2 else [],
        ["", "## Notes", "", *notes] if notes else [],
        ["", "## What was wrong", "", *(f"- {what}" for what in faults)] if faults else [],
        ["", "## Conditions", "", *(f"- {name}: {value}" for name, value in under.items())],
    ]
    return "\n".join(text for part in parts for text in part) + "\n"
