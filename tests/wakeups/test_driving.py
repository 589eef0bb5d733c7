"""The process that wakes, the dispatcher beside it, and the counters."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from random import Random

import trio
from prometheus_client.core import CounterMetricFamily
from trio.testing import MockClock
from wake_stage import Puppet, Stage, new_stage

from postroom.actors.loops.change import changed
from postroom.actors.loops.iterations import checked_terms, start
from postroom.actors.wakeups import autopilot, planning
from postroom.actors.wakeups.drivers import ByRole
from postroom.actors.wakeups.driving import Housekeeping, Waking, drive, drivers
from postroom.actors.wakeups.planning import SHARES
from postroom.mailbox import wakes
from postroom.mailbox.wakes import Wake
from postroom.store.commit import GroupCommit
from postroom.store.records import CloseSession, Put
from postroom.store.transact import transact_one
from postroom.telemetry.wake_families import read_outcomes, wake_families


def started(stage: Stage, task: str = "t1") -> None:
    put = autopilot.start(stage.store, task)[1]
    assert put is not None
    transact_one(stage.store, put)


async def test_what_other_processes_commit_is_heard_and_woken_for(autojump_clock: MockClock) -> None:
    stage, driver = new_stage(), Puppet()
    stage.pair("t1")
    stage.pair("t2", "n", "v")
    started(stage)
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            handle = stage.store.another_handle()
            await drive(handle, Waking(ByRole({"worker": driver})), process="p", rng=Random(1))

        nursery.start_soon(run)
        await trio.sleep(5)
        for address in ("worker/w", "worker/v", "manager/m"):
            stage.mail(address)
        await trio.sleep(2)
        assert driver.woken == ["worker/w"]
        started(stage, "t2")
        await trio.sleep(2)
        nursery.cancel_scope.cancel()
    assert driver.woken == ["worker/w", "worker/v"]
    assert not [session for session in stage.store.sessions() if session.live]


async def test_with_everything_only_what_was_stopped_is_left_alone(autojump_clock: MockClock) -> None:
    stage, driver = new_stage(), Puppet()
    stage.pair("t1")
    stage.pair("t2", "n", "v")
    put = autopilot.stop(stage.store, "t2")[1]
    assert put is not None
    transact_one(stage.store, put)
    stage.mail("worker/w")
    stage.mail("worker/v")
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            handle = stage.store.another_handle()
            waking = Waking(ByRole({"worker": driver}), everything=True)
            await drive(handle, waking, process="p", rng=Random(1))

        nursery.start_soon(run)
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert driver.woken == ["worker/w"]


async def test_a_worker_whose_wakes_are_spent_is_left_asleep(autojump_clock: MockClock) -> None:
    stage = new_stage()
    stage.pair("t1")
    changed(stage.store, "t1", lambda change: start(change, checked_terms({"wakes": 1})))
    stage.put("worker/w", lambda wake: Wake(useful=1))
    for inbox in ("worker/w", "manager/m"):
        stage.mail(inbox)
    driver = Puppet()
    async with trio.open_nursery() as nursery:
        both = ByRole({"worker": driver, "manager": driver})
        waking = Waking(both, everything=True)
        nursery.start_soon(partial(drive, stage.store.another_handle(), waking, process="p", rng=Random(1)))
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    assert driver.woken == ["manager/m"]


async def test_whose_session_was_lost_opens_another_and_wakes_on(autojump_clock: MockClock) -> None:
    stage = new_stage()
    stage.pair("t1")
    driver = Puppet()
    async with trio.open_nursery() as nursery:
        waking = Waking(ByRole({"worker": driver}), everything=True)
        nursery.start_soon(partial(drive, stage.store.another_handle(), waking, process="p", rng=Random(1)))
        await trio.sleep(1)
        for session in stage.store.sessions():
            transact_one(stage.store, CloseSession(session.id))
        await trio.sleep(100)
        stage.mail("worker/w")
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    assert driver.woken == ["worker/w"]


async def test_it_gives_the_dispatcher_s_signs_of_life_and_ends_quiet_autopilots(
    autojump_clock: MockClock,
) -> None:
    stage = new_stage()
    stage.pair("t1")
    started(stage)
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            await drive(stage.store.another_handle(), Waking(ByRole({})), process="p", rng=Random(1))

        nursery.start_soon(run)
        await trio.sleep(1)
        for _ in range(3):
            for role in ("manager", "worker"):
                stage.beat(role, "t1", busy=False)
        await trio.sleep(130)
        found = autopilot.find(stage.store, "t1")[0]
        assert found is not None
        assert found.state is autopilot.PilotState.QUIET
        (beat,) = stage.store.records("postroom/heartbeats", "dispatcher")
        assert beat.version == 3
        nursery.cancel_scope.cancel()


def test_the_drivers_are_those_of_the_roles_named() -> None:
    made = drivers([("worker", ("true",))], [("manager", "http://127.0.0.1:1/")], 5)
    assert made.roles == ["manager", "worker"]


# Metrics


def samples(stage: Stage) -> dict[str, float]:
    (family,) = wake_families(read_outcomes(stage.store))
    assert isinstance(family, CounterMetricFamily)
    assert {sample.name for sample in family.samples} == {"postroom_wakeups_total"}
    return {sample.labels["outcome"]: sample.value for sample in family.samples}


def test_the_outcomes_are_counted_over_all_addresses_and_zero_from_the_start() -> None:
    stage = new_stage()
    assert samples(stage) == {"useful": 0, "empty": 0, "lost": 0, "blocked": 0}
    stage.put("worker/w", lambda _: Wake(useful=3, empty=1, lost=2))
    stage.put("manager/m", lambda _: Wake(useful=4, blocked=5))
    assert samples(stage) == {"useful": 7, "empty": 1, "lost": 2, "blocked": 5}


def test_what_a_share_of_mail_counts_is_no_outcome() -> None:
    stage = new_stage()
    stage.pair("t1")
    stage.put("worker/w", wakes.blocked)
    transact_one(stage.store, Put((SHARES.write("worker", 1, 0),)))
    assert samples(stage)["blocked"] == 1


# Processes without drivers


@asynccontextmanager
async def keeping_house(stage: Stage) -> AsyncGenerator[None]:
    """A process that serves and cannot wake."""
    store = stage.store.another_handle(seed=5)
    commit = GroupCommit(store, rng=Random(5))
    house = Housekeeping(store, commit, process="serving", rng=Random(5))
    commit.on_rung = house.ring
    async with trio.open_nursery() as nursery:
        await nursery.start(commit.run)
        nursery.start_soon(house.run)
        yield
        nursery.cancel_scope.cancel()
    await house.leave()


async def test_without_drivers_there_is_a_dispatcher_that_tells_of_workers_that_went_stale(
    autojump_clock: MockClock,
) -> None:
    stage = new_stage()
    stage.pair("t1")
    async with keeping_house(stage):
        await trio.sleep(5)
        assert not planning.dispatcher_required(stage.store)
        stage.mail("worker/w")
        stage.beat("worker", "t1")
        stage.poll("worker/w", lease=5000)
        await trio.sleep(300)
        (told,) = stage.store.peek("manager/m", 10)
        assert told.type == "worker_stale"
    assert not [session for session in stage.store.sessions() if session.live]


async def test_who_cannot_wake_keeps_nobody_else_from_waking(autojump_clock: MockClock) -> None:
    stage, driver = new_stage(), Puppet()
    stage.pair("t1")
    started(stage)
    async with keeping_house(stage), trio.open_nursery() as nursery:
        await trio.sleep(5)

        async def run() -> None:
            handle = stage.store.another_handle()
            await drive(handle, Waking(ByRole({"worker": driver})), process="p", rng=Random(1))

        nursery.start_soon(run)
        await trio.sleep(5)
        stage.mail("worker/w")
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert driver.woken == ["worker/w"]
