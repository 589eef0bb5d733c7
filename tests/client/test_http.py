"""What only HTTP knows: URLs, sockets, answers that get lost, and strangers that answer."""

from __future__ import annotations

import builtins
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import anyio
import anyio.abc
import pytest
from client_places import Gateway

from postroom.client import Client
from postroom.client.errors import KINDS, rebuilt
from postroom.client.remote import read_url
from postroom.mailbox.views import error_view
from postroom.store.errors import (
    BadInput,
    Conflict,
    InboxFull,
    OutcomeUnknown,
    PostroomError,
    Refused,
    StoreFull,
    StoreUnavailable,
)

Serve = Callable[[anyio.abc.ByteStream], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve) -> AsyncGenerator[str]:
    """Somebody who listens on a port; the URL."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            yield f"http://127.0.0.1:{port}"
            tasks.cancel_scope.cancel()


async def request_of(stream: anyio.abc.ByteStream) -> bytes:
    """One whole request."""
    read = b""
    while b"\r\n\r\n" not in read:
        read += await stream.receive()
    head, _, body = read.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += await stream.receive()
    return head + b"\r\n\r\n" + body


def test_only_urls_of_a_gateway_are_taken() -> None:
    assert read_url("http://127.0.0.1:9464/").base == "http://127.0.0.1:9464"
    assert read_url("http+unix:///run/a%20b.sock").socket == "/run/a b.sock"
    for url in (
        "",
        "http://",
        "ftp://h",
        "http://h/v1",
        "http://h?q=1",
        "http://h#f",
        "http://h:99999",
        "http://h:x",
        "http://[::1",
        "http+unix://run/x.sock",
        "http+unix:///",
        "sqlite://x.db",
        "mysql://h/db",
    ):
        with pytest.raises(BadInput):
            Client(url)
    with pytest.raises(BadInput) as caught:
        Client("http://me:canary@127.0.0.1")
    assert "canary" not in str(caught.value)


@pytest.mark.anyio
async def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **keywords: Any) -> object:
        if name == "httpx2":
            raise ModuleNotFoundError("No module named 'httpx2'")
        return real(name, *args, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PostroomError, match=r"pip install 'postroom\[client\]'"):
        await Client("http://127.0.0.1:9464").__aenter__()


@pytest.mark.anyio
async def test_where_nobody_listens_the_store_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with Client(f"http://127.0.0.1:{port}", rng=Random(1)) as client:
        with pytest.raises(StoreUnavailable, match="cannot reach") as caught:
            await client.send("worker/anna", "t")
    assert not isinstance(caught.value, OutcomeUnknown)


@pytest.mark.anyio
async def test_a_poll_whose_answer_was_lost_is_given_the_same_mail(gateway: Gateway) -> None:
    lost: list[bytes] = []

    async def pass_on(stream: anyio.abc.ByteStream) -> None:
        """Passes one request on, and loses the first answer that has mail."""
        async with stream, await anyio.connect_tcp("127.0.0.1", gateway.site.port) as onward:
            request = await request_of(stream)
            await onward.send(request.replace(via.encode(), f"127.0.0.1:{gateway.site.port}".encode()))
            answer = await onward.receive(1 << 20)
            if b'"messages":[{' in answer and not lost:
                lost.append(answer)
            else:
                await stream.send(answer)

    async with listening(pass_on) as url, gateway.client() as straight:
        via = url.removeprefix("http://")
        sent = await straight.send("worker/anna", "t")
        async with Client(url, token=gateway.site.full, rng=Random(1)) as client:
            (mail,) = await client.poll("worker/anna")
            assert len(lost) == 1
            assert (mail.id, mail.attempt) == (sent.id, 1)
            assert (await client.ack(mail.id, mail.fence)).state == "done"


@pytest.mark.anyio
async def test_a_request_without_an_answer_has_an_unknown_outcome_after_a_few_tries() -> None:
    heard: list[dict[str, Any]] = []

    async def hang_up(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            heard.append(json.loads((await request_of(stream)).partition(b"\r\n\r\n")[2]))

    async with listening(hang_up) as url, Client(url, rng=Random(1)) as client:
        with pytest.raises(OutcomeUnknown, match="no answer"):
            await client.send("worker/anna", "t")
        assert 2 <= len(heard) <= 5
        assert len({flags["id"] for flags in heard}) == 1
        heard.clear()
        with pytest.raises(OutcomeUnknown):
            await client.heartbeat("T", "worker")
        assert len(heard) == 1, "a heartbeat is counted, so it is not repeated"


@pytest.mark.anyio
@pytest.mark.parametrize("answer", [b"not json", b'{"messages": 7}', b'{"other": 1}', b"[]", b"\xff"])
async def test_what_a_stranger_answers_is_an_error_and_no_traceback(answer: bytes) -> None:
    async def strange(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            await request_of(stream)
            await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer)

    async with listening(strange) as url, Client(url, rng=Random(1)) as client:
        with pytest.raises(PostroomError, match="not understood"):
            await client.poll("worker/anna")


@pytest.mark.parametrize("kind", KINDS.values())
def test_every_kind_of_error_survives_the_way_through_http(kind: type[PostroomError]) -> None:
    there = rebuilt(500, json.dumps(error_view(kind("what", "why", "do"))).encode())
    assert (type(there), there.code, there.what, there.why, there.do) == (
        kind,
        kind.code,
        "what",
        "why",
        "do",
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadInput),
        (401, Refused),
        (403, Refused),
        (404, Refused),
        (409, Conflict),
        (429, InboxFull),
        (503, StoreUnavailable),
        (507, StoreFull),
        (418, PostroomError),
    ],
)
def test_an_unknown_code_is_told_by_its_status(status: int, kind: type[PostroomError]) -> None:
    told = rebuilt(status, json.dumps({"error": {"code": "new", "what": "w"}}).encode())
    assert (type(told), told.code, told.what) == (kind, "new", "w")
    assert type(rebuilt(status, b"<html>\x1b[31m</html>")) is kind
    assert "\x1b" not in str(rebuilt(status, b"<html>\x1b[31m</html>"))


@pytest.mark.anyio
async def test_a_unix_socket_is_a_way_too(tmp_path: Path, gateway: Gateway) -> None:
    path = tmp_path / "room.sock"
    heard: list[bytes] = []

    async def pass_on(stream: anyio.abc.ByteStream) -> None:
        async with stream, await anyio.connect_tcp("127.0.0.1", gateway.site.port) as onward:
            request = await request_of(stream)
            heard.append(request)
            await onward.send(request.replace(b"localhost", f"127.0.0.1:{gateway.site.port}".encode(), 1))
            await stream.send(await onward.receive(1 << 20))

    async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, pass_on)
        async with Client(f"http+unix://{path}", token=gateway.site.full) as client:
            assert (await client.send("worker/anna", "t")).state == "accepted"
        tasks.cancel_scope.cancel()
    assert b"\r\nHost: localhost\r\n" in heard[0]
