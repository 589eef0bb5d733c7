"""Storage that fails under actors that run: nothing is lost, and nothing happens twice."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import trio
from clerks import Clerk, Passing, Sink, once_each, queued
from faulty import Failure, FaultyStore, having, leasing, sending, settling
from trio.testing import MockClock
from troupe import Adder, Echo, Job, final, making, state_of

from postroom import Actor, handles
from postroom.mailbox.ids import id_text
from postroom.store import records as r
from postroom.store.errors import OutcomeUnknown, StoreUnavailable
from postroom.store.events import CommitFailed
from postroom.testing import open_testing_postroom, settled

all_failures = pytest.mark.parametrize("failure", list(Failure), ids=lambda failure: failure.name.lower())
SOON = 30.0
"""Virtual seconds within which everything goes on after a failure: half of a session."""


@all_failures
async def test_a_turn_without_state_happens_once_though_its_commit_fails(
    autojump_clock: MockClock, failure: Failure
) -> None:
    store = FaultyStore()
    async with open_testing_postroom(store=store) as office:
        await office.start("sink/main", Sink)
        await office.start("passing/main", Passing)
        plan = store.plan(failure, having(r.Settle))
        await office.send("passing/main", Job(0))
        await settled(office, timeout=SOON)
        assert plan.times == 0
        once_each(office, "passing/main", 1)


@all_failures
async def test_a_turn_with_state_happens_once_though_its_commit_fails(
    autojump_clock: MockClock, failure: Failure
) -> None:
    store = FaultyStore()
    async with open_testing_postroom(store=store) as office:
        await office.start("sink/main", Sink)
        await office.start("clerk/main", Clerk)
        plan = store.plan(failure, having(r.Settle))
        await office.send("clerk/main", Job(0))
        await settled(office, timeout=SOON)
        assert plan.times == 0
        assert state_of(office, "clerk/main").seen == [0]
        once_each(office, "clerk/main", 1)


@all_failures
@pytest.mark.parametrize("which", [0, 1, 20, 21, 39])
async def test_chained_turns_happen_once_and_in_order_though_a_commit_in_the_middle_fails(
    autojump_clock: MockClock, failure: Failure, which: int
) -> None:
    store = FaultyStore()
    async with open_testing_postroom(store=store) as office:
        await office.start("sink/main", Sink)
        await office.start("clerk/main", Clerk)
        ids = await queued(office, "clerk/main", 40)
        plan = store.plan(failure, settling(ids[which]))
        await settled(office, timeout=SOON)
        assert plan.times == 0
        assert state_of(office, "clerk/main").seen == list(range(40))
        once_each(office, "clerk/main", 40)


@pytest.mark.parametrize("failure", [None, *Failure], ids=str)
async def test_no_turn_tells_what_a_turn_before_it_did_that_is_refused(
    autojump_clock: MockClock, failure: Failure | None
) -> None:
    told: list[int] = []

    class Teller(Adder):
        @handles(Job)
        async def add(self, job: Job) -> None:
            if job.n == 30:
                self.send("all:nobody", job)  # refused, whenever it is tried
            if job.n == 31:
                self.send("hearer/main", Job(self.state.total))  # leaves the state as it is
            else:
                self.state.total += 1

    async def hear(_: Actor, job: Job) -> None:
        told.append(job.n)

    store = FaultyStore()
    async with open_testing_postroom(store=store) as office:
        await office.start("hearer/main", making(hear))
        await office.start("teller/main", Teller)
        ids = await queued(office, "teller/main", 32)
        if failure is not None:
            store.plan(failure, settling(ids[30]))
        await settled(office, timeout=SOON)
        assert told == [30]
        assert state_of(office, "teller/main").total == 30


async def test_turns_after_one_whose_commit_fails_are_dropped_and_run_anew(autojump_clock: MockClock) -> None:
    ran: list[int] = []

    class Watched(Clerk):
        @handles(Job)
        async def add(self, job: Job) -> None:
            ran.append(job.n)
            assert self.state.seen == list(range(job.n)), "a turn runs on the turns before it"
            await super().add(job)

    store = FaultyStore(commit_delay=0.01)
    async with open_testing_postroom(store=store) as office:
        await office.start("sink/main", Sink)
        await office.start("watched/main", Watched)
        ids = await queued(office, "watched/main", 60)
        store.plan(Failure.LOST, settling(ids[30]))
        await settled(office, timeout=SOON)
        once_each(office, "watched/main", 60)
    times = Counter(ran)
    again = [n for n in range(60) if times[n] == 2]
    assert 30 in again
    assert len(again) > 1, "turns had run ahead of the commit that failed"
    assert [later - earlier for earlier, later in pairwise(again)] == [1] * (len(again) - 1)
    assert max(times.values()) == 2


@all_failures
async def test_many_commits_that_fail_cost_no_attempts(autojump_clock: MockClock, failure: Failure) -> None:
    store = FaultyStore()
    failed: list[str] = []

    def observe(event: object) -> None:
        if isinstance(event, CommitFailed):
            failed.append(event.error)

    async with open_testing_postroom(store=store, observer=observe) as office:
        await office.start("sink/main", Sink)
        await office.start("clerk/main", Clerk)
        ids = await queued(office, "clerk/main", 10)
        store.plan(failure, settling(ids[4]), times=7)
        await settled(office, timeout=SOON)
        once_each(office, "clerk/main", 10)
        assert {office.show(id).attempts for id in ids} == {1}
    assert set(failed) == {"store_unavailable" if failure is Failure.REFUSED else "outcome_unknown"}


@all_failures
async def test_a_handler_that_raised_is_tried_again_once_though_that_commit_fails(
    autojump_clock: MockClock, failure: Failure
) -> None:
    store = FaultyStore()
    tries: list[int] = []

    async def stumble(_: Actor, job: Job) -> None:
        tries.append(job.n)
        if len(tries) == 1:
            raise ValueError

    async with open_testing_postroom(store=store) as office:
        await office.start("made/main", making(stumble))
        plan = store.plan(failure, having(r.Settle))
        sent = await office.send("made/main", Job(5))
        assert (await final(office, sent)).state == "done"
        assert plan.times == 0
        charged = 1 if failure is Failure.LOST else 2  # a session in doubt gives all attempts back
        assert (tries, office.show(sent).attempts) == ([5, 5], charged)


@all_failures
async def test_mail_is_claimed_though_a_claim_fails(autojump_clock: MockClock, failure: Failure) -> None:
    store = FaultyStore()
    async with open_testing_postroom(store=store) as office:
        await office.start("echo/main", Echo)
        await settled(office)
        plan = store.plan(failure, leasing("echo/main"))
        answers = await office.send_many("echo/main", [Job(n) for n in range(5)])
        assert all(isinstance(answer, r.Accepted) for answer in answers)
        await settled(office, timeout=SOON)
        assert plan.times == 0
        assert office.store.counts("echo/main")[0].done == 5


@all_failures
async def test_a_send_whose_commit_fails_says_so_and_may_be_repeated(
    autojump_clock: MockClock, failure: Failure
) -> None:
    store = FaultyStore()
    async with open_testing_postroom(store=store) as office:
        await office.start("adder/main", Adder)
        store.plan(failure, sending("adder/main"))
        id = id_text(office.ids.new())
        expected = StoreUnavailable if failure is Failure.REFUSED else OutcomeUnknown
        with pytest.raises(expected) as caught:
            await office.send("adder/main", Job(3), id=id)
        assert type(caught.value) is expected
        assert await office.send("adder/main", Job(3), id=id) == id
        await settled(office, timeout=SOON)
        assert state_of(office, "adder/main").seen == [3]
        assert office.show(id).state == "done"


async def test_a_send_of_unknown_outcome_is_handled_though_nobody_repeats_it(
    autojump_clock: MockClock,
) -> None:
    store = FaultyStore()
    async with open_testing_postroom(store=store) as office:
        await office.start("adder/main", Adder)
        store.plan(Failure.KEPT, having(r.Send))
        with pytest.raises(OutcomeUnknown):
            await office.send("adder/main", Job(3))
        await settled(office, timeout=SOON)
        assert state_of(office, "adder/main").seen == [3]


@all_failures
async def test_a_question_may_be_repeated_when_its_commit_failed(
    autojump_clock: MockClock, failure: Failure
) -> None:
    store = FaultyStore()
    async with open_testing_postroom(store=store) as office:
        await office.start("echo/main", Echo)
        id = id_text(office.ids.new())
        store.plan(failure, sending("echo/main"))
        with pytest.raises(StoreUnavailable):
            await office.ask("echo/main", Job(3), timeout=5, id=id)
        assert await office.ask("echo/main", Job(3), timeout=5, id=id) == {"n": 3}


@all_failures
async def test_an_answer_comes_though_the_commit_of_its_turn_fails(
    autojump_clock: MockClock, failure: Failure
) -> None:
    store = FaultyStore()
    async with open_testing_postroom(store=store) as office:
        await office.start("echo/main", Echo)
        store.plan(failure, having(r.Settle))
        assert await office.ask("echo/main", Job(3), timeout=10) == {"n": 3}


async def test_a_failed_renewal_is_repeated_before_the_session_lapses(autojump_clock: MockClock) -> None:
    store = FaultyStore()
    async with open_testing_postroom(store=store) as office:
        await office.start("adder/main", Adder)
        (before,) = store.sessions()
        plan = store.plan(Failure.REFUSED, having(r.RenewSession), times=20)
        await trio.sleep(90)
        assert plan.times == 0
        assert [session.id for session in store.sessions() if session.live] == [before.id]


@pytest.mark.parametrize("beginning", [0.0, 5.0, 14.0, 14.9, 29.5])
async def test_a_store_that_is_away_for_a_while_does_not_end_the_system(
    autojump_clock: MockClock, beginning: float
) -> None:
    store = FaultyStore()
    async with open_testing_postroom(store=store) as office:
        await office.start("sink/main", Sink)
        await office.start("clerk/main", Clerk)
        await trio.sleep(beginning)
        store.go_away(3)
        with pytest.raises(StoreUnavailable):
            await office.send("clerk/main", Job(0))
        await trio.sleep(20)
        assert store.failures
        await office.send("clerk/main", Job(0))
        await settled(office, timeout=SOON)
        once_each(office, "clerk/main", 1)
        assert len(store.sessions()) == 1


async def test_turns_that_end_while_the_store_is_away_are_kept_when_it_is_back(
    autojump_clock: MockClock,
) -> None:
    class Slow(Clerk):
        @handles(Job)
        async def add(self, job: Job) -> None:
            await trio.sleep(0.5)
            await super().add(job)

    store = FaultyStore()
    async with open_testing_postroom(store=store) as office:
        await office.start("sink/main", Sink)
        await office.start("slow/main", Slow)
        await office.start("passing/main", Passing)
        await queued(office, "slow/main", 6)
        await trio.sleep(1.2)
        store.go_away(3)
        await trio.sleep(4)
        await settled(office, timeout=SOON)
        assert store.failures
        assert state_of(office, "slow/main").seen == list(range(6))
        once_each(office, "slow/main", 6)


@pytest.mark.parametrize("operation", [r.OpenSession, r.Register])
async def test_a_system_that_cannot_be_opened_says_so_and_can_be_opened_later(
    autojump_clock: MockClock, operation: type[r.OpenSession] | type[r.Register]
) -> None:
    store = FaultyStore()
    store.plan(Failure.REFUSED, having(operation))
    with pytest.raises(StoreUnavailable):
        async with open_testing_postroom(store=store):
            pass
    async with open_testing_postroom(store=store) as office:
        await office.start("echo/main", Echo)


async def test_an_actor_that_cannot_be_registered_is_not_started_and_may_be_later(
    autojump_clock: MockClock,
) -> None:
    store = FaultyStore()
    async with open_testing_postroom(store=store) as office:
        store.plan(Failure.REFUSED, having(r.Register))
        with pytest.raises(StoreUnavailable):
            await office.start("adder/main", Adder)
        await office.start("adder/main", Adder)
        await office.send("adder/main", Job(1))
        await settled(office, timeout=SOON)
        assert state_of(office, "adder/main").total == 1


@all_failures
async def test_an_actor_is_activated_when_the_store_is_back(
    autojump_clock: MockClock, failure: Failure
) -> None:
    store = FaultyStore()
    async with open_testing_postroom(store=store) as office:
        await trio.sleep(1)
        store.plan(failure, having(r.Activate), times=6)
        await office.start("adder/main", Adder)
        await office.send("adder/main", Job(1))
        await trio.sleep(5)
        await settled(office, timeout=SOON)
        assert state_of(office, "adder/main").total == 1


@all_failures
async def test_an_actor_that_stops_is_free_though_that_commit_fails(
    autojump_clock: MockClock, failure: Failure
) -> None:
    store = FaultyStore()
    async with open_testing_postroom(store=store) as office:
        await office.start("adder/main", Adder)
        plan = store.plan(failure, having(r.Deactivate), times=3)
        await office.stop("adder/main")
        assert plan.times < 3
        assert "adder/main" not in {term.name for term in store.activations() if term.session}


@pytest.mark.parametrize("kind", [Adder, Passing])
async def test_a_system_whose_store_is_gone_for_good_can_still_be_left(
    autojump_clock: MockClock, kind: type[Actor]
) -> None:
    store = FaultyStore()
    with trio.fail_after(60):
        async with open_testing_postroom(store=store) as office:
            await office.start("it/main", kind)
            await office.send("it/main", Job(1))
            store.go_away(10_000)


async def test_a_turn_that_ends_after_its_store_is_gone_for_good_holds_nobody_up(
    autojump_clock: MockClock,
) -> None:
    async def slow(_: Actor, job: Job) -> None:
        await trio.sleep(job.n)

    store = FaultyStore()
    with trio.fail_after(60):
        async with open_testing_postroom(store=store) as office:
            await office.start("slow/main", making(slow))
            await office.send("slow/main", Job(2))
            store.go_away(10_000)
