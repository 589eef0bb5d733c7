"""Stores for databases that speak like PostgreSQL and lack parts of it, here on PostgreSQL itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event

import psycopg
import pytest
from choosing import Dice
from pooler import Pooler
from port_verbs import INBOX, a_message, claim, counts, do, register, send, settle
from postgres_server import Postgres
from rivals import MANY, PATIENCE_SECONDS, Rivals, asked, portable
from server_worlds import server_world

from postroom.store import records as r
from postroom.store.errors import StoreUnavailable
from postroom.store.postgres.admission import server_of
from postroom.store.postgres.engine import PostgresStore, open_postgres
from postroom.store.postgres.locks import GATES
from postroom.store.postgres.migrating import check_kind, newest
from postroom.store.postgres.opening import connect
from postroom.store.postgres.urls import read_url

RELATIONS = (
    "SELECT relname, relkind, reloptions FROM pg_class WHERE relnamespace = %s::regnamespace ORDER BY 1"
)


def relations(url: str) -> list[tuple[str, str, str | None]]:
    """What there is in a schema: names, kinds and storage parameters."""
    place = read_url(url)
    with psycopg.connect(place.conninfo) as conn:
        return conn.execute(RELATIONS, (place.schema,)).fetchall()


def changed(url: str, *statements: str) -> None:
    """Do something to a store behind its back."""
    with connect(read_url(url)) as conn:
        for statement in statements:
            conn.execute(statement.encode())


def opened(url: str, *, create: bool = False) -> closing[PostgresStore]:
    return closing(open_postgres(url, create=create))


def test_a_portable_store_has_no_partitions_no_storage_parameters_and_no_doorbells(postgres_url: str) -> None:
    with opened(portable(postgres_url), create=True) as store:
        assert store.watch() is None
    found = relations(postgres_url)
    assert "message" in [name for name, _, _ in found]
    assert {kind for _, kind, _ in found} == {"r", "i", "S"}
    assert {options for _, _, options in found} == {None}


def test_a_portable_store_takes_no_advisory_locks(postgres_url: str) -> None:
    with opened(portable(postgres_url), create=True) as store, connect(store.place) as watching:
        register(store, INBOX)
        send(store)
        store.begin()
        store.apply([r.Claim((INBOX,), 1, key="again")])
        locks = (
            "SELECT DISTINCT locktype, mode FROM pg_locks WHERE relation = 'gate'::regclass OR locktype = $1"
        )
        assert watching.execute(locks, ("advisory",)).fetchall() == [("relation", "RowShareLock")]
        store.commit()


def test_a_store_that_was_made_portable_is_opened_as_such_whatever_the_url_says(postgres_url: str) -> None:
    with opened(portable(postgres_url), create=True) as store:
        register(store, INBOX)
    with opened(postgres_url) as store:
        assert store.place.portable
        assert store.watch() is None
        send(store)
    with opened(portable(postgres_url)) as store:
        assert counts(store).ready == 1


def test_a_store_that_was_not_made_portable_is_not_opened_as_if_it_were(postgres_url: str) -> None:
    with opened(postgres_url, create=True) as store:
        register(store, INBOX)
    before = relations(postgres_url)
    with pytest.raises(StoreUnavailable, match="is not portable"):
        open_postgres(portable(postgres_url), create=True)
    assert relations(postgres_url) == before


def test_eight_who_make_a_store_at_the_same_moment_make_one(postgres: Postgres, postgres_url: str) -> None:
    with opened(portable(postgres_url), create=True):
        made = relations(postgres_url)
    for n in range(3):
        url = postgres.url(f"{read_url(postgres_url).schema}_{n}")
        try:
            with Rivals(portable(url)) as rivals:
                register(rivals.first, INBOX)
                rivals.together(lambda store, n: send(store))
                assert counts(rivals.first).ready == MANY
            assert relations(url) == made
            with connect(read_url(url)) as conn:
                assert conn.execute("SELECT count(*), max(version) FROM store").fetchall() == [(1, newest())]
        finally:
            postgres.drop(read_url(url).schema)


def test_a_store_whose_making_was_cut_short_is_none_until_somebody_makes_the_rest(postgres_url: str) -> None:
    with opened(portable(postgres_url), create=True):
        made = relations(postgres_url)
    changed(
        postgres_url,
        "DELETE FROM store",
        "DELETE FROM key_gate",
        "DROP TABLE record",
        "DROP INDEX message_dead",
    )
    with pytest.raises(StoreUnavailable, match="no store in schema"):
        open_postgres(postgres_url, create=False)
    with opened(portable(postgres_url), create=True) as store:
        assert store.verify(deep=True).ok
    assert relations(postgres_url) == made


def test_a_schema_with_something_else_in_it_is_left_alone(postgres_url: str) -> None:
    schema = read_url(postgres_url).schema
    changed(postgres_url, f"CREATE SCHEMA {schema}", "CREATE TABLE event (precious int)")
    with pytest.raises(StoreUnavailable, match=f"schema {schema} has event in it"):
        open_postgres(portable(postgres_url), create=True)
    assert [name for name, _, _ in relations(postgres_url)] == ["event"]


def test_a_portable_store_is_made_without_a_pooler_and_used_with_one(
    postgres: Postgres, postgres_url: str
) -> None:
    with Pooler(postgres.base) as pooler:
        pooled = pooler.url(read_url(postgres_url).schema)
        with pytest.raises(StoreUnavailable, match="on a connection of its own"):
            open_postgres(portable(pooled), create=True)
        assert relations_if_any(postgres, postgres_url) == []
        with opened(portable(postgres_url), create=True) as store:
            register(store, INBOX)
        with opened(pooled) as store:
            send(store)
            (delivery,) = claim(store, 1)
            settle(store, delivery)
            assert store.place.portable


def relations_if_any(postgres: Postgres, url: str) -> list[tuple[str, str, str | None]]:
    """The same where there may be no schema."""
    with postgres.connect() as conn:
        there = conn.execute(
            "SELECT FROM pg_namespace WHERE nspname = %s", (read_url(url).schema,)
        ).fetchall()
    return relations(url) if there else []


def test_who_changes_an_inbox_waits_for_those_who_use_it(postgres_url: str) -> None:
    with Rivals(portable(postgres_url), 2) as rivals, connect(rivals.first.place) as watching:
        user, changer = rivals.stores
        register(user, INBOX)
        user.begin()
        user.apply([r.Send(a_message())])
        with ThreadPoolExecutor(1) as threads:
            purging = threads.submit(asked, changer, r.Control(INBOX, r.Switch.PURGE))
            while watching.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
                assert not purging.done()
            user.commit()
            purging.result(PATIENCE_SECONDS)
        assert counts(user).ready == 0


def test_who_changes_an_inbox_has_a_turn_however_many_use_it_all_the_time(postgres_url: str) -> None:
    changed = Event()

    def use_or_change(store: PostgresStore, n: int) -> bool:
        if n == 0:
            asked(store, r.Control(INBOX, r.Switch.PAUSE))
            changed.set()
        for _ in range(400):
            if changed.is_set():
                return True
            send(store)
        return False

    with Rivals(portable(postgres_url)) as rivals:
        register(rivals.first, INBOX)
        assert all(rivals.together(use_or_change))


def test_those_who_use_an_inbox_do_not_wait_for_one_another(postgres_url: str) -> None:
    with Rivals(portable(postgres_url), 2) as rivals:
        one, other = rivals.stores
        register(one, INBOX)
        one.begin()
        one.apply([r.Send(a_message())])
        send(other)
        one.commit()
        assert counts(one).ready == 2


def test_a_claim_that_is_repeated_while_it_is_made_is_answered_what_it_leases(postgres_url: str) -> None:
    with Rivals(portable(postgres_url)) as rivals:
        register(rivals.first, INBOX)
        for n in range(4):
            for _ in range(MANY):
                send(rivals.first)
            answers = rivals.all_ask(r.Claim((INBOX,), 2, key=f"poll-{n}"))
            leased = [tuple(d.id for d in one.deliveries) for one in answers if isinstance(one, r.Claimed)]
            assert len(leased) == MANY
            assert len(set(leased)) == 1


def test_there_is_a_row_to_lock_for_every_transaction_and_every_key_of_a_claim(postgres_url: str) -> None:
    with opened(portable(postgres_url), create=True) as store, connect(store.place) as conn:
        lacking = "SELECT n FROM generate_series(0, $1) AS n WHERE n NOT IN (TABLE gate)"
        assert conn.execute(lacking, (GATES - 1,)).fetchall() == []
        lacking = (
            "SELECT n FROM generate_series(1, 4000) AS n WHERE left(md5(n::text), 2) NOT IN (TABLE key_gate)"
        )
        assert conn.execute(lacking).fetchall() == []


def test_a_record_that_was_made_meanwhile_is_not_written_over(postgres_url: str) -> None:
    with Rivals(portable(postgres_url)) as rivals:
        keys = [str(n) for n in range(20)]
        answers = rivals.all_ask(r.Put(tuple(r.Write("owner", "kind", key, b"1", expect=0) for key in keys)))
        assert sum(isinstance(answer, r.Changed) for answer in answers) == 1
        assert {record.version for record in rivals.first.records("owner")} == {1}
        do(
            rivals.first,
            r.Put(tuple(r.Write("owner", "kind", key, b"2", expect=1) for key in keys)),
            r.Changed,
        )
        assert {(one.version, one.value) for one in rivals.first.records("owner")} == {(2, b"2")}


@pytest.mark.parametrize(
    ("version", "server"),
    [
        ("CockroachDB CCL v25.2.1 (x86_64-pc-linux-gnu, built 2025/06/11)", "CockroachDB"),
        ("PostgreSQL 15.12-YB-2025.1.0.0-b0 on x86_64-pc-linux-gnu, compiled by clang", "YugabyteDB"),
        ("PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu", "PostgreSQL"),
    ],
)
def test_only_on_postgresql_is_there_a_store_that_is_not_portable(version: str, server: str) -> None:
    assert server_of(version) == server
    check_kind(read_url("postgresql://h/db?portable=yes"), server)
    if server != "PostgreSQL":
        with pytest.raises(StoreUnavailable, match=f"the server is {server}.*portable=yes"):
            check_kind(read_url("postgresql://h/db"), server)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_a_long_walk_on_a_portable_store_is_as_the_model(postgres_url: str, seed: int) -> None:
    world, dice = server_world(portable(postgres_url)), Dice(seed)
    try:
        for _ in range(60):
            world.step(dice)
        world.check()
        world.judge()
    finally:
        world.close()
