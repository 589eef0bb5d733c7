from __future__ import annotations

import json

import pytest
import trio
from gateways import do, served

from postroom.mailbox import heartbeats, pairs
from postroom.store.clock import ManualClock, SystemClock
from postroom.store.memory import MemoryStore
from postroom.store.records import Control, InboxSpec, Register, Switch


async def test_a_message_is_sent_polled_and_acked_with_the_json_of_the_commands() -> None:
    async with served() as site, site.client() as client:
        sent = await client.ask("send", {"to": "worker/anna", "type": "task", "body": {"n": 1}})
        assert (sent.status, sent.json["state"]) == (200, "accepted")
        polled = await client.ask("poll", {"inbox": "worker/anna"})
        (message,) = polled.json["messages"]
        assert message["id"] == sent.json["id"]
        assert (message["body"], message["sender"], message["attempt"]) == ({"n": 1}, "operator/cli", 1)
        assert message["lease_seconds"] == 60.0
        acked = await client.ask("ack", {"id": message["id"], "fence": message["fence"]})
        assert acked.json == {"id": message["id"], "state": "done", "already": False}
        again = await client.ask("ack", {"id": message["id"], "fence": message["fence"]})
        assert (again.status, again.json["already"]) == (200, True)


async def test_an_empty_poll_is_no_error() -> None:
    async with served() as site:
        reply = await site.ask("poll", {"inbox": "worker/anna"})
        assert (reply.status, reply.json) == (200, {"messages": []})


async def test_a_reply_and_sends_leave_with_the_ack() -> None:
    async with served() as site, site.client() as client:
        await site.send(**{"from": "manager/mo"})
        (message,) = (await client.ask("poll", {"inbox": "worker/anna"})).json["messages"]
        flags = {
            "id": message["id"],
            "fence": message["fence"],
            "reply": {"ok": True},
            "send": [{"to": "worker/ben", "type": "next", "body": None}],
        }
        acked = await client.ask("ack", flags)
        assert [sent["state"] for sent in acked.json["sent"]] == ["accepted", "accepted"]
        (reply,) = (await client.ask("poll", {"inbox": "manager/mo"})).json["messages"]
        assert (reply["type"], reply["body"], reply["correlation_id"]) == (
            "reply",
            {"ok": True},
            message["id"],
        )
        assert site.counts("worker/ben")["ready"] == 1


async def test_a_lease_is_extended_and_given_back() -> None:
    async with served() as site, site.client() as client:
        await site.send()
        (message,) = (await client.ask("poll", {"inbox": "worker/anna", "lease": 5})).json["messages"]
        held = {"id": message["id"], "fence": message["fence"]}
        assert (await client.ask("extend", {**held, "lease": 90})).json["lease_seconds"] == 90.0
        assert (await client.ask("nack", {**held, "release": True})).json["state"] == "ready"
        lost = await client.ask("extend", held)
        assert (lost.status, lost.code) == (409, "lost_lease")


async def test_what_is_not_there_is_404_and_what_was_lost_is_409() -> None:
    unknown = "0190c1a4-0000-7000-8000-000000000000"
    async with served() as site, site.client() as client:
        assert (await client.ask("poll", {"inbox": "worker/nobody"})).code == "unknown_inbox"
        sent = await client.ask("send", {"to": "worker/nobody", "type": "t", "body": 1})
        assert (sent.status, sent.code) == (404, "unknown_inbox")
        for verb in ("ack", "nack", "extend"):
            reply = await client.ask(verb, {"id": unknown, "fence": 1})
            assert (reply.status, reply.code) == (404, "unknown_message")
        id = await site.send()
        reply = await client.ask("ack", {"id": id, "fence": 1})
        assert (reply.status, reply.code) == (409, "lost_lease")
        reply = await client.ask("send", {"to": "worker/anna", "type": "t", "body": 2, "id": id})
        assert (reply.status, reply.code) == (409, "conflict")


async def test_a_full_inbox_is_429_and_says_when_to_try_again() -> None:
    async with served() as site:
        do(site.store, Register((InboxSpec("worker/anna", bound=1),)))
        await site.send()
        reply = await site.ask("send", {"to": "worker/anna", "type": "t", "body": 1})
        assert (reply.status, reply.code) == (429, "inbox_full")
        assert "retry-after: 1" in reply.head


