"""dbos on SQLite: a job is a durable workflow, kept with its input and its result."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

from ..rows import Params
from .ways import BATCH, Bodies, Ran, Style, Unkept, Way, durability, side_by_side

QUEUE = "bench"
POLL_SECONDS = 0.1
"""Its default of 1.0 would keep the last jobs of a short round waiting; 0.01 was slower."""

LOOK_SECONDS = 0.01
PATIENCE_SECONDS = 60.0
_SUCCEEDED = "SELECT count(*) FROM workflow_status WHERE status = 'SUCCESS'"


class _Launched:
    """A running dbos with one queue, one workflow that counts its runs, and one job done already."""

    def __init__(self, path: Path, body: str) -> None:
        self.module: Any = import_module("dbos")
        self.url = f"sqlite:///{path}"
        self.db = sqlite3.connect(path)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.runs = 0
        lock = Lock()

        def job(body: str) -> None:
            with lock:
                self.runs += 1

        self.dbos: Any = self.module.DBOS
        self.dbos(config={"name": "bench", "system_database_url": self.url, "log_level": "ERROR"})
        self.job: Callable[[str], None] = self.dbos.workflow(name="job")(job)
        self.dbos.launch()
        self.dbos.register_queue(QUEUE, polling_interval_sec=POLL_SECONDS)
        self.dbos.enqueue_workflow(QUEUE, self.job, body).get_result()
        self._before = self.succeeded()

    def put(self, body: str) -> None:
        self.dbos.enqueue_workflow(QUEUE, self.job, body)

    def succeeded(self) -> int:
        """Workflows whose result is committed."""
        return int(self.db.execute(_SUCCEEDED).fetchone()[0])

    def all_done(self, jobs: int) -> None:
        """Wait until so many jobs have their result on disk."""
        end = time.perf_counter() + PATIENCE_SECONDS
        while (done := self.succeeded() - self._before) < jobs:
            if time.perf_counter() > end:
                raise Unkept(f"{done} of {jobs} jobs were done after {PATIENCE_SECONDS:.0f} s")
            time.sleep(LOOK_SECONDS)


@contextmanager
def _launched(params: Params) -> Generator[_Launched, None, None]:
    launched = _Launched(Path(params.directory) / "dbos.db", Bodies(params).text())
    try:
        yield launched
    finally:
        launched.dbos.destroy()
        launched.db.close()


def threads(params: Params, producers: int) -> Ran:
    """Threads enqueue one workflow after another; dbos dequeues and runs them by itself."""
    bodies = Bodies(params)
    with _launched(params) as launched:
        taken = launched.runs

        def take() -> int:
            nonlocal taken
            time.sleep(LOOK_SECONDS)
            before, taken = taken, launched.runs
            return taken - before

        began = time.perf_counter()
        jobs, _ = side_by_side(params, producers, lambda: lambda: launched.put(bodies.text()), take)
        launched.all_done(jobs)
        return Ran(jobs, time.perf_counter() - began, durability(launched.db))


def batched(params: Params) -> Ran:
    """500 enqueued in a transaction of the caller; the next when fewer than 500 are left to run."""
    bodies, sent = Bodies(params), 0
    sqlalchemy: Any = import_module("sqlalchemy")
    options = {"queue_name": QUEUE, "workflow_name": "job"}
    with _launched(params) as launched:
        client = launched.module.DBOSClient(system_database_url=launched.url)
        engine = sqlalchemy.create_engine(launched.url, connect_args={"timeout": 30})
        first, began = launched.runs, time.perf_counter()
        while time.perf_counter() - began < params.seconds:
            if sent - (launched.runs - first) >= BATCH:
                time.sleep(LOOK_SECONDS)
                continue
            with engine.begin() as connection:
                for _ in range(BATCH):
                    client.enqueue_in_transaction(connection, options, bodies.text())
            sent += BATCH
        launched.all_done(sent)
        ran = Ran(sent, time.perf_counter() - began, durability(launched.db))
        client.destroy()
        engine.dispose()
        return ran


_PACKAGES = ("dbos",)
WAYS = (
    Way("dbos", Style.ONE, "queue polled each 0.1 s, 1 thread", partial(threads, producers=1), _PACKAGES),
    Way("dbos", Style.MANY, "queue polled each 0.1 s, 8 threads", partial(threads, producers=8), _PACKAGES),
    Way("dbos", Style.BATCHED, "500 enqueued a transaction", batched, _PACKAGES),
)
