"""A hundred hosts on paper: a model of queues, fed with what operations cost on this server.

It is no simulation of postroom's rules, which ``postroom simulate`` plays on virtual time without costs.
Each host gathers what arrives and commits it in one transaction at a time, as ``GroupCommit`` does; a
transaction needs round trips, then a core of the server, then a sync of the log, which it shares with all
that wait for one. Hosts have cores enough of their own. Locks that wait for each other are not in it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from random import Random

from msgspec import Struct

from ...store.postgres.opening import user_name
from ...store.postgres.urls import read_url
from ..depth import BATCH, Engine
from ..figures import quantile
from ..ground import new_url
from ..idle import running_seconds
from ..rows import Measured, Params
from .places import connected
from .raw import PostgresQueue

BACKEND = "SELECT max(pid) FROM pg_stat_activity WHERE application_name = %s"
SMALL = 10
TRIPS = 8
"""Round trips that one batch takes from its sends to its acknowledgements."""

MOST = 1000
HOSTS, CORES = 100, 16
TRIP_SECONDS = 0.0005
"""Of a network between two machines of one hall; the one measured here is within a machine."""

VIRTUAL_SECONDS = 2.0
SHARES = (0.25, 0.5, 0.75, 0.9)


class Costs(Struct, frozen=True):
    """Seconds: of a core of the server for a batch and for each message in it, and of one sync."""

    batch: float
    message: float
    sync: float

    def most_per_s(self, cores: int) -> float:
        """Messages a second that so many cores could do if every batch were full."""
        return cores / (self.message + self.batch / MOST)


def measured(params: Params) -> Costs:
    """What it costs here: processor time of the server's process for batches of 10 and of 200.

    The server must be on this machine, or nobody can read that.
    """
    url = new_url(params, "costs")
    engine = Engine(url, 1, params)
    with connected(params.postgres) as conn:
        (pid,) = conn.execute(BACKEND, (user_name(read_url(url).schema),)).fetchone() or (0,)
        trips = sorted(_taken(lambda: conn.execute("SELECT 1")) for _ in range(100))
    small, large = (_of_server(engine, pid, size, params.seconds / 3) for size in (SMALL, BATCH))
    engine.close()
    queue = PostgresQueue(params)
    commits = sorted(_taken(lambda: queue.send(1)) for _ in range(100))
    queue.close()
    message = max(0.0, (large - small) / (BATCH - SMALL))
    return Costs(max(0.0, small - message * SMALL), message, max(0.0, commits[50] - trips[50]))


def _taken(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


def _of_server(engine: Engine, pid: int, size: int, seconds: float) -> float:
    """Processor seconds of one batch in the server, from its sends to its acknowledgements."""
    engine.send(size)
    engine.claim_and_ack(["bench/0"], size)
    used, batches = running_seconds(pid), 0
    end = time.perf_counter() + seconds
    while batches == 0 or time.perf_counter() < end:
        engine.send(size)
        engine.claim_and_ack(["bench/0"], size)
        batches += 1
    return (running_seconds(pid) - used) / batches


class Model:
    """One server and its hosts, event by event. ``latencies`` are those of the messages that are done."""

    def __init__(self, costs: Costs, hosts: int, cores: int, per_host: float, rng: Random) -> None:
        self.latencies: list[float] = []
        self.done = 0
        self._costs, self._rng, self._rate = costs, rng, per_host
        self._now = 0.0
        self._number = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._waiting: list[deque[float]] = [deque() for _ in range(hosts)]
        self._busy = [False] * hosts
        self._free = cores
        self._queue: deque[Callable[[], None]] = deque()
        self._unsynced: list[Callable[[], None]] = []
        self._syncing = False
        for host in range(hosts):
            self._in(rng.expovariate(per_host), partial(self._arrive, host))

    def run(self, seconds: float) -> None:
        """Let so much virtual time pass."""
        while self._events and self._events[0][0] < seconds:
            self._now, _, happen = heappop(self._events)
            happen()

    def _in(self, seconds: float, happen: Callable[[], None]) -> None:
        self._number += 1
        heappush(self._events, (self._now + seconds, self._number, happen))

    def _arrive(self, host: int) -> None:
        self._waiting[host].append(self._now)
        self._in(self._rng.expovariate(self._rate), partial(self._arrive, host))
        if not self._busy[host]:
            self._begin(host)

    def _begin(self, host: int) -> None:
        self._busy[host] = True
        waiting = self._waiting[host]
        batch = [waiting.popleft() for _ in range(min(len(waiting), MOST))]
        self._in(TRIPS * TRIP_SECONDS, lambda: self._serve(lambda: self._work(host, batch)))

    def _serve(self, work: Callable[[], None]) -> None:
        if self._free:
            self._free -= 1
            work()
        else:
            self._queue.append(work)

    def _work(self, host: int, batch: list[float]) -> None:
        cost = self._costs.batch + self._costs.message * len(batch)
        self._in(cost, lambda: self._computed(lambda: self._finish(host, batch)))

    def _computed(self, finish: Callable[[], None]) -> None:
        self._free += 1
        if self._queue:
            self._free -= 1
            self._queue.popleft()()
        self._unsynced.append(finish)
        if not self._syncing:
            self._sync()

    def _sync(self) -> None:
        self._syncing = True
        group, self._unsynced = self._unsynced, []
        self._in(self._costs.sync, lambda: self._synced(group))

    def _synced(self, group: list[Callable[[], None]]) -> None:
        self._syncing = False
        for finish in group:
            finish()
        if self._unsynced:
            self._sync()

    def _finish(self, host: int, batch: list[float]) -> None:
        self.latencies += [self._now - came for came in batch]
        self.done += len(batch)
        self._busy[host] = False
        if self._waiting[host]:
            self._begin(host)


def hundred(params: Params) -> Measured:
    """Messages a second that 100 hosts get done on a server of 16 cores like those measured."""
    costs = measured(params)
    most = costs.most_per_s(CORES)
    detail = {
        "batch_us": costs.batch * 1e6, "message_us": costs.message * 1e6, "sync_us": costs.sync * 1e6,
        "most_per_s": most,
    }  # fmt: skip
    done = 0.0
    for share in SHARES:
        model = Model(costs, HOSTS, CORES, share * most / HOSTS, Random(1))
        model.run(VIRTUAL_SECONDS)
        done = model.done / VIRTUAL_SECONDS
        name = f"at_{share:.0%}".replace("%", "")
        detail[f"{name}_per_s"] = done
        detail[f"{name}_p50_ms"] = quantile(model.latencies, 0.5) * 1000
        detail[f"{name}_p99_ms"] = quantile(model.latencies, 0.99) * 1000
    return Measured(done, detail)
