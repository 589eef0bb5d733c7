"""A proxy before a PostgreSQL server that knows where messages of the protocol end, and does harm there.

It listens on a loopback port, so that its clients have a TCP link even to a server on a socket.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from urllib.parse import urlencode

import trio
from msgspec import Struct
from psycopg.conninfo import conninfo_to_dict
from threaded_server import ThreadedServer

ENCRYPTION_REQUESTS = frozenset({80877103, 80877104})
"""SSLRequest and GSSENCRequest: answered with one byte, and then the startup begins anew."""

SLOW_SECONDS = 0.002
LOST = (trio.BrokenResourceError, trio.ClosedResourceError)


class Harm(StrEnum):
    """What is done to the link on which a message comes, before it has passed."""

    CUT = "cut"  # both ends lose it
    TEAR = "tear"  # the same in the middle of the message
    STALL = "stall"  # nothing passes for a while, and then all of it
    DELAY = "delay"  # this message and all that follow come later
    TRICKLE = "trickle"  # they come byte by byte
    DARK = "half-open"  # the server loses it; the client is never told anything


class Plan(Struct):
    """Do this when message number ``at`` comes, counted from 0; ``fell`` says that it has come."""

    harm: Harm
    at: int
    fell: bool = False


class Frames:
    """Cuts a stream of bytes into messages."""

    def __init__(self, *, plain: int) -> None:
        """So many messages have no letter before their length: the startup, from a client."""
        self.plain = plain
        self.single = 0
        self._data = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The messages that are whole now."""
        self._data += data
        while (size := self._size()) and len(self._data) >= size:
            message, self._data = self._data[:size], self._data[size:]
            if self.single:
                self.single -= 1
            elif self.plain and not asks_for_encryption(message):
                self.plain -= 1
            yield message

    def _size(self) -> int:
        if self.single:
            return 1
        letter = 0 if self.plain else 1
        if len(self._data) < letter + 4:
            return 0
        return letter + int(struct.unpack_from("!I", self._data, letter)[0])


def asks_for_encryption(message: bytes) -> bool:
    """Whether a client asks this before its startup."""
    return len(message) == 8 and struct.unpack("!I", message[4:])[0] in ENCRYPTION_REQUESTS


class Link:
    """One client and its connection to the server."""

    def __init__(self, client: trio.SocketStream, server: trio.SocketStream) -> None:
        self.client, self.server = client, server
        self.scope = trio.CancelScope()
        self.asked, self.said = Frames(plain=1), Frames(plain=0)
        self.open = trio.Event()
        self.open.set()
        self.slow = self.trickles = self.dark = False

    async def stand_still(self, seconds: float) -> None:
        self.open = trio.Event()
        await trio.sleep(seconds)
        self.open.set()

    async def go_dark(self) -> None:
        self.dark = True
        await trio.aclose_forcefully(self.server)

    async def forward(self, message: bytes, to: trio.SocketStream) -> None:
        if self.trickles:
            for n in range(len(message)):
                await to.send_all(message[n : n + 1])
            return
        await to.send_all(message)


class ChaosProxy(ThreadedServer):
    """Its methods may be called from any thread."""

    def __init__(self, server: str, *, stall_seconds: float = 0.15) -> None:
        """``server`` is the URL or what else the driver takes."""
        super().__init__("chaos-proxy")
        self._to = conninfo_to_dict(server)
        self._stall_seconds = stall_seconds
        self._plan = Plan(Harm.CUT, 0, fell=True)
        self.seen = 0
        self._links: set[Link] = set()

    def url(self, schema: str) -> str:
        """The store URL of a schema, by way of this proxy."""
        user, database = self._to.get("user", "postgres"), self._to.get("dbname", "postgres")
        said = urlencode({"schema": schema, "connect_timeout": "5"})
        return f"postgresql://{user}@127.0.0.1:{self._port}/{database}?{said}"

    def arm(self, harm: Harm, at: int) -> Plan:
        """Do harm to the link on which message number ``at`` from now on comes, once."""
        self.seen = 0
        self._plan = plan = Plan(harm, at)
        return plan

    def everywhere(self, harm: Harm) -> int:
        """Do harm to every link there is, now; how many there were."""
        links = tuple(self._links)
        for link in links:
            self._token.run_sync_soon(self._nursery.start_soon, self._strike, link, harm)
        return len(links)

    def heal(self) -> None:
        """Let every link that is slow be as quick as before."""
        for link in tuple(self._links):
            link.slow = link.trickles = False

    # In the thread

    async def _answer(self, client: trio.SocketStream) -> None:
        try:
            server = await self._reach()
        except OSError:  # the server is down: who called finds the line dead
            await client.aclose()
            return
        link = Link(client, server)
        self._links.add(link)
        try:
            with link.scope:
                async with trio.open_nursery() as both:
                    both.start_soon(self._pump, link, client, server, link.asked)
                    both.start_soon(self._pump, link, server, client, link.said)
        finally:
            self._links.discard(link)
            client.socket.close()
            server.socket.close()

    async def _reach(self) -> trio.SocketStream:
        host, port = str(self._to.get("host", "localhost")), int(self._to.get("port") or 5432)
        if host.startswith("/"):
            return await trio.open_unix_socket(f"{host}/.s.PGSQL.{port}")
        return await trio.open_tcp_stream(host, port)

    async def _pump(
        self, link: Link, source: trio.SocketStream, to: trio.SocketStream, frames: Frames
    ) -> None:
        with suppress(*LOST):
            async for data in source:
                for message in frames.feed(bytes(data)):
                    if frames is link.asked and asks_for_encryption(message):
                        link.said.single += 1
                    await self._pass(link, message, to)
        if not link.dark:
            link.scope.cancel()

    async def _pass(self, link: Link, message: bytes, to: trio.SocketStream) -> None:
        plan, number = self._plan, self.seen
        self.seen += 1
        if number == plan.at and not plan.fell:
            plan.fell = True
            if plan.harm is Harm.TEAR:
                await to.send_all(message[: len(message) // 2])
            await self._strike(link, plan.harm)
        await link.open.wait()
        if link.slow:
            await trio.sleep(SLOW_SECONDS)
        if not link.dark:
            await link.forward(message, to)

    async def _strike(self, link: Link, harm: Harm) -> None:
        match harm:
            case Harm.CUT | Harm.TEAR:
                link.scope.cancel()
                await trio.lowlevel.checkpoint()
            case Harm.STALL:
                await link.stand_still(self._stall_seconds)
            case Harm.DELAY:
                link.slow = True
            case Harm.TRICKLE:
                link.trickles = True
            case Harm.DARK:
                await link.go_dark()
