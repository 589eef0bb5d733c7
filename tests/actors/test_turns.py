"""One turn: what commits with it, what becomes of a message whose handler fails."""

from __future__ import annotations

import threading
from itertools import pairwise

import attrs
import pytest
import trio
from trio.testing import MockClock
from troupe import Adder, Answer, Echo, Job, Sum, final, state_of, verified

from postroom import Actor, Reject, RetryAfter, handles
from postroom.mailbox.ids import parse_id
from postroom.testing import open_testing_postroom, settled


async def test_outputs_and_state_and_acknowledgement_commit_together(autojump_clock: MockClock) -> None:
    class Sender(Adder):
        @handles(Job)
        async def add(self, job: Job) -> None:
            self.state.total += job.n
            self.send("echo/main", Job(job.n))
            assert office.store.counts("echo/main")[0].accepted == 0
            assert not office.store.records(self.address, "state")

    async with open_testing_postroom() as office:
        await office.start("echo/main", Echo)
        await office.start("sender/main", Sender)
        sent = await office.send("sender/main", Job(3))
        while office.show(sent).state != "done":
            assert office.store.counts("echo/main")[0].accepted == 0
            await trio.sleep(0.0001)
        assert state_of(office, "sender/main").total == 3
        assert office.store.counts("echo/main")[0].accepted == 1


async def test_a_handler_that_raises_leaves_nothing(autojump_clock: MockClock) -> None:
    class Failing(Actor):
        state: Sum

        @handles(Job)
        async def fail(self, job: Job) -> None:
            self.state.total += 1
            self.send("echo/main", job)
            self.records.put("note", "a", 1)
            raise ValueError("no good")

    async with open_testing_postroom() as office:
        await office.start("echo/main", Echo)
        await office.start("failing/main", Failing)
        sent = await office.send("failing/main", Job(), max_attempts=1)
        message = await final(office, sent)
        assert (message.state, message.reason) == ("dead", "attempts")
        assert message.error is not None
        assert message.error.startswith("ValueError: no good (at test_turns.py:")
        assert not office.store.records("failing/main")
        assert office.store.counts("echo/main")[0].accepted == 0


async def test_an_error_that_no_store_could_keep_is_kept_without_what_is_no_text(
    autojump_clock: MockClock,
) -> None:
    class Failing(Actor):
        @handles(Job)
        async def fail(self, job: Job) -> None:
            raise ValueError("no file \udcff")

    async with open_testing_postroom() as office:
        await office.start("failing/main", Failing)
        message = await final(office, await office.send("failing/main", Job(), max_attempts=1))
        assert message.error is not None
        assert message.error.startswith("ValueError: no file ? (at")


async def test_a_handler_that_always_raises_is_tried_five_times_with_growing_pauses(
    autojump_clock: MockClock,
) -> None:
    tries: list[float] = []

    class Failing(Actor):
        @handles(Job)
        async def fail(self, job: Job) -> None:
            tries.append(trio.current_time())
            raise ValueError

    async with open_testing_postroom() as office:
        await office.start("failing/main", Failing)
        message = await final(office, await office.send("failing/main", Job()))
        assert (message.state, message.attempts) == ("dead", 5)
        assert verified(office)["dead"] == 1
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert len(tries) == 5
    for n, pause in enumerate(pauses):
        assert 0.7 * 2**n <= pause <= 1.3 * 2**n + 0.1


async def test_a_failed_turn_leaves_the_state_as_it_was(autojump_clock: MockClock) -> None:
    class Picky(Adder):
        @handles(Job)
        async def add(self, job: Job) -> None:
            self.state.total += job.n
            if job.word == "bad":
                raise ValueError

    async with open_testing_postroom() as office:
        await office.start("picky/main", Picky)
        for n, word in ((1, ""), (10, "bad"), (100, "")):
            await office.send("picky/main", Job(n, word), max_attempts=1)
        await settled(office)
        assert state_of(office, "picky/main").total == 101


async def test_a_rejected_message_is_dead_at_once(autojump_clock: MockClock) -> None:
    class Rejecting(Actor):
        @handles(Job)
        async def reject(self, job: Job) -> None:
            raise Reject("not for me")

    async with open_testing_postroom() as office:
        await office.start("rejecting/main", Rejecting)
        message = await final(office, await office.send("rejecting/main", Job()))
        assert (message.state, message.reason, message.attempts) == ("dead", "rejected", 1)
        assert message.error is not None
        assert "not for me" in message.error


