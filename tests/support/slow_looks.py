"""Looks at a store that take their time, as at a server, in programs on virtual time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from random import Random
from typing import TypeVar

import pytest
import trio
from trio.testing import MockClock

from postroom.store import looking
from postroom.store.port import Store

T = TypeVar("T")


def slow_looks(patch: pytest.MonkeyPatch, autojump_clock: MockClock, rng: Random, seconds: float) -> None:
    """Let each ``look`` be a checkpoint, up to ``seconds`` before and after it reads."""

    async def slowly(store: Store, read: Callable[[], T], *, whole: bool = False) -> T:
        await trio.sleep(seconds * rng.random())
        found = read()
        await trio.sleep(seconds * rng.random())
        return found

    quick = looking.look
    for name, module in list(sys.modules.items()):
        if name.startswith("postroom.") and getattr(module, "look", None) is quick:
            patch.setattr(module, "look", slowly)
