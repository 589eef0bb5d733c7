"""Running the world of one seed: deterministic, whatever the process it runs in."""

from __future__ import annotations

from random import Random

from msgspec import Struct

from .checkers import Breach
from .options import Options
from .schedule import scheduled_by, uncollected
from .trace import Trace, Untraced, Write
from .virtual import run_to_its_end
from .world import World


class Result(Struct, frozen=True):
    """What one run has shown. ``virtual_seconds`` is until everything had drained.

    ``faults`` says how often each kind of fault met something, ``happened`` what came of it.
    """

    options: Options
    virtual_seconds: float
    events: int
    trace_sha256: str
    messages: int
    redelivered: int
    breaches: list[Breach]
    faults: dict[str, int]
    happened: dict[str, int]

    @property
    def clean(self) -> bool:
        return not self.breaches

    def count(self, *kinds: str) -> int:
        """How many breaches are of one of these kinds."""
        return sum(breach.kind in kinds for breach in self.breaches)


def run(options: Options, write: Write | None = None) -> Result:
    """Run one seed to its end. ``write`` is given the trace, line by line.

    The same options give the same trace, byte for byte, under the same Python and trio.
    """
    return _run(options, Trace(write))


def run_untraced(options: Options) -> Result:
    """The same run without its trace, which costs a tenth of it; ``trace_sha256`` is empty."""
    return _run(options, Untraced())


def _run(options: Options, trace: Trace) -> Result:
    with scheduled_by(Random(f"{options.seed}/schedule")), uncollected():
        world = World(options, trace)
        run_to_its_end(world.run, world.ended_of)
    return Result(
        options=options,
        virtual_seconds=round(world.seconds, 6),
        events=trace.events,
        trace_sha256=trace.sha256(),
        messages=world.checkers.messages,
        redelivered=world.checkers.queue.redelivered,
        breaches=world.breaches,
        faults=dict(sorted(world.faults.items())),
        happened=dict(sorted(world.tally.counts.items())),
    )
