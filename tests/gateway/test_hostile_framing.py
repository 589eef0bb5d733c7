from __future__ import annotations

import json

import pytest
import trio
from gateways import raw, served
from trio.testing import MockClock

from postroom.gateway.wire import BODY_BYTES, HEAD_BYTES

POLL = json.dumps({"inbox": "worker/anna"}).encode()


def framed(port: int, fields: dict[str, str], body: bytes, line: str = "POST /v1/poll HTTP/1.1") -> bytes:
    own = {"Host": f"localhost:{port}", "Content-Type": "application/json"}
    return raw(line, own | fields, body)


@pytest.mark.parametrize(
    "fields",
    [
        {"Content-Length": str(len(POLL)), "Transfer-Encoding": "chunked"},
        {"Transfer-Encoding": "chunked, identity"},
        {"Transfer-Encoding": "xchunked"},
        {"Content-Length": f"{len(POLL)}, 5"},
        {"Content-Length": "-1"},
        {"Content-Length": "+5"},
        {"Content-Length": "0x5"},
        {"Content-Length": "5 5"},
        {"Content-Length": "1" * 30},
        {"Content-Length ": str(len(POLL))},
        {"X-Split": "a\r\n b", "Content-Length": "9" * 12},
        {"X\0Y": "1"},
        {"X-Nul": "a\0b"},
    ],
)
async def test_a_length_that_can_be_read_in_two_ways_is_refused_and_the_connection_closed(
    fields: dict[str, str],
) -> None:
    async with served(open=True) as site, site.client() as client:
        await client.say(framed(site.port, fields, POLL))
        reply = await client.hear()
        assert reply is not None
        assert reply.status in (400, 413), reply.body
        assert "connection: close" in reply.head
        assert await client.hear() is None


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST\r\n\r\n",
        b"POST /v1/poll\r\n\r\n",
        b"POST /v1/poll HTTP/2.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/poll HTTP/1.1\nHost localhost\n\n",
        b"POST http://evil.example/v1/poll HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"POST /v1/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\0" * 100 + b"\r\n\r\n",
        b"GET /v1/poll HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_refused(data: bytes) -> None:
    async with served(open=True) as site:
        reply = await site.raw(data)
        assert reply is not None
        assert reply.status in (400, 403, 404, 405, 431)


async def test_a_head_that_is_too_large_is_refused_however_it_comes() -> None:
    async with served(open=True) as site:
        for fields in ({"X-Long": "x" * (HEAD_BYTES + 1)}, {f"X-{n}": "y" * 100 for n in range(400)}):
            reply = await site.raw(framed(site.port, fields, b""))
            assert reply is not None
            assert (reply.status, reply.code) == (431, "head_too_large")
        reply = await site.raw(b"GET /" + b"a" * 300_000)
        assert reply is not None
        assert reply.status == 431


async def test_a_body_that_is_too_large_is_refused_before_it_is_read() -> None:
    async with served(open=True) as site:
        reply = await site.raw(framed(site.port, {"Content-Length": str(BODY_BYTES + 1)}, b"x" * 100))
        assert reply is not None
        assert (reply.status, reply.code) == (413, "too_large")
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        reply = await site.raw(framed(site.port, {"Transfer-Encoding": "chunked"}, chunk * 20))
        assert reply is not None
        assert reply.status == 413


async def test_the_largest_body_that_is_allowed_is_taken() -> None:
    async with served(open=True) as site:
        fields = {"Content-Length": str(BODY_BYTES)}
        reply = await site.raw(framed(site.port, fields, POLL.ljust(BODY_BYTES)))
        assert reply is not None
        assert reply.status == 200


async def test_chunks_are_refused_where_a_proxy_would_not_read_them() -> None:
    async with served(open=True) as site:
        body = b"%x\r\n" % len(POLL) + POLL + b"\r\n0\r\n\r\n"
        for version, status in (("1.0", 400), ("1.1", 200)):
            fields = {"Transfer-Encoding": "chunked"}
            reply = await site.raw(framed(site.port, fields, body, f"POST /v1/poll HTTP/{version}"))
            assert reply is not None
            assert reply.status == status


async def test_a_client_that_waits_to_be_told_to_go_on_is_told() -> None:
    async with served(open=True) as site, site.client() as client:
        fields = {"Content-Length": str(len(POLL)), "Expect": "100-continue"}
        await client.say(framed(site.port, fields, b""))
        assert await client.stream.receive_some() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.say(POLL)
        reply = await client.hear()
        assert reply is not None
        assert reply.status == 200


