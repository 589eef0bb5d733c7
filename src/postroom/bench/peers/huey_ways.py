"""huey on SQLite. It takes a job by deleting it: there is nothing to acknowledge."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from ..rows import Params
from .ways import Bodies, Ran, Style, Unkept, Way, durability, in_turns, side_by_side

REST = 0.001
"""Seconds that the worker rests when there is nothing; the consumer's own shortest rest is longer."""


def _opened(params: Params) -> tuple[Any, Callable[[bytes], object], list[int]]:
    """A queue, the task on it, and the count of its runs. ``fsync=True`` is ``synchronous=FULL``."""
    logging.getLogger("huey").setLevel(logging.WARNING)
    huey: Any = import_module("huey").SqliteHuey(
        filename=str(Path(params.directory) / "huey.db"), fsync=True, results=False
    )
    ran = [0]

    def job(body: bytes) -> None:
        ran[0] += 1

    return huey, huey.task()(job), ran


def _ran(huey: Any, ran: list[int], done: int, seconds: float) -> Ran:
    if ran[0] != done or huey.storage.queue_size():
        raise Unkept(f"{ran[0]} of {done} jobs ran, {huey.storage.queue_size()} are left")
    return Ran(done, seconds, durability(huey.storage.conn) + ", taken is gone")


def one(params: Params) -> Ran:
    """The two calls of the consumer's worker, in turns with the producer: faster than its thread."""
    huey, job, ran = _opened(params)
    bodies = Bodies(params)

    def cycle() -> int:
        job(bodies.new())
        huey.execute(huey.dequeue())
        return 1

    done, seconds = in_turns(params, cycle)
    return _ran(huey, ran, done, seconds)


def many(params: Params, producers: int) -> Ran:
    huey, job, ran = _opened(params)
    bodies = Bodies(params)

    def take() -> int:
        task = huey.dequeue()
        if task is None:
            time.sleep(REST)
            return 0
        huey.execute(task)
        return 1

    done, seconds = side_by_side(params, producers, lambda: lambda: job(bodies.new()), take)
    return _ran(huey, ran, done, seconds)


_PACKAGES = ("huey",)
WAYS = (
    Way("huey", Style.ONE, "SqliteHuey, in turns", one, _PACKAGES),
    Way("huey", Style.MANY, "SqliteHuey, 4 threads", partial(many, producers=4), _PACKAGES),
)
