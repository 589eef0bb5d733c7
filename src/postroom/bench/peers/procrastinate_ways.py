"""procrastinate: tasks in PostgreSQL, its async connector and its own worker in one process."""

from __future__ import annotations

import asyncio
import logging
import time
from importlib import import_module
from typing import Any

from ..postgres.places import address
from ..rows import Params
from . import asking
from .ways import BATCH, Bodies, Ran, Style, Unkept, Way

CONNECTIONS = 20
AT_ONCE = 20
"""Jobs that its worker runs at once; each has its own fetch and its own finish."""

LEFT = "SELECT count(*) FROM procrastinate_jobs"


def many(params: Params) -> Ran:
    return asyncio.run(_ran(params, batched=False))


def in_batches(params: Params) -> Ran:
    return asyncio.run(_ran(params, batched=True))


async def _ran(params: Params, *, batched: bool) -> Ran:
    procrastinate: Any = import_module("procrastinate")
    logging.getLogger("procrastinate").setLevel(logging.ERROR)  # a line for each job costs time
    schema = asking.own_schema(params, "procrastinate")
    conninfo = address(params.postgres, options=f"-csearch_path={schema}")
    connector = procrastinate.PsycopgConnector(conninfo=conninfo, min_size=CONNECTIONS, max_size=CONNECTIONS)
    app = procrastinate.App(connector=connector)
    count, bodies = asking.Count(), Bodies(params)

    async def run(body: str) -> None:
        count.ran()

    job = app.task(name="job")(run)

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        worker = asyncio.create_task(
            app.run_worker_async(
                concurrency=AT_ONCE, install_signal_handlers=False, delete_jobs="successful", wait=True
            )
        )
        began = time.perf_counter()
        if batched:
            await asking.put_in_batches(
                params,
                count,
                lambda: job.batch_defer_async(*[{"body": bodies.text()} for _ in range(BATCH)]),
            )
        else:
            await asking.put_by_many(params, count, lambda: job.defer_async(body=bodies.text()))
        await count.until(count.put)
        worker.cancel()  # it ends when the jobs it has begun are finished, in the database too
        await asyncio.gather(worker, return_exceptions=True)
        taken = time.perf_counter() - began
    left = asking.left_in(params, schema, LEFT)
    if left or count.run != count.put:
        raise Unkept(f"{count.put} jobs were put, {count.run} run and {left} are left")
    return Ran(count.put, taken, "fsync, commit on")


_PACKAGES = ("procrastinate",)
WAYS = (
    Way("procrastinate", Style.MANY, f"asyncio, {asking.TASKS} tasks", many, _PACKAGES),
    Way("procrastinate", Style.BATCHED, "batch_defer of 500", in_batches, _PACKAGES),
)