async def test_who_is_refused_before_the_body_is_not_told_to_go_on() -> None:
    async with served() as site:
        fields = {"Content-Length": "1000", "Expect": "100-continue"}
        reply = await site.raw(framed(site.port, fields, b""))
        assert reply is not None
        assert reply.status == 401


async def test_a_refused_request_does_not_end_the_connection_if_it_came_whole() -> None:
    async with served() as site, site.client() as client:
        assert (await client.ask("poll", {"inbox": "worker/anna"}, "nonsense")).status == 401
        assert (await client.ask("poll", {"inbox": "worker/anna"})).status == 200


async def test_half_requests_without_number_keep_nobody_from_being_served() -> None:
    async with served(connections=20) as site, site.client() as regular:
        assert (await regular.ask("poll", {"inbox": "worker/anna"})).status == 200
        streams: list[trio.SocketStream] = []
        try:
            for n in range(100):
                stream = await trio.open_tcp_stream("127.0.0.1", site.port)
                streams.append(stream)
                await stream.send_all(b"POST /v1/poll HTTP/1.1\r\nHost: " if n % 2 else b"")
                if n % 10 == 0:
                    assert (await site.ask("poll", {"inbox": "worker/anna"})).status == 200
            assert (await regular.ask("poll", {"inbox": "worker/anna"})).status == 200
            assert len(site.gateway.crowd) <= 21
        finally:
            for stream in streams:
                await trio.aclose_forcefully(stream)


async def test_who_is_refused_may_send_nonsense_and_the_others_are_still_served() -> None:
    async with served() as site, site.client() as regular:
        reply = await site.raw(framed(site.port, {"Transfer-Encoding": "chunked"}, b"nonsense\r\n"))
        assert reply is not None
        assert (reply.status, "connection: close" in reply.head) == (401, True)
        assert (await regular.ask("poll", {"inbox": "worker/anna"})).status == 200


async def test_a_client_that_was_answered_has_no_more_time_for_a_head_than_others(
    autojump_clock: MockClock,
) -> None:
    del autojump_clock
    async with served() as site, site.client() as client:
        assert (await client.ask("poll", {"inbox": "worker/anna"})).status == 200
        started = trio.current_time()
        await client.say(b"POST /v1/poll HT")
        reply = await client.hear()
        assert reply is not None
        assert reply.status == 408
        assert trio.current_time() - started == pytest.approx(10, abs=0.5)


async def test_a_slow_head_and_a_slow_body_have_their_time_and_no_more(autojump_clock: MockClock) -> None:
    del autojump_clock
    async with served(open=True) as site:
        started = trio.current_time()
        reply = await site.raw(b"POST /v1/poll HTTP/1.1\r\nHost: ")
        assert reply is not None
        assert (reply.status, reply.code) == (408, "too_slow")
        assert trio.current_time() - started == pytest.approx(10, abs=0.5)
        started = trio.current_time()
        reply = await site.raw(framed(site.port, {"Content-Length": "50"}, b"{"))
        assert reply is not None
        assert reply.status == 408
        assert trio.current_time() - started == pytest.approx(30, abs=0.5)
        started = trio.current_time()
        assert await site.raw(b"") is None
        assert trio.current_time() - started == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize(
    ("begun", "seconds"), [(b"POST /v1/poll HTTP/1.1\r\nX-Long: ", 10), (None, 30)], ids=["head", "body"]
)
async def test_no_byte_buys_its_sender_more_time(
    begun: bytes | None, seconds: float, autojump_clock: MockClock
) -> None:
    del autojump_clock
    async with served(open=True) as site, site.client() as client, trio.open_nursery() as nursery:

        async def drip() -> None:
            while True:
                await trio.sleep(4)
                await client.say(b" ")

        started = trio.current_time()
        await client.say(framed(site.port, {"Content-Length": "500"}, b"{") if begun is None else begun)
        nursery.start_soon(drip)
        with trio.move_on_after(60):
            reply = await client.hear()
            assert reply is not None
            assert reply.status == 408
        assert trio.current_time() - started == pytest.approx(seconds, abs=0.5)
        nursery.cancel_scope.cancel()
