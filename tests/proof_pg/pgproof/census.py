"""The census of the examples, split over processes, while its server is started anew under it."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from crew import POOL
from postgres_server import PostgresServer

from postroom.store.errors import StoreUnavailable
from postroom.store.port import Store
from postroom.store.postgres.engine import open_postgres

from .proving import FAILURES
from .scene import Stuck
from .table import Row
from .watch import Watch

CENSUS = Path(__file__).parents[3] / "examples" / "census.py"
TITLE = "the server started anew under a census of several processes"
LIBRARY = Path(sysconfig.get_path("stdlib"))
PROCESSES = 3
RESTARTS = 4
"""During one census, in good order and at once by turns."""

EVERY_FILES, DOWN_SECONDS, GLANCE_SECONDS = 200, 0.5, 0.05
PATIENCE_SECONDS = 400.0
DEAD_AT_MOST, WAITED_AT_MOST = 10_000, 5.0
"""Dead rows of a table, and seconds for a lock. A census changes rows of a table some 12,000 times."""


def prove_census(
    server: PostgresServer,
    amount: int,
    tell: Callable[[str], None],
    root: Path = LIBRARY,
    every: int = EVERY_FILES,
) -> Row:
    """So many restarts, one each time that so many files below ``root`` are done. The census must be right,
    and what one sees with psql meanwhile within bounds.
    """
    row = Row(TITLE, amount)
    for _ in range(amount):
        if row.clean and row.amount < amount:
            at = [every * (n + 1) for n in range(min(RESTARTS, amount - row.amount))]
            try:
                _take(server, root, at, row, tell)
            except FAILURES as error:
                row.stuck += 1
                row.wrong.append(f"{type(error).__name__}: {error}")
    return row


def _take(server: PostgresServer, root: Path, at: list[int], row: Row, tell: Callable[[str], None]) -> None:
    schema = f"c{uuid4().hex[:12]}"
    words = ["--json", "--processes", str(PROCESSES), "--store", server.url(schema), "--root", str(root)]
    near = open_postgres(server.url(schema), create=True)
    with (
        closing(near),
        Watch(server, schema) as watch,
        subprocess.Popen(
            [sys.executable, str(CENSUS), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        ) as census,
    ):
        try:
            for n, files in enumerate(at):
                if not _has_done(near, files, census):
                    break
                tell(f"census, restart {row.amount + 1}")
                (server.kill if n % 2 else server.stop)()
                time.sleep(DOWN_SECONDS)
                server.start()
                row.amount += 1
            said, _ = census.communicate(timeout=PATIENCE_SECONDS)
        finally:
            census.kill()
    _judge(row, census.returncode, said)
    _look_at(row, watch)


def _has_done(near: Store, files: int, census: subprocess.Popen[str]) -> bool:
    """Wait until workers have done so many; False if the census has ended before. Raises ``Stuck``."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while census.poll() is None:
        if time.monotonic() > ends:
            raise Stuck(f"the census has not done {files} files within {PATIENCE_SECONDS:.0f} s")
        with suppress(StoreUnavailable):  # the server has just come up
            if sum(counts.done for counts in near.counts(POOL)) >= files:
                return True
        time.sleep(GLANCE_SECONDS)
    return False


def _judge(row: Row, code: int, said: str) -> None:
    if code or not said:
        row.wrong.append(f"the census has ended with {code}")
        return
    found: dict[str, Any] = json.loads(said)
    row.jobs += found["expected"]
    row.lost += max(0, found["expected"] - found["files"])
    row.duplicated += max(0, max(found["files"], sum(found["by_worker"].values())) - found["expected"])
    row.wrong += [f"verify: {fault}" for fault in found["verify"]["faults"]]
    if found["dead"]:
        row.wrong.append(f"{found['dead']} files are dead letters")


def _look_at(row: Row, watch: Watch) -> None:
    most = max(watch.dead.values(), default=0)
    row.told["looks"] = row.told.get("looks", 0) + watch.looks
    for name, value in (("dead rows of a table at most", most), ("seconds for a lock at most", watch.waited)):
        row.told[name] = round(max(row.told.get(name, 0), value), 2)
    if not watch.looks:
        row.wrong.append("nobody could look at the server")
    if most > DEAD_AT_MOST:
        row.wrong.append(f"{most} dead rows in one table: {watch.dead}")
    if watch.waited > WAITED_AT_MOST:
        row.wrong.append(f"somebody has waited {watch.waited:.1f} s for a lock")
