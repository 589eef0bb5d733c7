"""A server that goes away in several ways, and how long an event loop stands still meanwhile."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import trio
from postgres_server import PostgresServer

TICK_SECONDS = 0.01


class Pulse:
    """Watches the loop. ``longest`` is the longest that it has stood still, in seconds."""

    longest = 0.0

    async def run(self) -> None:
        while True:
            due = trio.current_time() + TICK_SECONDS
            await trio.sleep_until(due)
            self.longest = max(self.longest, trio.current_time() - due)


@asynccontextmanager
async def pulse() -> AsyncGenerator[Pulse]:
    """Watch the loop inside the block."""
    watching = Pulse()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watching.run)
        yield watching
        nursery.cancel_scope.cancel()


def _backends(server: PostgresServer) -> dict[int, bool]:
    """The processes that serve its connections, and whether each has nothing to do."""
    with server.connect() as conn:
        found = conn.execute(
            "select pid, state = 'idle' from pg_stat_activity"
            " where backend_type = 'client backend' and pid <> pg_backend_pid()"
        )
        return dict(found)


@contextmanager
def resting_backends_frozen(server: PostgresServer) -> Generator[list[int]]:
    """All that serve connections, at a moment when none of them holds a lock that others would wait for."""
    while True:
        with frozen(*(processes := list(_backends(server)))):
            now = _backends(server)
            if all(now.get(process) for process in processes):
                yield processes
                return
        time.sleep(0.01)


@contextmanager
def frozen(*processes: int) -> Generator[None]:
    """Processes that neither do anything nor close anything: whoever asks them waits."""
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def everything(server: PostgresServer) -> list[int]:
    """All processes of a server, with the one that takes connections."""
    assert server.process is not None
    return [server.process, *_children(server.process)]


def _children(parent: int) -> list[int]:
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[1]) == parent:
            found.append(int(folder.name))
    return found
