"""The world of the store model on a server."""

from __future__ import annotations

from random import Random

from store_walk import World
from told_clock import ToldClock

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.postgres.engine import PostgresStore, open_postgres
from postroom.store.process import this_process

START = 1_767_225_600_000_000


class ServerWorld(World):
    """A server gives no number twice, not even one of a session that was never opened after all."""

    def undo(self, *operations: r.Operation) -> None:
        super().undo(*(op for op in operations if not isinstance(op, r.OpenSession)))


def server_world(url: str) -> World:
    """On a server: a handle is closed, and another one connects. Its schema must not be there yet."""
    clock = ManualClock(START, START)  # a server has one clock for both
    handles: list[PostgresStore] = []

    def lose() -> PostgresStore:
        for handle in handles[-1:]:
            handle.close()
        told = ToldClock(clock)
        handles.append(open_postgres(url, create=True, clock=told, rng=Random(len(handles))))
        return handles[-1]

    process = this_process()
    return ServerWorld(lose(), clock, lose, here=process, dead=process.rpartition(":")[0] + ":0")
