from __future__ import annotations

import tracemalloc
from random import Random

import pytest
from gateways import do, served
from hypothesis import given
from hypothesis import strategies as st

from postroom.gateway import tokens
from postroom.gateway.tokens import VERBS, Token, Unauthorized
from postroom.mailbox.moments import Moment
from postroom.store.clock import ManualClock
from postroom.store.errors import BadInput, Conflict, Refused
from postroom.store.memory import MemoryStore
from postroom.store.records import Put


def scoped(*inboxes: str, to: tuple[str, ...] = ()) -> Token:
    return Token("0" * 16, "test", "", inboxes, to, VERBS, Moment(0, 0, ""))


def made(store: MemoryStore, **scope: object) -> tuple[Token, str]:
    token, text, write = tokens.make(store, "test", **scope)  # type: ignore[arg-type]  # as a caller would
    do(store, Put((write,)))
    return token, text


def test_a_token_is_known_again_and_its_secret_is_nowhere_in_the_store() -> None:
    store = MemoryStore(ManualClock())
    token, text = made(store)
    assert tokens.authenticate(store, text) == token
    (record,) = store.records("postroom/tokens")
    assert record.value is not None
    secret = text.rpartition(token.id + "_")[2]
    assert len(secret) == 43
    assert secret.encode() not in record.value


def test_expired_revoked_and_rotated_tokens_are_refused_at_once() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    token, text = made(store, seconds=60)
    clock.advance(59.9)
    tokens.authenticate(store, text)
    clock.step_wall(-3600)
    clock.advance(0.2)
    with pytest.raises(Unauthorized, match="expired"):
        tokens.authenticate(store, text)
    _, fresh, write = tokens.rotate(store, token.id)
    do(store, Put((write,)))
    tokens.authenticate(store, fresh)
    with pytest.raises(Unauthorized, match="no such token"):
        tokens.authenticate(store, text)
    _, ended = tokens.revoke(store, token.id)
    assert ended is not None
    do(store, Put((ended,)))
    with pytest.raises(Unauthorized, match="revoked"):
        tokens.authenticate(store, fresh)
    assert tokens.revoke(store, token.id)[1] is None
    with pytest.raises(Conflict):
        tokens.rotate(store, token.id)


def test_at_the_end_of_its_time_a_token_is_over_and_counts_no_more() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    _, text = made(store, seconds=60)
    assert tokens.any_active(store)
    clock.advance(60)
    with pytest.raises(Unauthorized, match="expired"):
        tokens.authenticate(store, text)
    assert not tokens.any_active(store)


def test_two_who_rotate_at_once_do_not_both_succeed() -> None:
    store = MemoryStore(ManualClock())
    token, _ = made(store)
    first, second = tokens.rotate(store, token.id)[2], tokens.rotate(store, token.id)[2]
    do(store, Put((first,)))
    with pytest.raises(Conflict):
        do(store, Put((second,)))


@pytest.mark.parametrize(
    "scope",
    [{"inboxes": ["worker/[a-z]"]}, {"inboxes": [""]}, {"inboxes": ["worker"]}, {"to": ["a b"]},
     {"verbs": ["drop"]}, {"seconds": 0}, {"seconds": -1}, {"seconds": float("nan")}, {"seconds": 1e12}],
)  # fmt: skip
def test_a_scope_that_means_nothing_is_bad_input(scope: dict[str, object]) -> None:
    store = MemoryStore(ManualClock())
    with pytest.raises(BadInput):
        made(store, **scope)
    with pytest.raises(BadInput):
        tokens.make(store, "No Name")
    with pytest.raises(Refused):
        tokens.revoke(store, "nobody")
    assert not tokens.any_active(store)


def test_patterns_match_within_a_role_and_a_name_only() -> None:
    assert scoped("worker/*").acts_for("worker/anna")
    assert scoped("worker/a*").acts_for("worker/anna")
    assert scoped("*/anna").acts_for("worker/anna")
    assert scoped("any:*").acts_for("any:worker")
    assert scoped("*").reaches("all:worker")
    for pattern, other in [
        ("worker/*", "workers/anna"), ("worker/*", "any:worker"), ("worker/a", "worker/ab"),
        ("worker/a.c", "worker/abc"), ("*/*", "any:worker"), ("any:w*", "all:worker"),
    ]:  # fmt: skip
        assert not scoped(pattern).acts_for(other), (pattern, other)