async def test_a_paused_inbox_gives_nothing_and_a_repeated_key_gives_the_same() -> None:
    async with served() as site, site.client() as client:
        await site.send()
        await site.send()
        poll = {"inbox": "worker/anna"}
        first = await client.ask("poll", poll, Idempotency_Key="one")
        assert (await client.ask("poll", poll, Idempotency_Key="one")).json["messages"][0]["fence"] == (
            first.json["messages"][0]["fence"]
        )
        _, other = site.token()
        theirs = await client.ask("poll", poll, other, Idempotency_Key="one")
        assert theirs.json["messages"][0]["id"] != first.json["messages"][0]["id"]
        do(site.store, Control("worker/anna", Switch.PAUSE))
        assert (await client.ask("poll", poll)).json == {"messages": []}


@pytest.mark.parametrize(
    ("verb", "flags"),
    [
        ("send", {"to": "worker/anna", "type": "t"}),
        ("send", {"to": "worker/anna", "type": "t", "body": 1, "colour": 2}),
        ("send", {"to": "Worker Anna", "type": "t", "body": 1}),
        ("send", {"to": "worker/anna", "type": "t", "body": 1, "delay": -1}),
        ("poll", {}),
        ("poll", {"inbox": "worker/anna", "wait": 61}),
        ("poll", {"inbox": "worker/anna", "wait": -1}),
        ("poll", {"inbox": "worker/anna", "max": 1001}),
        ("poll", {"inbox": "worker/anna", "lease": 0}),
        ("poll", {"inbox": "worker/anna", "max": "1"}),
        ("poll", {"inbox": ["worker/anna"]}),
        ("ack", {"id": "x", "fence": 1}),
        ("ack", {"id": "0190c1a4-0000-7000-8000-000000000000", "fence": -1}),
        ("ack", {"id": "0190c1a4-0000-7000-8000-000000000000", "fence": 1, "send": [{"to": 1}]}),
        ("nack", {"id": "0190c1a4-0000-7000-8000-000000000000", "fence": 1, "dead": True, "release": True}),
        ("extend", {"id": "0190c1a4-0000-7000-8000-000000000000", "fence": 1, "lease": 1e9}),
        ("send", []),
        ("send", b""),
        ("send", b"{"),
        ("send", b'{"to":"worker/anna","type":"t","body":NaN}'),
        ("send", b'{"to":"worker/anna","type":"t","body":1,"body":2}'),
        ("send", b'{"to":"worker/anna","type":"t","body":"\\ud800"}'),
        ("send", b'{"to":"worker/anna","type":"\\ud800","body":1}'),
        ("send", b'{"to":"worker/anna","type":"t","body":"\\u0000"}'),
        ("send", b'{"to":"worker/anna","type":"t","body":' + b"9" * 5000 + b"}"),
        ("send", b"[" * 100_000),
        ("send", b"\xff\xfe"),
        ("poll", b'{"inbox":"worker/anna"} {}'),
    ],
)  # fmt: skip
async def test_bad_input_is_400_in_one_form_and_changes_nothing(verb: str, flags: object) -> None:
    async with served() as site:
        await site.send()
        reply = await site.ask(verb, flags)
        assert reply.status == 400, reply.body
        assert set(reply.json["error"]) == {"code", "what", "why", "do"}
        assert site.counts("worker/anna") == {"ready": 1, "leased": 0, "done": 0}


async def test_a_path_a_method_and_a_content_type_that_do_not_fit_are_told() -> None:
    async with served() as site:
        assert (await site.ask("nothing", {})).status == 404
        assert (await site.ask("../metrics", {})).status == 404
        assert (await site.ask("send?token=x", {})).status == 400
        got = await site.raw(site.request("poll", {}).replace(b"POST", b"GET", 1))
        assert got is not None
        assert (got.status, "allow: post" in got.head) == (405, True)
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
            assert (await site.ask("send", {}, Content_Type=content_type)).status == 415
        good = await site.ask(
            "poll", {"inbox": "worker/anna"}, Content_Type="Application/JSON; charset=utf-8"
        )
        assert good.status == 200


async def test_metrics_health_and_readiness_are_on_the_same_listener() -> None:
    async with served() as site, site.client() as client:
        for path, text in (("/metrics", b"postroom_build_info"), ("/healthz", b"ok"), ("/readyz", b"ready")):
            await client.say(f"GET {path} HTTP/1.1\r\nHost: localhost:{site.port}\r\n\r\n".encode())
            reply = await client.hear()
            assert reply is not None
            assert reply.status == 200
            assert text in reply.body
        assert (await client.ask("poll", {"inbox": "worker/anna"})).status == 200


async def test_a_long_poll_is_woken_by_a_commit_of_this_process() -> None:
    async with served() as site, site.client() as client:
        await client.say(site.request("poll", {"inbox": "worker/anna", "wait": 30}))
        await site.until_parked(1)
        id = await site.send()
        reply = await client.hear()
        assert reply is not None
        assert [message["id"] for message in reply.json["messages"]] == [id]


