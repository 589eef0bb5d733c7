"""A pooler in transaction mode: each transaction of a client is on whichever connection is idle."""

from __future__ import annotations

import struct
from contextlib import suppress
from urllib.parse import urlencode

import trio
from chaos_proxy import LOST, Frames, asks_for_encryption
from psycopg.conninfo import conninfo_to_dict
from threaded_server import ThreadedServer

GREETING = (
    (b"R", struct.pack("!I", 0)),
    (b"S", b"server_version\x0018.0\x00"),
    (b"S", b"client_encoding\x00UTF8\x00"),
    (b"S", b"standard_conforming_strings\x00on\x00"),
    (b"K", struct.pack("!II", 1, 1)),
    (b"Z", b"I"),
)
IDLE = b"Z\x00\x00\x00\x05I"
ENDS = (b"S", b"Q")
"""Messages of a client after which the server says whether it is ready again."""


def framed(letter: bytes, body: bytes) -> bytes:
    """A message of the protocol."""
    return letter + struct.pack("!I", len(body) + 4) + body


class Pooler(ThreadedServer):
    """No two transactions in a row share a connection."""

    def __init__(self, server: str, *, connections: int = 3) -> None:
        super().__init__("pooler")
        self._to = conninfo_to_dict(server)
        self._count = connections

    def url(self, schema: str) -> str:
        """The store URL of a schema, by way of this pooler."""
        said = urlencode({"schema": schema, "pooled": "yes", "sslmode": "disable"})
        return f"postgresql://{self._to.get('user')}@127.0.0.1:{self._port}/{self._to.get('dbname')}?{said}"

    # In the thread

    async def _serve(self) -> None:
        self._give, self._take = trio.open_memory_channel[trio.SocketStream](self._count)
        servers = [await self._connect() for _ in range(self._count)]
        try:
            for server in servers:
                self._give.send_nowait(server)
            await super()._serve()
        finally:
            for server in servers:
                server.socket.close()

    async def _connect(self) -> trio.SocketStream:
        server = await trio.open_unix_socket(f"{self._to['host']}/.s.PGSQL.{self._to.get('port', 5432)}")
        said = f"user\0{self._to.get('user')}\0database\0{self._to.get('dbname')}\0\0".encode()
        await server.send_all(struct.pack("!II", len(said) + 8, 196608) + said)
        frames = Frames(plain=0)
        while True:
            if IDLE in frames.feed(bytes(await server.receive_some())):
                return server

    async def _answer(self, client: trio.SocketStream) -> None:
        with suppress(*LOST):
            async with client:
                await self._talk(client)

    async def _talk(self, client: trio.SocketStream) -> None:
        frames = Frames(plain=1)
        waiting: list[bytes] = []
        greeted = False
        async for data in client:
            for message in frames.feed(bytes(data)):
                if greeted:
                    waiting.append(message)
                elif asks_for_encryption(message):
                    await client.send_all(b"N")
                else:
                    greeted = True
                    await client.send_all(b"".join(framed(*one) for one in GREETING))
            if waiting:
                await self._transaction(client, frames, waiting)
                waiting = []

    async def _transaction(self, client: trio.SocketStream, frames: Frames, first: list[bytes]) -> None:
        """On one connection until it is idle again. One whose client leaves before is not given back."""
        server = await self._take.receive()
        answers = Frames(plain=0)
        unanswered, idle = 0, False

        async def ask(messages: list[bytes]) -> None:
            nonlocal unanswered
            unanswered += sum(message[:1] in ENDS for message in messages)
            await server.send_all(b"".join(messages))

        async def listen(scope: trio.CancelScope) -> None:
            with suppress(*LOST):
                while data := await client.receive_some():
                    await ask(list(frames.feed(bytes(data))))
            scope.cancel()

        async def pass_on(scope: trio.CancelScope) -> None:
            nonlocal unanswered, idle
            with suppress(*LOST):
                while not idle and (data := await server.receive_some()):
                    for message in answers.feed(bytes(data)):
                        unanswered -= message[:1] == b"Z"
                        idle = message == IDLE and not unanswered
                        if idle:  # before the client knows, who may begin anew at once
                            scope.cancel()
                        with trio.CancelScope(shield=True):
                            await client.send_all(message)
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen, nursery.cancel_scope)
            nursery.start_soon(pass_on, nursery.cancel_scope)
            await ask(first)
        if not idle:
            raise trio.BrokenResourceError
        self._give.send_nowait(server)
