"""The clerk: the verbs of those who fetch their mail themselves, inside a trio program."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import Random

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from postroom.actors.clerk import Clerk
from postroom.mailbox import threads, verbs, wakes
from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import IdMaker
from postroom.store.commit import GroupCommit
from postroom.store.errors import BadInput, InboxEnded, LostLease, UnknownInbox
from postroom.store.memory import MemoryStore
from postroom.store.port import Store
from postroom.store.records import Claim, Delivery, Put
from postroom.store.transact import transact_one
from postroom.testing import memory_store

BOB, ANN, SHARED = "worker/bob", "worker/ann", "any:worker"


@asynccontextmanager
async def a_clerk(store: MemoryStore | None = None) -> AsyncGenerator[Clerk, None]:
    """A clerk at work, with two workers and whoever writes to them."""
    opened = memory_store() if store is None else store
    Desk(opened, IdMaker(opened.clock, Random(1))).register(BOB, ANN, "operator/cli")
    commit = GroupCommit(opened)
    clerk = Clerk(opened, commit, IdMaker(opened.clock, Random(2)))
    commit.on_rung = clerk.ring
    async with trio.open_nursery() as nursery:
        await nursery.start(commit.run)
        nursery.start_soon(clerk.run)
        yield clerk
        nursery.cancel_scope.cancel()


async def send(clerk: Clerk, to: str = BOB, **flags: object) -> None:
    await clerk.send({"to": to, "type": "job", "body": {"n": 1}, **flags}, sender="operator/cli")


async def poll_into(found: list[Delivery], clerk: Clerk, inbox: str = BOB, wait: float = 30.0) -> None:
    found += await clerk.poll(inbox, wait)


async def test_mail_is_sent_polled_extended_and_acknowledged(autojump_clock: MockClock) -> None:
    async with a_clerk() as clerk:
        await send(clerk)
        (mail,) = await clerk.poll(BOB)
        await clerk.extend(mail.id, mail.fence, 120.0)
        settled = await clerk.ack(mail.id, mail.fence, b'{"ok":true}')
        assert (settled.state, settled.already) == ("done", False)
        (reply,) = await clerk.poll("operator/cli")
        assert (reply.type, reply.body) == ("reply", b'{"ok":true}')
        with pytest.raises(LostLease):
            await clerk.ack(mail.id, mail.fence + 1)


async def test_who_waits_is_served_as_soon_as_mail_comes(autojump_clock: MockClock) -> None:
    async with a_clerk() as clerk:
        found: list[Delivery] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poll_into, found, clerk)
            await wait_all_tasks_blocked()
            began = trio.current_time()
            await send(clerk)
        assert len(found) == 1
        assert trio.current_time() - began < 0.1


async def test_a_wait_that_is_over_answers_with_nothing(autojump_clock: MockClock) -> None:
    async with a_clerk() as clerk:
        began = trio.current_time()
        assert await clerk.poll(BOB, 30.0) == []
        assert trio.current_time() - began == pytest.approx(30.0, abs=0.1)


async def test_who_waits_hears_of_another_process_and_of_mail_that_falls_due(
    autojump_clock: MockClock,
) -> None:
    store = memory_store()
    elsewhere = Desk(store.another_handle(), IdMaker(store.clock, Random(3)))
    async with a_clerk(store) as clerk:
        found: list[Delivery] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poll_into, found, clerk)
            await wait_all_tasks_blocked()
            elsewhere.send(BOB, "job", b"1")
        assert len(found) == 1


async def test_who_waits_is_given_what_falls_due_though_no_bell_rings(autojump_clock: MockClock) -> None:
    async with a_clerk() as clerk:
        await send(clerk, delay=5.0)
        began = trio.current_time()
        assert len(await clerk.poll(BOB, 30.0)) == 1
        assert trio.current_time() - began < 7


async def test_of_many_who_wait_one_message_makes_only_few_look(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    claims = verbs.claims

    def counted(store: Store, inbox: str, most: int, lease: float, key: str | None) -> Iterator[Claim]:
        looks.append(inbox)
        return claims(store, inbox, most, lease, key)

    monkeypatch.setattr(verbs, "claims", counted)
    async with a_clerk() as clerk:
        found: list[Delivery] = []
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(poll_into, found, clerk)
            await trio.sleep(0.5)
            looks.clear()
            await send(clerk)
            await trio.sleep(0.3)
            assert len(found) == 1
            assert len(looks) <= 3
            nursery.cancel_scope.cancel()


async def test_one_message_wakes_one_of_those_who_wait_for_their_role(autojump_clock: MockClock) -> None:
    async with a_clerk() as clerk:
        found: list[Delivery] = []
        async with trio.open_nursery() as nursery:
            for inbox in (BOB, ANN):
                nursery.start_soon(poll_into, found, clerk, inbox)
            await wait_all_tasks_blocked()
            await send(clerk, SHARED)
            await send(clerk, SHARED)
        assert len({mail.id for mail in found}) == 2


async def test_who_has_heard_two_bells_passes_on_the_one_that_is_left(autojump_clock: MockClock) -> None:
    store = memory_store()
    async with a_clerk(store) as clerk:
        found: list[Delivery] = []
        async with trio.open_nursery() as nursery:
            for inbox in (BOB, ANN):
                nursery.start_soon(poll_into, found, clerk, inbox)
                await wait_all_tasks_blocked()
            began = trio.current_time()
            elsewhere = Desk(store.another_handle(), IdMaker(store.clock, Random(3)))
            elsewhere.send(BOB, "job", b"1")
            elsewhere.send(SHARED, "job", b"2")
        assert [mail.recipient for mail in found] == [BOB, SHARED]
        assert trio.current_time() - began < 0.5


async def test_who_is_cancelled_after_the_bell_passes_it_on(autojump_clock: MockClock) -> None:
    async with a_clerk() as clerk:
        found: list[Delivery] = []
        async with trio.open_nursery() as nursery:
            first = trio.CancelScope()

            async def wait_first() -> None:
                with first:
                    await clerk.poll(BOB, 30.0)

            nursery.start_soon(wait_first)
            await wait_all_tasks_blocked()
            nursery.start_soon(poll_into, found, clerk)
            await wait_all_tasks_blocked()
            first.cancel()
            clerk.ring({BOB})
            await send(clerk)
        assert len(found) == 1


async def test_what_nobody_saw_goes_back_with_its_attempt(autojump_clock: MockClock) -> None:
    async with a_clerk() as clerk:
        await send(clerk)
        await clerk.release(await clerk.poll(BOB))
        (again,) = await clerk.poll(BOB)
        assert again.attempt == 1


async def test_a_poll_repeated_with_its_key_is_given_the_same(autojump_clock: MockClock) -> None:
    async with a_clerk() as clerk:
        await send(clerk)
        await send(clerk)
        (one,), (same,) = await clerk.poll(BOB, key="k"), await clerk.poll(BOB, key="k")
        assert (one.id, one.fence) == (same.id, same.fence)


@pytest.mark.parametrize(("wait", "lease", "most"), [(-1.0, 60.0, 1), (0.0, 0.0, 1), (0.0, 60.0, 0)])
async def test_absurd_polls_are_refused(
    autojump_clock: MockClock, wait: float, lease: float, most: int
) -> None:
    async with a_clerk() as clerk:
        with pytest.raises(BadInput):
            await clerk.poll(BOB, wait, most, lease)


async def test_an_inbox_that_is_unknown_or_ended_is_refused(autojump_clock: MockClock) -> None:
    store = memory_store()
    async with a_clerk(store) as clerk:
        with pytest.raises(UnknownInbox):
            await clerk.poll("worker/nobody", 30.0)
        Desk(store, IdMaker(store.clock, Random(4))).end(BOB)
        with pytest.raises(InboxEnded):
            await clerk.poll(BOB)


def woken(store: MemoryStore, address: str = BOB) -> wakes.Wake:
    """An address that has just been woken."""
    _, assigned = threads.assign(store, address, "t-1")
    assert assigned is not None
    wake = wakes.sent(store.clock, wakes.ASLEEP, "r-1", "t-1")
    transact_one(store, Put((assigned, wakes.write(address, wake, 0))))
    return wake


@pytest.mark.parametrize("found", [True, False])
async def test_a_poll_answers_the_wake_before_it(autojump_clock: MockClock, found: bool) -> None:
    store = memory_store()
    async with a_clerk(store) as clerk:
        woken(store)
        if found:
            await send(clerk)
        await clerk.poll(BOB)
        wake, _ = wakes.find(store, BOB)
        assert (wake.useful, wake.empty) == (int(found), int(not found))


async def test_a_poll_answers_the_wake_before_it_though_its_waker_writes_at_that_moment(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = memory_store()
    notices = verbs.notices

    def raced(store: Store, inbox: str, found: Sequence[Delivery]) -> Iterator[Put]:
        for n, put in enumerate(notices(store, inbox, found)):
            if not n:
                wake, version = wakes.find(store, inbox)
                transact_one(store, Put((wakes.write(inbox, wakes.blocked(wake), version),)))
            yield put

    monkeypatch.setattr(verbs, "notices", raced)
    async with a_clerk(store) as clerk:
        woken(store)
        await send(clerk)
        await clerk.poll(BOB)
        wake, _ = wakes.find(store, BOB)
        assert (wake.useful, wake.blocked) == (1, 1)


@pytest.mark.parametrize("asks", [partial(Desk.poll), None])
async def test_what_a_woken_address_takes_from_its_role_is_noted(
    autojump_clock: MockClock, asks: partial[list[Delivery]] | None
) -> None:
    store = memory_store()
    async with a_clerk(store) as clerk:
        woken(store)
        await send(clerk, SHARED)
        if asks is None:
            (mail,) = await clerk.poll(BOB)
        else:
            (mail,) = asks(Desk(store, IdMaker(store.clock, Random(5))), BOB)
        wake, _ = wakes.find(store, BOB)
        assert [fence for _, fence in wake.shared] == [mail.fence]
