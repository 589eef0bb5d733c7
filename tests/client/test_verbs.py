"""The verbs of a client: the same methods, records and errors on each way and each event loop."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from uuid import UUID

import anyio
import anyio.lowlevel
import pytest
from client_places import Place

from postroom.client import Client, Delivered, Settled
from postroom.store.errors import (
    BadInput,
    Conflict,
    EmptyGroup,
    LostLease,
    PostroomError,
    Refused,
    StoreUnavailable,
    UnknownInbox,
    UnknownMessage,
)

pytestmark = pytest.mark.anyio
NOBODY = "01890000-0000-4000-8000-000000000000"


async def test_what_is_sent_is_polled_as_a_typed_record_and_acked(place: Place) -> None:
    async with place.client() as client:
        sent = await client.send(
            "worker/anna",
            "Build",
            {"target": ["docs"]},
            sender="manager/mo",
            correlation="c",
            priority="high",
        )
        (mail,) = await client.poll("worker/anna", lease=30)
        assert (mail.id, mail.type, mail.body, mail.sender) == (
            sent.id,
            "Build",
            {"target": ["docs"]},
            "manager/mo",
        )
        assert (mail.recipient, mail.correlation_id, mail.priority) == ("worker/anna", "c", "high")
        assert (mail.attempt, mail.max_attempts, mail.lease_seconds) == (1, 5, 30.0)
        assert await client.ack(mail.id, mail.fence) == Settled(mail.id, "done")
        assert await client.ack(mail.id, mail.fence) == Settled(mail.id, "done", already=True)
        assert await client.poll("worker/anna") == []


async def test_sending_again_with_the_same_id_is_a_duplicate_and_with_other_content_a_conflict(
    place: Place,
) -> None:
    async with place.client() as client:
        first = await client.send("worker/anna", "t", {"n": 1}, id=NOBODY)
        again = await client.send("worker/anna", "t", {"n": 1}, id=UUID(NOBODY).hex)
        assert (first.id, first.state, again.id, again.state) == (NOBODY, "accepted", NOBODY, "duplicate")
        with pytest.raises(Conflict):
            await client.send("worker/anna", "t", {"n": 2}, id=NOBODY)


async def test_a_reply_and_further_sends_leave_with_the_ack(place: Place) -> None:
    async with place.client() as client:
        await client.send("worker/anna", "t", sender="manager/mo", correlation="c")
        (mail,) = await client.poll("worker/anna")
        settled = await client.ack(
            mail.id,
            mail.fence,
            reply={"ok": True},
            sends=[{"to": "worker/ben", "type": "next", "body": None}],
        )
        assert [sent.state for sent in settled.sent] == ["accepted"] * 2
        (reply,) = await client.poll("manager/mo")
        assert (reply.type, reply.body, reply.sender, reply.correlation_id, reply.causation_id) == (
            "reply",
            {"ok": True},
            "worker/anna",
            "c",
            mail.id,
        )
        assert [more.type for more in await client.poll("worker/ben")] == ["next"]


async def test_a_nack_gives_back_releases_or_buries(place: Place) -> None:
    async with place.client() as client:
        await client.send("worker/anna", "t")
        (mail,) = await client.poll("worker/anna")
        assert (await client.nack(mail.id, mail.fence, release=True)).state == "ready"
        (mail,) = await client.poll("worker/anna")
        assert mail.attempt == 1
        assert (await client.nack(mail.id, mail.fence, delay=0.0)).state == "delayed"
        (mail,) = await client.poll("worker/anna", wait=0.1)
        assert mail.attempt == 2
        assert (await client.nack(mail.id, mail.fence, dead=True, reason="no")).state == "dead"


async def test_a_lease_can_be_extended_and_is_lost_when_it_has_lapsed(place: Place) -> None:
    async with place.client() as client:
        await client.send("worker/anna", "t")
        (first,) = await client.poll("worker/anna", lease=0.02)
        (second,) = await client.poll("worker/anna", wait=0.1, lease=60)
        assert (second.id, second.attempt) == (first.id, 2)
        for lost in (client.ack, client.nack, client.extend):
            with pytest.raises(LostLease):
                await lost(first.id, first.fence)
        assert (await client.extend(second.id, second.fence, 90)).lease_seconds == 90.0


MISTAKES: list[tuple[type[PostroomError], str, Callable[[Client], Awaitable[object]]]] = [
    (UnknownInbox, "unknown_inbox", lambda c: c.send("worker/nobody", "t")),
    (UnknownInbox, "unknown_inbox", lambda c: c.poll("worker/nobody")),
    (UnknownMessage, "unknown_message", lambda c: c.ack(NOBODY, 1)),
    (UnknownMessage, "unknown_message", lambda c: c.show(NOBODY)),
    (BadInput, "bad_input", lambda c: c.send("Worker/anna", "t")),
    (BadInput, "bad_input", lambda c: c.send("worker/anna", "t", {1, 2})),
    (BadInput, "bad_input", lambda c: c.send("worker/anna", "t", float("nan"))),
    (BadInput, "bad_input", lambda c: c.send("worker/anna", "t", priority="loud")),
    (BadInput, "bad_input", lambda c: c.send("worker/anna", "t", id="x")),
    (BadInput, "bad_input", lambda c: c.poll("worker/anna", wait=-1)),
    (BadInput, "bad_input", lambda c: c.poll("worker/anna", lease=0)),
    (BadInput, "bad_input", lambda c: c.poll("worker/anna", max=0)),
    (BadInput, "bad_input", lambda c: c.nack(NOBODY, 1, dead=True, release=True)),
    (EmptyGroup, "empty_group", lambda c: c.send("all:reviewer", "t")),
    (BadInput, "bad_input", lambda c: c.heartbeat("T", "boss")),
]


async def test_the_same_mistakes_are_the_same_errors_and_change_nothing(place: Place) -> None:
    async with place.client() as client:
        for kind, code, mistake in MISTAKES:
            with pytest.raises(kind) as caught:
                await mistake(client)
            assert (type(caught.value), caught.value.code) == (kind, code)
            assert caught.value.what
        assert await client.poll("worker/anna") == []


async def test_a_waiting_poll_hears_mail_at_once_and_an_empty_one_ends(place: Place) -> None:
    got: list[str] = []
    async with place.client() as client, anyio.create_task_group() as tasks:
        assert await client.poll("worker/ben", wait=0.05) == []

        async def wait(inbox: str) -> None:
            (mail,) = await client.poll(inbox, wait=20)
            got.append(mail.type)

        tasks.start_soon(wait, "worker/anna")
        tasks.start_soon(wait, "worker/ben")
        await client.send("worker/anna", "own")
        await client.send("any:worker", "shared")
    assert sorted(got) == ["own", "shared"]


async def test_a_waiting_poll_hears_what_another_process_sends(file: Place) -> None:
    got: list[object] = []
    async with file.client() as client, anyio.create_task_group() as tasks:

        async def wait() -> None:
            got.extend(mail.body for mail in await client.poll("worker/anna", wait=50))

        tasks.start_soon(wait)
        words = ["send", "worker/anna", "--type", "t", "--body", "[1]", "--store", file.url]
        await anyio.run_process([sys.executable, "-m", "postroom", *words], cwd="/")
    assert got == [[1]]


async def test_a_cancelled_poll_has_either_answered_or_leased_nothing(place: Place) -> None:
    async with place.client() as client:
        for _ in range(5):
            kept: list[Delivered] = []

            async def hold(kept: list[Delivered]) -> None:
                kept += await client.poll("worker/anna", wait=30)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(hold, kept)
                await client.send("worker/anna", "t")
                tasks.cancel_scope.cancel()
            (mail,) = kept or await client.poll("worker/anna", wait=20)
            assert mail.attempt == 1
            await client.ack(mail.id, mail.fence)


async def test_a_heartbeat_is_answered_with_what_to_do_next(place: Place) -> None:
    async with place.client() as client:
        await client.send("worker/anna", "t")
        alive = await client.heartbeat("T", "worker", thread_id="thread-1")
        assert (alive.task, alive.role, alive.address, alive.mail) == ("T", "worker", "worker/anna", 1)
        assert (alive.thread_id, alive.idle, alive.paused) == ("thread-1", 0, False)
        assert any("poll" in command for command in alive.next)


async def test_a_heartbeat_for_a_task_that_is_not_paired_is_refused(place: Place) -> None:
    async with place.client() as client:
        with pytest.raises(Refused, match="task X is not paired"):
            await client.heartbeat("X", "worker")


async def test_a_message_can_be_looked_at(place: Place) -> None:
    async with place.client() as client:
        sent = await client.send("worker/anna", "t", {"n": 1})
        assert (await client.show(sent.id))["state"] == "ready"


async def test_a_client_that_is_not_open_says_so(place: Place) -> None:
    client = place.client()
    with pytest.raises(StoreUnavailable, match="not open"):
        await client.send("worker/anna", "t")
    async with client:
        with pytest.raises(BadInput, match="is open"):
            await client.__aenter__()
    with pytest.raises(StoreUnavailable, match="not open"):
        await client.poll("worker/anna")


async def test_opening_that_was_cancelled_leaves_nothing_open(place: Place) -> None:
    for _ in range(3):
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with place.client():
                await anyio.lowlevel.checkpoint()
    async with place.client() as client:
        assert await client.poll("worker/anna") == []


async def test_what_goes_wrong_in_the_block_comes_out_as_it_is(place: Place) -> None:
    with pytest.raises(KeyError):
        async with place.client():
            raise KeyError("mine")


async def test_one_client_serves_many_tasks(place: Place) -> None:
    done: list[int] = []

    async def work(client: Client) -> None:
        while len(done) < 40:
            for mail in await client.poll("worker/anna", max=3):
                await client.ack(mail.id, mail.fence)
                done.append(mail.body["n"])

    async with place.client() as client, anyio.create_task_group() as tasks:
        for n in range(40):
            tasks.start_soon(client.send, "worker/anna", "t", {"n": n})
        for _ in range(4):
            tasks.start_soon(work, client)
    assert sorted(done) == list(range(40))
