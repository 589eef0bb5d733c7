"""postroom beside the queues that Python has on PostgreSQL: the same server, the same job, in turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from ..peers import compare
from ..peers.field import US
from ..peers.on_server import ON_SERVER
from ..peers.ways import Ran, Style
from ..rows import Measured, Params


def against(style: Style) -> Callable[[Params], Measured]:
    """The row for one way to put jobs: how many times the better of the two postroom is."""

    def measure(params: Params) -> Measured:
        ways = [way for way in ON_SERVER if way.style is style]
        notes: list[str] = []
        rounds, failed = compare.in_rounds(ways, params, notes.append, compare.in_child_of_its_own)
        if failed:
            raise RuntimeError("; ".join(f"{name}: {note}" for name, note in failed.items()))
        rates = {way.peer: _median(rounds[way.name]) for way in ways}
        best = max(rate for peer, rate in rates.items() if peer != US)
        return Measured(rates[US] / best, {f"{peer}_per_s": rate for peer, rate in rates.items()})

    return measure


def _median(rounds: list[Ran | None]) -> float:
    return statistics.median(ran.jobs / ran.seconds for ran in rounds if ran)
