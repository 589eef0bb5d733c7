"""Asking: a question, its answer, and asking again."""

from __future__ import annotations

import anyio
import pytest
from client_places import Place

from postroom.client import Client, Delivered, NoAnswer
from postroom.store.errors import Conflict, InboxEnded, UnknownInbox

pytestmark = pytest.mark.anyio
QUESTION = "01890000-0000-4000-8000-000000000001"


async def double(client: Client, *, questions: int) -> None:
    """A worker that doubles so many numbers."""
    for _ in range(questions):
        (mail,) = await client.poll("worker/anna", wait=20)
        await client.ack(mail.id, mail.fence, reply={"n": 2 * mail.body["n"]})


async def given_up(client: Client) -> Delivered:
    """A question whose asker has gone, as the worker got it."""
    found: list[Delivered] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: client.ask("worker/anna", "Double", {"n": 4}, timeout=20, id=QUESTION))
        found += await client.poll("worker/anna", wait=20, lease=3600)
        tasks.cancel_scope.cancel()
    return found[0]


async def test_an_answer_comes_back_to_who_asked(place: Place) -> None:
    async with place.client() as client, anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: double(client, questions=1))
        reply = await client.ask("worker/anna", "Double", {"n": 4}, timeout=20, id=QUESTION)
        assert (reply.type, reply.body, reply.sender) == ("reply", {"n": 8}, "worker/anna")
        assert (reply.causation_id, reply.correlation_id) == (QUESTION, QUESTION)
        assert (await client.show(reply.id))["state"] == "done"


async def test_many_questions_get_each_their_own_answer(place: Place) -> None:
    answers: dict[int, int] = {}

    async def ask(client: Client, n: int) -> None:
        reply = await client.ask("worker/anna", "Double", {"n": n}, timeout=20, correlation="all the same")
        answers[n] = reply.body["n"]

    async with place.client() as client, anyio.create_task_group() as tasks:
        for n in range(10):
            tasks.start_soon(ask, client, n)
        asked: list[Delivered] = []
        while len(asked) < 10:
            asked += await client.poll("worker/anna", wait=20, max=10)
        for mail in reversed(asked):
            await client.ack(mail.id, mail.fence, reply={"n": 2 * mail.body["n"]})
    assert answers == {n: 2 * n for n in range(10)}


async def test_asking_again_gives_the_stored_answer_even_to_another_client(place: Place) -> None:
    async with place.client() as client, anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: double(client, questions=1))
        first = await client.ask("worker/anna", "Double", {"n": 4}, timeout=20, id=QUESTION)
        again = await client.ask("worker/anna", "Double", {"n": 4}, timeout=20, id=QUESTION)
        assert again == first
        with pytest.raises(Conflict):
            await client.ask("worker/anna", "Double", {"n": 5}, timeout=20, id=QUESTION)
    async with place.client() as client:
        later = await client.ask("worker/anna", "Double", {"n": 4}, timeout=20, id=QUESTION)
        assert (later.body, later.causation_id) == ({"n": 8}, QUESTION)


async def test_whoever_waits_in_vain_is_told_in_time(place: Place) -> None:
    async with place.client() as client:
        with pytest.raises(TimeoutError):
            await client.ask("worker/anna", "Double", {"n": 4}, timeout=0.05)


async def test_a_question_that_was_given_up_is_answered_when_it_is_asked_again(place: Place) -> None:
    async with place.client() as client:
        mail = await given_up(client)
        await client.ack(mail.id, mail.fence, reply={"n": 8})
        reply = await client.ask("worker/anna", "Double", {"n": 4}, timeout=20, id=QUESTION)
        assert reply.body == {"n": 8}


async def test_an_answer_by_way_of_somebody_else_counts_too(place: Place) -> None:
    async with place.client() as client, anyio.create_task_group() as tasks:

        async def pass_on() -> None:
            (mail,) = await client.poll("worker/anna", wait=20)
            onward = {"to": "worker/ben", "type": "Double", "body": mail.body, "reply_to": mail.reply_to}
            await client.ack(mail.id, mail.fence, sends=[onward])
            (mail,) = await client.poll("worker/ben", wait=20)
            await client.ack(mail.id, mail.fence, reply={"n": 8})

        tasks.start_soon(pass_on)
        assert (await client.ask("worker/anna", "Double", {"n": 4}, timeout=20)).body == {"n": 8}


async def test_mail_that_answers_no_question_is_no_answer(place: Place) -> None:
    async with place.client() as client, anyio.create_task_group() as tasks:

        async def say_something_else_first() -> None:
            (mail,) = await client.poll("worker/anna", wait=20)
            assert mail.reply_to is not None
            await client.send(mail.reply_to, "News", {"n": 0})
            await client.ack(mail.id, mail.fence, reply={"n": 8})

        tasks.start_soon(say_something_else_first)
        assert (await client.ask("worker/anna", "Double", {"n": 4}, timeout=20)).body == {"n": 8}


async def test_a_dead_question_has_no_answer(place: Place) -> None:
    async with place.client() as client, anyio.create_task_group() as tasks:

        async def bury() -> None:
            (mail,) = await client.poll("worker/anna", wait=20)
            await client.nack(mail.id, mail.fence, dead=True, reason="too hard")

        tasks.start_soon(bury)
        with pytest.raises(NoAnswer, match="the question is dead"):
            await client.ask("worker/anna", "Double", {"n": 4}, timeout=20)


async def test_a_question_that_was_settled_without_a_reply_has_no_answer_later(place: Place) -> None:
    async with place.client() as client:
        mail = await given_up(client)
        await client.ack(mail.id, mail.fence)
        with pytest.raises(NoAnswer, match="there is no answer"):
            await client.ask("worker/anna", "Double", {"n": 4}, timeout=20, id=QUESTION)


async def test_nobody_waits_for_one_question_twice_and_unknown_recipients_are_refused(place: Place) -> None:
    answers: list[object] = []
    async with place.client() as client, anyio.create_task_group() as tasks:
        with pytest.raises(UnknownInbox):
            await client.ask("worker/nobody", "Double", {}, timeout=20)

        async def ask() -> None:
            answers.append(await client.ask("worker/anna", "Double", {"n": 1}, timeout=20, id=QUESTION))

        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(Conflict, match="being asked"):
            await client.ask("worker/anna", "Double", {"n": 1}, timeout=20, id=QUESTION)
        await double(client, questions=1)
    assert len(answers) == 1


async def test_the_inbox_for_answers_ends_with_the_client(place: Place) -> None:
    async with place.client() as client:
        mail = await given_up(client)
    assert mail.reply_to is not None
    assert mail.reply_to.startswith("client/replies-")
    async with place.client() as client:
        with pytest.raises(InboxEnded):
            await client.send(mail.reply_to, "reply")
        settled = await client.ack(mail.id, mail.fence, reply={"n": 8})
        assert [sent.state for sent in settled.sent] == ["bounced"]
