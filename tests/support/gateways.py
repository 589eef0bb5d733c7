"""A gateway on a real socket, and a client that says exactly what it is told to."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import trio

from postroom.gateway import tokens
from postroom.gateway.crowd import Crowd
from postroom.gateway.door import Door, host_names
from postroom.gateway.server import Gateway
from postroom.gateway.serving import opened_gateway
from postroom.mailbox.ids import IdMaker
from postroom.store.clock import SystemClock
from postroom.store.memory import MemoryStore
from postroom.store.port import Store
from postroom.store.records import InboxSpec, Operation, Put, Register
from postroom.store.transact import transact_one
from postroom.telemetry.metrics import Metrics

INBOXES = ("worker/anna", "worker/ben", "manager/mo", "any:worker")


class Reply:
    """One answer: its status, its head in lower case, and its JSON."""

    def __init__(self, head: bytes, body: bytes) -> None:
        self.head = head.decode().lower()
        self.status = int(self.head.split(" ", 2)[1])
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of the error that this is."""
        code: str = self.json["error"]["code"]
        return code


class Client:
    """One connection, kept alive."""

    def __init__(self, site: Site, stream: trio.SocketStream) -> None:
        self.site = site
        self.stream = stream
        self._read = b""

    async def say(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def hear(self) -> Reply | None:
        """The next answer; None if the server has closed instead."""
        try:
            while b"\r\n\r\n" not in self._read:
                if not await self._more():
                    return None
            head, _, self._read = self._read.partition(b"\r\n\r\n")
            size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            while len(self._read) < size:
                if not await self._more():
                    return None
        except trio.BrokenResourceError:
            return None
        body, self._read = self._read[:size], self._read[size:]
        return Reply(head, body)

    async def _more(self) -> bool:
        data = await self.stream.receive_some()
        self._read += data
        return bool(data)

    async def ask(self, verb: str, flags: object, token: str | None = None, **headers: str) -> Reply:
        """One request as a program makes it, and its answer."""
        await self.say(self.site.request(verb, flags, token, **headers))
        reply = await self.hear()
        assert reply is not None
        return reply


class Site:
    """A gateway that is served, with the token ``full`` for all that there is."""

    def __init__(self, store: Store, gateway: Gateway, port: int, full: str) -> None:
        self.store = store
        self.gateway = gateway
        self.port = port
        self.full = full

    def request(self, verb: str, flags: object, token: str | None = None, **headers: str) -> bytes:
        """A whole request for a verb; an empty token sends none."""
        body = flags if isinstance(flags, bytes) else json.dumps(flags).encode()
        token = self.full if token is None else token
        fields = {
            "Host": f"127.0.0.1:{self.port}",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **({"Authorization": f"Bearer {token}"} if token else {}),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return raw(f"POST /v1/{verb} HTTP/1.1", fields, body)

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[Client]:
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            yield Client(self, stream)

    async def ask(self, verb: str, flags: object, token: str | None = None, **headers: str) -> Reply:
        """One request on a connection of its own."""
        async with self.client() as client:
            return await client.ask(verb, flags, token, **headers)

    async def raw(self, data: bytes) -> Reply | None:
        """What is answered to these bytes; None if the server just closes."""
        async with self.client() as client:
            await client.say(data)
            return await client.hear()

    async def readiness(self) -> int:
        """The status of ``/readyz``."""
        reply = await self.raw(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % self.port)
        assert reply is not None
        return reply.status

    def token(self, **scope: Any) -> tuple[str, str]:
        """A new token: its id and its text."""
        token, text, write = tokens.make(self.store, "test", **scope)
        do(self.store, Put((write,)))
        return token.id, text

    async def send(self, to: str = "worker/anna", **flags: object) -> str:
        """Put a message into an inbox; its id."""
        reply = await self.ask("send", {"to": to, "type": "t", "body": {"n": 1}, **flags})
        assert reply.status == 200, reply.body
        id: str = reply.json["id"]
        return id

    def counts(self, inbox: str) -> Mapping[str, int]:
        """How many messages of an inbox are in which state."""
        (counts,) = self.store.counts(inbox)
        return {"ready": counts.ready, "leased": counts.leased, "done": counts.done}

    async def until_parked(self, n: int) -> None:
        """Wait until so many long polls wait."""
        while self.gateway.crowd.parked != n:
            await trio.lowlevel.checkpoint()


def raw(line: str, fields: Mapping[str, str], body: bytes = b"") -> bytes:
    """A request as bytes."""
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{line}\r\n{head}\r\n".encode() + body


def do(store: Store, operation: Operation) -> object:
    """One operation, as another program might commit it."""
    return transact_one(store, operation)


@asynccontextmanager
async def served(
    store: Store | None = None,
    *,
    open: bool = False,
    public: bool = False,
    origins: Sequence[str] = (),
    connections: int = 256,
    parked: int = 2000,
    grace: float = 10.0,
) -> AsyncGenerator[Site]:
    """A gateway inside the block, with a few inboxes."""
    if store is None:
        store = MemoryStore(SystemClock())
    do(store, Register(tuple(InboxSpec(address) for address in INBOXES)))
    _, full, write = tokens.make(store, "full")
    do(store, Put((write,)))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        door = Door(host_names("127.0.0.1", port), frozenset(origins), open=open, public=public)
        crowd = Crowd(connections, parked)
        async with opened_gateway(
            store, [(listener, door)], Metrics(store), rng=Random(1), crowd=crowd, grace=grace
        ) as gateway:
            yield Site(store, gateway, port, full)


def new_id(n: int) -> bytes:
    """The nth id of a sender of its own."""
    maker = IdMaker(SystemClock(), Random(n))
    return maker.new()
