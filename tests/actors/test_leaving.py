"""Leaving a postroom: turns are finished or given back, and whoever comes next goes on."""

from __future__ import annotations

import pytest
import trio
from logbook import Log
from trio.testing import MockClock
from troupe import Adder, Echo, Job, Sum, final, making, state_of, verified

from postroom import Actor, System, handles
from postroom.mailbox.ids import parse_id
from postroom.store.memory import MemoryStore
from postroom.testing import memory_store, open_testing_postroom, settled


@pytest.fixture
def log() -> Log:
    return Log()


async def begin(office: System, *words: str, seconds: int) -> list[str]:
    """Send jobs, and let those begin that can; their ids."""
    sent = [await office.send("log/main", Job(seconds, word)) for word in words]
    await trio.sleep(0.1)
    return sent


async def at_hand(office: System, log: Log, *words: str, seconds: int) -> list[str]:
    """Let an actor take jobs at hand, of which the first begins; their ids."""
    await log.start_quick(office)
    sent = await begin(office, *words, seconds=seconds)
    assert log.begun == [words[0]]
    assert {office.show(id).state for id in sent} == {"leased"}
    return sent


def fate(store: MemoryStore, id: str) -> tuple[str, int]:
    """The state and the attempts of a message."""
    message = store.message(parse_id(id))
    assert message is not None
    return message.state, message.attempts


async def test_a_running_turn_may_finish_within_the_grace(autojump_clock: MockClock, log: Log) -> None:
    store = memory_store()
    async with open_testing_postroom(store=store, grace=10) as office:
        await office.start("log/main", log.actor)
        (sent,) = await begin(office, "a", seconds=5)
        left = trio.current_time()
    assert trio.current_time() - left == pytest.approx(5, abs=0.2)
    assert log.story == ["begun a", "done a", "stopped"]
    assert fate(store, sent) == ("done", 1)


async def test_a_turn_that_outlasts_the_grace_is_cancelled_and_given_back_with_its_attempt(
    autojump_clock: MockClock, log: Log
) -> None:
    store = memory_store()
    async with open_testing_postroom(store=store, grace=3) as office:
        await office.start("log/main", log.actor)
        (sent,) = await begin(office, "a", seconds=50)
        left = trio.current_time()
    assert trio.current_time() - left == pytest.approx(3, abs=0.2)
    assert log.story[:2] == ["begun a", "cancelled a"]
    assert fate(store, sent) == ("ready", 0)


@pytest.mark.parametrize("seconds", [5, 50])
async def test_a_turn_has_its_effects_only_if_it_finishes_within_the_grace(
    seconds: int, autojump_clock: MockClock
) -> None:
    class Slow(Adder):
        @handles(Job)
        async def add(self, job: Job) -> None:
            self.state.total += job.n
            self.records.put("number", "a", job.n)
            self.send("echo/main", job)
            await trio.sleep(job.n)

    store = memory_store()
    async with open_testing_postroom(store=store) as office:
        await office.start("slow/main", Slow)
        await office.send("echo/main", Job(), hold=True)
        await office.send("slow/main", Job(seconds))
        await trio.sleep(0.1)
    kept = seconds == 5
    assert state_of(office, "slow/main") == Sum(5 if kept else 0)
    assert len(store.records("slow/main", "number")) == kept
    assert store.counts("slow/main")[0].done == kept


async def test_the_standard_grace_is_ten_seconds(autojump_clock: MockClock, log: Log) -> None:
    store = memory_store()
    async with open_testing_postroom(store=store) as office:
        await office.start("log/main", log.actor)
        (sent,) = await begin(office, "a", seconds=50)
        left = trio.current_time()
    assert trio.current_time() - left == pytest.approx(10, abs=0.2)
    assert fate(store, sent) == ("ready", 0)


async def test_without_a_grace_turns_are_cancelled_at_once(autojump_clock: MockClock, log: Log) -> None:
    store = memory_store()
    async with open_testing_postroom(store=store, grace=0) as office:
        await office.start("log/main", log.actor, concurrency=3)
        sent = await begin(office, *"abc", seconds=50)
        left = trio.current_time()
    assert trio.current_time() - left == pytest.approx(0, abs=0.2)
    assert [fate(store, id) for id in sent] == [("ready", 0)] * 3


