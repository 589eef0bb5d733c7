"""``doctor`` of a store on a server: would it keep what it commits, and is it well?"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, LiteralString, TextIO

import psycopg

from ..store.clock import MICROS, SystemClock
from ..store.errors import StoreUnavailable
from ..store.postgres import admission, migrating, opening
from ..store.postgres.clock import NOW
from ..store.postgres.engine import unavailable
from ..store.postgres.patience import Connection
from ..store.postgres.urls import Place, read_url
from .doctor import check_clock, check_python
from .findings import Finding, write_findings

CLOCK_WARN = 2.0
"""Seconds by which the server's clock may differ from this machine's."""
XMIN_WARN = 600
"""Seconds that the oldest transaction may last before what is deleted after it burdens the queue."""
DEAD_WARN = 50_000

SEES_ALL = "SELECT pg_has_role('pg_read_all_stats', 'USAGE')"
Check = Callable[[Connection, Place], Finding]


def check_server(conn: Connection, place: Place) -> Finding:
    there = migrating.found(conn, place)
    try:
        opening.check_server(conn)
        migrating.check_kind(there.kind_of(place), there.server)
    except StoreUnavailable as error:
        return Finding("fail", f"{error.what}: {error.why}", error.do)
    version = _one(conn, "SELECT current_setting('server_version')")
    return Finding("ok", f"{there.server} {version}")


def check_role(conn: Connection, place: Place) -> Finding:
    """Whether this role is let in."""
    try:
        admission.check_role(conn, place)
    except StoreUnavailable as error:
        return Finding("fail", f"{error.what}: {error.why}", error.do)
    return Finding("ok", f"{admission.role_of(conn)}{'' if place.prepared else ', by a pooler'}")


def check_encoding(conn: Connection, place: Place) -> Finding:
    found = _one(conn, "SELECT current_setting('server_encoding')")
    if found != "UTF8":
        return Finding("fail", f"{found}: it cannot keep every text", "use a database with encoding UTF8")
    return Finding("ok", found)


def check_durable(conn: Connection, place: Place) -> Finding:
    """Whether what it has committed is kept when its machine fails."""
    names = ("fsync", "full_page_writes")
    off = [name for name in names if _one(conn, "SELECT current_setting($1)", name) == "off"]
    if off:
        said = f"{' and '.join(off)} off: what it has committed may be lost with its machine"
        return Finding("warn", said, f"set {' and '.join(f'{name}=on' for name in off)} in postgresql.conf")
    return Finding("ok", "fsync and full_page_writes are on")


def check_commits(conn: Connection, place: Place) -> Finding:
    found = _one(conn, "SELECT current_setting('synchronous_commit')")
    if found == "off":  # connecting has asked for it
        return Finding("fail", "off here although it was set", "let the role set synchronous_commit")
    standbys = _one(conn, "SELECT current_setting('synchronous_standby_names')")
    return Finding("ok", found if standbys else f"{found}; no synchronous standby")


def check_time(conn: Connection, place: Place) -> Finding:
    clock = SystemClock()
    before = clock.now().wall
    there = _one(conn, NOW)
    apart = max(0, before - there, there - clock.now().wall) / MICROS
    found = f"{apart:.3f} s apart from this machine's"
    if apart > CLOCK_WARN:
        return Finding("warn", found, "run NTP on both: the server's clock decides what is due")
    return Finding("ok", found)


def check_store(conn: Connection, place: Place) -> Finding:
    if not _there(conn, place):
        do = "create it with: postroom pair TASK --manager M --worker W"
        return Finding("fail", f"no store in schema {place.schema}", do)
    version, newest = _one(conn, "SELECT version FROM store"), migrating.newest()
    if version > newest:
        return Finding("fail", f"schema version {version}, newer than this postroom", "update postroom")
    if version < newest:
        return Finding(
            "warn", f"schema version {version} of {newest}", "nothing: the next command updates it"
        )
    return Finding("ok", f"schema {place.schema}, version {version}")


def check_order(conn: Connection, place: Place) -> Finding:
    """Whether numbers are given in the order in which they are asked for, whoever asks."""
    ahead = _one(conn, "SELECT max(cache_size) FROM pg_sequences WHERE schemaname = $1", place.schema)
    if ahead > 1:
        said = f"each connection takes {ahead} numbers at once: mail of several is not in order of acceptance"
        return Finding(
            "warn", said, "set the cache of the sequences to 1; on YugabyteDB ysql_sequence_cache_minval=0"
        )
    return Finding("ok", "by acceptance")


def check_privileges(conn: Connection, place: Place) -> Finding:
    """What this role may do to the tables; that it owns them is needed for migrations only."""
    if admission.only_looks(conn, place):
        return Finding("ok", "it may look and change nothing")
    missing = admission.lacking(conn, place)
    if missing:
        first = missing[0]
        said = f"no {first.need} on {first.on}, and {len(missing) - 1} more are lacking"
        return Finding("fail", said, first.grant(place, admission.role_of(conn)))
    owner = "SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = $1"
    whose = "owner" if _one(conn, owner, place.schema) else "not the owner: another role migrates"
    return Finding("ok", whose)


def check_vacuum(conn: Connection, place: Place) -> Finding:
    off = [name for name in ("autovacuum", "track_counts")
           if _one(conn, "SELECT current_setting($1)", name) == "off"]  # fmt: skip
    if off:
        return Finding(
            "fail", f"{' and '.join(off)} off: the queue gets slower with every message", "set it on"
        )
    table, dead, live, last = conn.execute(
        "SELECT relname, n_dead_tup, n_live_tup, coalesce(greatest(last_vacuum, last_autovacuum)::text, '')"
        " FROM pg_stat_user_tables WHERE schemaname = $1 ORDER BY n_dead_tup DESC, relname LIMIT 1",
        (place.schema,),
    ).fetchone() or ("", 0, 0, "")
    found = f"at most {dead} dead rows beside {live} live ones, in {table}"
    if dead > DEAD_WARN and dead > live:
        when = f"vacuumed {last}" if last else "never vacuumed"
        return Finding(
            "warn", f"{found}, {when}", "end long transactions; VACUUM the table; give autovacuum more"
        )
    return Finding("ok", found)


def check_xmin(conn: Connection, place: Place) -> Finding:
    """Whether something keeps deleted rows from being removed."""
    oldest = _one(
        conn,
        "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::bigint"
        " FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()",
    )
    prepared = _one(conn, "SELECT count(*) FROM pg_prepared_xacts")
    slots = _one(conn, "SELECT count(*) FROM pg_replication_slots WHERE NOT active AND"
                       " (xmin IS NOT NULL OR catalog_xmin IS NOT NULL)")  # fmt: skip
    found = f"the oldest transaction lasts {oldest} s"
    if not _one(conn, SEES_ALL):
        found = f"of this role, {found}; those of others are hidden from it"
    more = [f"{n} {what}" for n, what in ((prepared, "prepared transactions"), (slots, "idle slots")) if n]
    if oldest > XMIN_WARN or more:
        do = "end it: until then no dead row is removed"
        return Finding("warn", ", ".join([found, *more]), do)
    return Finding("ok", found)


def check_connections(conn: Connection, place: Place) -> Finding:
    all_of, ours = conn.execute(
        "SELECT count(*), count(*) FILTER (WHERE datname = current_database() AND application_name = $1"
        " AND pid <> pg_backend_pid()) FROM pg_stat_activity"
        " WHERE datname IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'",
        (opening.user_name(place.schema),),
    ).fetchone() or (0, 0)
    most = int(_one(conn, "SELECT current_setting('max_connections')"))
    found = f"{ours} of this store, {all_of} of {most} in all"
    if all_of > most * 0.8:
        return Finding("warn", found, "raise max_connections, or use a pooler and pooled=yes")
    return Finding("ok", found)


SERVER: tuple[tuple[str, Check], ...] = (
    ("server", check_server),
    ("role", check_role),
    ("encoding", check_encoding),
    ("durable", check_durable),
    ("commits", check_commits),
    ("server clock", check_time),
    ("connections", check_connections),
    ("oldest xmin", check_xmin),
    ("store", check_store),
)
STORE: tuple[tuple[str, Check], ...] = (
    ("order", check_order),
    ("privileges", check_privileges),
    ("vacuum", check_vacuum),
)
OF_POSTGRESQL = frozenset({"connection", "durable", "commits", "connections", "oldest xmin", "vacuum"})
"""What only PostgreSQL itself can be asked."""


def asked_of(server: str, checks: tuple[tuple[str, Check], ...]) -> list[tuple[str, Check]]:
    """Those of the checks that a server can answer."""
    return [check for check in checks if server == "PostgreSQL" or check[0] not in OF_POSTGRESQL]


def examine(url: str) -> list[tuple[str, Finding]]:
    """All checks that make sense; those of the store only if there is one. Raises ``BadInput``."""
    place = read_url(url)
    findings = [("python", check_python(Path())), ("clock", check_clock(Path()))]
    try:
        conn = opening.connect(place)
    except psycopg.Error as error:
        gone = unavailable(error)
        return [*findings, ("server", Finding("fail", gone.why, gone.do))]
    except StoreUnavailable as error:
        return [*findings, ("server", Finding("fail", f"{error.what}: {error.why}", error.do))]
    try:
        server = migrating.found(conn, place).server
        findings += [(name, _run(check, conn, place)) for name, check in asked_of(server, SERVER)]
        if _there(conn, place):
            findings += [(name, _run(check, conn, place)) for name, check in asked_of(server, STORE)]
    finally:
        conn.close()
    return findings


def _run(check: Check, conn: Connection, place: Place) -> Finding:
    try:
        return check(conn, place)
    except psycopg.Error as error:
        wrong = unavailable(error)
        return Finding("fail", wrong.why, wrong.do)


def _there(conn: Connection, place: Place) -> bool:
    return migrating.found(conn, place).store


def _one(conn: Connection, statement: LiteralString, *args: object) -> Any:
    row = conn.execute(statement, args).fetchone()
    return None if row is None else row[0]


def command(args: Namespace, out: TextIO) -> int:
    """Write the findings. 0 without a failure (warnings allowed), 5 if the store is not usable."""
    return write_findings(args, out, examine(args.settings.store))
