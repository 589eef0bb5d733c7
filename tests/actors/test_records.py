"""Keyed records of actors: they commit with the turn that writes them, and the next turn sees them."""

from __future__ import annotations

import attrs
import pytest
import trio
from records_told import BOTH, Making, stored, with_state
from trio.testing import MockClock
from troupe import Answer, Job, Sum, final, making, verified

from postroom import Actor, handles
from postroom.store.errors import BadInput
from postroom.testing import memory_store, open_testing_postroom, settled


@attrs.frozen
class Note:
    text: str
    pages: list[int]


async def put(actor: Actor, job: Job) -> None:
    """Write the number of a job under its word."""
    actor.records.put("number", job.word, job.n)


async def count(actor: Actor, job: Job) -> int:
    """Count jobs in a record, by word; the answer is the new count."""
    counted: int = (actor.records.get("count", job.word, int) or 0) + 1
    actor.records.put("count", job.word, counted)
    return counted


@BOTH
async def test_a_record_is_kept_with_its_turn(made: Making, autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.start("book/main", made(put))
        assert (await final(office, await office.send("book/main", Job(7, "a")))).state == "done"
        assert stored(office, "number") == {"a": 7}


@BOTH
async def test_a_record_appears_when_its_message_is_done_and_not_before(
    made: Making, autojump_clock: MockClock
) -> None:
    async def put_slowly(actor: Actor, job: Job) -> None:
        actor.records.put("number", "a", job.n)
        await trio.sleep(5)

    async with open_testing_postroom() as office:
        await office.start("book/main", made(put_slowly))
        sent = await office.send("book/main", Job(7))
        while office.show(sent).state != "done":
            assert not stored(office, "number")
            await trio.sleep(0.0005)
        assert stored(office, "number") == {"a": 7}


@BOTH
async def test_records_of_a_handler_that_raises_are_not_kept(made: Making, autojump_clock: MockClock) -> None:
    async def put_and_fail(actor: Actor, job: Job) -> None:
        actor.records.put("number", job.word, job.n)
        actor.records.delete("number", "old")
        if job.n > 1:
            raise ValueError

    async with open_testing_postroom() as office:
        await office.start("book/main", made(put))
        await final(office, await office.send("book/main", Job(1, "old")))
        await office.stop("book/main")
        await office.start("book/main", made(put_and_fail))
        message = await final(office, await office.send("book/main", Job(2, "new"), max_attempts=2))
        assert message.state == "dead"
        assert stored(office, "number") == {"old": 1}


@BOTH
async def test_records_of_a_turn_whose_output_is_refused_are_not_kept(
    made: Making, autojump_clock: MockClock
) -> None:
    async def put_and_send(actor: Actor, job: Job) -> None:
        actor.records.put("number", job.word, job.n)
        if job.n > 1:
            actor.send("all:nobody", job)

    async with open_testing_postroom() as office:
        await office.start("book/main", made(put_and_send))
        await office.send("book/main", Job(2, "wrong"), max_attempts=1)
        await office.send("book/main", Job(1, "right"))
        await settled(office)
        assert stored(office, "number") == {"right": 1}
        assert verified(office)["dead"] == 1


@BOTH
async def test_each_turn_sees_what_the_turns_before_it_wrote(made: Making, autojump_clock: MockClock) -> None:
    store = memory_store(commit_delay=0.05)
    async with open_testing_postroom(store=store) as office:
        await office.start("book/main", made(count))
        answers = [await office.send("book/main", Job(0, "a")) for _ in range(20)]
        for id in answers:
            await final(office, id)
        assert stored(office, "count") == {"a": 20}


async def test_turns_of_an_actor_with_a_state_see_records_that_are_not_committed_yet(
    autojump_clock: MockClock,
) -> None:
    ahead: list[bool] = []

    async def counting(actor: Actor, job: Job) -> None:
        counted = await count(actor, job)
        ahead.append(stored(office, "count").get("a", 0) < counted - 1)

    store = memory_store(commit_delay=0.05)
    async with open_testing_postroom(store=store) as office:
        await office.start("book/main", with_state(counting))
        await office.send_many("book/main", [Job(0, "a")] * 40)
        await settled(office)
        assert stored(office, "count") == {"a": 40}
    assert any(ahead)


async def test_a_turn_that_saw_records_of_a_refused_turn_is_not_kept_either(
    autojump_clock: MockClock,
) -> None:
    class Book(Actor):
        state: Sum

        @handles(Job)
        async def write(self, job: Job) -> None:
            match job.word:
                case "wrong":
                    self.records.put("number", "wrong", job.n)
                    self.send("all:nobody", job)
                case "look":
                    if self.records.get("number", "wrong") is not None:
                        self.state.total += 1
                        self.records.put("number", "seen", True)
                case _:
                    pass

    store = memory_store(commit_delay=0.05)
    async with open_testing_postroom(store=store) as office:
        await office.start("book/main", Book)
        await office.send_many("book/main", [Job()] * 40)
        await settled(office)
        await office.pause("book/main")
        await office.send("book/main", Job(1, "wrong"), max_attempts=1)
        await office.send("book/main", Job(1, "look"))
        await office.resume("book/main")
        await settled(office)
        assert verified(office)["dead"] == 1
        assert stored(office, "number") == {}
        assert stored(office, "state").get("", {"total": 0})["total"] == 0


@BOTH
async def test_a_record_is_given_as_the_class_that_is_asked_for(
    made: Making, autojump_clock: MockClock
) -> None:
    seen: list[object] = []

    async def note(actor: Actor, job: Job) -> None:
        if job.n == 0:
            actor.records.put("note", "a", Note("hello", [1, 2]))
        seen.append(actor.records.get("note", "a", Note))
        seen.append(actor.records.get("note", "a"))

    async with open_testing_postroom() as office:
        await office.start("book/main", made(note))
        for n in range(2):
            await final(office, await office.send("book/main", Job(n)))
    assert seen == [Note("hello", [1, 2]), {"pages": [1, 2], "text": "hello"}] * 2


@BOTH
async def test_a_record_that_is_not_there_is_none(made: Making, autojump_clock: MockClock) -> None:
    seen: list[object] = []

    async def look(actor: Actor, job: Job) -> None:
        seen.append(actor.records.get("note", "a", Note))
        actor.records.delete("note", "a")
        seen.append(actor.records.get("note", "a"))

    async with open_testing_postroom() as office:
        await office.start("book/main", made(look))
        assert (await final(office, await office.send("book/main", Job()))).state == "done"
        assert not office.store.records("book/main", "note")
    assert seen == [None, None]


async def test_a_record_that_does_not_fit_the_class_is_bad_input(autojump_clock: MockClock) -> None:
    async def misread(actor: Actor, job: Job) -> None:
        actor.records.put("note", "a", {"text": "hello", "pages": "many"})
        with pytest.raises(BadInput, match=r"\$\.pages"):
            actor.records.get("note", "a", Note)

    async with open_testing_postroom() as office:
        await office.start("book/main", making(misread))
        message = await final(office, await office.send("book/main", Job(), max_attempts=1))
        assert message.state == "done", message.error


async def test_a_value_that_is_no_json_is_refused_where_it_is_put(autojump_clock: MockClock) -> None:
    async def put_oddly(actor: Actor, job: Job) -> None:
        with pytest.raises(BadInput):
            actor.records.put("note", "a", float("nan"))
        actor.records.put("note", "b", 1)

    async with open_testing_postroom() as office:
        await office.start("book/main", making(put_oddly))
        message = await final(office, await office.send("book/main", Job(), max_attempts=1))
        assert message.state == "done", message.error
        assert stored(office, "note") == {"b": 1}


@BOTH
async def test_the_last_write_of_a_turn_counts(made: Making, autojump_clock: MockClock) -> None:
    seen: list[object] = []

    async def rewrite(actor: Actor, job: Job) -> None:
        records = actor.records
        records.put("number", "a", 1)
        records.put("number", "a", 2)
        seen.append(records.get("number", "a"))
        records.delete("number", "a")
        seen.append(records.get("number", "a"))
        records.put("number", "b", 3)
        records.delete("number", "b")
        records.put("number", "b", 4)

    async with open_testing_postroom() as office:
        await office.start("book/main", made(rewrite))
        await final(office, await office.send("book/main", Job()))
        assert stored(office, "number") == {"b": 4}
    assert seen == [2, None]


@BOTH
async def test_a_deleted_record_is_gone_when_its_turn_commits(
    made: Making, autojump_clock: MockClock
) -> None:
    async def put_or_delete(actor: Actor, job: Job) -> None:
        if job.n:
            actor.records.put("number", job.word, job.n)
        else:
            actor.records.delete("number", job.word)

    async with open_testing_postroom() as office:
        await office.start("book/main", made(put_or_delete))
        for job in (Job(1, "a"), Job(2, "b"), Job(0, "a")):
            await final(office, await office.send("book/main", job))
        assert stored(office, "number") == {"b": 2}


@BOTH
async def test_keys_come_in_order_with_what_this_turn_wrote(made: Making, autojump_clock: MockClock) -> None:
    seen: list[list[str]] = []

    async def write(actor: Actor, job: Job) -> None:
        records = actor.records
        if job.n == 0:
            for key in ("d", "b", "a"):
                records.put("number", key, 0)
            records.put("other", "z", 0)
        else:
            records.put("number", "c", 1)
            records.put("number", "b", 1)
            records.delete("number", "a")
        seen.append(list(records.keys("number")))

    async with open_testing_postroom() as office:
        await office.start("book/main", made(write))
        await office.send_many("book/main", [Job(0), Job(1)])
        await settled(office)
        assert list(stored(office, "number")) == seen[-1]
    assert seen == [["a", "b", "d"], ["b", "c", "d"]]


async def test_keys_tell_of_turns_that_are_not_committed_yet(autojump_clock: MockClock) -> None:
    seen: list[tuple[list[str], int]] = []

    async def write(actor: Actor, job: Job) -> None:
        keys = list(actor.records.keys("number"))
        seen.append((keys, len(stored(office, "number"))))
        for key in keys:
            actor.records.delete("number", key)
        actor.records.put("number", f"{len(seen):03}", 0)

    store = memory_store(commit_delay=0.05)
    async with open_testing_postroom(store=store) as office:
        await office.start("book/main", with_state(write))
        await office.send_many("book/main", [Job()] * 40)
        await settled(office)
        assert list(stored(office, "number")) == ["040"]
    assert [keys for keys, _ in seen] == [[], *([f"{n:03}"] for n in range(1, 40))]


async def test_every_actor_has_records_of_its_own(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        for address in ("book/one", "book/two"):
            await office.start(address, making(count))
            await office.send_many(address, [Job(0, "a")] * 2)
        await settled(office)
        assert [stored(office, "count", address) for address in ("book/one", "book/two")] == [{"a": 2}] * 2


async def test_records_outlive_their_actor(autojump_clock: MockClock) -> None:
    store = memory_store()
    for seed in range(3):
        async with open_testing_postroom(store=store.another_handle(), seed=seed) as office:
            await office.start("book/main", making(count))
            answer = await office.ask("book/main", Job(0, "a"), timeout=5)
            assert answer == seed + 1


async def test_turns_side_by_side_keep_all_their_records(autojump_clock: MockClock) -> None:
    async def put_slowly(actor: Actor, job: Job) -> None:
        actor.records.put("number", job.word, job.n)
        await trio.sleep(1 + job.n % 3)

    async with open_testing_postroom() as office:
        await office.start("book/main", making(put_slowly), concurrency=4)
        await office.send_many("book/main", [Job(n, f"{n:02}") for n in range(20)])
        await settled(office)
        assert stored(office, "number") == {f"{n:02}": n for n in range(20)}


async def test_records_of_a_turn_side_by_side_with_a_failing_one_are_kept(autojump_clock: MockClock) -> None:
    async def some_fail(actor: Actor, job: Job) -> None:
        actor.records.put("number", job.word, job.n)
        await trio.sleep(1)
        if job.n % 2:
            raise ValueError

    async with open_testing_postroom() as office:
        await office.start("book/main", making(some_fail), concurrency=4)
        await office.send_many("book/main", [Job(n, f"{n}") for n in range(8)], max_attempts=1)
        await settled(office)
        assert stored(office, "number") == {"0": 0, "2": 2, "4": 4, "6": 6}


async def test_turns_that_begin_after_another_has_ended_see_its_records(autojump_clock: MockClock) -> None:
    async def count_at_once(actor: Actor, job: Job) -> Answer:
        await trio.sleep(job.n / 100)
        return Answer(await count(actor, job))

    store = memory_store(commit_delay=0.05)
    async with open_testing_postroom(store=store) as office:
        await office.start("book/main", making(count_at_once), concurrency=4)
        await office.send_many("book/main", [Job(n, "a") for n in range(20)])
        await settled(office)
        assert stored(office, "count") == {"a": 20}


@BOTH
@pytest.mark.parametrize("word", ["a\0b", "\udc80"])
async def test_a_record_whose_key_no_store_could_keep_is_refused(
    made: Making, word: str, autojump_clock: MockClock
) -> None:
    async def put_there(actor: Actor, job: Job) -> None:
        with pytest.raises(BadInput, match="no record can be called"):
            actor.records.put("number", word, job.n)

    async with open_testing_postroom() as office:
        await office.start("book/main", made(put_there))
        assert (await final(office, await office.send("book/main", Job(7, "a")))).state == "done"
        assert stored(office, "number") == {}
