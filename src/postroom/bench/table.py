"""The table of figures: every row that ``postroom bench`` measures, in the order it does."""

from __future__ import annotations

from ..store.errors import BadInput
from . import between, convoys, depth, fleets, idle, latency, open_loop, throughput, waking, web
from .peers.ways import Style
from .postgres.late import late
from .rows import Better, Row

HIGHER, LOWER = Better.HIGHER, Better.LOWER
CLIENTS = ("1_per_s", "2_per_s", "4_per_s", "8_per_s")
COSTS = ("batch_us", "message_us", "sync_us")
HELD = ("free_per_s", "last_per_s")
LIMITS = ("per_s", "active", "wal_bytes", "syncs_per_s")
PEERS = ("postroom_per_s", "procrastinate_per_s", "pgqueuer_per_s")
TAIL = ("p50_ms", "p999_ms", "began_per_s", "schedule_kept")

ROWS = (
    Row("durable", "send, handle, ack, as a share of the limit",
        "of limit", 0.45, 0.60, HIGHER, throughput.durable),
    Row("send_many", "accepted sends, as a share of raw inserts",
        "of limit", 0.50, 0.65, HIGHER, throughput.send_many),
    Row("one_actor", "one stateful actor with 10,000 queued, as a share of the limit",
        "of limit", 0.30, 0.45, HIGHER, throughput.one_actor),
    Row("send_idle", "one idle durable send, p50",
        "commits", 2.0, 1.4, LOWER, latency.send_idle),
    Row("ask_idle", "idle ask round trip, p50",
        "commits", 3.5, 2.5, LOWER, latency.ask_idle),
    Row("open_loop_25", "due to acknowledged on disk at 25 % of the throughput, p99",
        "ms", None, None, LOWER, open_loop.open_loop(0.25), TAIL),
    Row("open_loop_50", "due to acknowledged on disk at 50 % of the throughput, p99",
        "ms", None, None, LOWER, open_loop.open_loop(0.50), TAIL),
    Row("open_loop_75", "due to acknowledged on disk at 75 % of the throughput, p99",
        "ms", None, None, LOWER, open_loop.open_loop(0.75), TAIL),
    Row("wake", "message to another process that waits, p50",
        "ms", 15, 5, LOWER, between.wake),
    Row("ack_contended", "ack while another process commits at full rate, p99",
        "ms", 250, 50, LOWER, between.ack_contended),
    Row("poll_start", "whole poll of an empty inbox, above python -c pass",
        "ms", 100, 60, LOWER, between.poll_start),
    Row("two_processes", "actors in 2 processes on one file, against 1",
        "x", 1.0, 1.3, HIGHER, between.two_processes),
    Row("actor_memory", "memory of one of 10,000 idle actors",
        "KiB", 12, 6, LOWER, idle.actor_memory),
    Row("idle_cpu", "CPU of an idle system with 10,000 actors",
        "% of core", 1.0, 0.3, LOWER, idle.idle_cpu),
    Row("poll_cpu", "CPU of a process waiting in poll --wait",
        "% of core", 1.0, 0.3, LOWER, idle.poll_cpu),
    Row("inbox_cost", "cost per message with 100,000 inboxes, against 1",
        "x", 1.25, 1.1, LOWER, depth.inbox_cost),
    Row("claim_depth", "claim and ack with 1,000,000 waiting, against 1,000",
        "x", 0.8, 0.95, HIGHER, depth.claim_depth),
)  # fmt: skip


PULL_ROWS = (
    Row("wake_plan_50", "wake plan over 50 bindings",
        "ms", 5, 1, LOWER, waking.wake_plan(50)),
    Row("wake_plan_50000", "wake plan over 50,000 bindings",
        "ms", 500, 100, LOWER, waking.wake_plan(50_000), limit=240.0),
    Row("http_round_trips", "poll and ack over HTTP on one connection",
        "a second", 1000, 2500, HIGHER, web.round_trips, ("server_cpu_us",)),
    Row("http_parked_memory", "memory of 1,000 long polls that wait",
        "MiB", 64, 32, LOWER, web.parked_memory),
    Row("http_parked_cpu", "CPU of 1,000 long polls that wait",
        "% of core", 2, 0.5, LOWER, web.parked_cpu),
    Row("http_arrival", "mail of another process to a waiting client's bytes, p50",
        "ms", 10, 3, LOWER, web.arrival, ("p95_ms",)),
)  # fmt: skip

FLEET_ROWS = (
    Row("fleet_idle", "wakes of an idle pair in a virtual day",
        "wakes", 0, 0, LOWER, fleets.idle_pair, limit=120.0),
    Row("fleet_empty", "empty wakes of economy, of those of fixed:120s",
        "%", 2, 0, LOWER, fleets.against_fixed, ("p99_s", "fixed_p99_s", "p99_ratio"), 600.0),
    Row("fleet_seeds", "lost, doubled, stuck over 1,000 seeds with faults",
        "breaches", 0, 0, LOWER, fleets.seeds(1000), ("tasks", "process_deaths"), 2400.0),
    Row("fleet_1000", "a virtual day of 1,000 pairs",
        "s", 60, 20, LOWER, fleets.thousand_pairs, ("events_per_s", "breaches"), 900.0),
    Row("fleet_100000", "a virtual hour of 100,000 app threads",
        "s", 600, 180, LOWER, fleets.many_threads, ("cost_ratio", "mib", "events_per_s", "breaches"), 1800.0),
)  # fmt: skip

