"""A PostgreSQL server: somebody's, named by a URL, or one of our own on a private socket.

For the figures and for tests.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

import psycopg
from psycopg.rows import TupleRow

from ...store.errors import BadInput
from .folder import KeptFolder
from .places import address, connected, drop_schema
from .programs import Account, NoPostgres, find_programs, installed_wheel, unprivileged

PLACE = "/tmp"
"""Where a server lives unless told otherwise; not TMPDIR, which may be too long or private to root."""

SOCKET = ".s.PGSQL.5432"
SOCKET_BYTES = 107
"""What a Unix socket's path may have at most."""

GLANCE_SECONDS = 0.01
PATIENCE_SECONDS = 30.0
LAST_LINES = 3
"""How much of its log is told when it fails."""


class Postgres:
    """A server that runs, in which every test has a schema of its own."""

    def __init__(self, url: str) -> None:
        self.base = url

    def url(self, schema: str) -> str:
        """The store URL of a schema, which need not exist."""
        return address(self.base, schema=schema)

    def connect(self) -> psycopg.Connection[TupleRow]:
        """A connection of one's own, past the store; each statement is a transaction."""
        return connected(self.base)

    def drop(self, schema: str) -> None:
        """Remove a schema with all that is in it, if it is there. Raises if an open transaction bars it."""
        with self.connect() as connection:
            drop_schema(connection, schema)


class PostgresServer(Postgres):
    """A server of our own, reached only by its socket. As a context manager it runs inside, and nothing
    of it is left afterwards, nor when this process is killed.

    Without ``fsync`` it keeps what it has committed if it is killed, but not if the machine fails.
    ``settings`` are PostgreSQL's own. ``place`` is the folder in which its own is made: name one on a
    real disk to measure. Entering it raises ``NoPostgres``, with the reason.
    """

    def __init__(
        self, *, fsync: bool = False, settings: Mapping[str, str] | None = None, place: str = PLACE
    ) -> None:
        super().__init__("")
        synced = "on" if fsync else "off"
        self._settings = {
            "listen_addresses": "",
            "fsync": synced,
            "full_page_writes": synced,
            **(settings or {}),
        }
        self._place = place
        self._account = Account()
        self._programs = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> PostgresServer:
        self._account = unprivileged()
        with ExitStack() as stack:
            self._folder = stack.enter_context(KeptFolder("pg-", self._place))
            self._claim_folder()
            self.base = f"postgresql://postgres@/postgres?host={self.folder}&port=5432"
            self._programs = find_programs(self._account, self.folder, wheel=installed_wheel())
            self._make_data()
            self.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            self.kill()  # nobody will read its data, so it need not be put in order

    @property
    def folder(self) -> Path:
        """What it has: the socket, the data and the log. All of it is for its account and root only."""
        return self._folder.path

    @property
    def keeper(self) -> int:
        """The process that cleans up after this one, should it be killed."""
        return self._folder.keeper

    @property
    def process(self) -> int | None:
        """Its process id while it runs."""
        alive = self._process is not None and self._process.poll() is None
        return self._process.pid if self._process and alive else None

    def start(self) -> None:
        """Start it on the data that is there, and wait until it takes connections, unless it runs."""
        if self.process is not None:
            return
        settings = [word for pair in self._settings.items() for word in ("-c", "=".join(pair))]
        process = self._run("postgres", "-k", str(self.folder), *settings)
        self._process = process
        for _ in _glances(process):
            if self._is_ready(process.pid):
                return
        failure = self._failure("did not come up")
        self.kill()
        raise failure

    def stop(self) -> None:
        """Stop it in good order; connections are cut. It is gone when this returns."""
        try:
            self._end(signal.SIGINT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """Stop it at once, without a checkpoint: the next start has to recover. It is gone afterwards."""
        self._end(signal.SIGQUIT)

    def terminate_backends(self) -> int:
        """Cut all connections from the server's side; how many there were."""
        with self.connect() as connection:
            return len(
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where backend_type = 'client backend' and pid <> pg_backend_pid()"
                ).fetchall()
            )

    def log(self) -> str:
        """What it has written since it was made."""
        return (self.folder / "log").read_text(errors="replace")

    def _claim_folder(self) -> None:
        socket = self.folder / SOCKET
        if len(bytes(socket)) > SOCKET_BYTES:
            raise NoPostgres(f"{socket} is too long for a socket: name a shorter place")
        try:
            self._account.give(self.folder)
        except OSError as error:
            raise NoPostgres(f"root may not give {self.folder} to 'nobody': {error.strerror}") from error

    def _make_data(self) -> None:
        words = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        process = self._run("initdb", *words)
        try:
            if process.wait(PATIENCE_SECONDS):
                raise self._failure("initdb failed")
        finally:
            process.kill()
            process.wait()
            self._folder.guard(None)

    def _run(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        """Run one of its programs on its data. It does not outlive the folder, nor hear a Ctrl-C of ours."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [self._programs / program, "-D", self.folder / "data", *words],
                user=self._account.user,
                group=self._account.group,
                extra_groups=self._account.extra_groups,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._folder.guard(process.pid)
        return process

    def _is_ready(self, process: int) -> bool:
        """Whether it says in its lock file, as it does to pg_ctl, that it takes connections."""
        try:
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(process) and lines[7].strip() == "ready"

    def _end(self, how: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)  # a stopped one would not hear it
        process.wait(PATIENCE_SECONDS)
        self._process = None
        self._folder.guard(None)

    def _failure(self, what: str) -> NoPostgres:
        last = " | ".join(self.log().splitlines()[-LAST_LINES:])
        return NoPostgres(f"PostgreSQL from {self._programs} {what}: {last}")


def _glances(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Chances to look, until it has ended or patience is out."""
    for _ in range(round(PATIENCE_SECONDS / GLANCE_SECONDS)):
        try:
            process.wait(GLANCE_SECONDS)
        except subprocess.TimeoutExpired:
            yield
        else:
            return


@contextmanager
def running(directory: str) -> Generator[str, None, None]:
    """The URL of a server of our own that syncs, with its data in this directory. Raises ``BadInput``."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(PostgresServer(fsync=True, place=directory))
        except NoPostgres as error:
            raise BadInput("no PostgreSQL to measure", str(error), "name a server with --postgres") from error
        yield server.base
