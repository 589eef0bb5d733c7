"""Where mail of actors goes, in which order it comes, and what becomes of what cannot be delivered."""

from __future__ import annotations

import attrs
import pytest
import trio
from logbook import Log
from trio.testing import MockClock
from troupe import Answer, Echo, Job, final, making, verified

from postroom import Actor, System, handles, message
from postroom.mailbox import pairs
from postroom.store.errors import EmptyGroup, InboxFull, UnknownInbox
from postroom.store.events import Overflowed
from postroom.testing import open_testing_postroom, settled

PRIORITIES = ("low", "urgent", "normal", "high")
MIXED = [(f"{priority} {n}", priority) for n in range(3) for priority in PRIORITIES]
SORTED = [f"{priority} {n}" for priority in ("urgent", "high", "normal", "low") for n in range(3)]


@pytest.fixture
def log() -> Log:
    return Log()


async def start(office: System, log: Log, quick: bool, ordered: bool = False) -> None:
    """Start ``log/main``, if so wanted as one that takes more mail at hand than it can begin."""
    if quick:
        await log.start_quick(office, ordered=ordered)
    else:
        await office.start("log/main", log.actor, ordered=ordered)


@pytest.mark.parametrize("quick", [False, True], ids=["which is new", "which is quick"])
@pytest.mark.parametrize("ordered", [False, True], ids=["", "with an ordered inbox"])
async def test_an_actor_takes_its_mail_in_the_order_of_sending(
    quick: bool, ordered: bool, autojump_clock: MockClock, log: Log
) -> None:
    async with open_testing_postroom() as office:
        await start(office, log, quick, ordered)
        await office.send("log/main", Job(1, "slow"))
        for n in range(100):
            await office.send("log/main", Job(0, f"{n}"))
        await settled(office, timeout=60)
    assert log.begun == ["slow", *(f"{n}" for n in range(100))]


@pytest.mark.parametrize("quick", [False, True], ids=["which is new", "which is quick"])
async def test_an_actor_takes_more_urgent_mail_first(
    quick: bool, autojump_clock: MockClock, log: Log
) -> None:
    async with open_testing_postroom() as office:
        await start(office, log, quick)
        await office.send("log/main", Job(1, "slow"))
        for word, priority in MIXED:
            await office.send("log/main", Job(0, word), priority=priority)
        await settled(office)
    assert log.begun == ["slow", *SORTED]


async def test_mail_of_one_turn_comes_by_priority_and_then_in_its_order(
    autojump_clock: MockClock, log: Log
) -> None:
    async def send_all(actor: Actor, job: Job) -> None:
        actor.send("log/main", Job(1, "first"), priority="urgent")
        for word, priority in MIXED:
            actor.send("log/main", Job(0, word), priority=priority)

    async with open_testing_postroom() as office:
        await office.start("log/main", log.actor)
        await office.start("sender/main", making(send_all))
        await office.send("sender/main", Job())
        await settled(office)
    assert log.begun == ["first", *SORTED]


async def test_mail_of_many_turns_comes_in_the_order_of_the_turns(
    autojump_clock: MockClock, log: Log
) -> None:
    async def pass_on(actor: Actor, job: Job) -> None:
        actor.send("log/main", job)

    async with open_testing_postroom() as office:
        await office.start("log/main", log.actor)
        await office.start("sender/main", making(pass_on))
        await office.send_many("sender/main", [Job(0, f"{n}") for n in range(300)])
        await settled(office)
        assert verified(office)["done"] == 600
    assert log.begun == [f"{n}" for n in range(300)]


@pytest.mark.parametrize("ordered", [False, True])
async def test_mail_that_is_tried_again_holds_others_back_only_in_an_ordered_inbox(
    ordered: bool, autojump_clock: MockClock
) -> None:
    begun: list[str] = []

    async def fail_once(actor: Actor, job: Job) -> None:
        begun.append(job.word)
        if (job.word, actor.message.attempt) == ("a", 1):
            raise OSError("not yet")

    async with open_testing_postroom() as office:
        await office.start("log/main", making(fail_once), ordered=ordered)
        for word in "abc":
            await office.send("log/main", Job(0, word))
        await trio.sleep(10)
        assert verified(office)["done"] == 3
    assert begun == (["a", "a", "b", "c"] if ordered else ["a", "b", "c", "a"])


async def test_an_ordered_inbox_is_handled_one_by_one_whatever_the_concurrency(
    autojump_clock: MockClock, log: Log
) -> None:
    async with open_testing_postroom() as office:
        await office.start("log/main", log.actor, ordered=True, concurrency=4)
        for n in range(5):
            await office.send("log/main", Job(1, f"{n}"))
        await settled(office, timeout=60)
    assert log.begun == [f"{n}" for n in range(5)]
    assert log.times[4] - log.times[0] >= 4


