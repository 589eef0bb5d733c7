"""Doing incidents of one kind, one after the other, and judging what is left."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from random import Random
from uuid import uuid4

import psycopg
from accounts import Accounts
from children import Silent
from postgres_server import PostgresServer
from psycopg import sql

from postroom.bench.postgres.programs import NoPostgres
from postroom.store.errors import PostroomError

from .incidents import Incident, small_tablespace
from .scene import ROLE, Scene, Stuck
from .table import Row

FAILURES = (Stuck, Silent, PostroomError, NoPostgres, psycopg.Error, subprocess.TimeoutExpired)
"""What ends a scene before its time: it is told in the table, and the next kind begins."""

PAUSE = (0.2, 1.2)
"""Seconds of undisturbed work between two incidents."""


def prepare(server: PostgresServer) -> str:
    """Make the role of those who use the store; what the server is."""
    with server.connect() as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
        found = connection.execute("SELECT version(), current_setting('fsync')").fetchone() or ("?", "?")
        return f"{' '.join(found[0].split()[:2])}, fsync {found[1]}"


def prove(
    server: PostgresServer,
    incident: Incident,
    amount: int,
    rng: Random,
    tell: Callable[[str], None],
    over: Callable[[], bool] = lambda: False,
) -> Row:
    """So many incidents on a store of their own; but one, once time is ``over``, where none are promised."""
    row = Row(incident.title, amount, promised=incident.promised)
    with ExitStack() as stack:
        options = ""
        if incident.cramped:
            try:
                options = f"-c default_tablespace={stack.enter_context(small_tablespace(server))}"
            except OSError as error:
                row.wanted = 0
                row.notes = [f"not done, because there can be no small table space here: {error}"]
                return row
        try:
            with Scene(
                server, f"p{uuid4().hex[:12]}", rng, proxied=incident.proxied, options=options
            ) as scene:
                for n in range(amount):
                    if n and not incident.promised and over():
                        row.wanted, row.notes = n, [f"{n} of {amount}: time was over"]
                        break
                    tell(f"{incident.name} {n + 1}/{amount}, {scene.sender.upto} jobs sent")
                    _happen(scene, incident, row)
                judge(row, scene, scene.finish())
        except FAILURES as error:
            row.stuck += 1
            row.wrong = [*row.wrong, f"{type(error).__name__}: {error}"]
    return row


def _happen(scene: Scene, incident: Incident, row: Row) -> None:
    begins = time.monotonic() + scene.rng.uniform(*PAUSE)
    scene.until(lambda: time.monotonic() > begins, "a pause is over")
    incident.happens(scene)
    row.seconds = max(row.seconds, scene.goes_on())
    row.amount += 1


def judge(row: Row, scene: Scene, found: Accounts) -> None:
    """Put into the table what was found when all was done."""
    row.jobs, row.lost, row.duplicated, row.stuck = found.jobs, found.lost, found.duplicated, found.stuck
    row.told = scene.told
    row.wrong = [*scene.wrong, *found.faults, *(f"dead: {life}" for life in found.lives)]
