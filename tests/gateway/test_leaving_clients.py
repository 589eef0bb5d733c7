from __future__ import annotations

import trio
from gateways import Site, do, served

from postroom.gateway import tokens
from postroom.store.clock import SystemClock
from postroom.store.memory import MemoryStore
from postroom.store.records import Put


async def until_ready(site: Site, n: int) -> None:
    """Wait until so many messages of anna can be claimed again."""
    while site.counts("worker/anna")["ready"] != n:
        await trio.lowlevel.checkpoint()


async def test_a_client_that_vanishes_while_it_waits_leases_nothing() -> None:
    async with served() as site:
        async with site.client() as client:
            await client.say(site.request("poll", {"inbox": "worker/anna", "wait": 30}))
            await site.until_parked(1)
        with trio.fail_after(10):  # sooner than its time is over
            await site.until_parked(0)
        await site.send()
        assert site.counts("worker/anna") == {"ready": 1, "leased": 0, "done": 0}


async def test_mail_claimed_for_a_client_that_has_gone_is_released_at_once() -> None:
    async with served() as site:
        async with site.client() as client:
            await client.say(site.request("poll", {"inbox": "worker/anna", "wait": 30}))
            await site.until_parked(1)
            await site.send()
        await until_ready(site, 1)
        (message,) = (await site.ask("poll", {"inbox": "worker/anna"})).json["messages"]
        assert message["attempt"] == 1


async def test_a_client_that_leaves_while_its_mail_is_being_claimed_keeps_none() -> None:
    async with served(MemoryStore(SystemClock(), commit_delay=0.03)) as site:
        async with site.client() as client:
            await client.say(site.request("poll", {"inbox": "worker/anna", "wait": 30}))
            await site.until_parked(1)
            await site.send()  # it is answered while the claim that it caused is under way
        assert (await site.ask("poll", {"inbox": "worker/ben"})).status == 200  # commits after that claim
        await until_ready(site, 1)
        assert site.counts("worker/anna") == {"ready": 1, "leased": 0, "done": 0}


async def test_a_token_revoked_while_its_holder_waits_gets_no_mail() -> None:
    async with served() as site, site.client() as client:
        id, text = site.token()
        await client.say(site.request("poll", {"inbox": "worker/anna", "wait": 30}, text))
        await site.until_parked(1)
        _, write = tokens.revoke(site.store, id)
        assert write is not None
        do(site.store, Put((write,)))
        await site.send()
        reply = await client.hear()
        assert reply is not None
        assert reply.status == 401
        assert site.counts("worker/anna") == {"ready": 1, "leased": 0, "done": 0}


async def test_a_token_revoked_while_its_holder_sends_the_body_does_nothing() -> None:
    async with served() as site, site.client() as client:
        id, text = site.token()
        flags = {"to": "worker/anna", "type": "t", "body": 1}
        head, _, body = site.request("send", flags, text, Expect="100-continue").partition(b"\r\n\r\n")
        await client.say(head + b"\r\n\r\n")
        assert await client.stream.receive_some() == b"HTTP/1.1 100 Continue\r\n\r\n"
        _, write = tokens.revoke(site.store, id)
        assert write is not None
        do(site.store, Put((write,)))
        await client.say(body)
        reply = await client.hear()
        assert reply is not None
        assert reply.status == 401
        assert site.counts("worker/anna")["ready"] == 0


async def test_closing_answers_who_waits_with_nothing_and_lets_requests_finish() -> None:
    async with served() as site, site.client() as client, site.client() as idle:
        await client.say(site.request("poll", {"inbox": "worker/anna", "wait": 30}))
        await site.until_parked(1)
        site.gateway.close()
        reply = await client.hear()
        assert reply is not None
        assert (reply.status, reply.json) == (200, {"messages": []})
        assert "connection: close" in reply.head
        assert await idle.hear() is None


async def test_a_closed_gateway_lets_nobody_in() -> None:
    async with served() as site:
        site.gateway.close()
        assert not await client_is_answered(site)


async def client_is_answered(site: Site) -> bool:
    try:
        return await site.raw(site.request("poll", {"inbox": "worker/anna"})) is not None
    except OSError:
        return False


async def test_more_waiting_polls_than_are_taken_are_refused_and_the_others_go_on() -> None:
    async with served(parked=1) as site, site.client() as first:
        await first.say(site.request("poll", {"inbox": "worker/anna", "wait": 30}))
        await site.until_parked(1)
        second = await site.ask("poll", {"inbox": "worker/ben", "wait": 30})
        assert (second.status, second.code) == (503, "too_busy")
        await site.send()
        reply = await first.hear()
        assert reply is not None
        assert len(reply.json["messages"]) == 1


async def test_several_who_wait_for_one_inbox_get_one_message_each() -> None:
    async with served() as site, site.client() as first, site.client() as second:
        for n, client in enumerate((first, second), 1):
            await client.say(site.request("poll", {"inbox": "worker/anna", "wait": 30}))
            await site.until_parked(n)
        sent = {await site.send(), await site.send()}
        heard = [await first.hear(), await second.hear()]
        assert {reply.json["messages"][0]["id"] for reply in heard if reply is not None} == sent
