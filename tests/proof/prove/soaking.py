"""The large amounts, part by part, in as many sittings as one likes.

What was done is kept in a file after every part. Stopped at any moment and started again, the soak
goes on with the next seed; a part that was cut off counts for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from prove.parts import Done, Part, parts, run_parts
from prove.proving import Watching, take
from prove.report import Result
from prove.rows import Row


class State(Struct):
    """How far a soak has come: the next part of each row, and all that was found.

    ``commits`` are those it was found on: a soak may go on with newer code.
    """

    seed: int
    next: dict[str, int] = {}
    results: dict[str, Result] = {}
    seconds: float = 0.0
    commits: list[str] = []


def load(path: Path, seed: int) -> State:
    """The state that was kept, or a new one. Raises ``msgspec.DecodeError`` for another kind of file."""
    if not path.exists():
        return State(seed)
    return msgspec.json.decode(path.read_bytes(), type=State)


def keep(path: Path, state: State) -> None:
    """Replace the state that was kept, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
    part.replace(path)


def soak(rows: Sequence[Row], state: State, path: Path, hours: float, jobs: int) -> None:
    """Go on until every amount is reached or the time is over, keeping the state after each part."""
    began, before = time.monotonic(), state.seconds
    end = began + hours * 3600
    for row in rows:
        state.results.setdefault(row.name, Result(row.soak)).wanted = row.soak

    while time.monotonic() < end and (batch := list(_next_parts(rows, state))):
        watching = Watching(len(batch))

        def on_end(done: Done, watching: Watching = watching) -> None:
            watching.end(done)
            take(state.results, done)
            state.next[done.part.row.name] = max(done.part.number + 1, state.next.get(done.part.row.name, 0))
            state.seconds = before + time.monotonic() - began
            keep(path, state)

        try:
            run_parts(batch, jobs, on_end, watching.look)
        finally:
            watching.close()


def _next_parts(rows: Sequence[Row], state: State) -> Iterator[Part]:
    """One more part of every row that has not reached its amount."""
    for row in rows:
        left = row.soak - state.results[row.name].outcome.amount
        if left > 0:
            yield from parts(row, min(row.part, left), state.seed, state.next.get(row.name, 0))
