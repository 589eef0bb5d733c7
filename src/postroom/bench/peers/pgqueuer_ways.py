"""pgqueuer: a queue in PostgreSQL, with asyncpg and its own manager as the worker in one process."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from importlib import import_module
from typing import Any

from ..postgres.places import address
from ..rows import Params
from . import asking
from .ways import BATCH, Bodies, Ran, Style, Unkept, Way

CONNECTIONS = 20
TAKEN = 200
"""Jobs that its manager takes with one statement."""

LEFT = "SELECT count(*) FROM pgqueuer"
FOR_EVER = timedelta(seconds=1)


def many(params: Params) -> Ran:
    return asyncio.run(_ran(params, batched=False))


def in_batches(params: Params) -> Ran:
    return asyncio.run(_ran(params, batched=True))


async def _ran(params: Params, *, batched: bool) -> Ran:
    asyncpg: Any = import_module("asyncpg")
    pgqueuer: Any = import_module("pgqueuer")
    queries_of: Any = import_module("pgqueuer.queries").Queries
    logging.getLogger("pgqueuer").setLevel(logging.ERROR)
    schema = asking.own_schema(params, "pgqueuer")
    pool = await asyncpg.create_pool(
        address(params.postgres),
        min_size=CONNECTIONS,
        max_size=CONNECTIONS,
        server_settings={"search_path": schema},
    )
    queries = queries_of.from_asyncpg_pool(pool)
    await queries.install()
    count, bodies = asking.Count(), Bodies(params)
    manager = pgqueuer.QueueManager(queries)

    async def run(_: Any) -> None:
        count.ran()

    manager.entrypoint("job", accepts_context=False)(run)

    worker = asyncio.create_task(manager.run(batch_size=TAKEN, dequeue_timeout=FOR_EVER))
    began = time.perf_counter()
    if batched:
        names, ranks = ["job"] * BATCH, [0] * BATCH
        await asking.put_in_batches(
            params,
            count,
            lambda: queries.enqueue(names, [bodies.new() for _ in range(BATCH)], ranks),
        )
    else:
        await asking.put_by_many(params, count, lambda: queries.enqueue("job", bodies.new()))
    await count.until(count.put)
    manager.shutdown.set()
    await worker  # it writes what it has finished
    taken = time.perf_counter() - began
    left = asking.left_in(params, schema, LEFT)
    if left or count.run != count.put:
        raise Unkept(f"{count.put} jobs were put, {count.run} run and {left} are left")
    await pool.close()
    return Ran(count.put, taken, "fsync, commit on")


_PACKAGES = ("pgqueuer", "asyncpg")
WAYS = (
    Way("pgqueuer", Style.MANY, f"asyncpg, {asking.TASKS} tasks", many, _PACKAGES),
    Way("pgqueuer", Style.BATCHED, "enqueue of 500", in_batches, _PACKAGES),
)