def test_who_it_may_send_to_is_more_than_whose_mail_it_may_take() -> None:
    token = scoped("worker/anna", to=("manager-of:*",))
    assert token.reaches("manager-of:docs")
    assert token.reaches("worker/anna")
    assert not token.reaches("manager/mo")
    assert not token.acts_for("manager-of:docs")


def test_a_member_may_settle_what_it_got_from_its_roles_inbox() -> None:
    assert scoped("worker/anna").settles("any:worker")
    assert not scoped("worker/anna").settles("any:manager")
    assert not scoped("worker/anna").settles("worker/ben")


@given(st.text(alphabet="abc*/:.-_{}[]()|\\+?^$ \n", max_size=20))
def test_no_pattern_that_is_taken_reaches_beyond_what_it_spells(pattern: str) -> None:
    store = MemoryStore(ManualClock())
    try:
        token, _, _ = tokens.make(store, "test", inboxes=[pattern])
    except BadInput:
        return
    if "*" not in pattern:
        assert token.acts_for(pattern)
        assert not token.acts_for(pattern + "x")
        assert not token.acts_for("x" + pattern)


def test_ten_thousand_wrong_tokens_open_nothing_and_leave_nothing_behind() -> None:
    store = MemoryStore(ManualClock())
    token, right = made(store)
    rng = Random(3)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

    def wrong(n: int) -> str:
        secret = "".join(rng.choices(letters, k=43))
        at = rng.randrange(len(right))
        return (
            f"postroom_{token.id}_{secret}",
            f"postroom_{n:016x}_{secret}",
            right[:at] + rng.choice(letters) + right[at + 1 :],
            right + secret[:n % 3],
        )[n % 4]  # fmt: skip

    def accepted(count: int) -> int:
        found = 0
        for n in range(count):
            text = wrong(n)
            if text == right:
                continue
            try:
                tokens.authenticate(store, text)
            except Unauthorized:
                continue
            found += 1
        return found

    assert accepted(1000) == 0
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        assert accepted(10_000) == 0
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 100_000


async def test_a_token_does_what_its_scope_says_and_nothing_else() -> None:
    async with served() as site, site.client() as client:
        _, anna = site.token(inboxes=["worker/anna"], to=["manager/*"], verbs=["send", "poll", "ack"])
        held: dict[str, dict[str, object]] = {}
        await site.send("worker/anna")
        await site.send("any:worker")
        polled = await client.ask("poll", {"inbox": "worker/anna", "max": 5}, anna)
        for message in polled.json["messages"]:
            held[message["recipient"]] = {"id": message["id"], "fence": message["fence"]}
        assert set(held) == {"worker/anna", "any:worker"}
        for flags in ({"inbox": "worker/ben"}, {"inbox": "any:worker"}, {"inbox": "manager/mo"}):
            reply = await client.ask("poll", flags, anna)
            assert (reply.status, reply.code) == (403, "forbidden")
        for verb in ("nack", "extend"):
            assert (await client.ask(verb, held["worker/anna"], anna)).status == 403
        report = {"to": "manager/mo", "type": "t", "body": 1, "from": "worker/anna"}
        assert (await client.ask("send", report, anna)).status == 200
        for wrong in (
            {"to": "worker/ben"},
            {"from": "manager/mo"},
            {"to": "all:worker"},
            {"reply_to": "worker/ben"},
        ):
            assert (await client.ask("send", report | wrong, anna)).status == 403
            ack = held["worker/anna"] | {"send": [report, report | wrong]}
            assert (await client.ask("ack", ack, anna)).status == 403
        for own in held.values():
            assert (await client.ask("ack", own, anna)).status == 200
        assert site.counts("worker/ben")["ready"] == 0