CONVOY_ROWS = (
    Row("convoy_rate", "tasks of a convoy of 10,000, against messages sent and handled",
        "of kernel", 0.10, 0.25, HIGHER, convoys.rate, ("tasks_per_s", "kernel_per_s"), 300.0),
    Row("convoy_scale", "cost of a task among 100,000, against among 1,000",
        "x", 1.3, 1.1, LOWER, convoys.scale, ("few_us", "many_us"), 900.0),
    Row("convoy_events", "durable events with their NDJSON",
        "a second", 20_000, 50_000, HIGHER, convoys.events, (), 120.0),
    Row("convoy_resume", "from starting a process to the first task of 10,000 killed half-way",
        "s", 2.0, 0.5, LOWER, convoys.resume, ("slowest_s",), 240.0),
    Row("convoy_interrupted_50", "finding the interrupted among 50 runs",
        "ms", 5, 1, LOWER, convoys.interrupted(50), (), 60.0),
    Row("convoy_interrupted_5000", "finding the interrupted among 5,000 runs",
        "ms", 200, 50, LOWER, convoys.interrupted(5000), (), 240.0),
    Row("convoy_kills", "done twice or lost, over 300 kills in convoys of 500 tasks",
        "tasks", 0, 0, LOWER, convoys.kills, ("kills", "convoys"), 1800.0),
)  # fmt: skip

POSTGRES_ROWS = (
    Row("pg_durable", "send, handle, ack, as a share of psycopg's limit",
        "of limit", 0.40, 0.60, HIGHER, throughput.durable, ("end_to_end_per_s", "limit_per_s"), server=True),
    Row("pg_peers", "against the better of procrastinate and pgqueuer, many producers",
        "x", 5, 10, HIGHER, late("beside", "against", Style.MANY), PEERS, 300.0, server=True),
    Row("pg_peers_batched", "the same with jobs put 500 at a time",
        "x", 5, 10, HIGHER, late("beside", "against", Style.BATCHED), PEERS, 300.0, server=True),
    Row("pg_processes", "actors in 8 client processes, against 1",
        "x", 1.0, 1.5, HIGHER, between.many_processes, ("one_per_s", "8_per_s"), 300.0, server=True),
    Row("pg_send_idle", "one idle durable send, p50",
        "commits", 2.0, 1.4, LOWER, latency.send_idle, ("p50_ms", "commit_p50_ms"), server=True),
    Row("pg_wake", "message to another process that waits, with NOTIFY, p50",
        "ms", 5, None, LOWER, between.wake, ("poll_p50_ms", "actor_p50_ms"), server=True),
    Row("pg_wake_polling", "the same with notify=off",
        "ms", 250, None, LOWER, between.wake_unheard, ("poll_p50_ms", "actor_p50_ms"), server=True),
    Row("pg_held", "throughput after 10 minutes of a held xmin, against without",
        "x", 0.25, 0.50, HIGHER, late("held", "held_back"), HELD, 1800.0, server=True),
)  # fmt: skip
"""The rows on a server; those that are on a file too are the same functions."""

SCALE_ROWS = (
    Row("scale_clients", "the best of 1, 2, 4 and 8 client processes, against 1",
        "x", None, None, HIGHER, late("scale", "clients"), CLIENTS, 300.0, server=True),
    Row("scale_depth", "cost of a message with up to 5,000,000 waiting and done, against 1,000",
        "x", None, None, LOWER, late("scale", "depth"), ("waiting", "done"), 3600.0, server=True),
    Row("scale_limits_1", "of active backends with 1 client process, how many run",
        "%", None, None, HIGHER, late("scale", "limits", 1), LIMITS, 120.0, server=True),
    Row("scale_limits_8", "the same with 8",
        "%", None, None, HIGHER, late("scale", "limits", 8), LIMITS, 120.0, server=True),
    Row("scale_hosts", "a model of 100 hosts on 16 cores, with the costs of here",
        "a second", None, None, HIGHER, late("hosts", "hundred"), COSTS, 300.0, server=True),
)  # fmt: skip

SETS = {
    "kernel": ROWS,
    "pull": PULL_ROWS,
    "fleet": FLEET_ROWS,
    "convoys": CONVOY_ROWS,
    "postgres": POSTGRES_ROWS,
    "scale": SCALE_ROWS,
}
"""What one call measures; the last four take as long as they take."""


def row_named(name: str) -> Row:
    """The row of this name. Raises ``BadInput`` with the names there are."""
    rows = [row for each in SETS.values() for row in each]
    for row in rows:
        if row.name == name:
            return row
    known = ", ".join(row.name for row in rows)
    raise BadInput(f"no row is called {name!r}", "the table is fixed", f"choose from {known}")
