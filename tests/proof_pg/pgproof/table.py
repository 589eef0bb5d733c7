"""The table of the proof, on a terminal and as a document with the conditions it was made under."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct, field

HEADINGS = ("incident", "amount", "jobs", "lost", "duplicated", "stuck", "other", "seconds")

HEAD = [
    "# What the proof on PostgreSQL has found",
    "",
    "Made by `make proof-pg`: two nodes that run actors in processes of their own, and a sender who never",
    "gives up a job, on a server of their own with fsync on. Lost, duplicated, stuck and other must be 0;",
    "seconds is the longest time from the end of an incident until work went on by itself.",
    "",
]


class Row(Struct):
    """What one kind has done. ``seconds`` is the longest time until work went on; ``promised`` is a kind of
    which so many are promised to be survived: crashes of the server, cut links, killed backends.
    """

    title: str
    wanted: int
    amount: int = 0
    jobs: int = 0
    lost: int = 0
    duplicated: int = 0
    stuck: int = 0
    wrong: list[str] = []
    seconds: float = 0.0
    told: dict[str, float] = field(default_factory=dict[str, float])
    notes: list[str] = []
    promised: bool = False

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicated or self.stuck or self.wrong)

    @property
    def good(self) -> bool:
        """Clean, and done as often as it was to be."""
        return self.clean and self.amount >= self.wanted

    def cells(self) -> tuple[str, ...]:
        amount = f"{self.amount}" if self.amount >= self.wanted else f"{self.amount} of {self.wanted}"
        counts = (self.jobs, self.lost, self.duplicated, self.stuck, len(self.wrong))
        return (self.title, amount, *(f"{count:,}" for count in counts), f"{self.seconds:.1f}")


def total(rows: Sequence[Row]) -> Row:
    """All of it."""
    every = Row("all", sum(row.wanted for row in rows))
    for row in rows:
        for name in ("amount", "jobs", "lost", "duplicated", "stuck"):
            setattr(every, name, getattr(every, name) + getattr(row, name))
        every.wrong = [*every.wrong, *row.wrong]
        every.seconds = max(every.seconds, row.seconds)
    return every


def verdict(rows: Sequence[Row]) -> str:
    """The outcome in one line."""
    survived = sum(row.amount for row in rows if row.promised)
    every = total(rows)
    return (
        f"{'clean' if all(row.good for row in rows) else 'NOT CLEAN'}:"
        f" {survived} server crashes, cut links and killed backends survived;"
        f" accepted and lost {every.lost}, done twice {every.duplicated}"
    )


def lines(rows: Sequence[Row]) -> list[str]:
    """The table for a terminal, figures to the right."""
    cells = [HEADINGS, *(row.cells() for row in (*rows, total(rows)))]
    widths = [max(len(one[n]) for one in cells) for n in range(len(HEADINGS))]
    return [
        "  ".join(
            text.ljust(width) if n == 0 else text.rjust(width)
            for n, (text, width) in enumerate(zip(one, widths, strict=True))
        )
        for one in cells
    ]


def conditions(server: str, seed: int, rounds: int, seconds: float) -> dict[str, str]:
    """Under what the figures were made."""
    return {
        "commit": _commit(),
        "seed": str(seed),
        "rounds": str(rounds),
        "elapsed": f"{seconds:.0f} s",
        "cores": str(os.cpu_count()),
        "load at the end": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "server": server,
        **{name: version(name) for name in ("psycopg", "trio")},
    }


def _commit() -> str:
    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else "unknown"

    return git("rev-parse", "--short", "HEAD") + (" and changes" if git("status", "--porcelain") else "")


def document(rows: Sequence[Row], under: Mapping[str, str]) -> str:
    """The same as a page that can be kept."""
    body = ["| " + " | ".join(HEADINGS) + " |", "|---|" + "---:|" * (len(HEADINGS) - 1)]
    body += ["| " + " | ".join(row.cells()) + " |" for row in (*rows, total(rows))]
    told = [
        f"- **{row.title}**: {', '.join(f'{name} {value:g}' for name, value in sorted(row.told.items()))}"
        for row in rows
        if row.told
    ]
    notes = [f"- {row.title}: {note}" for row in rows for note in row.notes]
    wrong = [f"- {row.title}: {what}" for row in rows for what in row.wrong]
    parts = [
        [*HEAD, f"**{verdict(rows)}**", ""],
        [*body, "", "## Figures", "", *told],
        ["", "## Notes", "", *notes] if notes else [],
        ["", "## What was wrong", "", *wrong] if wrong else [],
        ["", "## Conditions", "", *(f"- {name}: {value}" for name, value in under.items())],
    ]
    return "\n".join(text for part in parts for text in part) + "\n"
