"""A real pgbouncer in transaction mode before the tests' server, on a private socket."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, LiteralString, Self

import psycopg
import pytest
from postgres_server import PostgresServer

from postroom.bench.postgres.folder import KeptFolder
from postroom.bench.postgres.places import address
from postroom.bench.postgres.programs import unprivileged

PLACE, PORT = "/tmp", 6432
SYSTEM = "/usr/sbin"
"""Where Debian puts it, which is not on everybody's path."""

PREPARES_SINCE = (1, 21)
GLANCE_SECONDS = 0.01
PATIENCE_SECONDS = 20.0


def pgbouncer_program() -> str:
    """Where it is. Skips the test where there is none."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:{SYSTEM}")
    if found is None:
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")
    return found


def pgbouncer_version(program: str) -> tuple[int, ...]:
    """As (1, 21, 0)."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", said)
    assert found is not None, said
    return tuple(int(number) for number in found.groups())


class PgBouncer:
    """Between clients and a server of our own, while it is entered as a context manager.

    ``connections`` is how many it has to the server for each database and role. ``users`` may come in
    beside ``postgres``. ``prepared`` is its ``max_prepared_statements``, by default its own choice.
    """

    def __init__(
        self,
        server: PostgresServer,
        *,
        connections: int = 8,
        users: tuple[str, ...] = (),
        prepared: int | None = None,
    ) -> None:
        self._server = server
        self._users = ("postgres", *users)
        self._program = pgbouncer_program()
        self._settings: dict[str, object] = {
            "pool_mode": "transaction",
            "default_pool_size": connections,
            "max_client_conn": 200,
            "server_login_retry": 1,
        }
        if prepared is not None:
            if pgbouncer_version(self._program) < PREPARES_SINCE:
                pytest.skip("this pgbouncer knows nothing of prepared statements: it is older than 1.21")
            self._settings["max_prepared_statements"] = prepared
        self._process: subprocess.Popen[bytes] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = stack.enter_context(KeptFolder("bouncer-", PLACE))
            stack.callback(self.kill)
            self._account = unprivileged()
            self._write()
            self._account.give(self.folder)
            self.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def folder(self) -> Path:
        """Its socket, its settings and its log."""
        return self._folder.path

    def url(self, schema: str, user: str = "postgres", **more: str) -> str:
        """The store URL of a schema, by way of it."""
        base = f"postgresql://{user}@/postgres?host={self.folder}&port={PORT}"
        return address(base, schema=schema, pooled="yes", **more)

    def log(self) -> str:
        """What it has written since it was made."""
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, self.folder / "pgbouncer.ini"],
                user=self._account.user,
                group=self._account.group,
                extra_groups=self._account.extra_groups,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._folder.guard(self._process.pid)
        for _ in range(round(PATIENCE_SECONDS / GLANCE_SECONDS)):
            with suppress(psycopg.OperationalError):
                self.order("SHOW VERSION")
                return
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(GLANCE_SECONDS)
                break
        raise AssertionError(f"pgbouncer did not come up: {self.log()[-300:]}")

    def kill(self) -> None:
        """End it at once. It is gone afterwards, and every link of its clients is cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(PATIENCE_SECONDS)
            self._process = None
            self._folder.guard(None)

    def order(self, order: LiteralString) -> list[dict[str, Any]]:
        """Give an order at its console, as PAUSE; the rows that it answers."""
        conninfo = f"host={self.folder} port={PORT} user=postgres dbname=pgbouncer"
        with psycopg.connect(conninfo, autocommit=True) as console:
            answer = console.execute(order)
            names = [column.name for column in answer.description or ()]
            return [dict(zip(names, row, strict=True)) for row in answer] if names else []

    def _write(self) -> None:
        people = "".join(f'"{user}" ""\n' for user in self._users)
        (self.folder / "users").write_text(people)
        settings = {
            "listen_port": PORT,
            "unix_socket_dir": self.folder,
            "auth_type": "trust",
            "auth_file": self.folder / "users",
            "admin_users": "postgres",
            **self._settings,
        }
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        text = f"[databases]\n* = host={self._server.folder} port=5432\n\n[pgbouncer]\n{''.join(lines)}"
        (self.folder / "pgbouncer.ini").write_text(text)
