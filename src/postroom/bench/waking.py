"""What it costs to decide whom to wake."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median

from ..actors.wakeups.planning import plan_all
from ..mailbox import pairs, threads
from ..mailbox.desk import Desk
from ..mailbox.ids import IdMaker
from ..store.port import Store
from ..store.records import InboxSpec, Put, Register, Write
from ..store.transact import transact
from ..store.urls import open_store
from .rows import Measured, Params

WITH_MAIL = 10
"""One worker in so many has mail."""

AT_ONCE = 500
PLANS = 9


def wake_plan(bindings: int) -> Callable[[Params], Measured]:
    """The row for so many bindings, each with two threads: the plan of all of them, in milliseconds."""

    def measure(params: Params) -> Measured:
        store = open_store(f"sqlite:///{Path(params.directory).absolute() / 'plan.db'}", create=True)
        try:
            _bind(store, bindings)
            taken, ready = list[float](), 0
            for _ in range(PLANS):
                began = time.perf_counter()
                plans = plan_all(store)
                taken.append((time.perf_counter() - began) * 1000)
                ready = sum(plan.summary()["ready"] for plan in plans)
        finally:
            store.close()
        return Measured(median(taken), {"bindings": bindings, "ready": ready, "best_ms": min(taken)})

    return measure


def _bind(store: Store, count: int) -> None:
    desk = Desk(store, IdMaker(store.clock, Random(1)))
    for first in range(0, count, AT_ONCE):
        writes: list[Write] = []
        inboxes: list[InboxSpec] = []
        for n in range(first, min(first + AT_ONCE, count)):
            binding = pairs.new_binding(f"t{n}", f"m{n}", f"w{n}", 1)
            _, put = pairs.bind(store, binding)
            assert put is not None, "each task is new"
            writes += put.writes
            for address in (binding.manager, binding.worker):
                inboxes.append(InboxSpec(address))
                _, write = threads.assign(store, address, f"thread {address}")
                assert write is not None, "each thread is new"
                writes.append(write)
        transact(store, [Register(tuple(inboxes)), Put(tuple(writes))])
    for n in range(0, count, WITH_MAIL):
        desk.send(f"worker/w{n}", "job", b"1")