async def test_a_handler_may_say_when_to_try_again(autojump_clock: MockClock) -> None:
    tries: list[float] = []

    class Later(Actor):
        @handles(Job)
        async def later(self, job: Job) -> None:
            tries.append(trio.current_time())
            if len(tries) == 1:
                raise RetryAfter(90, "the shop is closed")

    async with open_testing_postroom() as office:
        await office.start("later/main", Later)
        message = await final(office, await office.send("later/main", Job()))
        assert message.state == "done"
    assert tries[1] - tries[0] == pytest.approx(90, abs=1.1)


async def test_a_handler_that_hangs_is_cut_off_by_the_standard_deadline(autojump_clock: MockClock) -> None:
    class Hanging(Actor):
        @handles(Job)
        async def hang(self, job: Job) -> None:
            await trio.sleep_forever()

    async with open_testing_postroom() as office:
        await office.start("hanging/main", Hanging)
        started = trio.current_time()
        message = await final(office, await office.send("hanging/main", Job(), max_attempts=1))
        assert (message.state, message.attempts) == ("dead", 1)
        assert message.error is not None
        assert "TooSlowError" in message.error
        assert trio.current_time() - started == pytest.approx(300, abs=2)


async def test_a_handler_that_hangs_is_tried_five_times(autojump_clock: MockClock) -> None:
    tries: list[int] = []

    class Hanging(Actor):
        @handles(Job, timeout=2)
        async def hang(self, job: Job) -> None:
            tries.append(job.n)
            await trio.sleep_forever()

    async with open_testing_postroom() as office:
        await office.start("hanging/main", Hanging)
        message = await final(office, await office.send("hanging/main", Job()))
        assert (message.state, message.attempts) == ("dead", 5)
    assert len(tries) == 5


async def test_after_a_deadline_the_next_message_has_its_turn_on_the_old_state(
    autojump_clock: MockClock,
) -> None:
    class Slow(Adder):
        @handles(Job)
        async def add(self, job: Job) -> None:
            self.state.total += job.n
            if job.word == "slow":
                await trio.sleep_forever()

    async with open_testing_postroom() as office:
        await office.start("slow/main", Slow)
        await office.send("slow/main", Job(1, "slow"), max_attempts=1)
        await office.send("slow/main", Job(10))
        await settled(office)
        assert state_of(office, "slow/main").total == 10


async def test_a_timeout_of_a_handler_is_exact(autojump_clock: MockClock) -> None:
    took: list[float] = []

    class Hanging(Actor):
        @handles(Job, timeout=2.5)
        async def hang(self, job: Job) -> None:
            started = trio.current_time()
            try:
                await trio.sleep_forever()
            finally:
                took.append(trio.current_time() - started)

    async with open_testing_postroom() as office:
        await office.start("hanging/main", Hanging)
        message = await final(office, await office.send("hanging/main", Job(), max_attempts=1))
        assert message.state == "dead"
    assert took == [pytest.approx(2.5)]


async def test_a_handler_without_signs_of_life_is_cut_off(autojump_clock: MockClock) -> None:
    worked: list[int] = []

    class Working(Actor):
        @handles(Job, progress_within=2)
        async def work(self, job: Job) -> None:
            for n in range(job.n):
                await trio.sleep(1.5)
                worked.append(n)
                self.alive()
            if job.word == "hang":
                await trio.sleep_forever()

    async with open_testing_postroom() as office:
        await office.start("working/main", Working)
        good = await office.send("working/main", Job(5), max_attempts=1)
        bad = await office.send("working/main", Job(1, "hang"), max_attempts=1)
        assert (await final(office, good)).state == "done"
        assert (await final(office, bad)).state == "dead"
    assert len(worked) == 6


async def test_a_plain_function_runs_in_a_thread(autojump_clock: MockClock) -> None:
    where: list[bool] = []

    class Blocking(Actor):
        @handles(Job)
        def work(self, job: Job) -> Answer:
            where.append(threading.current_thread() is threading.main_thread())
            return Answer(job.n + 1)

    async with open_testing_postroom() as office:
        await office.start("blocking/main", Blocking)
        autojump_clock.autojump_threshold = 0.05  # a thread takes real time
        assert await office.ask("blocking/main", Job(1), timeout=60, reply=Answer) == Answer(2)
    assert where == [False]


async def test_a_thread_that_outlives_its_deadline_is_abandoned_and_fenced_off(
    autojump_clock: MockClock,
) -> None:
    go_on, gone_on = threading.Event(), threading.Event()

    class Blocking(Actor):
        @handles(Job, timeout=1)
        def work(self, job: Job) -> Answer:
            go_on.wait(30)
            try:
                self.send("echo/main", job)
            finally:
                gone_on.set()
            return Answer(job.n + 1)

    async with open_testing_postroom() as office:
        await office.start("echo/main", Echo)
        await office.start("blocking/main", Blocking)
        message = await final(office, await office.send("blocking/main", Job(1), max_attempts=1))
        assert message.state == "dead"
        go_on.set()
        await trio.to_thread.run_sync(gone_on.wait)
        await settled(office)
        assert office.store.counts("echo/main")[0].accepted == 0


