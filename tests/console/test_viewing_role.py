"""Commands of a role that may only look: those that look answer, and the others say why not in one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from roles import OWNER, RUNNER, VIEWER, Roles
from shells import Shell

from postroom.console.serverdoctor import examine
from postroom.store.postgres.opening import connect
from postroom.store.postgres.urls import read_url

LOOKS = (
    "status", "inbox list", "inbox show worker/w", "inbox peek worker/w", "dead list", "search note", "runs",
    "show {id}", "verify", "verify --deep", "metrics", "doctor", "loop status t", "loop history t",
    "wakeup plan t", "autopilot status t", "reconcile", "token list",
)  # fmt: skip
CHANGES = (
    "send worker/w --type t --body 1", "poll worker/w", "inbox pause worker/w", "inbox purge worker/w",
    "pair u --manager n --worker x", "heartbeat t --role worker", "loop notify t hello",
    "token create laptop", "run c.toml", "finish t --force --reason enough", "autopilot start t",
)  # fmt: skip


@pytest.fixture
def schema(roles: Roles, shell: Shell) -> Iterator[str]:
    """A store in which the runner has sent a note."""
    name = f"test_{uuid4().hex}"
    with roles.store(name):
        runner = roles.url(RUNNER, name)
        shell.json("pair", "t", "--manager", "m", "--worker", "w", "--store", runner)
        yield name


def accounts(shell: Shell, url: str) -> list[dict[str, object]]:
    """Of each inbox, without how long its mail has waited."""
    inboxes = shell.json("status", "--store", url)["inboxes"]
    return [{name: n for name, n in each.items() if name != "oldest_ready_seconds"} for each in inboxes]


@pytest.mark.long
def test_a_role_that_may_only_look_looks_at_everything_and_changes_nothing(
    roles: Roles, schema: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = roles.url(RUNNER, schema)
    id = shell.json("send", "worker/w", "--type", "note", "--body", "1", "--store", runner)["id"]
    before = accounts(shell, runner)
    monkeypatch.setenv("POSTROOM_STORE", roles.url(VIEWER, schema))
    Path("c.toml").write_text('[convoy]\nname = "c"\n[tasks.one]\ncommand = "true"\n')
    for line in LOOKS:
        shell.json(*line.format(id=id).split())
    for line in CHANGES:
        assert shell.error(*line.split(), code=5) == "store_unavailable", line
        assert "permission denied for" in shell.err, line
        assert "postroom doctor names" in shell.err, line
    assert accounts(shell, runner) == before


def findings(url: str) -> dict[str, str]:
    return {name: f"{found.status}: {found.found}; {found.fix}" for name, found in examine(url)}


def test_the_doctor_tells_each_role_what_it_is_and_what_it_cannot_see(roles: Roles, schema: str) -> None:
    said = {who: findings(roles.url(who, schema)) for who in (OWNER, RUNNER, VIEWER)}
    assert not [one for each in said.values() for one in each.values() if one.startswith("fail")]
    assert said[OWNER]["privileges"].startswith("ok: owner")
    assert said[RUNNER]["privileges"].startswith("ok: not the owner")
    assert said[VIEWER]["privileges"].startswith("ok: it may look")
    for who, each in said.items():
        assert each["role"].startswith(f"ok: {roles.names[who]}")
        assert "hidden from it" in each["oldest xmin"]


def test_the_doctor_counts_the_connections_of_other_roles(roles: Roles, schema: str) -> None:
    with connect(read_url(roles.url(OWNER, schema))):
        assert findings(roles.url(VIEWER, schema))["connections"].startswith("ok: 1 of this store")


def test_the_doctor_names_the_grant_that_a_stranger_lacks(roles: Roles, schema: str) -> None:
    roles.order("REVOKE USAGE ON SCHEMA {schema} FROM {runner}", schema)
    found = findings(roles.url(RUNNER, schema))["role"]
    assert found.startswith("fail: ")
    assert f'GRANT USAGE ON SCHEMA {schema} TO "{roles.names[RUNNER]}"' in found


def test_the_grant_that_the_doctor_names_mends_it(roles: Roles, schema: str) -> None:
    roles.order("REVOKE INSERT ON ALL TABLES IN SCHEMA {schema} FROM {runner}", schema)
    url = roles.url(RUNNER, schema)
    lacking = dict(examine(url))["privileges"]
    assert lacking.found.startswith("no INSERT on activation")
    with psycopg.connect(read_url(roles.url(OWNER, schema)).conninfo, autocommit=True) as owner:
        owner.execute(lacking.fix.encode())
    assert dict(examine(url))["privileges"].status == "ok"
