from __future__ import annotations

import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import urlsplit

import pytest
import trio

from postroom.store.clock import ManualClock
from postroom.store.errors import BadInput, StoreUnavailable
from postroom.store.port import Store
from postroom.telemetry.http import is_own_host, metrics_app
from postroom.telemetry.listener import (
    CannotListen,
    listen,
    loopback,
    parse_listen,
    serve_metrics,
)
from postroom.telemetry.metrics import Metrics


class EmptyStore:
    """Answers every read with nothing, or fails."""

    commits_in_thread = is_remote = False

    def __init__(self, *, broken: bool = False) -> None:
        self.clock = ManualClock()
        self._broken = broken

    def counts(self) -> list[object]:
        if self._broken:
            raise StoreUnavailable("cannot read", "told so")
        return []

    sessions = activations = counts

    def records(self, owner: str, kind: str | None = None, key: str | None = None) -> list[object]:
        del owner
        return []


@asynccontextmanager
async def served(store: EmptyStore | None = None) -> AsyncGenerator[str]:
    """The URL of a listener that runs inside the block."""
    metrics = Metrics(cast(Store, store or EmptyStore()), roles=["worker"])
    async with trio.open_nursery() as nursery:
        yield await nursery.start(serve_metrics, metrics_app(metrics), "127.0.0.1", 0)
        nursery.cancel_scope.cancel()


async def ask(url: str, request: str, host: str | None = None) -> tuple[int, str, str]:
    """Send one request as it stands; the status, the head and the body of the answer."""
    parts = urlsplit(url)
    assert parts.port is not None
    host = host if host is not None else f"Host: {parts.netloc}\r\n"
    stream = await trio.open_tcp_stream("127.0.0.1", parts.port)
    async with stream:
        await stream.send_all(f"{request} HTTP/1.1\r\n{host}Connection: close\r\n\r\n".encode())
        answer = b"".join([chunk async for chunk in stream]).decode()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split(" ", 2)[1]), head.lower(), body


async def test_metrics_health_and_readiness_are_served_on_the_port_that_was_given() -> None:
    async with served() as url:
        status, head, body = await ask(url, "GET /metrics")
        assert status == 200
        assert "content-type: text/plain" in head
        assert "postroom_scrape_error 0.0" in body
        assert (await ask(url, "GET /healthz"))[0] == 200
        assert (await ask(url, "GET /readyz"))[0] == 200


async def test_a_store_that_does_not_answer_is_healthy_but_not_ready() -> None:
    async with served(EmptyStore(broken=True)) as url:
        assert (await ask(url, "GET /healthz"))[0] == 200
        status, _, body = await ask(url, "GET /readyz")
        assert status == 503
        assert json.loads(body)["error"]["code"] == "store_unavailable"
        assert "postroom_scrape_error 1.0" in (await ask(url, "GET /metrics"))[2]


async def test_only_get_and_head_are_answered() -> None:
    async with served() as url:
        assert (await ask(url, "HEAD /metrics"))[::2] == (200, "")
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            status, head, _ = await ask(url, f"{method} /metrics")
            assert status == 405
            assert "allow: " in head
        assert (await ask(url, "GET /other"))[0] == 404


async def test_a_request_that_names_another_host_is_refused() -> None:
    async with served() as url:
        port = urlsplit(url).port
        for host in ("evil.example", "127.0.0.1", f"evil.example:{port}", f"localhost:{port}1"):
            status, _, body = await ask(url, "GET /metrics", f"Host: {host}\r\n")
            assert (status, json.loads(body)["error"]["code"]) == (403, "bad_input")
        for host in (f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
            assert (await ask(url, "GET /healthz", f"Host: {host}\r\n"))[0] == 200


async def test_a_request_without_one_host_is_refused() -> None:
    async with served() as url:
        own = f"Host: {urlsplit(url).netloc}\r\n"
        assert (await ask(url, "GET /metrics", ""))[0] in {400, 403}
        assert (await ask(url, "GET /metrics", own * 2))[0] in {400, 403}


@pytest.mark.parametrize(
    ("hosts", "own"),
    [
        (["127.0.0.2:9464"], True),
        (["localhost:9464"], True),
        (["127.0.0.2"], False),
        (["127.0.0.2:9464", "127.0.0.2:9464"], False),
        (["127.0.0.2:9464", "evil.example"], False),
        ([], False),
    ],
)
def test_the_one_host_must_name_the_address_of_the_listener(hosts: list[str], own: bool) -> None:
    headers = [(b"host", host.encode()) for host in hosts]
    assert is_own_host({"headers": headers, "server": ("127.0.0.2", 9464)}) is own


async def test_a_stopped_listener_frees_its_port() -> None:
    async with served() as url:
        port = urlsplit(url).port or 0
    listen("127.0.0.1", port).close()


def test_a_busy_port_is_one_clear_error() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=rf"cannot listen on 127\.0\.0\.1:{port}: address"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_an_address_that_others_can_reach_is_refused(host: str) -> None:
    with pytest.raises(BadInput):
        loopback(host)


@pytest.mark.parametrize(
    ("host", "address"),
    [("localhost", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"),
     ("::1", "::1"), ("[::1]", "::1")],
)  # fmt: skip
def test_every_spelling_of_loopback_is_understood(host: str, address: str) -> None:
    assert loopback(host) == address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:9464", "127.0.0.1", 9464), ("[::1]:0", "[::1]", 0), (":80", "127.0.0.1", 80)],
)
def test_host_and_port_are_told_apart(text: str, host: str, port: int) -> None:
    assert parse_listen(text) == (host, port)


@pytest.mark.parametrize("text", ["", "127.0.0.1", "localhost:", "localhost:http", "host:-1"])
def test_what_is_no_host_and_port_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput, match="is no HOST:PORT"):
        parse_listen(text)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_number_that_is_no_port_is_bad_input(port: int) -> None:
    with pytest.raises(BadInput, match="is no port"):
        listen("127.0.0.1", port)


def test_a_listener_is_an_ordinary_socket() -> None:
    with listen("localhost", 0) as listener:
        assert listener.family is socket.AF_INET
        assert listener.getsockname()[1] > 0