async def test_a_long_poll_is_woken_by_a_commit_of_another_process() -> None:
    store = MemoryStore(SystemClock())
    async with served(store) as site, site.client() as client:
        await client.say(site.request("poll", {"inbox": "worker/anna", "wait": 30}))
        await site.until_parked(1)
        async with served(store.another_handle()) as elsewhere:
            id = await elsewhere.send("any:worker")
        reply = await client.hear()
        assert reply is not None
        assert [message["id"] for message in reply.json["messages"]] == [id]


async def test_requests_that_come_together_are_answered_in_their_order() -> None:
    async with served() as site, site.client() as client:
        sends = [{"to": "worker/anna", "type": "t", "body": n} for n in range(20)]
        await client.say(b"".join(site.request("send", send) for send in sends))
        for _ in sends:
            reply = await client.hear()
            assert reply is not None
            assert reply.status == 200
        polled = await client.ask("poll", {"inbox": "worker/anna", "max": 50})
        assert [message["body"] for message in polled.json["messages"]] == list(range(20))


async def test_the_body_may_come_in_pieces_and_in_chunks() -> None:
    async with served() as site, site.client() as client:
        whole = site.request("send", {"to": "worker/anna", "type": "t", "body": "x" * 100})
        for at in range(0, len(whole), 7):
            await client.say(whole[at : at + 7])
            await trio.lowlevel.checkpoint()
        reply = await client.hear()
        assert reply is not None
        assert reply.status == 200
        body = json.dumps({"inbox": "worker/anna"}).encode()
        head = site.request("poll", b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        await client.say(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        reply = await client.hear()
        assert reply is not None
        assert len(reply.json["messages"]) == 1


async def test_a_heartbeat_is_answered_with_what_to_do_next_and_needs_the_sides_token() -> None:
    async with served() as site, site.client() as client:
        binding = pairs.new_binding("docs", "mo", "anna", 1)
        _, put = pairs.bind(site.store, binding)
        assert put is not None
        do(site.store, put)
        beat = {"task": "docs", "role": "worker"}
        reply = await client.ask("heartbeat", beat)
        assert (reply.status, reply.json["task"], reply.json["address"]) == (200, "docs", "worker/anna")
        assert reply.json["next"]
        kept, version = heartbeats.find(site.store, "worker", "docs")
        assert (kept is not None, version) == (True, 1)
        _, others = site.token(inboxes=["manager/*"])
        for thread in ({}, {"thread_id": "not the one"}):
            assert (await client.ask("heartbeat", beat | thread, others)).status == 403
        assert (await client.ask("heartbeat", {"task": "none", "role": "worker"})).status == 404
        assert (await client.ask("heartbeat", {"task": "docs", "role": "king"})).status == 400
        assert heartbeats.find(site.store, "worker", "docs")[1] == 1


async def test_what_a_role_says_of_a_message_is_kept_with_its_ack() -> None:
    async with served() as site, site.client() as client:
        await site.send()
        (message,) = (await client.ask("poll", {"inbox": "worker/anna"})).json["messages"]
        own = {"id": message["id"], "fence": message["fence"]}
        assert (await client.ask("ack", own | {"role_ack": "maybe"})).status == 400
        assert (await client.ask("ack", own | {"role_text": "alone"})).status == 400
        assert site.counts("worker/anna")["leased"] == 1
        acked = await client.ask("ack", own | {"role_ack": "accepted"})
        assert (acked.status, acked.json["state"]) == (200, "done")


async def test_an_answer_holds_one_message_at_least_and_the_rest_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("postroom.gateway.verbs.ANSWER_BYTES", 1)
    async with served() as site:
        sent = [await site.send() for _ in range(3)]
        polled = (await site.ask("poll", {"inbox": "worker/anna", "max": 3})).json["messages"]
        assert [message["id"] for message in polled] == sent[:1]
        assert site.counts("worker/anna") == {"ready": 2, "leased": 1, "done": 0}


async def test_each_answer_has_the_date_of_its_own_second_and_is_not_to_be_kept() -> None:
    clock = ManualClock()
    async with served(MemoryStore(clock)) as site:
        heads: list[str] = []
        for _ in range(2):
            heads.append((await site.ask("poll", {"inbox": "worker/anna"})).head)
            clock.advance(1)
    dates = [line for head in heads for line in head.split("\r\n") if line.startswith("date: ")]
    assert len(set(dates)) == 2
    assert all("cache-control: no-store" in head for head in heads)