async def test_a_token_made_for_sending_to_some_is_for_no_inbox() -> None:
    async with served() as site, site.client() as client:
        _, sender = site.token(to=["worker/anna"], verbs=["send", "poll"])
        message = {"to": "worker/anna", "type": "t", "body": 1}
        assert (await client.ask("send", message, sender)).status == 200
        assert (await client.ask("send", message | {"to": "worker/ben"}, sender)).status == 403
        assert (await client.ask("poll", {"inbox": "worker/anna"}, sender)).status == 403


async def test_a_token_without_send_sends_nothing_with_its_acks() -> None:
    async with served() as site, site.client() as client:
        _, text = site.token(inboxes=["worker/anna"], verbs=["poll", "ack"])
        await site.send()
        (message,) = (await client.ask("poll", {"inbox": "worker/anna"}, text)).json["messages"]
        own = {"id": message["id"], "fence": message["fence"]}
        report = {"to": "worker/anna", "type": "t", "body": 1}
        assert (await client.ask("ack", own | {"send": [report]}, text)).status == 403
        assert (await client.ask("ack", own, text)).status == 200
        assert site.counts("worker/anna") == {"ready": 0, "leased": 0, "done": 1}


async def test_a_token_without_poll_neither_makes_nor_looks_at_anything() -> None:
    async with served() as site, site.client() as client:
        _, text = site.token(verbs=["send"])
        id = await site.send()
        for verb, flags in (
            ("register", {"inbox": "client/mine"}),
            ("deregister", {"inbox": "client/mine"}),
            ("show", {"id": id}),
        ):
            assert (await client.ask(verb, flags, text)).status == 403


async def test_only_inboxes_for_answers_are_made_and_ended_and_only_by_who_they_are_for() -> None:
    async with served() as site, site.client() as client:
        _, text = site.token(inboxes=["client/mine", "worker/anna"])
        for verb in ("register", "deregister"):
            assert (await client.ask(verb, {"inbox": "worker/anna"}, text)).status == 403
            assert (await client.ask(verb, {"inbox": "client/theirs"}, text)).status == 403
            assert (await client.ask(verb, {"inbox": "client/mine"}, text)).status == 200
        await site.send("worker/anna")


async def test_a_message_is_shown_to_who_it_concerns_only() -> None:
    async with served() as site, site.client() as client:
        _, text = site.token(inboxes=["worker/ben"])
        for to, flags, status in (
            ("worker/anna", {}, 403),
            ("worker/ben", {}, 200),
            ("worker/anna", {"from": "worker/ben"}, 200),
            ("worker/anna", {"reply_to": "worker/ben"}, 200),
        ):
            id = await site.send(to, **flags)
            assert (await client.ask("show", {"id": id}, text)).status == status


async def test_a_token_settles_nobody_elses_mail() -> None:
    async with served() as site, site.client() as client:
        _, anna = site.token(inboxes=["worker/anna"])
        await site.send("worker/ben")
        (message,) = (await client.ask("poll", {"inbox": "worker/ben"})).json["messages"]
        own = {"id": message["id"], "fence": message["fence"]}
        for verb in ("ack", "nack", "extend"):
            assert (await client.ask(verb, own, anna)).status == 403
        assert site.counts("worker/ben")["leased"] == 1


async def test_a_token_revoked_or_rotated_under_a_lease_settles_nothing_more() -> None:
    async with served() as site, site.client() as client:
        id, text = site.token()
        await site.send()
        (message,) = (await client.ask("poll", {"inbox": "worker/anna"}, text)).json["messages"]
        own = {"id": message["id"], "fence": message["fence"]}
        _, fresh, write = tokens.rotate(site.store, id)
        do(site.store, Put((write,)))
        assert (await client.ask("ack", own, text)).status == 401
        assert (await client.ask("extend", own, fresh)).status == 200
        _, ended = tokens.revoke(site.store, id)
        assert ended is not None
        do(site.store, Put((ended,)))
        assert (await client.ask("ack", own, fresh)).status == 401
        assert site.counts("worker/anna")["leased"] == 1
