"""Roles with no more rights than they need: what each may do, and in which words the rest is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from port_verbs import INBOX, a_message, claim, counts, register, send, settle
from roles import OWNER, ROLES_SQL, RUNNER, VIEWER, Roles

from postroom.store.copying.copy import copy
from postroom.store.errors import StoreUnavailable
from postroom.store.postgres import admission, migrating, opening
from postroom.store.postgres.engine import open_postgres
from postroom.store.postgres.urls import read_url
from postroom.store.sqlite.file import open_file

TABLES = """SELECT grantee, privilege_type FROM information_schema.role_table_grants
WHERE table_schema = %s AND grantee = ANY (%s)"""


@pytest.fixture
def schema(roles: Roles) -> Iterator[str]:
    """A store of the test's own, with all its roles."""
    name = f"test_{uuid4().hex}"
    with roles.store(name):
        yield name


def missing(url: str) -> list[admission.Lacking]:
    place = read_url(url)
    with opening.connect(place) as conn:
        return admission.lacking(conn, place)


def test_each_role_is_granted_what_it_needs_and_nothing_else(roles: Roles, schema: str) -> None:
    with roles.admin() as conn:
        runner, viewer = roles.names[RUNNER], roles.names[VIEWER]
        found = set(conn.execute(TABLES, (schema, [runner, viewer])).fetchall())
        made = conn.execute(
            "SELECT r FROM unnest(%s::text[]) AS r WHERE has_schema_privilege(r, %s, 'CREATE')",
            ([runner, viewer], schema),
        ).fetchall()
    changes = ("INSERT", "UPDATE", "DELETE")
    assert found == {(runner, "SELECT"), (viewer, "SELECT")} | {(runner, each) for each in changes}
    assert made == []
    assert missing(roles.url(RUNNER, schema)) == []


def test_a_table_that_a_migration_makes_later_is_the_runner_s_to_use(roles: Roles, schema: str) -> None:
    with opening.connect(read_url(roles.url(OWNER, schema))) as owner:
        owner.execute("CREATE TABLE later (n bigint GENERATED ALWAYS AS IDENTITY, m bigint)")
        owner.execute("CREATE SEQUENCE later_seq")
    with opening.connect(read_url(roles.url(RUNNER, schema))) as runner:
        runner.execute("INSERT INTO later (m) SELECT nextval('later_seq')")
        runner.execute("UPDATE later SET m = 2")
    with opening.connect(read_url(roles.url(VIEWER, schema))) as viewer:
        assert viewer.execute("SELECT m FROM later").fetchall() == [(2,)]


def test_grants_are_given_as_well_to_a_store_that_was_there_before(roles: Roles) -> None:
    name = f"test_{uuid4().hex}"
    roles.order("CREATE SCHEMA {schema} AUTHORIZATION {owner}", name)
    open_postgres(roles.url(OWNER, name), create=True).close()
    with pytest.raises(
        StoreUnavailable, match=f'may not use schema {name}.*GRANT USAGE ON SCHEMA {name} TO "'
    ):
        open_postgres(roles.url(RUNNER, name), create=False)
    with roles.store(name):
        assert missing(roles.url(RUNNER, name)) == []


def test_who_may_make_no_tables_says_who_may(roles: Roles) -> None:
    name = f"test_{uuid4().hex}"
    roles.grant(name)
    with pytest.raises(
        StoreUnavailable, match=r"may not make the tables.*permission denied.*have its owner run any"
    ):
        open_postgres(roles.url(RUNNER, name), create=True)
    roles.order("DROP SCHEMA {schema}", name)
    with pytest.raises(StoreUnavailable, match=r"may not make the tables.*permission denied for database"):
        open_postgres(roles.url(RUNNER, name), create=True)