class Overflows:
    """An observer that counts overflows by the role of the sender."""

    def __init__(self) -> None:
        self.roles: list[str] = []

    def __call__(self, event: object) -> None:
        if isinstance(event, Overflowed):
            self.roles.append(event.role)


def sending(*recipients: str, times: list[float]) -> type[Actor]:
    """An actor that passes its jobs on and notes when."""

    async def pass_on(actor: Actor, job: Job) -> None:
        times.append(trio.current_time())
        for recipient in recipients:
            actor.send(recipient, job)

    return making(pass_on)


async def test_who_sends_to_a_full_inbox_pauses_for_five_seconds(autojump_clock: MockClock, log: Log) -> None:
    overflows, times = Overflows(), list[float]()
    async with open_testing_postroom(observer=overflows) as office:
        await office.start("log/main", log.actor, bound=1)
        await office.start("sender/main", sending("log/main", times=times))
        await office.pause("log/main")
        for n in range(4):
            await office.send("sender/main", Job(0, f"{n}"))
            await trio.sleep(0.1)
        await trio.sleep(20)
        assert [round(time - times[0]) for time in times] == [0, 0, 5, 10]
        assert overflows.roles == ["sender"] * 3
        await office.resume("log/main")
        await settled(office)
        counts = office.counts("log/main")
        assert counts is not None
        assert (counts.done, counts.overflowed) == (4, 3)
        verified(office)
    assert log.begun == [f"{n}" for n in range(4)]


async def test_who_sends_to_a_full_inbox_goes_on_when_there_is_room(
    autojump_clock: MockClock, log: Log
) -> None:
    times: list[float] = []
    async with open_testing_postroom() as office:
        await office.start("log/main", log.actor, bound=2)
        await office.start("sender/main", sending("log/main", times=times))
        for n in range(4):
            await office.send("sender/main", Job(2, f"{n}"))
            await trio.sleep(0.1)
        await settled(office)
        assert verified(office)["done"] == 8
    assert [time - times[0] for time in times] == pytest.approx([0, 0.1, 0.2, 4.1], abs=0.2)


async def test_who_fills_two_inboxes_waits_for_both(autojump_clock: MockClock, log: Log) -> None:
    times: list[float] = []
    async with open_testing_postroom() as office:
        for address in ("log/one", "log/two"):
            await office.start(address, log.actor, bound=1)
            await office.pause(address)
        await office.start("sender/main", sending("log/one", "log/two", times=times))
        for n in range(3):
            await office.send("sender/main", Job(0, f"{n}"))
            await trio.sleep(0.1)
        assert len(times) == 2
        await office.resume("log/one")
        await trio.sleep(2)
        assert len(times) == 2
        await office.resume("log/two")
        await settled(office)
        assert verified(office)["done"] == 9


async def test_two_actors_that_fill_each_other_s_inbox_both_go_on(autojump_clock: MockClock) -> None:
    async def to_and_fro(actor: Actor, job: Job) -> None:
        if job.n:
            other = "ball/a" if actor.address == "ball/b" else "ball/b"
            actor.send(other, Job(job.n - 1))

    async with open_testing_postroom() as office:
        for address in ("ball/a", "ball/b"):
            await office.start(address, making(to_and_fro), bound=8)
        for address in ("ball/a", "ball/b"):
            await office.send_many(address, [Job(5)] * 8)
        await settled(office, timeout=10_000)
        assert verified(office)["done"] == 16 * 6


async def test_mail_from_outside_to_a_full_inbox_is_refused(autojump_clock: MockClock, log: Log) -> None:
    async with open_testing_postroom() as office:
        await office.start("log/main", log.actor, bound=1)
        await office.pause("log/main")
        await office.send("log/main", Job())
        with pytest.raises(InboxFull, match="log/main is full"):
            await office.send("log/main", Job())


async def test_mail_to_any_of_a_role_goes_to_one_of_its_members(autojump_clock: MockClock, log: Log) -> None:
    async with open_testing_postroom() as office:
        for address in ("log/one", "log/two"):
            await office.start(address, log.actor)
        for n in range(10):
            await office.send("any:log", Job(1, f"{n}"))
        await settled(office)
    assert sorted(log.begun, key=int) == [f"{n}" for n in range(10)]
    assert {address for address, _ in log.places} == {"log/one", "log/two"}
    assert max(log.times) - min(log.times) < 6


async def test_mail_to_all_of_a_role_goes_to_each_of_its_members(autojump_clock: MockClock, log: Log) -> None:
    async with open_testing_postroom() as office:
        for address in ("log/one", "log/two", "log/three"):
            await office.start(address, log.actor)
        await office.start("echo/main", Echo)
        await office.send("all:log", Job(0, "a"))
        await settled(office)
        assert verified(office)["done"] == 3
    assert sorted(log.places) == [(f"log/{name}", "a") for name in ("one", "three", "two")]


