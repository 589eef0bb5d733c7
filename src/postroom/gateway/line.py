"""One connected socket on trio: just what HTTP needs, in as few steps as possible."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Self

import trio


class Gone(Exception):
    """The other side does not take what is written any more."""


class Line:
    """A stream socket, TCP or Unix. ``slow`` is called when a write has to wait for the other side."""

    def __init__(self, sock: socket.socket, slow: Callable[[], None]) -> None:
        sock.setblocking(False)
        with suppress(OSError):  # a Unix socket has no such thing, and who has gone needs none
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._slow = slow

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        trio.lowlevel.notify_closing(self._sock)
        self._sock.close()

    async def receive(self, most: int) -> bytes:
        """What has come, waiting for something; nothing if the other side has closed, in any manner."""
        while True:
            await trio.lowlevel.wait_readable(self._sock)
            try:
                return self._sock.recv(most)
            except BlockingIOError:
                continue
            except OSError:
                return b""

    async def send(self, data: bytes) -> None:
        """Write all of it; done at once where the system takes it. Raises ``Gone``."""
        left = memoryview(data)[self._send(data) :]
        if left:
            self._slow()
        while left:
            await trio.lowlevel.wait_writable(self._sock)
            left = left[self._send(left) :]

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise Gone from error

    def send_no_more(self) -> None:
        """Tell the other side that nothing will follow."""
        with suppress(OSError):  # it has gone already
            self._sock.shutdown(socket.SHUT_WR)

    def gone(self) -> bool:
        """Whether the other side has closed, as far as is known; waits for nothing."""
        look = select.poll()
        look.register(self._sock.fileno(), select.POLLRDHUP)  # hang-ups and errors come unasked
        return bool(look.poll(0))

    async def until_gone(self) -> bool:
        """Wait for the other side to close; False if it sends more instead, which is left for later."""
        await trio.lowlevel.wait_readable(self._sock)
        return self.gone()
