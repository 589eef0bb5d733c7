"""Waiting for answers: too long, inside turns, in the inbox of a session, and from other systems."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock
from troupe import Answer, Echo, Job, final, making, verified

from postroom import Actor, System, handles
from postroom.actors.errors import AskInsideTurn
from postroom.mailbox.ids import id_text
from postroom.testing import memory_store, open_testing_postroom, settled

MAIN = "echo/main"


# Too slow


async def test_a_question_that_is_too_slow_stays_in_its_inbox_and_is_handled_later(
    autojump_clock: MockClock,
) -> None:
    turns: list[int] = []

    async def count(_: Actor, job: Job) -> Answer:
        turns.append(job.n)
        return Answer(len(turns))

    async with open_testing_postroom() as office:
        await office.start(MAIN, making(count))
        await office.pause(MAIN)
        id = id_text(office.ids.new())
        with pytest.raises(trio.TooSlowError):
            await office.ask(MAIN, Job(), timeout=2.5, id=id)
        assert trio.current_time() == pytest.approx(2.5, abs=0.1)
        assert office.show(id).state == "ready"
        await office.resume(MAIN)
        assert (await final(office, id)).state == "done"
        assert await office.ask(MAIN, Job(), timeout=5, reply=Answer, id=id) == Answer(1)
    assert turns == [0]


async def test_asking_again_what_was_too_slow_waits_for_the_same_turn(autojump_clock: MockClock) -> None:
    turns: list[int] = []

    async def slow(_: Actor, job: Job) -> Answer:
        turns.append(job.n)
        await trio.sleep(5)
        return Answer(job.n)

    async with open_testing_postroom() as office:
        await office.start(MAIN, making(slow))
        id = id_text(office.ids.new())
        with pytest.raises(trio.TooSlowError):
            await office.ask(MAIN, Job(3), timeout=2, id=id)
        assert await office.ask(MAIN, Job(3), timeout=10, reply=Answer, id=id) == Answer(3)
        assert trio.current_time() == pytest.approx(5, abs=0.1)
    assert turns == [3]


async def test_an_answer_that_comes_too_late_is_taken_out_of_the_reply_inbox(
    autojump_clock: MockClock,
) -> None:
    async def slow(_: Actor, job: Job) -> Answer:
        await trio.sleep(5)
        return Answer(job.n)

    async with open_testing_postroom(name="me") as office:
        await office.start(MAIN, making(slow))
        with pytest.raises(trio.TooSlowError):
            await office.ask(MAIN, Job(), timeout=1)
        await trio.sleep(10)
        counts = office.counts("reply/me")
        assert counts is not None
        assert (counts.accepted, counts.done) == (1, 1)


# Inside turns


async def test_asking_inside_a_turn_is_refused_and_the_error_shows_what_to_do(
    autojump_clock: MockClock,
) -> None:
    raised: list[AskInsideTurn] = []

    async def ask(_: Actor, job: Job) -> None:
        try:
            await office.ask(MAIN, Job(1), timeout=5)
        except AskInsideTurn as error:
            raised.append(error)

    async with open_testing_postroom() as office:
        await office.start(MAIN, Echo)
        await office.start("asker/main", making(ask))
        assert (await final(office, await office.send("asker/main", Job()))).state == "done"
        assert office.store.counts(MAIN)[0].accepted == 0
    assert "self.send(" in str(raised[0])
    assert "@handles(" in str(raised[0])


async def test_asking_in_a_task_that_a_turn_has_started_is_refused(autojump_clock: MockClock) -> None:
    refused: list[bool] = []

    async def ask() -> None:
        with pytest.raises(AskInsideTurn):
            await office.ask(MAIN, Job(1), timeout=5)
        refused.append(True)

    async def spread(_: Actor, job: Job) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)

    async with open_testing_postroom() as office:
        await office.start(MAIN, Echo)
        await office.start("asker/main", making(spread))
        assert (await final(office, await office.send("asker/main", Job()))).state == "done"
    assert refused == [True]


async def test_asking_from_the_thread_of_a_turn_is_refused(autojump_clock: MockClock) -> None:
    refused: list[bool] = []

    class Blocking(Actor):
        @handles(Job)
        def work(self, job: Job) -> None:
            with pytest.raises(AskInsideTurn):
                trio.from_thread.run(ask)
            refused.append(True)

    async def ask() -> None:
        await office.ask(MAIN, Job(1), timeout=5)

    async with open_testing_postroom() as office:
        await office.start(MAIN, Echo)
        await office.start("asker/main", Blocking)
        autojump_clock.autojump_threshold = 0.05  # a thread takes real time
        sent = await office.send("asker/main", Job(), max_attempts=1)
        assert (await final(office, sent)).state == "done"
    assert refused == [True]


async def test_a_turn_leaves_no_trace_on_who_asks_outside(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office, trio.open_nursery() as nursery:
        await office.start(MAIN, Echo)
        await final(office, await office.send(MAIN, Job(1)))

        async def ask() -> None:
            assert await office.ask(MAIN, Job(2), timeout=5, reply=Answer) == Answer(2)

        nursery.start_soon(ask)
        await ask()


# The reply inbox


async def test_the_reply_inbox_exists_as_long_as_the_session(autojump_clock: MockClock) -> None:
    store = memory_store()
    async with open_testing_postroom(store=store, name="me"):
        assert [c.ended for c in store.counts("reply/me")] == [False]
    assert [c.ended for c in store.counts("reply/me")] == [True]
    store.close()


async def test_answers_are_acked_so_that_the_reply_inbox_is_empty(autojump_clock: MockClock) -> None:
    async with open_testing_postroom(name="me") as office:
        await office.start(MAIN, Echo)
        for n in range(20):
            await office.ask(MAIN, Job(n), timeout=5)
        await trio.sleep(1)
        counts = office.counts("reply/me")
        assert counts is not None
        assert (counts.accepted, counts.done) == (20, 20)
        assert verified(office)["done"] == 40


async def test_an_answer_to_a_session_that_has_ended_bounces(autojump_clock: MockClock) -> None:
    store = memory_store()
    async with open_testing_postroom(store=store, name="me", process="one") as office:
        await office.start(MAIN, Echo)
        await office.pause(MAIN)
        with pytest.raises(trio.TooSlowError):
            await office.ask(MAIN, Job(), timeout=1)
    async with open_testing_postroom(store=store, name="you", process="two", seed=1) as office:
        await office.start(MAIN, Echo)
        await office.resume(MAIN)
        await settled(office)
        # the actor is told, and does not care for it
        assert +verified(office) == {"done": 1, "bounced": 1, "dead": 1}
    store.close()


# Between systems


async def test_an_answer_from_another_system_arrives(autojump_clock: MockClock) -> None:
    store = memory_store()
    async with (
        open_testing_postroom(store=store, process="here") as here,
        open_testing_postroom(store=store.another_handle(), process="there", seed=1) as there,
    ):
        await there.start(MAIN, Echo)
        asked = trio.current_time()
        assert await here.ask(MAIN, Job(3), timeout=5, reply=Answer) == Answer(3)
        assert trio.current_time() - asked < 0.2


async def test_many_answers_from_another_system_arrive_each_at_its_question_and_soon(
    autojump_clock: MockClock,
) -> None:
    took: list[float] = []

    async def ask(here: System, n: int) -> None:
        await trio.sleep(n * 0.003)
        asked = trio.current_time()
        assert await here.ask(MAIN, Job(n), timeout=60, reply=Answer) == Answer(n)
        took.append(trio.current_time() - asked)

    store = memory_store()
    async with (
        open_testing_postroom(store=store, process="here") as here,
        open_testing_postroom(store=store.another_handle(), process="there", seed=1) as there,
    ):
        await there.start(MAIN, Echo)
        async with trio.open_nursery() as nursery:
            for n in range(300):
                nursery.start_soon(ask, here, n)
        await trio.sleep(1)
        assert +verified(here) == {"done": 600}
    assert len(took) == 300
    assert max(took) < 0.5


async def test_many_questions_at_once_get_each_their_own_answer(autojump_clock: MockClock) -> None:
    got: dict[int, object] = {}

    async def jumble(_: Actor, job: Job) -> Answer:
        await trio.sleep(job.n * 7 % 13)
        return Answer(job.n)

    async def ask(office: System, n: int) -> None:
        got[n] = await office.ask(MAIN, Job(n), timeout=600, reply=Answer)

    async with open_testing_postroom() as office:
        await office.start(MAIN, making(jumble), concurrency=10)
        async with trio.open_nursery() as nursery:
            for n in range(200):
                nursery.start_soon(ask, office, n)
        await trio.sleep(1)
        assert +verified(office) == {"done": 400}
    assert got == {n: Answer(n) for n in range(200)}