async def test_mail_to_a_task_s_manager_goes_to_the_one_it_is_bound_to(
    autojump_clock: MockClock, log: Log
) -> None:
    async with open_testing_postroom() as office:
        for address in ("log/one", "log/two"):
            await office.start(address, log.actor)
            binding = pairs.new_binding(f"for-{address[4:]}", address, f"worker/{address[4:]}", 0)
            _, put = pairs.bind(office.store, binding)
            assert put is not None
            await office.commit.submit(put)
        await office.start("sender/main", sending("manager-of:for-one", times=[]))
        await office.send("sender/main", Job(0, "from a turn"))
        await office.send("manager-of:for-two", Job(0, "from outside"))
        await settled(office)
    assert sorted(log.places) == [("log/one", "from a turn"), ("log/two", "from outside")]


@pytest.mark.parametrize("route", ["any:log", "all:log", "manager-of:task"])
async def test_mail_to_a_group_of_nobody_is_refused(route: str, autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        with pytest.raises(EmptyGroup):
            await office.send(route, Job())
        assert verified(office).total() == 0


@pytest.mark.parametrize("to", ["log/main", "any:log"])
async def test_held_mail_is_delivered_in_order_to_a_recipient_that_comes_later(
    to: str, autojump_clock: MockClock, log: Log
) -> None:
    async with open_testing_postroom() as office:
        sent = [await office.send(to, Job(0, f"{n}"), hold=True) for n in range(5)]
        await trio.sleep(50)
        assert [office.show(id).state for id in sent] == ["held"] * 5
        await office.start("log/main", log.actor)
        await settled(office)
    assert log.begun == [f"{n}" for n in range(5)]


async def test_mail_to_nobody_is_refused_where_it_is_not_to_be_held(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        with pytest.raises(UnknownInbox):
            await office.send("log/main", Job())


async def test_mail_that_expires_is_not_delivered(autojump_clock: MockClock, log: Log) -> None:
    async with open_testing_postroom() as office:
        await office.start("log/main", log.actor)
        await office.send("log/main", Job(10, "slow"))
        short = await office.send("log/main", Job(0, "short"), expires=5)
        long = await office.send("log/main", Job(0, "long"), expires=50)
        assert (await final(office, short)).state == "expired"
        assert (await final(office, long)).state == "done"
        verified(office)
    assert log.begun == ["slow", "long"]


@pytest.mark.parametrize("attempts", [1, 3])
async def test_a_message_is_tried_as_often_as_it_says(attempts: int, autojump_clock: MockClock) -> None:
    tries: list[int] = []

    async def fail(actor: Actor, job: Job) -> None:
        tries.append(actor.message.attempt)
        raise OSError

    async with open_testing_postroom() as office:
        await office.start("failing/main", making(fail))
        sent = await office.send("failing/main", Job(), max_attempts=attempts)
        assert (await final(office, sent)).state == "dead"
    assert tries == list(range(1, attempts + 1))


async def test_of_messages_with_one_dedup_key_one_is_live(autojump_clock: MockClock, log: Log) -> None:
    async def send_twice(actor: Actor, job: Job) -> None:
        for _ in range(2):
            actor.send("log/main", Job(0, "from a turn"), dedup_key="turn")

    async with open_testing_postroom() as office:
        await office.start("log/main", log.actor)
        first = await office.send("log/main", Job(5, "first"), dedup_key="outside")
        assert await office.send("log/main", Job(5, "again"), dedup_key="outside") == first
        assert (await final(office, first)).state == "done"
        assert await office.send("log/main", Job(0, "later"), dedup_key="outside") != first
        await office.start("sender/main", making(send_twice))
        assert (await final(office, await office.send("sender/main", Job()))).state == "done"
        await settled(office)
    assert log.begun == ["first", "later", "from a turn"]


@message("shop.order")
@attrs.frozen
class Order:
    n: int


class Shop(Actor):
    @handles(Order)
    async def sell(self, order: Order) -> Answer:
        return Answer(order.n)

    @handles(Job)
    async def work(self, job: Job) -> Answer:
        return Answer(-job.n)


class BookShop(Shop):
    async def sell(self, order: Order) -> Answer:
        return Answer(order.n * 100)


async def test_the_name_given_by_message_is_the_type_on_the_wire(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.start("shop/main", Shop)
        sent = await office.send("shop/main", Order(3))
        assert ((await final(office, sent)).state, office.show(sent).type) == ("done", "shop.order")
        assert await office.ask("shop/main", {"n": 4}, type="shop.order", timeout=5, reply=Answer) == Answer(
            4
        )


async def test_handlers_of_a_base_class_are_inherited_and_may_be_overridden(
    autojump_clock: MockClock,
) -> None:
    async with open_testing_postroom() as office:
        await office.start("shop/main", BookShop)
        assert await office.ask("shop/main", Job(2), timeout=5, reply=Answer) == Answer(-2)
        assert await office.ask("shop/main", Order(3), timeout=5, reply=Answer) == Answer(300)
