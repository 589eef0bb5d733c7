"""An office of two actors on a store that goes away now and then, and a patient program that sends to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from handled import Log
from outages import Pulse, pulse
from troupe import Answer, Job

from postroom import System, open_postroom
from postroom.store.errors import StoreUnavailable


@asynccontextmanager
async def at_work(url: str, log: Log) -> AsyncGenerator[tuple[System, Pulse]]:
    """Two actors, one with a state, whose loop is watched."""
    async with open_postroom(url, name="office") as office:
        await office.start("worker/anna", log.actor(), concurrency=4)
        await office.start("keeper/main", log.keeper())
        async with pulse() as watched:
            await office.ask("worker/anna", Job(0), timeout=20, reply=Answer)
            yield office, watched


async def until(true: Callable[[], Awaitable[bool]], within: float = 30) -> None:
    """Wait for what is true only because of others."""
    with trio.fail_after(within):
        while not await true():  # noqa: ASYNC110  # it is another process that makes it true
            await trio.sleep(0.02)


async def send_all(office: System, numbers: range) -> None:
    """Send jobs as a patient program does: under the same id again, until the store says that it has it."""
    for n in numbers:
        id = f"00000000-0000-8000-8000-{n:012x}"
        to = "keeper/main" if n % 4 == 0 else "worker/anna"

        async def sent(to: str = to, id: str = id, n: int = n) -> bool:
            with suppress(StoreUnavailable):
                await office.send(to, Job(n), id=id)
                return True
            return False

        await until(sent)


async def all_handled(log: Log, numbers: range) -> None:
    """Wait until each of these jobs was handled."""

    async def done() -> bool:
        return all(log.handled[n] for n in numbers)

    await until(done)


async def told(caplog: pytest.LogCaptureFixture, what: str) -> bool:
    """Whether a log line says it."""
    return any(what in message for message in caplog.messages)
