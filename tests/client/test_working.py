"""A worker's loop: how a block ends decides what becomes of its message."""

from __future__ import annotations

import anyio
import pytest
from client_places import Place

from postroom.client import Client, Extended
from postroom.store.errors import BadInput, LostLease

pytestmark = pytest.mark.anyio


async def test_a_block_that_ends_well_acks_with_what_it_collected(place: Place) -> None:
    async with place.client() as client:
        sent = await client.send("worker/anna", "Add", {"n": 1}, sender="manager/mo")
        async for message in client.messages("worker/anna"):
            async with message:
                assert (message.id, message.type, message.sender) == (sent.id, "Add", "manager/mo")
                message.send("worker/ben", "More", {"n": 7}, sender="worker/anna", priority="low")
                message.reply({"n": message.body["n"] + 1})
                with pytest.raises(BadInput, match="second reply"):
                    message.reply({})
                assert await client.poll("manager/mo") == []
            assert message.settled is not None
            assert message.settled.state == "done"
            break
        assert [mail.body for mail in await client.poll("manager/mo")] == [{"n": 2}]
        assert [(mail.body, mail.priority) for mail in await client.poll("worker/ben")] == [({"n": 7}, "low")]


async def test_an_exception_nacks_and_comes_out(place: Place) -> None:
    async with place.client() as client:
        sent = await client.send("worker/anna", "t")

        async def work() -> None:
            async for message in client.messages("worker/anna"):
                async with message:
                    message.send("worker/ben", "never")
                    raise ZeroDivisionError("no way")

        with pytest.raises(ZeroDivisionError):
            await work()
        assert (await client.show(sent.id))["state"] == "delayed"
        retry = [line for line in (await client.show(sent.id))["history"] if line["state"] == "delayed"]
        assert retry[-1]["reason"] == "ZeroDivisionError: no way"
        assert await client.poll("worker/ben") == []


async def test_a_cancelled_block_releases_its_message_with_the_attempt(place: Place) -> None:
    async with place.client() as client:
        await client.send("worker/anna", "t")
        async for message in client.messages("worker/anna"):
            with anyio.CancelScope() as scope:
                async with message:
                    scope.cancel()
                    await anyio.sleep_forever()
            break
        (mail,) = await client.poll("worker/anna")
        assert mail.attempt == 1


async def test_a_block_that_is_done_when_it_is_cancelled_is_acked(place: Place) -> None:
    async with place.client() as client:
        sent = await client.send("worker/anna", "t")
        async for message in client.messages("worker/anna"):
            with anyio.CancelScope() as scope:
                async with message:
                    scope.cancel()
            break
        assert (await client.show(sent.id))["state"] == "done"


class Watching(Client):
    """Tells when it has extended a lease."""

    extended: anyio.Event

    async def extend(self, id: str, fence: int, lease: float = 60.0) -> Extended:
        done = await super().extend(id, fence, lease)
        self.extended.set()
        return done


async def test_the_lease_is_extended_while_the_block_runs(file: Place) -> None:
    client = Watching(file.url)
    async with client:
        await client.send("worker/anna", "t")
        async for message in client.messages("worker/anna", lease=1.0):
            async with message:
                for _ in range(2):
                    client.extended = anyio.Event()
                    await client.extended.wait()
                assert await client.poll("worker/anna") == []
            assert message.settled is not None
            break


async def test_a_lost_lease_cancels_the_block_and_is_told(place: Place) -> None:
    async with place.client() as client:
        await client.send("worker/anna", "t")

        async def work() -> None:
            async for message in client.messages("worker/anna", lease=0.2):
                async with message:
                    message.send("worker/ben", "never")
                    await client.nack(message.id, message.delivered.fence, release=True)
                    await anyio.sleep_forever()

        with pytest.raises(LostLease):
            await work()
        assert await client.poll("worker/ben") == []
        (mail,) = await client.poll("worker/anna")
        assert mail.attempt == 1


async def test_the_loop_ends_when_its_inbox_has_ended(place: Place) -> None:
    async with place.client() as client:
        await client.transport.call("register", {"inbox": "client/me"})
        await client.send("client/me", "t")
        seen: list[str] = []
        async for message in client.messages("client/me"):
            async with message:
                seen.append(message.type)
            await client.transport.call("deregister", {"inbox": "client/me"})
        assert seen == ["t"]
