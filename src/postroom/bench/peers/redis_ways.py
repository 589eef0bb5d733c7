"""Redis Streams with a log that is synced before each answer; the server has a process of its own."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from ..rows import Params
from .ways import BATCH, Bodies, Ran, Style, Unkept, Way, in_turns, side_by_side

SERVER = "redis-server"
_DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
START_SECONDS = 10.0
TAKEN = 200
"""Jobs that the worker takes at once, as a claim of postroom's does."""

PATIENCE_MS = 50
STREAM, GROUP, WORKER = "jobs", "bench", "worker"
TASKS = 50
"""Producers of ``many``: as good as two hundred, and better than eight threads."""


@contextmanager
def _server(params: Params) -> Generator[tuple[Any, str], None, None]:
    """A server of its own on a socket in the directory of the run; a client, and the socket's path."""
    socket = str(Path(params.directory) / "redis.sock")
    place = ("--port", "0", "--unixsocket", socket, "--dir", params.directory)
    with subprocess.Popen([SERVER, *place, *_DURABLE], stdout=subprocess.DEVNULL) as server:
        try:
            client = _client(socket)
            client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
            yield client, socket
            client.close()
        finally:
            server.terminate()


def _client(socket: str) -> Any:
    redis = import_module("redis")
    client: Any = redis.Redis(unix_socket_path=socket)
    end = time.perf_counter() + START_SECONDS
    while True:
        try:
            client.ping()
            return client
        except redis.ConnectionError:
            if time.perf_counter() > end:
                raise
            time.sleep(0.02)


def _ran(client: Any, done: int, seconds: float) -> Ran:
    sent, waiting = client.xlen(STREAM), client.xpending(STREAM, GROUP)["pending"]
    if sent != done or waiting:
        raise Unkept(f"{sent} jobs were put, {done} acknowledged, {waiting} are pending")
    policy = client.config_get("appendfsync")["appendfsync"]
    return Ran(done, seconds, f"AOF, {policy}")


def _taken(client: Any, count: int) -> int:
    """Read what is there, some at once, and acknowledge it."""
    done = 0
    for _, jobs in client.xreadgroup(GROUP, WORKER, {STREAM: ">"}, count=count, block=PATIENCE_MS):
        client.xack(STREAM, GROUP, *[id for id, _ in jobs])
        done += len(jobs)
    return done


def one(params: Params) -> Ran:
    """A producer thread beside the worker; faster than both in turns."""
    bodies = Bodies(params)
    with _server(params) as (client, socket):

        def opened() -> Any:
            own = _client(socket)
            return lambda: own.xadd(STREAM, {"body": bodies.new()})

        return _ran(client, *side_by_side(params, 1, opened, partial(_taken, client, TAKEN)))


def many(params: Params) -> Ran:
    with _server(params) as (client, socket):
        return _ran(client, *asyncio.run(_many(params, socket)))


async def _many(params: Params, socket: str) -> tuple[int, float]:
    redis: Any = import_module("redis.asyncio")
    client = redis.Redis(unix_socket_path=socket, max_connections=TASKS + 1)
    bodies = Bodies(params)
    began = time.perf_counter()
    sent = done = ended = 0

    async def produce() -> None:
        nonlocal sent, ended
        while time.perf_counter() - began < params.seconds:
            await client.xadd(STREAM, {"body": bodies.new()})
            sent += 1
        ended += 1

    async def take() -> None:
        nonlocal done
        while ended < TASKS or done < sent:
            news = await client.xreadgroup(GROUP, WORKER, {STREAM: ">"}, count=TAKEN, block=PATIENCE_MS)
            for _, jobs in news:
                await client.xack(STREAM, GROUP, *[id for id, _ in jobs])
                done += len(jobs)

    async with asyncio.TaskGroup() as group:
        group.create_task(take())
        for _ in range(TASKS):
            group.create_task(produce())
    await client.aclose()
    return done, time.perf_counter() - began


def batched(params: Params) -> Ran:
    """A pipeline of 500 to put, one read of 500, one acknowledgement of all."""
    bodies = Bodies(params)
    with _server(params) as (client, _):

        def cycle() -> int:
            pipeline = client.pipeline(transaction=False)
            for _ in range(BATCH):
                pipeline.xadd(STREAM, {"body": bodies.new()})
            pipeline.execute()
            return _taken(client, BATCH)

        return _ran(client, *in_turns(params, cycle))


_PACKAGES = ("redis",)
WAYS = (
    Way("redis streams", Style.ONE, "1 thread", one, _PACKAGES, SERVER),
    Way("redis streams", Style.MANY, f"asyncio, {TASKS} tasks", many, _PACKAGES, SERVER),
    Way("redis streams", Style.BATCHED, "pipelines of 500", batched, _PACKAGES, SERVER),
)
