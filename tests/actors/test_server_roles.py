"""A system from whose role rights are taken while it runs, and to which they are given back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString
from uuid import uuid4

import pytest
import trio
from gateways import served
from handled import Log
from offices import all_handled, at_work, send_all, until
from roles import OWNER, RUNNER, Roles
from troupe import Answer, Job, verified

from postroom import System
from postroom.store.errors import StoreUnavailable
from postroom.store.urls import open_store

RIGHTS: dict[str, tuple[LiteralString, LiteralString]] = {
    "tables": (
        "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {runner}",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {runner}",
    ),
    "schema": (
        "REVOKE USAGE ON SCHEMA {schema} FROM {runner}",
        "GRANT USAGE ON SCHEMA {schema} TO {runner}",
    ),
    "sends": (
        "REVOKE INSERT ON {schema}.message FROM {runner}",
        "GRANT INSERT ON {schema}.message TO {runner}",
    ),
}


@pytest.fixture
def schema(roles: Roles) -> Iterator[str]:
    """A store of the test's own, with all its roles."""
    name = f"test_{uuid4().hex}"
    with roles.store(name):
        yield name


async def refused(office: System) -> bool:
    """Whether a send is refused just now."""
    try:
        await office.send("worker/anna", Job(0))
    except StoreUnavailable:
        return True
    return False


@pytest.mark.parametrize("right", RIGHTS)
async def test_work_goes_on_by_itself_when_a_right_is_given_back(
    roles: Roles, schema: str, right: str
) -> None:
    jobs, log = range(1, 40), Log()
    revoke, grant = RIGHTS[right]
    async with at_work(roles.url(RUNNER, schema), log) as (office, _), trio.open_nursery() as nursery:
        nursery.start_soon(send_all, office, jobs)
        roles.order(revoke, schema)
        try:
            await until(lambda: refused(office))
        finally:
            roles.order(grant, schema)
        await all_handled(log, jobs)
        verified(office)


async def test_a_right_to_make_tables_that_is_withdrawn_is_not_missed(
    roles: Roles, schema: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither by a system that runs nor by one that starts, also where it works as the owner."""
    log = Log()
    async with at_work(roles.url(OWNER, schema), log) as (office, _):
        roles.order("REVOKE CREATE ON SCHEMA {schema} FROM {owner}", schema)
        await office.ask("worker/anna", Job(1), timeout=20, reply=Answer)
    roles.order("REVOKE ALL ON DATABASE {DBNAME} FROM {owner}")
    roles.order("GRANT CONNECT ON DATABASE {DBNAME} TO {owner}")
    async with at_work(roles.url(OWNER, schema), log) as (office, _):
        await office.ask("worker/anna", Job(2), timeout=20, reply=Answer)
    assert caplog.messages == []


async def test_a_gateway_is_not_ready_while_its_role_may_not_use_the_store(roles: Roles, schema: str) -> None:
    store = open_store(roles.url(RUNNER, schema), create=True)
    revoke, grant = RIGHTS["tables"]
    try:
        async with served(store) as site:

            async def says(status: int) -> bool:
                return await site.readiness() == status

            await until(lambda: says(200))
            roles.order(revoke, schema)
            await until(lambda: says(503))
            asked = await site.ask("send", {"to": "worker/anna", "type": "t", "body": 1})
            assert (asked.status, asked.code) == (503, "store_unavailable")
            roles.order(grant, schema)
            await until(lambda: says(200))
            await site.send()
    finally:
        store.close()
