"""What more of everything costs: client processes, messages. ``bench/scale.md`` tells what was found."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable

from ...store.records import InboxSpec, Register
from ...store.transact import transact_one
from ...store.urls import open_store
from .. import between
from ..depth import BATCH, Engine
from ..ground import ROOMY, new_url
from ..rows import Measured, Params
from .filling import Filler
from .places import connected

CLIENTS = (1, 2, 4, 8)
DEPTHS = (1_000, 10_000, 100_000, 1_000_000, 5_000_000)
SAMPLES = 15
GLANCE_SECONDS = 0.02

WAITS = """
SELECT coalesce(wait_event_type || ' ' || wait_event, 'running') FROM pg_stat_activity
WHERE state = 'active' AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
WAL = "SELECT wal_records::float8, wal_bytes::float8, wal_sync::float8 FROM pg_stat_wal"
WAL_18 = """
SELECT wal_records::float8, wal_bytes::float8,
       (SELECT sum(fsyncs)::float8 FROM pg_stat_io WHERE object = 'wal') FROM pg_stat_wal
"""
"""Since 18 the server counts the syncs of its log elsewhere."""


def clients(params: Params) -> Measured:
    """Turns a second of 1, 2, 4 and 8 processes; the value is how many times the best is of one."""
    share = params.seconds / params.rounds / 2
    counts = [count for count in CLIENTS if count <= params.clients]
    rates: dict[int, list[float]] = {count: [] for count in counts}
    for turn in range(params.rounds):
        for count in counts if turn % 2 == 0 else counts[::-1]:
            url = _roomy(params, f"clients{turn}_{count}")
            rates[count].append(between.together(params, url, count, share))
    found = {count: statistics.median(of) for count, of in rates.items()}
    best = max(found.values())
    return Measured(best / found[1], {f"{count}_per_s": rate for count, rate in found.items()})


def _roomy(params: Params, name: str) -> str:
    url = new_url(params, name)
    store = open_store(url, create=True)
    transact_one(store, Register((InboxSpec("bench/roomy", bound=ROOMY),)))
    store.close()
    return url


def depth(params: Params) -> Measured:
    """Send, claim and ack of 200, with ever more waiting and as many done; the dearest against the cheapest.

    What waits and what is done is copied there past the rules, for ``fill_seconds`` in all; how far it came
    is in the detail, and so is how long that took.
    """
    url = new_url(params, "depth")
    engine = Engine(url, 1, params)
    engine.send(2)
    waiting = done = engine.claim_and_ack(["bench/0"], 1)
    filler = Filler(params.postgres, url)
    began = time.perf_counter()
    end, measuring = began + params.fill_seconds, 0.0
    costs: dict[int, float] = {}
    for wanted in DEPTHS:
        more = filler.fill(wanted - waiting, wanted - done, end + measuring)
        waiting, done = waiting + more[0], done + more[1]
        if min(waiting, done) < wanted:
            break
        measured = time.perf_counter()
        costs[wanted] = statistics.median(_cycle(engine) for _ in range(SAMPLES)) * 1e6
        done += SAMPLES * BATCH
        measuring += time.perf_counter() - measured
    filled = time.perf_counter() - began - measuring
    filler.close()
    engine.close()
    detail = {f"at_{wanted}_us": cost for wanted, cost in costs.items()}
    few = costs.get(DEPTHS[0], 0.0)
    dearest = max(costs.values(), default=0.0)
    return Measured(
        dearest / few if few else 0.0,
        {**detail, "waiting": waiting, "done": done, "filled_s": filled},
    )


def _cycle(engine: Engine) -> float:
    """Seconds a message, from nothing to acknowledged, while as many others wait as before."""
    began = time.perf_counter()
    engine.send(BATCH)
    count = engine.claim_and_ack(["bench/0"])
    return (time.perf_counter() - began) / count


def limits(count: int) -> Callable[[Params], Measured]:
    """The row for so many processes: what the server's backends wait for, in percent of what was seen."""

    def measure(params: Params) -> Measured:
        url = _roomy(params, f"limits{count}")
        seen: Counter[str] = Counter()
        over = threading.Event()
        watcher = threading.Thread(target=_watch, args=(params, seen, over))
        before = _wal(params)
        watcher.start()
        rate = between.together(params, url, min(count, params.clients), params.seconds)
        over.set()
        watcher.join()
        records, size, syncs = (b - a for a, b in zip(before, _wal(params), strict=True))
        messages = rate * params.seconds
        total = sum(seen.values()) or 1
        shares = {_key(what): 100 * n / total for what, n in seen.most_common(6)}
        return Measured(
            shares.get("running", 0.0),
            {
                "per_s": rate,
                "wal_records": records / messages,
                "wal_bytes": size / messages,
                "syncs_per_s": syncs / params.seconds,
                "active": total / (params.seconds / GLANCE_SECONDS),
                **shares,
            },
        )

    return measure


def _key(what: str) -> str:
    return what.replace(" ", "_").lower()


def _watch(params: Params, seen: Counter[str], over: threading.Event) -> None:
    with connected(params.postgres) as conn:
        while not over.wait(GLANCE_SECONDS):
            seen.update(what for (what,) in conn.execute(WAITS).fetchall())


def _wal(params: Params) -> tuple[float, ...]:
    with connected(params.postgres) as conn:
        row = conn.execute(WAL_18 if conn.info.server_version >= 180000 else WAL).fetchone()
    assert row is not None
    return tuple(float(number) for number in row)
