"""Cancelling what is done to actors and to systems at each of its awaits: no mail is left behind."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
import trio
from cutting import Cut, at_every_step
from handled import Log, known, new_id
from trio.testing import MockClock
from troupe import Job, verified

from postroom import Actor, ChildSpec, System
from postroom.store.errors import Conflict, StoreUnavailable
from postroom.testing import memory_store, open_testing_postroom

MAIN = "log/main"
Kind = Callable[[Log], type[Actor]]

KINDS = pytest.mark.parametrize("kind", [Log.actor, Log.keeper], ids=["stateless", "state"])


async def all_done(office: System) -> None:
    """Wait until no mail is live any more, wherever it is."""
    live = ("ready", "leased", "delayed", "held")
    with trio.fail_after(300):
        while any(verified(office)[state] for state in live):  # noqa: ASYNC110  # the store is polled
            await trio.sleep(0.1)


# Pausing


@KINDS
async def test_after_a_pause_that_is_cancelled_all_mail_is_handled_once(
    autojump_clock: MockClock, kind: Kind
) -> None:
    async def trial(cut: Cut) -> None:
        log = Log()
        async with open_testing_postroom() as office:
            await office.start(MAIN, kind(log))
            expected = await log.burden(office, MAIN)
            await cut.through(lambda: office.pause(MAIN))
            await office.resume(MAIN)
            await all_done(office)
            assert log.handled == expected
            await log.proves(office, MAIN)

    await at_every_step(trial, rounds=5)


async def test_a_pause_that_is_cancelled_holds_no_mail_back_here(autojump_clock: MockClock) -> None:
    async def trial(cut: Cut) -> None:
        log = Log()
        async with open_testing_postroom() as office:
            await office.start(MAIN, log.actor())
            expected = await log.burden(office, MAIN)
            await cut.through(lambda: office.pause(MAIN))
            await trio.sleep(2)
            counts = office.store.counts(MAIN)[0]
            assert counts.leased == 0
            assert counts.paused or counts.ready == 0
            await office.resume(MAIN)
            await all_done(office)
            assert log.handled == expected

    await at_every_step(trial, rounds=5)


async def test_a_resume_that_is_cancelled_has_happened_or_not(autojump_clock: MockClock) -> None:
    async def trial(cut: Cut) -> None:
        log = Log()
        async with open_testing_postroom() as office:
            await office.start(MAIN, log.actor())
            await office.pause(MAIN)
            await office.send_many(MAIN, [Job(n) for n in range(8)])
            await cut.through(lambda: office.resume(MAIN))
            await trio.sleep(2)
            if office.store.counts(MAIN)[0].paused:
                assert not log.handled
                await office.resume(MAIN)
            await all_done(office)
            assert log.handled == dict.fromkeys(range(8), 1)
            await log.proves(office, MAIN)

    await at_every_step(trial)


# Starting and stopping


@KINDS
async def test_an_actor_whose_start_is_cancelled_works_or_can_be_started(
    autojump_clock: MockClock, kind: Kind
) -> None:
    async def trial(cut: Cut) -> None:
        log = Log()
        async with open_testing_postroom() as office:
            await cut.through(lambda: office.start(MAIN, kind(log)))
            with suppress(Conflict):  # then it is started, so it must work
                await office.start(MAIN, kind(log))
            await log.proves(office, MAIN)

    await at_every_step(trial)


@KINDS
async def test_an_actor_whose_start_is_cancelled_can_be_stopped_and_started(
    autojump_clock: MockClock, kind: Kind
) -> None:
    async def trial(cut: Cut) -> None:
        log = Log()
        async with open_testing_postroom() as office:
            await cut.through(lambda: office.start(MAIN, kind(log)))
            await office.stop(MAIN)
            await office.start(MAIN, kind(log))
            await log.proves(office, MAIN)

    await at_every_step(trial)


@KINDS
async def test_actors_whose_supervision_is_cancelled_work_or_can_be_started(
    autojump_clock: MockClock, kind: Kind
) -> None:
    addresses = ["log/a", "log/b", "log/c"]

    async def trial(cut: Cut) -> None:
        log = Log()
        async with open_testing_postroom() as office:
            specs = [ChildSpec(address, kind(log)) for address in addresses]
            await cut.through(lambda: office.supervise(specs, strategy="one-for-all"))
            for spec in specs:
                with suppress(Conflict):  # then it is started, so it must work
                    await office.supervise([spec])
            for address in addresses:
                await log.proves(office, address)

    await at_every_step(trial)


@KINDS
async def test_when_a_stop_is_cancelled_the_mail_is_handled_after_the_next_start(
    autojump_clock: MockClock, kind: Kind
) -> None:
    async def trial(cut: Cut) -> None:
        log = Log()
        async with open_testing_postroom() as office:
            await office.start(MAIN, kind(log))
            expected = await log.burden(office, MAIN)
            await cut.through(lambda: office.stop(MAIN))
            await office.stop(MAIN)
            await office.start(MAIN, kind(log))
            await all_done(office)
            assert log.handled == expected
            await log.proves(office, MAIN)

    await at_every_step(trial)


@KINDS
async def test_when_a_stop_is_cancelled_the_mail_is_handled_by_another_system(
    autojump_clock: MockClock, kind: Kind
) -> None:
    async def trial(cut: Cut) -> None:
        log = Log()
        store = memory_store()
        async with (
            open_testing_postroom(store=store, process="here") as office,
            open_testing_postroom(store=store.another_handle(), process="there", seed=1) as there,
        ):
            await office.start(MAIN, kind(log))
            expected = await log.burden(office, MAIN)
            await cut.through(lambda: office.stop(MAIN))
            await office.stop(MAIN)
            await there.start(MAIN, kind(log))
            await all_done(office)
            assert log.handled == expected
        store.close()

    await at_every_step(trial)


async def test_an_instance_whose_stop_is_cancelled_is_told_all_the_same(autojump_clock: MockClock) -> None:
    async def trial(cut: Cut) -> None:
        log = Log()
        async with open_testing_postroom() as office:
            await office.start(MAIN, log.actor())
            await log.burden(office, MAIN)
            await trio.sleep(0.005)
            await cut.through(lambda: office.stop(MAIN))
            await office.stop(MAIN)
            await trio.sleep(2)
            assert log.stopped == 1

    await at_every_step(trial)


# Systems


async def test_a_system_whose_body_is_cancelled_leaves_nothing_half_done(autojump_clock: MockClock) -> None:
    async def trial(cut: Cut) -> None:
        log = Log(seconds=0.01)
        store = memory_store()
        ids: list[str] = []

        async def body() -> None:
            async with open_testing_postroom(store=store, process="here", grace=0.02) as office:
                await office.start(MAIN, log.keeper())
                for n in range(3):
                    ids.append(new_id(office))
                    await office.send(MAIN, Job(n), id=ids[-1])
                await office.ask(MAIN, Job(3), timeout=5)

        await cut.through(body)
        async with open_testing_postroom(store=store, process="here", seed=1) as office:
            assert [s.name for s in store.sessions() if s.live] == [office.name]
            await office.start(MAIN, log.keeper())
            await log.proves(office, MAIN)
            await all_done(office)
            for n, id in enumerate(ids):
                assert log.handled[n] >= known(office, id)
                assert known(office, id) or not log.handled[n]
        store.close()

    await at_every_step(trial, least=30)


async def test_a_system_that_is_closed_says_so_and_keeps_nobody_waiting(autojump_clock: MockClock) -> None:
    log = Log()
    async with open_testing_postroom() as office:
        await office.start("log/other", log.actor())
    with trio.move_on_after(60) as scope:
        with pytest.raises(StoreUnavailable):
            await office.start(MAIN, log.actor())
        with pytest.raises(StoreUnavailable):
            await office.send("log/other", Job(1))
        with pytest.raises(StoreUnavailable):
            await office.ask("log/other", Job(1), timeout=5)
        await office.stop("log/other")
    assert not scope.cancelled_caught
