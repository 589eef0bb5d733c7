"""A server of TCP links on a loopback port, in a thread of its own."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

import trio


class ThreadedServer(ABC):
    """Listens while it is entered as a context manager; leaving it ends every link."""

    def __init__(self, name: str) -> None:
        self._thread = threading.Thread(target=trio.run, args=(self._serve,), name=name)
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._token.run_sync_soon(self._nursery.cancel_scope.cancel)
        self._thread.join()

    @abstractmethod
    async def _answer(self, client: trio.SocketStream) -> None:
        """Serve one link, in the thread."""

    async def _serve(self) -> None:
        async with trio.open_nursery() as self._nursery:
            self._token = trio.lowlevel.current_trio_token()
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            self._port = listeners[0].socket.getsockname()[1]
            self._ready.set()
            await trio.serve_listeners(self._answer, listeners)
