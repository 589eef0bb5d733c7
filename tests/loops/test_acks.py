"""What a role says of a message is kept apart from its lease, and never changed."""

from __future__ import annotations

import pytest
from loop_tasks import Task

from postroom.actors.loops import acks, criteria
from postroom.actors.loops.states import Source
from postroom.store.errors import BadInput, Conflict, Refused
from postroom.store.records import Put, StoredMessage
from postroom.store.transact import transact, transact_one


def say(task: Task, message: StoredMessage, word: str, text: str | None = None) -> None:
    transact_one(task.store, Put((acks.role_ack_write(task.store, message, word, text),)))


def say_of_task(task: Task, role: str, word: str, text: str | None = None) -> None:
    task.change(
        lambda change: change.write(acks.task_ack_write(change.store, change.binding, role, word, text))
    )


def sent(task: Task, to: str = "worker/w") -> StoredMessage:
    return task.desk.show(task.desk.send(to, "job", b"1").id)


def test_received_needs_delivery_and_the_others_a_claim(task: Task) -> None:
    message = sent(task)
    say(task, message, "received")
    for word in ("accepted", "blocked"):
        with pytest.raises(Refused, match="not claimed"):
            say(task, message, word)
    (delivery,) = task.desk.poll("worker/w")
    for word in ("accepted", "blocked"):
        say(task, task.desk.show(delivery.id), word)
    task.desk.ack(delivery.id, delivery.fence)
    say(task, task.desk.show(delivery.id), "accepted")
    assert [ack.ack for ack in acks.history(task.store, "t")] == [
        "received", "accepted", "blocked", "accepted",
    ]  # fmt: skip


@pytest.mark.parametrize(("delay", "drop"), [(60.0, False), (0.0, True)])
def test_what_was_not_delivered_or_was_cancelled_cannot_be_received(
    task: Task, delay: float, drop: bool
) -> None:
    id = task.desk.send("worker/w", "job", b"1", delay=delay).id
    if drop:
        task.desk.purge("worker/w")
    with pytest.raises(Refused, match="not delivered"):
        say(task, task.desk.show(id), "received")


def test_the_last_word_of_each_role_is_the_one_that_is_shown(task: Task) -> None:
    say_of_task(task, "worker", "received")
    say_of_task(task, "worker", "blocked", "no access")
    say_of_task(task, "manager", "accepted")
    last = acks.latest(task.store, task.binding)
    assert (last["worker"].ack, last["worker"].text, last["manager"].ack) == (
        "blocked", "no access", "accepted",
    )  # fmt: skip
    assert len(acks.history(task.store, "t")) == 3


def test_of_two_who_speak_at_once_one_is_told_of_a_conflict(task: Task) -> None:
    message = sent(task)
    both = [acks.role_ack_write(task.store, message, "received", None) for _ in range(2)]
    answers = transact(task.store, [Put((write,)) for write in both])
    assert [isinstance(answer, Conflict) for answer in answers] == [False, True]


def test_an_acceptance_holds_until_something_else_is_agreed(task: Task) -> None:
    task.start(iterations=3)
    for role in ("manager", "worker"):
        say_of_task(task, role, "accepted")
    assert acks.lacking(task.store, task.binding, task.loop) == []
    task.change(lambda change: criteria.add(change, "it is fast", Source.USER))
    assert acks.lacking(task.store, task.binding, task.loop) == [
        "the manager has acknowledged revision 2, not 3",
        "the worker has acknowledged revision 2, not 3",
    ]
    say_of_task(task, "manager", "accepted")
    say_of_task(task, "worker", "blocked", "too fast")
    assert acks.lacking(task.store, task.binding, task.loop) == ["the worker says blocked: too fast"]


def test_a_message_of_the_task_speaks_for_its_recipient(task: Task) -> None:
    say(task, sent(task), "received")
    (ack,) = acks.history(task.store, "t")
    assert (ack.role, ack.by, ack.revision) == ("worker", "worker/w", task.loop.revision)


def test_acks_of_messages_without_a_task_are_kept_under_the_message(task: Task) -> None:
    task.desk.register("clerk/c")
    message = sent(task, "clerk/c")
    for _ in range(2):
        say(task, message, "received")
    kept = acks.acks_of(None).all(task.store)
    assert sorted(key[-2:] for key in kept) == ["/1", "/2"]
    assert {ack.role for ack, _ in kept.values()} == {"clerk"}


def test_acks_of_an_earlier_binding_do_not_count(task: Task) -> None:
    say_of_task(task, "worker", "accepted")
    task.desk.unpair("t")
    task.pair()
    assert acks.latest(task.store, task.binding) == {}
    assert len(acks.history(task.store, "t")) == 1


@pytest.mark.parametrize(("word", "text"), [("done", None), ("received", ""), ("received", "a\nb")])
def test_unknown_words_and_unprintable_texts_are_bad_input(task: Task, word: str, text: str | None) -> None:
    with pytest.raises(BadInput):
        acks.role_ack_write(task.store, sent(task), word, text)
    with pytest.raises(BadInput):
        acks.task_ack_write(task.store, task.binding, "boss", "received", None)
