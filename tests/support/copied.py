"""Stores that are copied in tests: opened, looked at, and copied for as long as a test allows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from random import Random

import psycopg
from full_store import seen
from port_verbs import Engine, a_message, register, send

from postroom.store.clock import ManualClock
from postroom.store.copying.copy import Copied, copy
from postroom.store.postgres.engine import open_postgres
from postroom.store.postgres.urls import read_url
from postroom.store.shown import is_remote
from postroom.store.sqlite.file import open_file
from postroom.store.urls import store_path


def opened(url: str, clock: ManualClock, *, create: bool = False) -> Engine:
    if is_remote(url):
        return open_postgres(url, create=create)
    return open_file(store_path(url), create=create, clock=clock, rng=Random(0))


def looked_at(url: str, clock: ManualClock) -> dict[str, object]:
    """All that can be seen of a store, but for what a copy changes."""
    with closing(opened(url, clock)) as store:
        assert store.verify(deep=True).ok
        return seen(store)


def after_a_reboot(url: str, clock: ManualClock) -> dict[str, object]:
    """The same of a file whose machine starts again: what a copied store must look like."""
    clock.reboot()
    return looked_at(url, clock)


class Cut(BaseException):
    """What ends a copy in the middle; nothing catches it."""


class Heard:
    """What a copy tells, until it is cut off at a telling of a number, or at the first of a word."""

    def __init__(self, cut_at: int | str = 0, then: Callable[[], object] | None = None) -> None:
        self.told: list[tuple[str, str, int, int]] = []
        self.went_on: list[tuple[int, int, int]] = []
        self._cut_at = cut_at
        self._then = then

    def progress(self, done: str, what: str, so_far: int, total: int) -> None:
        first = done not in {done for done, *_ in self.told}
        self.told.append((done, what, so_far, total))
        if len(self.told) == self._cut_at or (first and done == self._cut_at):
            if self._then is None:
                raise Cut
            self._then()

    def going_on(self, begun_at: int, so_far: int, total: int) -> None:
        self.went_on.append((begun_at, so_far, total))

    def durable(self) -> dict[str, int]:
        """How many rows it said were copied, by what they are."""
        return {what: so_far for done, what, so_far, _ in self.told if done == "copied"}


def cut_off(source: str, target: str, clock: ManualClock, at: int | str) -> Heard:
    """A copy that is cut off when it tells something for the so-manieth time, if it ever does."""
    heard = Heard(at)
    with suppress(Cut):
        copy(source, target, clock=clock, progress=heard.progress, going_on=heard.going_on)
    return heard


def gone_on(source: str, target: str, clock: ManualClock) -> tuple[Copied, Heard]:
    """The same copy again, which ends."""
    heard = Heard()
    return copy(source, target, clock=clock, progress=heard.progress, going_on=heard.going_on), heard


def a_little(url: str, clock: ManualClock) -> str:
    """A store with little in it."""
    with closing(opened(url, clock, create=True)) as store:
        register(store, "worker/little")
        for _ in range(12):
            send(store, a_message("worker/little"))
    return url


def in_schema(url: str, statement: str) -> list[tuple[object, ...]]:
    """What somebody else on the server does in the schema of a store."""
    place = read_url(url)
    with psycopg.connect(place.conninfo, autocommit=True) as conn:
        conn.execute("SELECT set_config('search_path', %s, false)", (place.schema,))
        cursor = conn.execute(statement.encode())
        return [] if cursor.description is None else cursor.fetchall()


def left_in_schema(url: str) -> list[tuple[object, ...]]:
    """Whatever is in the schema of a store."""
    return in_schema(url, "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace")
