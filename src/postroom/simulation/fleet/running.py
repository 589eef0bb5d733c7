"""Running one fleet to its end: deterministic, whatever the process it runs in."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from random import Random
from typing import cast

from msgspec import Struct

from ..checkers.breach import Breach
from ..schedule import scheduled_by
from ..trace import Trace, Write
from ..virtual import run_to_its_end
from .ledger import Ledger
from .options import Options
from .world import Noted, Progress, World


class Result(Struct, frozen=True):
    """What one run has shown. ``virtual_seconds`` is until it had come to rest.

    ``real_seconds`` alone differs between two runs of equal options.
    """

    options: Options
    threads: int
    virtual_seconds: float
    real_seconds: float
    events: int
    trace_sha256: str
    ledger: Ledger
    noted: Noted
    breaches: list[Breach]

    @property
    def clean(self) -> bool:
        return not self.breaches

    def count(self, *kinds: str) -> int:
        """How many breaches are of one of these kinds."""
        return sum(breach.kind in kinds for breach in self.breaches)


def run(options: Options, write: Write | None = None, progress: Progress | None = None) -> Result:
    """Run one fleet. ``write`` is given the trace, line by line; ``progress`` how far it is.

    The same options give the same trace, byte for byte, under the same Python and trio.
    """
    started = time.perf_counter()
    trace = Trace(write)
    with scheduled_by(Random(f"{options.seed}/schedule")), _no_warnings():
        world = World(options, trace, progress or _silent)
        run_to_its_end(world.run, lambda error: world.ledger.blame("unexpected", _told(error)))
    return Result(
        options=options,
        threads=world.threads,
        virtual_seconds=round(world.seconds, 6),
        real_seconds=time.perf_counter() - started,
        events=trace.events,
        trace_sha256=trace.sha256(),
        ledger=world.ledger,
        noted=world.noted,
        breaches=world.breaches,
    )


@contextmanager
def _no_warnings() -> Generator[None, None, None]:
    """Keep the runtime's warnings to itself: what goes wrong here was made to, and nobody is to act on it."""
    log = logging.getLogger("postroom")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _told(error: BaseException) -> str:
    """The first error of a group, in one line."""
    if isinstance(error, BaseExceptionGroup):
        return _told(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return f"the run ended with {type(error).__name__}: {' '.join(str(error).split())}"


def _silent(seconds: float, whole: float) -> None:
    """Nobody wants to know how far it is."""
