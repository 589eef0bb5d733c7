"""A server that goes away under a running system: the loop lives on, one line is said, and all goes on."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import pytest
import trio
from gateways import served
from handled import Log
from offices import all_handled, at_work, send_all, told, until
from outages import everything, frozen, pulse, resting_backends_frozen
from postgres_server import PostgresServer

from postroom.store.errors import StoreUnavailable
from postroom.store.postgres.patience import Connection
from postroom.store.urls import open_store

STANDS_STILL = 1.6
"""Seconds that the loop may stand still: one of waiting for an answer, and what a busy machine adds."""


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_work_goes_on_by_itself_after_the_server_was_gone(
    own_postgres: PostgresServer, postgres_url: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    jobs, log = range(1, 80), Log()
    async with at_work(postgres_url, log) as (office, watched), trio.open_nursery() as nursery:
        nursery.start_soon(send_all, office, jobs)
        await trio.sleep(0.1)
        await trio.to_thread.run_sync(own_postgres.stop if how == "stop" else own_postgres.kill)
        for _ in range(10):
            with suppress(StoreUnavailable):
                office.counts("worker/anna")  # what looks from within the loop
            await trio.sleep(0.1)
        await trio.to_thread.run_sync(own_postgres.start)
        await all_handled(log, jobs)
    assert watched.longest < STANDS_STILL
    gone, back = caplog.messages
    assert gone.startswith("the server does not answer: ")
    assert back.startswith("the server answers again after ")


async def test_a_server_that_freezes_does_not_freeze_the_loop(
    own_postgres: PostgresServer, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    jobs, log = range(1, 40), Log()
    async with at_work(postgres_url, log) as (office, watched), trio.open_nursery() as nursery:
        nursery.start_soon(send_all, office, jobs)
        with frozen(*everything(own_postgres)):
            for _ in range(30):
                with suppress(StoreUnavailable):
                    office.counts("worker/anna")
                await trio.sleep(0.1)
        await all_handled(log, jobs)
    assert watched.longest < STANDS_STILL
    assert len(caplog.records) <= 2, caplog.messages


async def test_links_that_are_dead_without_a_word_are_made_anew(
    own_postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "patience", 0.5)
    jobs, log = range(1, 9), Log()
    async with at_work(postgres_url, log) as (office, watched):
        with resting_backends_frozen(own_postgres) as dead:
            try:
                await send_all(office, jobs)
                await all_handled(log, jobs)
            finally:
                for process in dead:
                    os.kill(process, signal.SIGTERM)
    assert watched.longest < STANDS_STILL


async def test_connections_that_the_server_ends_are_made_anew_without_a_word(
    own_postgres: PostgresServer, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    jobs, log = range(1, 60), Log()
    async with at_work(postgres_url, log) as (office, _), trio.open_nursery() as nursery:
        nursery.start_soon(send_all, office, jobs)
        for _ in range(5):
            await trio.to_thread.run_sync(own_postgres.terminate_backends)
            await trio.sleep(0.05)
        await all_handled(log, jobs)
    assert caplog.messages == []


async def test_a_server_that_takes_no_more_changes_is_one_that_is_gone(
    own_postgres: PostgresServer, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a failover, until the name of the server stands for another."""
    jobs, log = range(1, 40), Log()
    async with at_work(postgres_url, log) as (office, _), trio.open_nursery() as nursery:
        with own_postgres.connect() as conn:
            conn.execute("alter system set default_transaction_read_only = on")
            conn.execute("select pg_reload_conf()")
            try:
                nursery.start_soon(send_all, office, jobs)
                await until(lambda: told(caplog, "does not answer"))
            finally:
                conn.execute("set default_transaction_read_only = off")
                conn.execute("alter system reset default_transaction_read_only")
                conn.execute("select pg_reload_conf()")
        await all_handled(log, jobs)
    gone, back = caplog.messages
    assert "read-only" in gone
    assert back.startswith("the server answers again")


async def test_a_gateway_says_that_it_is_not_ready_while_the_server_is_gone(
    own_postgres: PostgresServer, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(postgres_url, create=True)
    try:
        async with served(store) as site, pulse() as watched:
            assert await site.readiness() == 200
            await trio.to_thread.run_sync(own_postgres.stop)

            async def says(status: int) -> bool:
                return await site.readiness() == status

            await until(lambda: says(503))
            asked = await site.ask("poll", {"inbox": "worker/anna"})
            assert (asked.status, asked.code) == (503, "store_unavailable")
            await trio.to_thread.run_sync(own_postgres.start)
            await until(lambda: says(200))
            id = await site.send()
            (mail,) = (await site.ask("poll", {"inbox": "worker/anna"})).json["messages"]
            assert mail["id"] == id
    finally:
        store.close()
    assert watched.longest < STANDS_STILL
    assert [record.name for record in caplog.records].count("postroom.telemetry") == 0  # one line is enough
