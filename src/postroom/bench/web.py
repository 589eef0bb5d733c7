"""The gateway as its clients meet it: a server in a process of its own, and plain sockets."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import msgspec

from ..gateway import tokens
from ..mailbox.desk import Desk
from ..mailbox.ids import IdMaker
from ..store.records import NewMessage, Put, Send
from ..store.transact import transact
from ..store.urls import open_store
from .idle import POSTROOM, SETTLE_SECONDS, running_seconds
from .rows import Measured, Params

PARKED = 1000
TRIPS = 4000
WAKES = 60
PAUSE_SECONDS = 0.02


class Client:
    """One connection that is kept; the answer of each request is read whole."""

    def __init__(self, port: int, token: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = (
            f"Host: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}"
        )

    def ask(self, verb: str, flags: dict[str, Any]) -> None:
        """Send a request."""
        body = msgspec.json.encode(flags)
        head = f"POST /v1/{verb} HTTP/1.1\r\n{self._head}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)

    def answer(self) -> Any:
        """Read the answer to it."""
        data = self._socket.recv(65536)
        while True:
            head, end, body = data.partition(b"\r\n\r\n")
            if end:
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                if len(body) >= length:
                    return msgspec.json.decode(body)
            data += self._socket.recv(65536)

    def call(self, verb: str, **flags: Any) -> Any:
        self.ask(verb, flags)
        return self.answer()

    def close(self) -> None:
        self._socket.close()


class Served:
    """A store with a pair, a running ``postroom serve`` on it, and a token."""

    def __init__(self, url: str, port: int, pid: int, token: str) -> None:
        self.url = url
        self.port = port
        self.pid = pid
        self.token = token

    def client(self) -> Client:
        return Client(self.port, self.token)


@contextmanager
def served(params: Params, mail: int = 0) -> Generator[Served, None, None]:
    """Serve a new store with so many messages for its worker."""
    url = f"sqlite:///{Path(params.directory).absolute() / 'web.db'}"
    store = open_store(url, create=True)
    ids = IdMaker(store.clock, Random(1))
    Desk(store, ids).pair("t", "m", "w")
    _, token, write = tokens.make(store, "bench")
    transact(store, [Put((write,))])
    for first in range(0, mail, 500):
        size = min(500, mail - first)
        sends = [Send(NewMessage(ids.new(), "worker/w", "manager/m", "job", b'{"n":1}')) for _ in range(size)]
        transact(store, sends)
    store.close()
    command = [sys.executable, "-P", "-c", POSTROOM, "--store", url, "--json", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            at = msgspec.json.decode(server.stdout.readline(), type=dict[str, Any])["url"]
            yield Served(url, int(at.rpartition(":")[2]), server.pid, token)
        finally:
            server.terminate()


def round_trips(params: Params) -> Measured:
    """Poll and ack, one after the other, on one connection: pairs of them a second."""
    with served(params, TRIPS) as serving:
        client = serving.client()
        client.call("poll", inbox="manager/m")
        began, used, done = time.perf_counter(), running_seconds(serving.pid), 0
        while done < TRIPS and time.perf_counter() - began < params.seconds:
            (message,) = client.call("poll", inbox="worker/w")["messages"]
            client.call("ack", id=message["id"], fence=message["fence"])
            done += 1
        took, cpu = time.perf_counter() - began, running_seconds(serving.pid) - used
        client.close()
    return Measured(done / took, {"trips": done, "server_cpu_us": cpu / done * 1e6})


def parked_memory(params: Params) -> Measured:
    """What very many long polls that wait add to the server, in MiB."""
    with served(params) as serving, ExitStack() as clients:
        before = _resident_mib(serving.pid)
        _park(serving, clients)
        return Measured(_resident_mib(serving.pid) - before, {"parked": PARKED, "before_mib": before})


def parked_cpu(params: Params) -> Measured:
    """What very many long polls that wait cost the server, in percent of a core."""
    with served(params) as serving, ExitStack() as clients:
        _park(serving, clients)
        began, used = time.perf_counter(), running_seconds(serving.pid)
        time.sleep(params.seconds)
        percent = (running_seconds(serving.pid) - used) / (time.perf_counter() - began) * 100
    return Measured(percent, {"parked": PARKED})


def _park(serving: Served, clients: ExitStack) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * PARKED
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most)
    )
    for _ in range(PARKED):
        client = serving.client()
        clients.callback(client.close)
        client.ask("poll", {"inbox": "worker/w", "wait": 60})
    time.sleep(SETTLE_SECONDS)


def _resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def arrival(params: Params) -> Measured:
    """From a commit of another process to the bytes at a client whose long poll waits, p50 in ms."""
    with served(params) as serving:
        store = open_store(serving.url, create=False)
        desk = Desk(store, IdMaker(store.clock, Random(2)))
        client, taken = serving.client(), list[float]()
        for _ in range(WAKES):
            client.ask("poll", {"inbox": "worker/w", "wait": 30})
            time.sleep(PAUSE_SECONDS)
            desk.send("worker/w", "job", b"1")
            began = time.perf_counter()
            client.answer()
            taken.append((time.perf_counter() - began) * 1000)
        client.close()
        store.close()
    return Measured(median(taken), {"samples": len(taken), "p95_ms": sorted(taken)[int(len(taken) * 0.95)]})
