"""Where a client can go: a store file, or a gateway in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import anyio.to_thread
import trio
from gateways import Site, served

from postroom.client import Client
from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import IdMaker
from postroom.store.clock import SystemClock
from postroom.store.memory import MemoryStore
from postroom.store.port import Store
from postroom.store.urls import open_store


class Place:
    """Where a client can go: ``client`` makes one, with ``keywords`` if not told otherwise."""

    def __init__(self, url: str, **keywords: Any) -> None:
        self.url = url
        self.keywords = keywords

    def client(self, **keywords: Any) -> Client:
        return Client(self.url, rng=Random(5), **{**self.keywords, **keywords})


class Gateway(Place):
    """A gateway with a trio loop of its own, in another thread."""

    def __init__(self, site: Site, token: trio.lowlevel.TrioToken) -> None:
        super().__init__(f"http://127.0.0.1:{site.port}", token=site.full)
        self.site = site
        self._token = token

    async def scoped(self, **scope: Any) -> str:
        """The text of another token, for less."""

        def make() -> str:
            return trio.from_thread.run_sync(lambda: self.site.token(**scope)[1], trio_token=self._token)

        return await anyio.to_thread.run_sync(make)

    def stop(self, event: trio.Event) -> None:
        """Set an event over there."""
        self._token.run_sync_soon(event.set)


def furnish(store: Store) -> None:
    """The pair ``T`` of ``manager/mo`` and ``worker/anna``, and another worker."""
    desk = Desk(store, IdMaker(store.clock, Random(2)))
    desk.pair("T", "mo", "anna")
    desk.register("worker/ben")


@contextmanager
def gateway_thread() -> Generator[Gateway]:
    """A gateway on a store in memory, in a thread of its own, which has ended afterwards."""
    found: list[Gateway] = []
    ready, stop = threading.Event(), trio.Event()

    async def serve() -> None:
        store = MemoryStore(SystemClock())
        furnish(store)
        async with served(store) as site:
            found.append(Gateway(site, trio.lowlevel.current_trio_token()))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=trio.run, args=[serve])
    thread.start()
    try:
        assert ready.wait(20), "no gateway"
        yield found[0]
    finally:
        if found:
            found[0].stop(stop)
        thread.join()


def store_place(folder: Path) -> Place:
    """A store file with the pair in it."""
    url = f"sqlite:///{folder}/office.db"
    store = open_store(url, create=True)
    try:
        furnish(store)
    finally:
        store.close()
    return Place(url)
