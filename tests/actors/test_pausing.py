"""Pausing an inbox, or one key of it: mail is accepted, and no turn begins until it is resumed."""

from __future__ import annotations

import pytest
import trio
from logbook import Log
from trio.testing import MockClock
from troupe import Adder, Echo, Job, final, verified

from postroom import Actor, System, handles
from postroom.store.memory import MemoryStore
from postroom.testing import memory_store, open_testing_postroom, settled

SLOW_SECONDS = 20


@pytest.fixture
def log() -> Log:
    return Log()


async def mail_at_hand(office: System, log: Log, keys: tuple[str | None, ...] = (None,)) -> list[str]:
    """Let a quick actor begin a slow turn with a job of each key waiting in its hand; their ids."""
    await log.start_quick(office)
    slow = await office.send("log/main", Job(SLOW_SECONDS, "slow"))
    waiting = [await office.send("log/main", Job(0, f"{n}"), correlation=key) for n, key in enumerate(keys)]
    await trio.sleep(0.1)
    assert log.begun == ["slow"]
    assert {office.show(id).state for id in (slow, *waiting)} == {"leased"}
    return [slow, *waiting]


async def begins_nothing(office: System, log: Log) -> None:
    """A minute brings no turn."""
    before = list(log.begun)
    await trio.sleep(60)
    assert log.begun == before


async def test_a_paused_inbox_accepts_mail_and_delivers_none(autojump_clock: MockClock, log: Log) -> None:
    async with open_testing_postroom() as office:
        await office.start("log/main", log.actor)
        await office.pause("log/main")
        sent = await office.send("log/main", Job(0, "a"))
        await begins_nothing(office, log)
        assert (office.show(sent).state, office.show(sent).attempts) == ("ready", 0)
        counts = office.counts("log/main")
        assert counts is not None
        assert (counts.paused, counts.ready) == (True, 1)
    assert log.begun == []


async def test_a_resumed_inbox_delivers_what_came_meanwhile_in_its_order(
    autojump_clock: MockClock, log: Log
) -> None:
    async with open_testing_postroom() as office:
        await office.start("log/main", log.actor)
        await office.pause("log/main")
        for word in "abc":
            await office.send("log/main", Job(0, word))
        await office.resume("log/main")
        await settled(office)
        assert verified(office)["done"] == 3
    assert log.done == ["a", "b", "c"]


async def test_a_resumed_inbox_goes_on_at_once(autojump_clock: MockClock, log: Log) -> None:
    async with open_testing_postroom() as office:
        await office.start("log/main", log.actor)
        await office.pause("log/main")
        sent = await office.send("log/main", Job(0, "a"))
        await trio.sleep(50)
        resumed = trio.current_time()
        await office.resume("log/main")
        await final(office, sent)
        assert trio.current_time() - resumed < 0.1


async def test_mail_at_hand_goes_back_with_its_attempt_when_its_inbox_is_paused(
    autojump_clock: MockClock, log: Log
) -> None:
    async with open_testing_postroom() as office:
        _, *waiting = await mail_at_hand(office, log, (None, None, None))
        await office.pause("log/main")
        assert [(office.show(id).state, office.show(id).attempts) for id in waiting] == [("ready", 0)] * 3
        await begins_nothing(office, log)
        await office.resume("log/main")
        assert [(await final(office, id)).attempts for id in waiting] == [1, 1, 1]
    assert log.done == ["slow", "0", "1", "2"]


async def test_the_turn_that_runs_is_finished_when_its_inbox_is_paused(
    autojump_clock: MockClock, log: Log
) -> None:
    async with open_testing_postroom() as office:
        slow, *_ = await mail_at_hand(office, log)
        started = trio.current_time()
        await office.pause("log/main")
        assert office.show(slow).state == "leased"
        message = await final(office, slow)
        assert (message.state, message.attempts) == ("done", 1)
        assert trio.current_time() - started == pytest.approx(SLOW_SECONDS, abs=1)
    assert log.done == ["slow"]


async def test_a_pause_from_another_process_is_seen_within_half_a_second(
    autojump_clock: MockClock, log: Log
) -> None:
    store = memory_store()
    async with (
        open_testing_postroom(store=store, process="one") as office,
        open_testing_postroom(store=store.another_handle(), process="two", seed=1) as other,
    ):
        slow, *waiting = await mail_at_hand(office, log, (None, None, None))
        await other.pause("log/main")
        await trio.sleep(0.51)
        assert [(office.show(id).state, office.show(id).attempts) for id in waiting] == [("ready", 0)] * 3
        assert (await final(office, slow)).state == "done"
        await begins_nothing(office, log)
        await other.resume("log/main")
        await trio.sleep(0.51)
        assert log.done == ["slow", "0", "1", "2"]


async def test_a_pause_outlives_the_process_that_made_it(autojump_clock: MockClock, log: Log) -> None:
    store: MemoryStore = memory_store()
    async with open_testing_postroom(store=store) as first:
        await first.start("log/main", log.actor)
        await first.pause("log/main")
        await first.send("log/main", Job(0, "a"))
    async with open_testing_postroom(store=store.another_handle(), seed=1) as second:
        await second.start("log/main", log.actor)
        await begins_nothing(second, log)
        await second.resume("log/main")
        await settled(second)
    assert log.done == ["a"]


async def test_pausing_one_inbox_leaves_the_others_alone(autojump_clock: MockClock, log: Log) -> None:
    async with open_testing_postroom() as office:
        await office.start("log/main", log.actor)
        await office.start("echo/main", Echo)
        await office.pause("log/main")
        waits = await office.send("log/main", Job())
        goes = await office.send("echo/main", Job())
        assert (await final(office, goes)).state == "done"
        assert office.show(waits).state == "ready"


