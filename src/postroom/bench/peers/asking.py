"""What the peers on a PostgreSQL server share: asyncio producers that keep a worker busy, and a schema."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import LiteralString

from ..postgres.places import connected, enter_schema, make_schema, prefix
from ..rows import Params
from .ways import AHEAD, BATCH

TASKS = 50
"""Producers of many, as for Redis; more were no quicker."""


class Count:
    """How many jobs were put, and how many the worker has run."""

    def __init__(self) -> None:
        self.put = self.run = 0
        self._more = asyncio.Event()

    def ran(self) -> None:
        """Note that one job more has run."""
        self.run += 1
        self._more.set()

    async def until(self, run: int) -> None:
        """Until so many jobs have run."""
        while self.run < run:
            self._more.clear()
            await self._more.wait()


def own_schema(params: Params, name: str) -> str:
    """A new schema for one round of a peer; its name."""
    schema = prefix(params) + name
    with connected(params.postgres) as conn:
        make_schema(conn, schema)
    return schema


def left_in(params: Params, schema: str, query: LiteralString) -> int:
    """How many jobs there are in a schema, as a query counts them."""
    with connected(params.postgres) as conn:
        enter_schema(conn, schema)
        row = conn.execute(query).fetchone()
    assert row is not None
    return int(row[0])


async def put_by_many(params: Params, count: Count, put: Callable[[], Awaitable[object]]) -> None:
    """Tasks that each wait for their job to be durable before the next, for the time of the run."""
    end = time.perf_counter() + params.seconds

    async def produce() -> None:
        while time.perf_counter() < end:
            await count.until(count.put - AHEAD + 1)
            count.put += 1
            await put()

    async with asyncio.TaskGroup() as group:
        for _ in range(TASKS):
            group.create_task(produce())


async def put_in_batches(params: Params, count: Count, put: Callable[[], Awaitable[object]]) -> None:
    """One producer that puts ``BATCH`` jobs with each call and never runs far ahead of the worker."""
    end = time.perf_counter() + params.seconds
    while time.perf_counter() < end:
        await count.until(count.put - AHEAD + BATCH)
        count.put += BATCH
        await put()
