"""The connections on which a handle looks: one for each thread that does so at the same time.

Whoever looks from within a trio program keeps all of it waiting. There, a server that is silent is given
up after a second, and nobody waits again before one has answered elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import TypeVar

import psycopg

from ..errors import StoreUnavailable
from .outage import Outage
from .patience import Connection, Silent
from .wire import Wire

T = TypeVar("T")

LOOP_SECONDS = 1.0
"""How long an event loop waits for an answer, or for a connection."""


class Readers:
    """The idle ones, and how to get another. ``connect`` raises ``psycopg.Error``, ``StoreUnavailable``."""

    def __init__(self, connect: Callable[[], Wire], outage: Outage) -> None:
        self._connect = connect
        self._outage = outage
        self._idle: list[Wire] = []
        self._lock = Lock()
        self._coming: Event | None = None
        self._closed = False

    def ask(self, read: Callable[[Wire], T]) -> T:
        """Have a question answered. Raises ``psycopg.Error``, ``StoreUnavailable``."""
        hurried = on_a_loop()
        while True:
            if hurried and self._outage.lasts:
                if not self._outage.left:
                    self._have_one_come()
                raise self._outage.refusal()
            idle = self._taken()
            wire = idle or (self._awaited() if hurried else self._connect())
            wire.conn.patience = LOOP_SECONDS if hurried else Connection.patience
            try:
                found = read(wire)
            except Silent as silence:
                self.drop()  # the others have gone the same way
                self._outage.failed(str(silence))
                raise
            except psycopg.Error:
                if idle is not None and idle.closed:
                    continue  # it was cut while it lay idle
                wire.close()  # nobody knows in what state it is
                raise
            except BaseException:
                wire.close()
                raise
            self._idle.append(wire)
            if self._closed:
                self.drop()
            return found

    def close(self) -> None:
        """Close those that are idle, and those still to come."""
        self._closed = True
        self.drop()

    def drop(self) -> None:
        """Close those that are idle."""
        while (conn := self._taken()) is not None:
            conn.close()

    def _taken(self) -> Wire | None:
        with suppress(IndexError):
            return self._idle.pop()
        return None

    def _awaited(self) -> Wire:
        """A connection that another thread makes, if that does not take it long."""
        came = self._have_one_come().wait(LOOP_SECONDS)
        conn = self._taken()
        if conn is None:
            if not came:
                self._outage.failed(f"no connection within {LOOP_SECONDS:g} s")
            raise self._outage.refusal()
        return conn

    def _have_one_come(self) -> Event:
        """Make a connection aside, unless that is under way; the event is set when it has come, or failed."""
        with self._lock:
            if self._coming is None or self._coming.is_set():
                self._coming = Event()
                Thread(target=self._fetch, args=[self._coming], name="postroom-reader", daemon=True).start()
            return self._coming

    def _fetch(self, come: Event) -> None:
        try:
            with suppress(psycopg.Error, StoreUnavailable):  # the outage knows of it
                self._idle.append(self._connect())
            if self._closed:
                self.drop()
        finally:
            come.set()


def on_a_loop() -> bool:
    """Whether this thread runs a trio program. Without importing trio, which commands do not need."""
    trio = sys.modules.get("trio")
    return trio is not None and trio.lowlevel.in_trio_run()