async def test_leaving_while_nothing_runs_takes_no_time(autojump_clock: MockClock, log: Log) -> None:
    async with open_testing_postroom() as office:
        await office.start("log/main", log.actor)
        await final(office, await office.send("log/main", Job(1, "a")))
        left = trio.current_time()
    assert trio.current_time() - left == pytest.approx(0, abs=0.1)


async def test_no_turn_begins_after_leaving_and_waiting_mail_goes_back(
    autojump_clock: MockClock, log: Log
) -> None:
    store = memory_store()
    async with open_testing_postroom(store=store) as office:
        first, *others = await at_hand(office, log, *"abcd", seconds=5)
    assert log.story == ["begun a", "done a", "stopped"]
    assert fate(store, first) == ("done", 1)
    assert [fate(store, id) for id in others] == [("ready", 0)] * 3


async def test_mail_at_hand_goes_back_although_its_turns_outlast_the_grace(
    autojump_clock: MockClock, log: Log
) -> None:
    store = memory_store()
    async with open_testing_postroom(store=store) as office:
        sent = await at_hand(office, log, *"abcd", seconds=500)
    assert [fate(store, id) for id in sent] == [("ready", 0)] * 4


async def test_mail_that_comes_during_the_grace_waits(autojump_clock: MockClock, log: Log) -> None:
    async def send_late(actor: Actor, job: Job) -> None:
        await trio.sleep(job.n)
        actor.send("log/main", Job(0, "late"))

    store = memory_store()
    async with open_testing_postroom(store=store) as office:
        await office.start("log/main", log.actor)
        await office.start("sender/main", making(send_late))
        await office.send("sender/main", Job(5))
        await trio.sleep(0.1)
    assert log.told == []
    (late,) = store.peek("log/main", 10)
    assert (late.state, late.attempts) == ("ready", 0)


async def test_on_stop_is_called_once_for_each_instance(autojump_clock: MockClock) -> None:
    stopped: list[Actor] = []

    class Stopping(Actor):
        @handles(Job)
        async def work(self, job: Job) -> None:
            await trio.sleep(job.n)

        async def on_stop(self) -> None:
            stopped.append(self)

    async with open_testing_postroom() as office:
        await office.start("stopping/main", Stopping, concurrency=3)
        await office.send_many("stopping/main", [Job(1)] * 3)
        await settled(office)
    assert len(stopped) == len(set(map(id, stopped))) == 3


async def test_on_stop_is_called_also_where_a_turn_had_to_be_cancelled(
    autojump_clock: MockClock, log: Log
) -> None:
    async with open_testing_postroom(grace=3) as office:
        await office.start("log/main", log.actor)
        await begin(office, "a", seconds=50)
    assert log.story == ["begun a", "cancelled a", "stopped"]


async def test_on_stop_is_called_although_a_turn_of_another_actor_had_to_be_cancelled(
    autojump_clock: MockClock, log: Log
) -> None:
    async with open_testing_postroom(grace=3) as office:
        await office.start("log/main", log.actor)
        await office.start("log/idle", log.actor)
        await final(office, await office.send("log/idle", Job(0, "b")))
        await begin(office, "a", seconds=50)
    assert ("stopped", "log/idle") in [(what, address) for what, address, *_ in log.told]


async def test_an_on_stop_that_hangs_has_the_grace_and_no_more(autojump_clock: MockClock) -> None:
    class Hanging(Echo):
        async def on_stop(self) -> None:
            await trio.sleep_forever()

    async with open_testing_postroom(grace=4) as office:
        await office.start("hanging/main", Hanging)
        await final(office, await office.send("hanging/main", Job(0)))
        left = trio.current_time()
    assert trio.current_time() - left == pytest.approx(4, abs=0.2)


async def test_an_on_stop_that_raises_keeps_nobody_else_from_stopping(
    autojump_clock: MockClock, log: Log
) -> None:
    class Breaking(Echo):
        async def on_stop(self) -> None:
            raise OSError("no way out")

    store = memory_store()
    async with open_testing_postroom(store=store) as office:
        await office.start("breaking/main", Breaking)
        await final(office, await office.send("breaking/main", Job(0)))
        _, *waiting = await at_hand(office, log, *"abc", seconds=5)
    assert log.story[-1] == "stopped"
    assert [fate(store, id) for id in waiting] == [("ready", 0)] * 2
    assert not any(session.live for session in store.sessions())