async def test_a_message_without_a_handler_is_dead_at_once(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.start("echo/main", Echo)
        message = await final(office, await office.send("echo/main", Answer(1)))
        assert (message.state, message.reason, message.attempts) == ("dead", "no handler", 1)


async def test_a_body_that_does_not_decode_is_dead_at_once(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.start("echo/main", Echo)
        message = await final(office, await office.send("echo/main", {"n": "many"}, type="Job"))
        assert (message.state, message.reason) == ("dead", "undecodable")
        assert message.error is not None
        assert "$.n" in message.error


async def test_a_reply_that_cannot_be_encoded_is_the_handler_s_failure(autojump_clock: MockClock) -> None:
    class Odd(Actor):
        @handles(Job)
        async def answer(self, job: Job) -> float:
            return float("nan")

    async with open_testing_postroom() as office:
        await office.start("odd/main", Odd)
        message = await final(office, await office.send("odd/main", Job(), max_attempts=1))
        assert message.state == "dead"


async def test_a_state_that_cannot_be_encoded_is_the_handler_s_failure(autojump_clock: MockClock) -> None:
    class Odd(Adder):
        @handles(Job)
        async def add(self, job: Job) -> None:
            self.state.total = 2**70 if job.n == 0 else self.state.total + job.n

    async with open_testing_postroom() as office:
        await office.start("odd/main", Odd)
        message = await final(office, await office.send("odd/main", Job(0), max_attempts=1))
        assert message.state == "dead"
        await final(office, await office.send("odd/main", Job(4)))
        assert state_of(office, "odd/main").total == 4


async def test_an_output_to_an_empty_group_is_the_handler_s_failure(autojump_clock: MockClock) -> None:
    class Wrong(Actor):
        @handles(Job)
        async def work(self, job: Job) -> None:
            self.send("all:nobody", job)

    async with open_testing_postroom() as office:
        await office.start("wrong/main", Wrong)
        message = await final(office, await office.send("wrong/main", Job(), max_attempts=2))
        assert (message.state, message.attempts) == ("dead", 2)
        assert message.error is not None
        assert "all:nobody" in message.error


async def test_an_actor_with_a_state_survives_an_output_that_is_refused(autojump_clock: MockClock) -> None:
    class Wrong(Adder):
        @handles(Job)
        async def add(self, job: Job) -> None:
            self.state.total += job.n
            if job.word:
                self.send(job.word, job)

    async with open_testing_postroom() as office:
        await office.start("wrong/main", Wrong)
        first = await office.send("wrong/main", Job(1, "all:nobody"), max_attempts=2)
        await office.send("wrong/main", Job(10))
        assert (await final(office, first)).state == "dead"
        await settled(office)
        assert state_of(office, "wrong/main").total == 10


async def test_mail_of_a_turn_to_somebody_unknown_bounces(autojump_clock: MockClock) -> None:
    bounced: list[object] = []

    @attrs.frozen
    class Nothing:
        pass

    class Sender(Actor):
        @handles(Job)
        async def work(self, job: Job) -> None:
            self.send("nobody/here", job)

    async with open_testing_postroom() as office:
        await office.start("sender/main", Sender)
        await final(office, await office.send("sender/main", Job()))
        await settled(office)
        bounced = [m.type for m in office.store.peek("sender/main", 10, state="dead")]
        assert verified(office)["bounced"] == 1
    assert bounced == ["postroom.bounce"]


async def test_the_ids_of_outputs_derive_from_the_message(autojump_clock: MockClock) -> None:
    class Sender(Actor):
        ids: list[str] = []  # noqa: RUF012

        @handles(Job)
        async def work(self, job: Job) -> None:
            Sender.ids += [self.send("echo/main", Job(n)) for n in range(2)]

    async with open_testing_postroom() as office:
        await office.start("echo/main", Echo)
        await office.start("sender/main", Sender)
        await office.send("sender/main", Job())
        await settled(office)
        assert [office.show(id).state for id in Sender.ids] == ["done", "done"]
    assert len(set(Sender.ids)) == 2
    assert {parse_id(id)[6] >> 4 for id in Sender.ids} == {8}


async def test_outside_a_turn_an_actor_can_do_nothing(autojump_clock: MockClock) -> None:
    with pytest.raises(RuntimeError, match="no turn is under way"):
        Echo().send("echo/main", Job())
