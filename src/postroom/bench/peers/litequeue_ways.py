"""litequeue: put, pop and done, each a statement; batches by its own ``transaction``."""

from __future__ import annotations

import time
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from ..rows import Params
from .ways import BATCH, Bodies, Ran, Style, Unkept, Way, durability, in_turns, side_by_side

REST = 0.001
"""Seconds that the worker rests when there is nothing; the library has no waiting of its own."""


def _opened(params: Params) -> Any:
    """A queue on a connection of its own. The library asks for NORMAL, which a power cut can undo."""
    queue: Any = import_module("litequeue").LiteQueue(str(Path(params.directory) / "lq.db"), timeout=30)
    queue.conn.execute("PRAGMA synchronous = FULL")
    return queue


def _ran(queue: Any, done: int, seconds: float) -> Ran:
    if queue.qsize():
        raise Unkept(f"{queue.qsize()} jobs are left")
    return Ran(done, seconds, durability(queue.conn))


def one(params: Params) -> Ran:
    queue, bodies = _opened(params), Bodies(params)

    def cycle() -> int:
        queue.put(bodies.text())
        queue.done(queue.pop().message_id)
        return 1

    return _ran(queue, *in_turns(params, cycle))


def many(params: Params, producers: int) -> Ran:
    """A connection for each thread, as the library asks."""
    queue, bodies = _opened(params), Bodies(params)

    def opened() -> Any:
        own = _opened(params)
        return lambda: own.put(bodies.text())

    def take() -> int:
        job = queue.pop()
        if job is None:
            time.sleep(REST)
            return 0
        queue.done(job.message_id)
        return 1

    return _ran(queue, *side_by_side(params, producers, opened, take))


def batched(params: Params) -> Ran:
    """Puts and dones 500 a transaction; ``pop`` opens one of its own and takes a single job."""
    queue, bodies = _opened(params), Bodies(params)

    def cycle() -> int:
        with queue.transaction():
            for _ in range(BATCH):
                queue.put(bodies.text())
        jobs = [queue.pop() for _ in range(BATCH)]
        with queue.transaction():
            for job in jobs:
                queue.done(job.message_id)
        return BATCH

    return _ran(queue, *in_turns(params, cycle))


_PACKAGES = ("litequeue",)
WAYS = (
    Way("litequeue", Style.ONE, "put, pop and done in turns", one, _PACKAGES),
    Way("litequeue", Style.MANY, "4 threads", partial(many, producers=4), _PACKAGES),
    Way("litequeue", Style.BATCHED, "put and done by 500, pop singly", batched, _PACKAGES),
)
