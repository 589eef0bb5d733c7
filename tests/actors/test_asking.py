"""Asking: a question from outside turns, and the one answer that comes of it."""

from __future__ import annotations

import attrs
import pytest
import trio
from trio.testing import MockClock
from troupe import Adder, Answer, Echo, Job, making

from postroom import Actor, NoAnswer, System, handles
from postroom.mailbox.ids import id_text
from postroom.store.errors import BadInput, Conflict, InboxEnded, UnknownInbox
from postroom.store.records import Control, Switch
from postroom.testing import memory_store, open_testing_postroom

MAIN = "echo/main"


@attrs.frozen
class Loud:
    n: str


class Listener(Actor):
    """Makes answers a type that is known here."""

    @handles(Answer)
    async def hear(self, answer: Answer) -> None:
        pass


class Counting(Actor):
    """Answers how often it was asked."""

    times = 0

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.times = 0

    @handles(Job)
    async def answer(self, job: Job) -> Answer:
        type(self).times += 1
        return Answer(self.times)


def new_id(office: System) -> str:
    return id_text(office.ids.new())


# What the answer looks like


async def test_an_answer_is_given_as_the_class_that_is_asked_for(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.start(MAIN, Echo)
        assert await office.ask(MAIN, Job(3), timeout=5, reply=Answer) == Answer(3)


async def test_an_answer_of_a_type_that_an_actor_here_handles_is_given_as_its_class(
    autojump_clock: MockClock,
) -> None:
    async with open_testing_postroom() as office:
        await office.start("listener/main", Listener)
        await office.start(MAIN, Echo)
        assert await office.ask(MAIN, Job(3), timeout=5) == Answer(3)


async def test_an_answer_of_an_unknown_type_is_given_as_plain_json(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.start(MAIN, Echo)
        assert await office.ask(MAIN, Job(3), timeout=5) == {"n": 3}


async def test_the_class_that_is_asked_for_wins_over_the_known_one(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.start("listener/main", Listener)
        await office.start(MAIN, Echo)
        assert await office.ask(MAIN, Job(3), timeout=5, reply=Loud) == Loud("3")


async def test_an_answer_that_does_not_fit_the_class_is_bad_input(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.start(MAIN, Echo)
        with pytest.raises(BadInput, match=r"\$\.total"):
            await office.ask(MAIN, Job(3), timeout=5, reply=Needy)


@attrs.frozen
class Needy:
    total: int


async def test_false_and_zero_and_empty_are_answers_too(autojump_clock: MockClock) -> None:
    given: list[object] = [False, 0, "", [], {}]

    async def pick(_: Actor, job: Job) -> object:
        return given[job.n]

    async with open_testing_postroom() as office:
        await office.start(MAIN, making(pick))
        got = [await office.ask(MAIN, Job(n), timeout=5) for n in range(len(given))]
    assert [repr(value) for value in got] == [repr(value) for value in given]


async def test_a_role_can_be_asked(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.start(MAIN, Echo)
        assert await office.ask("any:echo", Job(3), timeout=5, reply=Answer) == Answer(3)


async def test_an_answer_to_a_question_with_a_correlation_of_its_own_arrives(
    autojump_clock: MockClock,
) -> None:
    async with open_testing_postroom() as office:
        await office.start(MAIN, Echo)
        asked = office.ask(MAIN, Job(3), timeout=5, reply=Answer, correlation="order-1")
        assert await asked == Answer(3)


# Asking again


async def test_asking_again_with_the_same_id_gives_the_stored_answer(autojump_clock: MockClock) -> None:
    class Once(Counting):
        pass

    async with open_testing_postroom() as office:
        await office.start(MAIN, Once)
        id = new_id(office)
        answers = [await office.ask(MAIN, Job(3), timeout=5, reply=Answer, id=id) for _ in range(3)]
    assert answers == [Answer(1)] * 3


async def test_a_stored_answer_is_given_after_its_reply_was_acked(autojump_clock: MockClock) -> None:
    async with open_testing_postroom(name="me") as office:
        await office.start(MAIN, Echo)
        id = new_id(office)
        await office.ask(MAIN, Job(3), timeout=5, id=id)
        await trio.sleep(1)
        assert office.store.counts("reply/me")[0].done == 1
        assert await office.ask(MAIN, Job(3), timeout=5, reply=Answer, id=id) == Answer(3)


async def test_a_stored_answer_is_given_although_its_actor_has_stopped(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.start(MAIN, Echo)
        id = new_id(office)
        await office.ask(MAIN, Job(3), timeout=5, id=id)
        await office.stop(MAIN)
        assert await office.ask(MAIN, Job(3), timeout=5, reply=Answer, id=id) == Answer(3)


async def test_asking_again_while_the_first_is_under_way_is_a_conflict(autojump_clock: MockClock) -> None:
    async def slow(_: Actor, job: Job) -> Answer:
        await trio.sleep(2)
        return Answer(job.n)

    got: list[Answer] = []
    async with open_testing_postroom() as office, trio.open_nursery() as nursery:
        await office.start(MAIN, making(slow))
        id = new_id(office)

        async def first() -> None:
            got.append(await office.ask(MAIN, Job(3), timeout=5, reply=Answer, id=id))

        nursery.start_soon(first)
        await trio.sleep(1)
        with pytest.raises(Conflict):
            await office.ask(MAIN, Job(3), timeout=5, id=id)
        assert got == []
    assert got == [Answer(3)]


async def test_asking_something_else_with_the_same_id_is_a_conflict(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.start(MAIN, Echo)
        id = new_id(office)
        await office.ask(MAIN, Job(3), timeout=5, id=id)
        with pytest.raises(Conflict):
            await office.ask(MAIN, Job(4), timeout=5, id=id)


async def test_asking_again_in_the_next_session_of_the_name_gives_the_stored_answer(
    autojump_clock: MockClock,
) -> None:
    store = memory_store()
    async with open_testing_postroom(store=store, name="me") as office:
        await office.start(MAIN, Echo)
        id = new_id(office)
        await office.ask(MAIN, Job(3), timeout=5, id=id)
    async with open_testing_postroom(store=store, name="me", seed=1) as office:
        assert await office.ask(MAIN, Job(3), timeout=5, reply=Answer, id=id) == Answer(3)
    store.close()


async def test_the_stored_answer_is_the_reply_and_nothing_else_that_the_turn_has_sent(
    autojump_clock: MockClock,
) -> None:
    async def work(actor: Actor, job: Job) -> Answer:
        actor.send("other/main", Job(99))
        return Answer(job.n)

    async with open_testing_postroom() as office:
        await office.start("other/main", Echo)
        await office.start(MAIN, making(work))
        id = new_id(office)
        for _ in range(2):
            asked = office.ask(MAIN, Job(3), timeout=5, reply=Answer, id=id, correlation="order-1")
            assert await asked == Answer(3)


@pytest.mark.parametrize("many", [1, 63, 64, 200])
async def test_the_stored_answer_is_found_however_much_the_turn_has_sent(
    autojump_clock: MockClock, many: int
) -> None:
    async def work(actor: Actor, job: Job) -> Answer:
        for n in range(many):
            actor.send("other/main", Job(n))
        return Answer(job.n)

    async with open_testing_postroom() as office:
        await office.start("other/main", Echo)
        await office.start(MAIN, making(work))
        id = new_id(office)
        for _ in range(2):
            assert await office.ask(MAIN, Job(3), timeout=5, reply=Answer, id=id) == Answer(3)


async def test_the_stored_answer_is_found_behind_mail_to_a_whole_role(autojump_clock: MockClock) -> None:
    async def work(actor: Actor, job: Job) -> Answer:
        actor.send("all:other", job)
        return Answer(job.n)

    async with open_testing_postroom() as office:
        await office.start("other/main", Echo)
        await office.start(MAIN, making(work))
        id = new_id(office)
        for _ in range(2):
            assert await office.ask(MAIN, Job(3), timeout=5, reply=Answer, id=id) == Answer(3)


# No answer


async def test_a_question_that_is_dead_has_no_answer(autojump_clock: MockClock) -> None:
    async def fail(_: Actor, job: Job) -> None:
        raise ValueError("no good")

    async with open_testing_postroom() as office:
        await office.start(MAIN, making(fail))
        with pytest.raises(NoAnswer, match="dead: ValueError: no good"):
            await office.ask(MAIN, Job(), timeout=30, max_attempts=1)


async def test_a_question_that_has_expired_has_no_answer(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.start(MAIN, Echo)
        await office.pause(MAIN)
        with pytest.raises(NoAnswer, match="expired"):
            await office.ask(MAIN, Job(), timeout=30, expires=3)
        assert trio.current_time() < 6


async def test_a_question_that_is_cancelled_has_no_answer(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office, trio.open_nursery() as nursery:
        await office.start(MAIN, Echo)
        await office.pause(MAIN)
        id = new_id(office)

        async def change_one_s_mind() -> None:
            await trio.sleep(2)
            await office.cancel(id)

        nursery.start_soon(change_one_s_mind)
        with pytest.raises(NoAnswer, match="cancelled"):
            await office.ask(MAIN, Job(), timeout=30, id=id)


async def test_a_question_that_bounced_has_no_answer(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office, trio.open_nursery() as nursery:
        await office.start(MAIN, Echo)
        await office.pause(MAIN)

        async def end() -> None:
            await trio.sleep(2)
            await office.commit.submit(Control(MAIN, Switch.END))

        nursery.start_soon(end)
        with pytest.raises(NoAnswer, match="bounced"):
            await office.ask(MAIN, Job(), timeout=30)


async def test_a_handler_that_returns_nothing_gives_no_answer(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.start(MAIN, Adder)
        with pytest.raises(NoAnswer, match="returned nothing"):
            await office.ask(MAIN, Job(1), timeout=30)


async def test_asking_again_what_had_no_answer_says_so_at_once(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.start(MAIN, Adder)
        id = new_id(office)
        with pytest.raises(NoAnswer):
            await office.ask(MAIN, Job(1), timeout=30, id=id)
        asked = trio.current_time()
        with pytest.raises(NoAnswer):
            await office.ask(MAIN, Job(1), timeout=30, id=id)
        assert trio.current_time() - asked < 0.1


async def test_nobody_can_be_asked_who_is_unknown_or_has_ended(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        with pytest.raises(UnknownInbox):
            await office.ask("nobody/here", Job(), timeout=5)
        await office.start(MAIN, Echo)
        await office.stop(MAIN)
        await office.commit.submit(Control(MAIN, Switch.END))
        with pytest.raises(InboxEnded):
            await office.ask(MAIN, Job(), timeout=5)
