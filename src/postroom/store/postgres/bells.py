"""Doorbells between machines: a notice after a commit, and an ear that hears those of others.

A notice says nothing but that somebody has committed. It goes out at most every ``GAP_SECONDS``, right
after a commit or, where that would be too soon, later on a connection of its own; never within what it
tells of, because committing with a notice takes a lock of the whole server (PostgreSQL before 19).
Nothing depends on it: without one, everybody looks every ``LOOK_SECONDS``.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import psycopg

from ..errors import StoreUnavailable
from .outage import Outage
from .patience import Connection

GAP_SECONDS = 0.005
LOOK_SECONDS = 0.25
HEARTBEAT_SECONDS = 10.0
AGAIN_SECONDS = 0.2
"""The pause at least before it is listened anew: there may be a server that only refuses to."""

FAREWELL_SECONDS = 1.0
"""How long the end of the thread is waited for: it may be asking a server that says nothing."""


LISTEN, NOTIFY = "LISTEN postroom", "NOTIFY postroom"
"""One channel for all stores of a database: who hears a notice in vain only looks once."""


class Bells:
    """One thread with one connection: it listens, and sends this process's notices."""

    def __init__(self, connect: Callable[[], Connection], outage: Outage) -> None:
        self._connect = connect
        self._outage = outage
        self._ears: set[int] = set()
        self._told = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._to_tell = self._closed = False
        self._not_before = 0.0
        self._sender = 0
        self._heard = threading.Event()
        self._thread = threading.Thread(target=self._run, name="postroom-bells", daemon=True)
        self._thread.start()

    def heard(self) -> bool:
        """Whether there was a notice since the last call."""
        if not self._heard.is_set():
            return False
        self._heard.clear()
        return True

    def may_tell(self, own: int) -> bool:
        """Whether a notice may go out at once, by a connection (its process on the server) that is told
        apart from those of others; then it has to."""
        now = time.monotonic()
        if now < self._not_before:
            return False
        self._not_before = now + GAP_SECONDS
        self._sender = own
        return True

    def tell(self) -> None:
        """Let the others know soon that there was a commit."""
        self._to_tell = True
        os.eventfd_write(self._told, 1)

    def ear(self) -> Ear:
        """Something that is readable after a notice. The caller closes it."""
        return Ear(self._ears)

    def close(self) -> None:
        """Stop listening. A notice that was not sent yet is not missed: everybody looks now and then."""
        if self._closed:
            return
        self._closed = True
        os.eventfd_write(self._told, 1)
        self._thread.join(FAREWELL_SECONDS)
        if not self._thread.is_alive():  # it waits on this file
            os.close(self._told)

    # The thread

    def _run(self) -> None:
        while not self._closed:
            try:
                with self._outage.ended_by(self._connect) as conn:
                    conn.execute("SET synchronous_commit TO off")  # a notice need not wait for the disk
                    conn.execute(LISTEN)
                    self._ring()  # what was committed before is not told again
                    while not self._closed:
                        self._listen(conn)
            except (psycopg.Error, StoreUnavailable):
                self._wait(max(AGAIN_SECONDS, self._outage.left))

    def _listen(self, conn: Connection) -> None:
        early = self._not_before - time.monotonic() if self._to_tell else HEARTBEAT_SECONDS
        if early > 0.0 and not self._wait(early, conn.fileno()) and not self._to_tell:
            conn.execute("SELECT 1")
        conn.pgconn.consume_input()
        own = (conn.info.backend_pid, self._sender)
        others = False
        while (notice := conn.pgconn.notifies()) is not None:
            others |= notice.be_pid not in own
        if others:
            self._ring()
        if self._to_tell and time.monotonic() >= self._not_before:
            self._to_tell = False
            self._not_before = time.monotonic() + GAP_SECONDS
            conn.execute(NOTIFY)

    def _wait(self, seconds: float, *more: int) -> bool:
        poll = select.poll()
        for each in (self._told, *more):
            poll.register(each, select.POLLIN)
        ready = poll.poll(seconds * 1000)
        if any(each == self._told for each, _ in ready):
            with suppress(BlockingIOError):
                os.eventfd_read(self._told)
        return bool(ready)

    def _ring(self) -> None:
        self._heard.set()
        for ear in tuple(self._ears):
            with suppress(OSError):  # its owner may be closing it
                os.eventfd_write(ear, 1)


class Ear:
    """A file descriptor that is readable when others have told of a commit."""

    def __init__(self, ears: set[int]) -> None:
        self._ears = ears
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        ears.add(self._fd)

    def fileno(self) -> int:
        return self._fd

    def drain(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            self._ears.discard(self._fd)
            os.close(self._fd)
            self._fd = -1