async def test_a_paused_actor_with_a_state_goes_on_from_it(autojump_clock: MockClock) -> None:
    seen: list[list[int]] = []

    class Telling(Adder):
        @handles(Job)
        async def add(self, job: Job) -> None:
            self.state.seen.append(job.n)
            seen.append(list(self.state.seen))

    async with open_testing_postroom() as office:
        await office.start("adder/main", Telling)
        await final(office, await office.send("adder/main", Job(1)))
        await office.pause("adder/main")
        second = await office.send("adder/main", Job(2))
        await office.resume("adder/main")
        await final(office, second)
    assert seen == [[1], [1, 2]]


async def test_mail_of_a_shared_inbox_at_hand_goes_back_when_that_is_paused(
    autojump_clock: MockClock, log: Log
) -> None:
    async with open_testing_postroom() as office:
        await log.start_quick(office)
        await office.send("log/main", Job(SLOW_SECONDS, "slow"))
        shared = [await office.send("any:log", Job(0, "shared")) for _ in range(3)]
        await trio.sleep(0.1)
        await office.pause("any:log")
        await trio.sleep(0.51)
        assert [(office.show(id).state, office.show(id).attempts) for id in shared] == [("ready", 0)] * 3
        await begins_nothing(office, log)
        await office.resume("any:log")
        await settled(office)
    assert log.done == ["slow", *["shared"] * 3]


async def test_mail_of_a_paused_key_is_held_and_other_mail_is_delivered(
    autojump_clock: MockClock, log: Log
) -> None:
    async with open_testing_postroom() as office:
        await office.start("log/main", log.actor)
        await office.pause("log/main", "order-1")
        held = await office.send("log/main", Job(0, "held"), correlation="order-1")
        await office.send("log/main", Job(0, "other"), correlation="order-2")
        await office.send("log/main", Job(0, "none"))
        await settled(office)
        await begins_nothing(office, log)
        assert (office.show(held).state, office.show(held).attempts) == ("held", 0)
        assert log.done == ["other", "none"]
        await office.resume("log/main", "order-1")
        await settled(office)
        assert verified(office)["done"] == 3
    assert log.done == ["other", "none", "held"]


async def test_a_resumed_key_keeps_its_order(autojump_clock: MockClock, log: Log) -> None:
    async with open_testing_postroom() as office:
        await office.start("log/main", log.actor)
        await office.pause("log/main", "order-1")
        for word in "abc":
            await office.send("log/main", Job(0, word), correlation="order-1")
        await office.resume("log/main", "order-1")
        await settled(office)
    assert log.done == ["a", "b", "c"]


async def test_resuming_one_key_leaves_the_others_paused(autojump_clock: MockClock, log: Log) -> None:
    async with open_testing_postroom() as office:
        await office.start("log/main", log.actor)
        for key in ("one", "two"):
            await office.pause("log/main", key)
            await office.send("log/main", Job(0, key), correlation=key)
        await office.resume("log/main", "two")
        await begins_nothing_more_than(office, log, ["two"])
        assert verified(office)["held"] == 1


async def begins_nothing_more_than(office: System, log: Log, words: list[str]) -> None:
    await settled(office)
    assert log.begun == words
    await begins_nothing(office, log)


async def test_mail_that_waits_in_its_inbox_is_held_when_its_key_is_paused(
    autojump_clock: MockClock, log: Log
) -> None:
    async with open_testing_postroom() as office:
        await office.start("log/main", log.actor)
        await office.send("log/main", Job(SLOW_SECONDS, "slow"))
        waits = await office.send("log/main", Job(0, "waits"), correlation="order-1")
        assert office.show(waits).state == "ready"
        await office.pause("log/main", "order-1")
        assert office.show(waits).state == "held"
        await begins_nothing_more_than(office, log, ["slow"])


async def test_mail_at_hand_goes_back_with_its_attempt_when_its_key_is_paused(
    autojump_clock: MockClock, log: Log
) -> None:
    async with open_testing_postroom() as office:
        _, one, two = await mail_at_hand(office, log, ("one", "two"))
        await office.pause("log/main", "one")
        await trio.sleep(0.51)
        assert (office.show(one).state, office.show(one).attempts) == ("held", 0)
        await settled(office)
        assert office.show(two).state == "done"
        await begins_nothing(office, log)
    assert log.done == ["slow", "1"]


async def test_the_turn_that_runs_is_finished_when_its_key_is_paused(
    autojump_clock: MockClock, log: Log
) -> None:
    async with open_testing_postroom() as office:
        await office.start("log/main", log.actor)
        slow = await office.send("log/main", Job(SLOW_SECONDS, "slow"), correlation="order-1")
        await trio.sleep(1)
        await office.pause("log/main", "order-1")
        assert (await final(office, slow)).state == "done"
    assert log.done == ["slow"]


async def test_a_retry_that_falls_due_while_its_key_is_paused_waits_for_it(autojump_clock: MockClock) -> None:
    tries: list[float] = []

    class Failing(Actor):
        @handles(Job)
        async def fail_once(self, job: Job) -> None:
            tries.append(trio.current_time())
            if len(tries) == 1:
                raise OSError("not yet")

    async with open_testing_postroom() as office:
        await office.start("failing/main", Failing)
        sent = await office.send("failing/main", Job(), correlation="order-1")
        await trio.sleep(0.1)
        await office.pause("failing/main", "order-1")
        await trio.sleep(100)
        assert (office.show(sent).state, len(tries)) == ("held", 1)
        await office.resume("failing/main", "order-1")
        assert (await final(office, sent)).attempts == 2
    assert tries[1] - tries[0] > 100
