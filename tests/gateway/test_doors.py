from __future__ import annotations

from random import Random

import pytest
from gateways import raw, served

from postroom.gateway.door import host_names, socket_names


def hostile_hosts(port: int) -> list[str]:
    """Many ways to write a host that is not this one."""
    own = f"127.0.0.1:{port}"
    names = ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.2", "127.1", "0"]
    names += ["2130706433", "0x7f000001", "0177.0.0.1", "[::ffff:127.0.0.1]", "[::]", "0.0.0.0", "localhost."]
    hosts = [f"{name}:{port}" for name in names] + names
    hosts += [
        "",
        " ",
        own + ".",
        own + "0",
        own + "/",
        own + "#",
        own + "?",
        f"x@{own}",
        f"{own}@x",
        own + ",x",
    ]
    hosts += [
        f"{own},{own}",
        f"{own} {own}",
        f"http://{own}",
        f"127.0.0.1:{port + 1}",
        "127.0.0.1",
        "localhost",
    ]
    rng = Random(7)
    while len(hosts) < 160:
        at = rng.randrange(len(own))
        hosts.append(own[:at] + rng.choice("abcxyz0123456789.-_:%[]") + own[at + rng.randrange(2) :])
    return [host for host in hosts if host != own]


def hostile_origins(port: int) -> list[str]:
    """Origins of pages that nobody listed, near to the one that is."""
    near = ["http://app.example:8080.evil.example", "http://app.example", "https://app.example:8080", "null"]
    near += ["http://app.example:80800", "http://APP.example:8080", "http://app.example:8080/", "", "*"]
    near += [f"http://127.0.0.1:{port}", f"http://localhost:{port}", "file://", "chrome-extension://abc"]
    return near + [f"http://page{n}.example:8080" for n in range(60)]


async def test_no_host_but_the_listeners_own_is_served() -> None:
    async with served(open=True) as site:
        hosts = hostile_hosts(site.port)
        for host in hosts:
            reply = await site.raw(site.request("poll", {"inbox": "worker/anna"}, "", Host=host))
            assert reply is not None
            assert reply.status in (400, 403), host
        for host in (f"localhost:{site.port}", f"[::1]:{site.port}", f"LocalHost:{site.port}"):
            assert (await site.ask("poll", {"inbox": "worker/anna"}, "", Host=host)).status == 200
        assert len(hosts) >= 150


async def test_no_page_of_an_unlisted_origin_is_served_and_none_may_read_the_answer() -> None:
    async with served(open=True, origins=["http://app.example:8080"]) as site:
        origins = hostile_origins(site.port)
        for origin in origins:
            reply = await site.ask("poll", {"inbox": "worker/anna"}, "", Origin=origin)
            assert (reply.status, "access-control" in reply.head) == (403, False), origin
        reply = await site.ask("poll", {"inbox": "worker/anna"}, "", Origin="http://app.example:8080")
        assert (reply.status, "access-control" in reply.head) == (200, False)
        assert len(origins) >= 70


async def test_a_listed_origin_does_not_cover_for_another() -> None:
    async with served(open=True, origins=["http://app.example:8080"]) as site:
        listed = b"Origin: http://app.example:8080\r\n"
        request = site.request("poll", {"inbox": "worker/anna"}, "", Origin="http://app.example:8080")
        reply = await site.raw(request.replace(listed, listed + b"Origin: http://evil.example\r\n"))
        assert reply is not None
        assert reply.status == 403


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"])
async def test_no_other_method_than_post_changes_anything(method: str) -> None:
    async with served(open=True) as site:
        request = site.request("send", {"to": "worker/anna", "type": "t", "body": 1})
        reply = await site.raw(request.replace(b"POST", method.encode(), 1))
        assert reply is not None
        assert reply.status in (400, 405)
        assert site.counts("worker/anna")["ready"] == 0


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer postroom_", "bearer x y", "Token x"]
)
async def test_without_a_right_token_nothing_is_answered(authorization: str) -> None:
    async with served() as site:
        fields = {"Host": f"localhost:{site.port}", "Content-Type": "application/json", "Content-Length": "2"}
        if authorization:
            fields["Authorization"] = authorization
        reply = await site.raw(raw("POST /v1/poll HTTP/1.1", fields, b"{}"))
        assert reply is not None
        assert (reply.status, "www-authenticate: bearer" in reply.head) == (401, True)


async def test_two_tokens_are_none() -> None:
    async with served() as site:
        line = f"Authorization: Bearer {site.full}\r\n".encode()
        request = site.request("poll", {"inbox": "worker/anna"})
        reply = await site.raw(request.replace(line, line * 2))
        assert reply is not None
        assert reply.status == 401


async def test_a_wrong_token_is_refused_even_where_none_is_needed() -> None:
    async with served(open=True) as site:
        assert (await site.ask("poll", {"inbox": "worker/anna"}, "postroom_x_y")).status == 401
        assert (await site.ask("poll", {"inbox": "worker/anna"}, "")).status == 200


async def test_where_others_can_ask_metrics_need_a_token_for_them() -> None:
    async with served(public=True) as site:
        sending, scraping = (site.token(verbs=[verb])[1] for verb in ("send", "metrics"))
        for text, status in (("", 401), (sending, 403), (scraping, 200)):
            fields = {"Host": f"localhost:{site.port}"}
            reply = await site.raw(
                raw(
                    "GET /metrics HTTP/1.1",
                    fields | ({"Authorization": f"Bearer {text}"} if text else {}),
                )
            )
            assert reply is not None
            assert reply.status == status


def test_the_names_of_a_listener_are_its_own_with_its_port() -> None:
    assert host_names("192.0.2.1", 9464, ["Post.example"]) == {
        "127.0.0.1:9464", "localhost:9464", "[::1]:9464", "192.0.2.1:9464", "post.example",
    }  # fmt: skip
    assert "localhost" in host_names("127.0.0.1", 80)
    assert socket_names() == {"localhost", "postroom"}
