"""persist-queue: its queue with acknowledgements, and its queue that is saved by ``task_done``."""

from __future__ import annotations

import sqlite3
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from ..rows import Params
from .ways import BATCH, Bodies, Ran, Style, Unkept, Way, durability, in_turns, side_by_side

PATIENCE = 0.05
"""Seconds that the worker waits for a job before it looks whether all is done."""


def _asked(params: Params) -> str:
    """The library sets the journal and leaves ``synchronous`` alone, as this new connection does."""
    db = sqlite3.connect(Path(params.directory) / "pq" / "data.db")
    try:
        return durability(db)
    finally:
        db.close()


def one(params: Params) -> Ran:
    """Put, get and ack in turns on one connection: faster for it than a thread for each side."""
    queue: Any = import_module("persistqueue").SQLiteAckQueue(str(Path(params.directory) / "pq"))
    bodies = Bodies(params)

    def cycle() -> int:
        queue.put(bodies.new())
        queue.ack(id=queue.get(block=False, raw=True)["pqid"])
        return 1

    done, seconds = in_turns(params, cycle)
    if queue.acked_count() != done:
        raise Unkept(f"{queue.acked_count()} of {done} jobs are acked")
    return Ran(done, seconds, _asked(params))


def many(params: Params, producers: int) -> Ran:
    library = import_module("persistqueue")
    queue: Any = library.SQLiteAckQueue(str(Path(params.directory) / "pq"), multithreading=True)
    bodies = Bodies(params)

    def take() -> int:
        try:
            queue.ack(id=queue.get(timeout=PATIENCE, raw=True)["pqid"])
        except library.Empty:
            return 0
        return 1

    done, seconds = side_by_side(params, producers, lambda: lambda: queue.put(bodies.new()), take)
    return Ran(done, seconds, _asked(params))


def batched(params: Params) -> Ran:
    """``auto_commit=False``: what was taken is deleted at ``task_done``. Each put still commits (1.1.0)."""
    library = import_module("persistqueue")
    queue: Any = library.SQLiteQueue(str(Path(params.directory) / "pq"), auto_commit=False)
    bodies = Bodies(params)

    def cycle() -> int:
        for _ in range(BATCH):
            queue.put(bodies.new())
        queue.task_done()
        for _ in range(BATCH):
            queue.get(block=False)
        queue.task_done()
        return BATCH

    done, seconds = in_turns(params, cycle)
    if len(queue.queue()):
        raise Unkept(f"{len(queue.queue())} jobs are left")
    return Ran(done, seconds, _asked(params))


_PACKAGES = ("persist-queue",)
WAYS = (
    Way("persist-queue", Style.ONE, "SQLiteAckQueue, put, get and ack in turns", one, _PACKAGES),
    Way("persist-queue", Style.MANY, "SQLiteAckQueue, 8 threads", partial(many, producers=8), _PACKAGES),
    Way("persist-queue", Style.BATCHED, "SQLiteQueue, task_done each 500", batched, _PACKAGES),
)