def test_a_store_that_only_its_owner_can_bring_up_to_date_says_so(
    roles: Roles, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = migrating.migrations

    def one_more(kind: str) -> list[tuple[int, str]]:
        number = known(kind)[-1][0] + 1
        return [*known(kind), (number, "ALTER TABLE store ADD COLUMN more bigint")]

    monkeypatch.setattr(migrating, "migrations", one_more)
    for who in (RUNNER, VIEWER):
        with pytest.raises(StoreUnavailable, match="nor bring them up to date: must be owner of table store"):
            open_postgres(roles.url(who, schema), create=False)
    open_postgres(roles.url(OWNER, schema), create=False).close()
    open_postgres(roles.url(RUNNER, schema), create=False).close()


def test_a_role_that_looks_sees_all_and_changes_nothing(roles: Roles, schema: str, tmp_path: Path) -> None:
    runner = open_postgres(roles.url(RUNNER, schema), create=False)
    viewer = open_postgres(roles.url(VIEWER, schema), create=False)
    try:
        register(runner, INBOX)
        send(runner)
        (mail,) = claim(runner)
        settle(runner, mail)
        assert (counts(viewer), viewer.verify(deep=True).ok) == (counts(runner), True)
        assert viewer.message(mail.id) == runner.message(mail.id)
        for _ in range(2):  # a refusal leaves a handle as it was
            with pytest.raises(StoreUnavailable, match=r"permission denied for.*postroom doctor names"):
                send(viewer)
        assert counts(viewer).accepted == 1
    finally:
        runner.close()
        viewer.close()


def test_a_copy_that_a_role_that_looks_has_made_goes_on_where_the_store_was(
    roles: Roles, schema: str, tmp_path: Path
) -> None:
    """Also with the number of its sessions, which a sequence tells only to those who may read it."""
    runner = open_postgres(roles.url(RUNNER, schema), create=False)
    register(runner, INBOX)
    send(runner)
    runner.close()
    copy(roles.url(VIEWER, schema), f"sqlite:///{tmp_path}/a.db")
    copied = open_file(tmp_path / "a.db", create=False)
    try:
        assert counts(copied).ready == 1
    finally:
        copied.close()
    roles.order("REVOKE SELECT ON SEQUENCE {schema}.session_id_seq FROM {viewer}", schema)
    with pytest.raises(StoreUnavailable, match="permission denied for sequence session_id_seq"):
        copy(roles.url(VIEWER, schema), f"sqlite:///{tmp_path}/b.db")


RIGHTS: tuple[tuple[LiteralString, LiteralString], ...] = (
    ("REVOKE INSERT ON {schema}.message FROM {runner}", "GRANT INSERT ON {schema}.message TO {runner}"),
    (
        "REVOKE USAGE ON SEQUENCE {schema}.message_seq FROM {runner}",
        "GRANT USAGE ON SEQUENCE {schema}.message_seq TO {runner}",
    ),
    ("REVOKE USAGE ON SCHEMA {schema} FROM {runner}", "GRANT USAGE ON SCHEMA {schema} TO {runner}"),
)


def test_a_right_that_is_withdrawn_is_lacking_until_it_is_given_back(roles: Roles, schema: str) -> None:
    runner = open_postgres(roles.url(RUNNER, schema), create=False)
    try:
        register(runner, INBOX)
        send(runner)
        for sent, (revoke, grant) in enumerate(RIGHTS, start=1):
            message = a_message()
            roles.order(revoke, schema)
            with pytest.raises(StoreUnavailable):
                send(runner, message)
            roles.order(grant, schema)
            send(runner, message)
            assert counts(runner).ready == sent + 1
    finally:
        runner.close()


def psql() -> str | None:
    found = shutil.which("psql")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"))
    return found or (str(installed[-1]) if installed else None)


def test_psql_carries_the_file_out_as_its_head_says(roles: Roles) -> None:
    program = psql()
    if program is None:
        pytest.skip("psql is not installed")
    name = f"test_{uuid4().hex}"
    said = [f"-v{who}={role}" for who, role in roles.names.items()]
    parts = urlsplit(roles.base)
    place = {key: values[0] for key, values in parse_qs(parts.query).items()}
    words = [program, "-X", "-q", "-h", place["host"], "-p", place["port"], "-U", "postgres", *said]
    for _ in range(2):
        done = subprocess.run(
            [*words, f"-vschema={name}", "-vON_ERROR_STOP=1", "-f", ROLES_SQL, roles.database],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
    with roles.store(name):
        assert missing(roles.url(RUNNER, name)) == []
