"""Doing rows in parts: each part is a process, so that they run side by side and none disturbs another."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct
from prove.outcome import Outcome
from prove.rows import SEEDS_APART, Place, Row

SCRIPT = Path(__file__).parents[1] / "run.py"
LOOK_SECONDS = 0.5
SILENT_SECONDS = 600.0
"""A part that tells nothing for so long is given up: it hangs."""


class Part(Struct, frozen=True):
    """So many units of a row, from a seed of their own."""

    row: Row
    number: int
    amount: int
    seed: int


class Done(Struct):
    """A part that has ended. ``outcome`` is None if its process failed; ``error`` is what it said."""

    part: Part
    seconds: float
    outcome: Outcome | None
    error: str = ""


class _Running:
    """The process of one part."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.done = 0
        self.began = self.heard = time.monotonic()
        self._text = b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  as long-lived as the process
        words = ("part", part.row.name, str(part.amount), str(part.seed))
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *words],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
            start_new_session=True,
        )

    def fileno(self) -> int:
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def read(self) -> Done | None:
        """Take in what it has told; answers its end, if it is over."""
        data = os.read(self.fileno(), 65536)
        self.heard = time.monotonic()
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "outcome" in told:
                return self._end(msgspec.convert(told["outcome"], Outcome))
            self.done = told["done"]
        return None if data else self._end(None)

    def _end(self, outcome: Outcome | None) -> Done:
        self.process.communicate()
        with self._errors:
            self._errors.seek(0)
            text = self._errors.read().decode(errors="replace").strip()
        if outcome is None or self.process.returncode:
            outcome, text = None, text or f"exit {self.process.returncode}"
        return Done(self.part, time.monotonic() - self.began, outcome, text)

    def given_up(self) -> Done:
        """End it because it hangs."""
        self.stop()
        return Done(
            self.part, time.monotonic() - self.began, None, f"told nothing for {SILENT_SECONDS:.0f} s"
        )

    def stop(self) -> None:
        """End it and everything that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        self._errors.close()


def parts(row: Row, amount: int, seed: int, first: int = 0) -> list[Part]:
    """The parts of an amount; their seeds follow each other, so any part can be done again by itself."""
    sizes = [row.part] * (amount // row.part) + [amount % row.part] * bool(amount % row.part)
    return [Part(row, first + n, size, seed + (first + n) * SEEDS_APART) for n, size in enumerate(sizes)]


def run_parts(
    waiting: Iterable[Part],
    jobs: int,
    on_end: Callable[[Done], None],
    on_look: Callable[[Sequence[str]], None],
) -> None:
    """Do parts, ``jobs`` at a time and in order as far as their places allow.

    ``on_look`` is told twice a second what is under way. If this is interrupted, so are they.
    """
    left = list(waiting)
    running: list[_Running] = []
    try:
        while left or running:
            while (part := next((p for p in left if _fits(p, running, jobs)), None)) is not None:
                left.remove(part)
                running.append(_Running(part))
            readable, _, _ = select.select(running, [], [], LOOK_SECONDS)
            for one in list(running):
                silent = time.monotonic() - one.heard > SILENT_SECONDS
                ended = one.read() if one in readable else one.given_up() if silent else None
                if ended is not None:
                    running.remove(one)
                    on_end(ended)
            on_look([f"{one.part.row.name} {one.done}/{one.part.amount}" for one in running])
    finally:
        for one in running:
            one.stop()


def _fits(part: Part, running: Sequence[_Running], jobs: int) -> bool:
    places = [one.part.row.place for one in running]
    if part.row.place is Place.ALONE or Place.ALONE in places:
        return not places
    if part.row.place is Place.BESIDE:
        return Place.BESIDE not in places
    return places.count(Place.CORE) < jobs


def do_part(row: Row, amount: int, seed: int) -> None:
    """Do one part in this process, and tell on standard output."""

    def tell(done: int) -> None:
        print(json.dumps({"done": done}), flush=True)

    outcome = row.load()(amount, seed, tell)
    print(json.dumps({"outcome": msgspec.to_builtins(outcome)}), flush=True)
