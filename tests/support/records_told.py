"""Actors that use their keyed records, with a state and without, and what is stored of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from troupe import Job, Sum, making

from postroom import Actor, System, handles

Handling = Callable[[Actor, Job], Awaitable[object]]


def with_state(function: Handling) -> type[Actor]:
    """An actor with a state it leaves alone, whose one handler, of jobs, is an async function."""

    class Made(Actor):
        state: Sum

        @handles(Job)
        async def handle(self, job: Job) -> object:
            return await function(self, job)

    return Made


BOTH = pytest.mark.parametrize("made", [making, with_state], ids=["stateless", "with a state"])
Making = Callable[[Handling], type[Actor]]


def stored(office: System, kind: str, address: str = "book/main") -> dict[str, Any]:
    """What is committed of the records of a kind, as plain JSON."""
    return {r.key: office.wire.decode(r.value, Any) for r in office.store.records(address, kind)}
