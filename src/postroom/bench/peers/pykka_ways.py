"""Pykka: actors in memory. What it does not do is the point of the comparison."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import Any

from ..rows import Params
from .ways import Bodies, Ran, Style, Unkept, Way


def told(params: Params, producers: int) -> Ran:
    """``tell`` from threads to one actor; the clock stops when the actor has seen the last."""
    library: Any = import_module("pykka")
    bodies, seen = Bodies(params), [0]

    def on_receive(self: object, message: bytes) -> None:
        seen[0] += 1

    counter: Any = type("Counter", (library.ThreadingActor,), {"on_receive": on_receive})
    actor = counter.start()
    began = time.perf_counter()

    def produce() -> int:
        sent = 0
        while time.perf_counter() - began < params.seconds:
            actor.tell(bodies.new())
            sent += 1
        return sent

    with ThreadPoolExecutor(producers) as pool:
        sent = sum(thread.result() for thread in [pool.submit(produce) for _ in range(producers)])
    actor.stop()
    if seen[0] != sent:
        raise Unkept(f"{seen[0]} of {sent} messages were handled")
    return Ran(sent, time.perf_counter() - began, "none")


_PACKAGES = ("pykka",)
WAYS = (
    Way("pykka", Style.ONE, "1 thread", partial(told, producers=1), _PACKAGES, persistent=False),
    Way("pykka", Style.MANY, "8 threads", partial(told, producers=8), _PACKAGES, persistent=False),
)