async def test_leaving_closes_the_session(autojump_clock: MockClock, log: Log) -> None:
    store = memory_store()
    async with open_testing_postroom(store=store, grace=1) as office:
        await office.start("log/main", log.actor)
        await begin(office, "a", seconds=50)
        assert [session.live for session in store.sessions()] == [True]
    assert not any(session.live for session in store.sessions())


async def test_leaving_ends_the_inbox_for_answers(autojump_clock: MockClock) -> None:
    store = memory_store()
    async with open_testing_postroom(store=store, name="desk") as office:
        await office.start("echo/main", Echo)
        await office.ask("echo/main", Job(1), timeout=5)
    assert [counts.ended for counts in store.counts("reply/desk")] == [True]


async def test_an_actor_s_inbox_outlives_its_process(autojump_clock: MockClock, log: Log) -> None:
    store = memory_store()
    async with open_testing_postroom(store=store) as first:
        await first.start("log/main", log.actor)
    async with open_testing_postroom(store=store.another_handle(), seed=1) as second:
        sent = await second.send("log/main", Job(0, "a"))
        assert second.show(sent).state == "ready"
        await second.start("log/main", log.actor)
        assert (await final(second, sent)).state == "done"


async def test_a_second_system_does_what_the_first_gave_back(autojump_clock: MockClock, log: Log) -> None:
    store = memory_store()
    async with open_testing_postroom(store=store, process="one", grace=1) as first:
        sent = await at_hand(first, log, *"abc", seconds=50)
    left = trio.current_time()
    async with open_testing_postroom(store=store.another_handle(), process="two", seed=1) as second:
        await second.start("log/main", log.actor)
        for id in sent:
            message = await final(second, id)
            assert (message.state, message.attempts) == ("done", 1)
        verified(second)
    assert log.done == ["a", "b", "c"]
    assert trio.current_time() - left < 152


async def test_a_second_system_takes_over_an_actor_with_a_state_as_soon_as_the_first_leaves(
    autojump_clock: MockClock,
) -> None:
    store = memory_store()
    async with open_testing_postroom(store=store.another_handle(), process="two", seed=1) as second:
        async with open_testing_postroom(store=store, process="one") as first:
            await first.start("adder/main", Adder)
            await second.start("adder/main", Adder)
            await final(second, await second.send("adder/main", Job(1)))
        left = trio.current_time()
        await final(second, await second.send("adder/main", Job(10)))
        assert trio.current_time() - left < 1
        assert state_of(second, "adder/main").total == 11


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3)])
async def raise_in(store: MemoryStore, log: Log, error: BaseException) -> None:
    """Raise an error in the body of a postroom while a turn runs."""
    async with open_testing_postroom(store=store) as office:
        await office.start("log/main", log.actor)
        await begin(office, "a", seconds=5)
        raise error


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
async def test_what_the_body_raises_comes_out_as_it_is_after_all_is_in_order(
    error: BaseException, autojump_clock: MockClock, log: Log
) -> None:
    store = memory_store()
    with pytest.raises(type(error)) as raised:
        await raise_in(store, log, error)
    assert raised.value is error
    assert log.story == ["begun a", "done a", "stopped"]
    assert not any(session.live for session in store.sessions())
    assert store.verify(deep=True).counts["done"] == 1


async def test_a_body_that_is_cancelled_gives_everything_back(autojump_clock: MockClock, log: Log) -> None:
    store = memory_store()
    sent: list[str] = []
    with trio.move_on_after(60):
        async with open_testing_postroom(store=store) as office:
            sent += await at_hand(office, log, *"abc", seconds=500)
            await trio.sleep_forever()
    assert [fate(store, id) for id in sent] == [("ready", 0)] * 3
    assert not any(session.live for session in store.sessions())


async def test_a_body_that_is_cancelled_raises_nothing(autojump_clock: MockClock) -> None:
    with trio.move_on_after(60) as scope:
        async with open_testing_postroom() as office:
            await office.start("echo/main", Echo)
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_mail_sent_just_before_leaving_is_not_lost(autojump_clock: MockClock, log: Log) -> None:
    store = memory_store()
    async with open_testing_postroom(store=store) as office:
        await office.start("log/main", log.actor)
        sent = [await office.send("log/main", Job(0, f"{n}")) for n in range(5)]
    done = log.done
    states = [fate(store, id) for id in sent]
    assert states == [("done", 1)] * len(done) + [("ready", 0)] * (5 - len(done))
    assert store.verify(deep=True).ok
