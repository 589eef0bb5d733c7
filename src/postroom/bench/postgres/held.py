"""Load while somebody keeps a transaction open, so that the server can clean nothing away."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import trio

from ..ground import fresh_store
from ..rows import Measured, Params
from ..throughput import end_to_end
from .places import connected

PIECES = 10
"""The load is measured in so many pieces; the last of them is the worst, and counts."""


def held_back(params: Params) -> Measured:
    """Throughput at the end of a long transaction of somebody else's, as a share of that without one."""
    piece = params.held_seconds / PIECES
    free = _rate(params, fresh_store(params, "free"), piece)
    url = fresh_store(params, "held")
    with _held(params):
        rates = [_rate(params, url, piece) for _ in range(PIECES)]
    after = _rate(params, url, piece)
    return Measured(
        rates[-1] / free,
        {
            "free_per_s": free,
            "first_per_s": rates[0],
            "last_per_s": rates[-1],
            "after_per_s": after,
            "messages": sum(rates) * piece,
            "held_s": params.held_seconds,
        },
    )


def _rate(params: Params, url: str, seconds: float) -> float:
    rate, _ = trio.run(end_to_end, url, params, seconds)
    return rate


@contextmanager
def _held(params: Params) -> Generator[None, None, None]:
    """A transaction whose snapshot is as old as this block."""
    with connected(params.postgres) as conn:
        conn.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        conn.execute("SELECT set_config('idle_in_transaction_session_timeout', '0', true)")
        conn.execute("SELECT count(*) FROM pg_class")
        yield
        conn.execute("ROLLBACK")
