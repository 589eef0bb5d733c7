"""What happens to a server, to its links and to those who use it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from chaos_proxy import Harm
from msgspec import Struct
from postgres_server import PostgresServer
from psycopg import sql

from .scene import ROLE, Scene

DOWN_SECONDS, BARRED_SECONDS, HELD_SECONDS, DOZE_SECONDS = 8.0, 2.0, 15.0, 14.0
STILL_SECONDS = 3.0
ROOM_MIB = 24
TABLESPACE = "small"


class Incident(Struct, frozen=True):
    """One kind. ``happens`` returns when it is over; ``amount`` is that of `make proof-pg`, and is done in
    full, however long it takes, of the kinds that are ``promised``.
    """

    name: str
    title: str
    amount: int
    happens: Callable[[Scene], None]
    proxied: bool = False
    cramped: bool = False
    promised: bool = False


def kill(scene: Scene) -> None:
    name = scene.rng.choice(sorted(scene.nodes))
    scene.nodes[name].kill()
    scene.begin(name)


def doze(scene: Scene) -> None:
    """A node stands still for longer than its session lasts, whatever it holds; then it goes on."""
    name = scene.rng.choice(sorted(scene.nodes))
    scene.nodes[name].stop()
    time.sleep(DOZE_SECONDS)
    scene.nodes[name].go_on()


def stop_at_once(scene: Scene) -> None:
    scene.server.kill()
    scene.server.start()


def go_down(scene: Scene) -> None:
    scene.server.stop()
    time.sleep(DOWN_SECONDS)
    scene.server.start()


def terminate(scene: Scene) -> None:
    """One backend of the crew, whatever it is doing."""
    with scene.server.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
            " ORDER BY random() LIMIT 1",
            (ROLE,),
        )


def terminate_all(scene: Scene) -> None:
    scene.server.terminate_backends()


def break_links(scene: Scene) -> None:
    _strike(scene, Harm.CUT)


def hold_links(scene: Scene) -> None:
    _strike(scene, scene.rng.choice((Harm.STALL, Harm.DELAY, Harm.TRICKLE)))
    time.sleep(BARRED_SECONDS)
    assert scene.proxy is not None
    scene.proxy.heal()


def darken_links(scene: Scene) -> None:
    _strike(scene, Harm.DARK)


def _strike(scene: Scene, harm: Harm) -> None:
    assert scene.proxy is not None
    scene.told[f"links {harm}"] = scene.told.get(f"links {harm}", 0) + scene.proxy.everywhere(harm)


def hold_xmin(scene: Scene) -> None:
    """A transaction that has begun before and stays: what is dead since then cannot be cleared away."""
    before = _rate(scene)
    with scene.server.connect() as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT 1")
        during = _rate(scene)
        connection.execute("ROLLBACK")
    scene.told["share of throughput with xmin held"] = round(during / before, 2)


def _rate(scene: Scene) -> float:
    began, first = time.monotonic(), scene.done()
    scene.until(lambda: time.monotonic() - began > HELD_SECONDS, "time passes")
    return (scene.done() - first) / (time.monotonic() - began)


def forbid_ddl(scene: Scene) -> None:
    """Whoever might have made the schema may not any more; a node that begins then needs nothing of it."""
    scene.admin("GRANT CREATE ON SCHEMA {schema} TO {role}")
    scene.admin("REVOKE CREATE ON SCHEMA {schema} FROM {role}")
    for name in sorted(scene.nodes):
        scene.nodes[name].kill()
        scene.begin(name)


def forbid_tables(scene: Scene) -> None:
    scene.admin("REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}")
    time.sleep(BARRED_SECONDS)
    scene.grant()


class _Still:
    """Whether no job is done any more: then workers have met it first, and the sender waits for them."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._done, self._since = -1, 0.0

    def is_so(self) -> bool:
        done, now = self._scene.done(), time.monotonic()
        if done != self._done:
            self._done, self._since = done, now
        return now - self._since > STILL_SECONDS


def fill_space(scene: Scene) -> None:
    """No room for anything new; what is refused is told, and goes on as soon as there is room."""
    refused = scene.sender.reasons["store_full"]
    ballast = scene.server.folder / TABLESPACE / "ballast"
    with ballast.open("wb") as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    still = _Still(scene)
    try:
        scene.until(
            lambda: scene.sender.reasons["store_full"] > refused or still.is_so(),
            "the full table space is noticed",
        )
        time.sleep(BARRED_SECONDS)
    finally:
        ballast.unlink()


@contextmanager
def small_tablespace(server: PostgresServer) -> Generator[str]:
    """Room of a few MiB in memory, as a table space; its name. Raises ``OSError`` where it cannot."""
    place = Path(server.folder) / TABLESPACE
    place.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={ROOM_MIB}m", "tmpfs", place],
            check=True,
            capture_output=True,
        )
    except subprocess.CalledProcessError as error:
        raise OSError(error.stderr.decode().strip()) from error
    try:
        owner = (server.folder / "data").stat()
        os.chown(place, owner.st_uid, owner.st_gid)
        with server.connect() as connection:
            connection.execute(
                sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(sql.Identifier(TABLESPACE), str(place))
            )
        yield TABLESPACE
    finally:
        server.stop()
        subprocess.run(["umount", "-l", place], check=False, capture_output=True)


INCIDENTS = (
    Incident("stop", "the server stopped at once with SIGQUIT, and started", 20, stop_at_once, promised=True),
    Incident("backend", "a backend terminated, whatever it did", 16, terminate, promised=True),
    Incident("backends", "all backends terminated", 12, terminate_all, promised=True),
    Incident("cut", "all links cut", 14, break_links, proxied=True, promised=True),
    Incident("kill", "a node killed with SIGKILL, and begun anew", 20, kill),
    Incident("doze", "a node stopped for longer than its session", 2, doze),
    Incident("slow", "all links stalled, delayed or trickling for a while", 6, hold_links, proxied=True),
    Incident("dark", "all links half-open", 1, darken_links, proxied=True),
    Incident("down", f"the server away for {DOWN_SECONDS:.0f} s", 2, go_down),
    Incident("ddl", "the right to change the schema withdrawn, all nodes begun anew", 2, forbid_ddl),
    Incident("tables", "the right to use the tables withdrawn for a while", 4, forbid_tables),
    Incident("xmin", "the oldest transaction held open", 1, hold_xmin),
    Incident("space", "the table space full", 3, fill_space, cramped=True),
)
