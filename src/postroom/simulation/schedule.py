"""Letting trio run tasks in an order that comes from a seed."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from random import Random
from typing import Any


@contextmanager
def scheduled_by(rng: Random) -> Generator[None, None, None]:
    """Let trio decide by ``rng`` which of several runnable tasks goes first, as under Hypothesis.

    What trio offers for it are two names of its scheduler; they are put back afterwards.
    """
    scheduler: Any = import_module("trio._core._run")  # there is no public way to seed it
    before = scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r = True, rng
    try:
        yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r = before


@contextmanager
def uncollected() -> Generator[None, None, None]:
    """Collect no garbage: that could end a forgotten task at any moment."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
