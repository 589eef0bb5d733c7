"""Doing rows once, in full or as a share, with what a person wants to see meanwhile."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from prove.outcome import SHOWN
from prove.parts import Done, Part, parts, run_parts
from prove.report import Result
from prove.rows import Place, Row

SAY_SECONDS = 30.0


class Watching:
    """Says what is under way: in one line that changes on a terminal, otherwise now and then."""

    def __init__(self, parts: int) -> None:
        self._parts = parts
        self._ended = 0
        self._began = self._said = time.monotonic()

    def look(self, running: Sequence[str]) -> None:
        now = time.monotonic()
        text = f"{now - self._began:5.0f} s  {self._ended}/{self._parts} parts  {'  '.join(running)}"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{text[:110]}")
        elif now - self._said >= SAY_SECONDS:
            self._said = now
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def end(self, done: Done) -> None:
        self._ended += 1
        if done.outcome is None or not done.outcome.clean:
            erase = "\r\x1b[K" if sys.stderr.isatty() else ""
            sys.stderr.write(f"{erase}{done.part.row.name}, part {done.part.number}: not clean\n")

    def close(self) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")


def take(results: dict[str, Result], done: Done) -> None:
    """Put the end of a part to the result of its row; one that is not clean is named, however it counted."""
    part = done.part
    result = results.setdefault(part.row.name, Result(0))
    result.seconds += done.seconds
    if done.outcome is not None:
        result.outcome.add(done.outcome)
    if done.outcome is None:
        what = f"failed: {done.error[-600:]}"
    elif not done.outcome.clean:
        what = "is not clean"
    else:
        return
    result.failed += 1
    if len(result.failures) < SHOWN:
        again = f"python tests/proof/run.py part {part.row.name} {part.amount} {part.seed}"
        result.failures.append(f"part {part.number} {what} (again: {again})")


def prove(rows: Sequence[Row], amount: Callable[[Row], int], seed: int, jobs: int) -> dict[str, Result]:
    """Do the rows; those that need all cores come last, when the others are done."""
    results = {row.name: Result(amount(row)) for row in rows}
    work: list[Part] = [part for row in rows for part in parts(row, amount(row), seed)]
    work.sort(key=lambda part: part.row.place is Place.ALONE)
    watching = Watching(len(work))

    def on_end(done: Done) -> None:
        watching.end(done)
        take(results, done)

    try:
        run_parts(work, jobs, on_end, watching.look)
    finally:
        watching.close()
    return results
