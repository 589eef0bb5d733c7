"""A system behind a real pgbouncer, which is killed, paused and reloaded under it, or has few connections."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio
from handled import Log
from offices import all_handled, at_work, send_all, told, until
from pgbouncer import PgBouncer
from postgres_server import PostgresServer
from troupe import Answer, Job

from postroom import open_postroom
from postroom.store.postgres import engine

STANDS_STILL = 1.6
"""Seconds that the loop may stand still: one of waiting for an answer, and what a busy machine adds."""


@pytest.fixture
def bouncer(own_postgres: PostgresServer) -> Iterator[PgBouncer]:
    """One of the test's own."""
    with PgBouncer(own_postgres) as one:
        yield one


@pytest.fixture
def schema(postgres_url: str) -> str:
    """Its name; it is dropped afterwards."""
    return postgres_url.rpartition("=")[2]


async def test_work_goes_on_by_itself_after_pgbouncer_was_killed(
    bouncer: PgBouncer, schema: str, caplog: pytest.LogCaptureFixture
) -> None:
    jobs, log = range(1, 60), Log()
    async with at_work(bouncer.url(schema), log) as (office, watched), trio.open_nursery() as nursery:
        nursery.start_soon(send_all, office, jobs)
        await trio.sleep(0.05)
        await trio.to_thread.run_sync(bouncer.kill)
        await until(lambda: told(caplog, "does not answer"))
        await trio.to_thread.run_sync(bouncer.start)
        await all_handled(log, jobs)
    assert watched.longest < STANDS_STILL
    gone, back = caplog.messages
    assert gone.startswith("the server does not answer: ")
    assert back.startswith("the server answers again after ")


@pytest.mark.long
async def test_connections_that_pgbouncer_makes_anew_are_not_noticed(
    bouncer: PgBouncer, schema: str, caplog: pytest.LogCaptureFixture
) -> None:
    jobs, log = range(1, 80), Log()
    async with at_work(bouncer.url(schema), log) as (office, _), trio.open_nursery() as nursery:
        nursery.start_soon(send_all, office, jobs)
        for _ in range(8):
            await trio.to_thread.run_sync(bouncer.order, "RECONNECT")
            await trio.sleep(0.05)
        await all_handled(log, jobs)
    assert caplog.messages == []


@pytest.mark.long
async def test_a_pause_of_pgbouncer_is_only_waited_for(
    bouncer: PgBouncer, schema: str, caplog: pytest.LogCaptureFixture
) -> None:
    jobs, log = range(1, 60), Log()
    async with at_work(bouncer.url(schema), log) as (office, watched), trio.open_nursery() as nursery:
        nursery.start_soon(send_all, office, jobs)
        for _ in range(3):
            await trio.to_thread.run_sync(bouncer.order, "PAUSE")
            await trio.sleep(0.3)
            await trio.to_thread.run_sync(bouncer.order, "RESUME")
            await trio.sleep(0.05)
        await all_handled(log, jobs)
    assert watched.longest < STANDS_STILL
    assert caplog.messages == []


@pytest.mark.long
async def test_clients_that_pgbouncer_cuts_off_come_back_when_they_may(
    bouncer: PgBouncer, schema: str, caplog: pytest.LogCaptureFixture
) -> None:
    jobs, log = range(1, 60), Log()
    async with at_work(bouncer.url(schema), log) as (office, watched), trio.open_nursery() as nursery:
        nursery.start_soon(send_all, office, jobs)
        await trio.sleep(0.05)
        await trio.to_thread.run_sync(bouncer.order, "KILL postgres")
        await trio.sleep(1.0)
        await trio.to_thread.run_sync(bouncer.order, "RESUME postgres")
        await all_handled(log, jobs)
    assert watched.longest < STANDS_STILL
    assert len(caplog.messages) in (0, 2), caplog.messages


@pytest.mark.long
@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_server_that_goes_away_behind_pgbouncer_is_one_outage(
    own_postgres: PostgresServer, bouncer: PgBouncer, schema: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    jobs, log = range(1, 60), Log()
    async with at_work(bouncer.url(schema), log) as (office, watched), trio.open_nursery() as nursery:
        nursery.start_soon(send_all, office, jobs)
        await trio.sleep(0.05)
        await trio.to_thread.run_sync(own_postgres.stop if how == "stop" else own_postgres.kill)
        await trio.sleep(1.0)
        await trio.to_thread.run_sync(own_postgres.start)
        await all_handled(log, jobs)
    assert watched.longest < STANDS_STILL
    assert len(caplog.messages) in (0, 2), caplog.messages


async def handle(url: str, name: str, jobs: range, log: Log) -> None:
    """A system that sends its only actor these jobs, all at once."""
    async with open_postroom(url, name=name) as office:
        await office.start(f"worker/{name}", log.actor(), concurrency=4)
        async with trio.open_nursery() as nursery:
            for job in jobs:
                nursery.start_soon(office.send, f"worker/{name}", Job(job))
        await all_handled(log, jobs)


@pytest.mark.parametrize("connections", [1, 2])
async def test_systems_that_share_fewer_connections_than_they_are_get_on(
    own_postgres: PostgresServer, schema: str, connections: int, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = range(1, 30)
    logs = {name: Log() for name in ("anna", "berta", "carla")}
    with PgBouncer(own_postgres, connections=connections) as narrow:
        async with trio.open_nursery() as nursery:
            for name, log in logs.items():
                nursery.start_soon(handle, narrow.url(schema), name, jobs, log)
        (pool,) = [row for row in narrow.order("SHOW POOLS") if row["database"] == "postgres"]
    assert [log.handled for log in logs.values()] == [dict.fromkeys(jobs, 1)] * 3
    assert pool["sv_active"] + pool["sv_idle"] <= connections
    assert caplog.messages == []


@pytest.mark.parametrize("direct", [True, False])
async def test_who_sleeps_behind_pgbouncer_is_woken_past_it_or_looks_by_itself(
    bouncer: PgBouncer, postgres_url: str, schema: str, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    past = {"notify_url": postgres_url.partition("&schema")[0]} if direct else {}
    if direct:  # nobody looks without a bell
        monkeypatch.setattr(engine, "LOOK_SECONDS", 3600.0)
    url = bouncer.url(schema, **past)
    async with open_postroom(url, name="one") as one, open_postroom(url, name="other") as other:
        await one.start("worker/anna", log.actor())
        for n in range(3):
            await other.ask("worker/anna", Job(n), timeout=10, reply=Answer)
    assert log.handled == dict.fromkeys(range(3), 1)
