"""What doing nothing costs: memory of actors that wait, CPU of those who wait for mail."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import trio

from .. import System, open_postroom
from .ground import INBOX, fresh_store
from .load import Tally, sink
from .rows import Measured, Params

SETTLE_SECONDS = 1.5
POSTROOM = "import sys; from postroom.console.main import main; sys.exit(main())"
"""What the installed script does, without depending on where it was installed."""


def actor_memory(params: Params) -> Measured:
    """Resident memory that very many started, idle actors add, each."""

    async def run() -> Measured:
        async with open_postroom(fresh_store(params, "memory")) as office:
            await office.start("bench/first", sink(Tally()))
            before = resident_kib()
            began = time.perf_counter()
            await start_actors(office, params.actors)
            started = time.perf_counter() - began
            grown = resident_kib() - before
            detail = {"actors": params.actors, "start_us": started / params.actors * 1e6}
            return Measured(grown / params.actors, detail)

    return trio.run(run)


def idle_cpu(params: Params) -> Measured:
    """Processor time of an open system with very many idle actors."""

    async def run() -> Measured:
        async with open_postroom(fresh_store(params, "idle")) as office:
            await start_actors(office, params.actors)
            await trio.sleep(SETTLE_SECONDS)
            began, used = time.perf_counter(), time.process_time()
            await trio.sleep(params.seconds)
            percent = (time.process_time() - used) / (time.perf_counter() - began) * 100
            return Measured(percent, {"actors": params.actors})

    return trio.run(run)


def poll_cpu(params: Params) -> Measured:
    """Processor time of a ``postroom poll --wait`` that gets nothing, after it has started."""
    url = fresh_store(params, "poll")
    wait = SETTLE_SECONDS + params.seconds + 30
    poll = ["--store", url, "poll", INBOX, "--wait", str(wait)]
    with subprocess.Popen(
        [sys.executable, "-P", "-c", POSTROOM, *poll], stdout=subprocess.DEVNULL
    ) as process:
        try:
            time.sleep(SETTLE_SECONDS)
            began, used = time.perf_counter(), running_seconds(process.pid)
            time.sleep(params.seconds)
            percent = (running_seconds(process.pid) - used) / (time.perf_counter() - began) * 100
            if process.poll() is not None:
                raise RuntimeError(f"poll --wait ended early with exit code {process.returncode}")
        finally:
            process.kill()
    return Measured(percent)


async def start_actors(office: System, count: int) -> None:
    """Start actors of one class, many at once so that they share commits."""
    kind = sink(Tally())

    async def start(numbers: range) -> None:
        for number in numbers:
            await office.start(f"bench/{number}", kind)

    async with trio.open_nursery() as nursery:
        for offset in range(200):
            nursery.start_soon(start, range(offset, count, 200))


def resident_kib() -> float:
    """Resident memory of this process after a full collection."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


def running_seconds(pid: int) -> float:
    """Processor time of all threads of a process, to the nanosecond where the kernel tells it."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9
