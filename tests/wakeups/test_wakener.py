"""The wakener on virtual time: whom it wakes, when, and what it never does."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock
from wake_stage import counted, new_stage, one_pair, waking

from postroom.actors.wakeups.drivers import Delivered
from postroom.actors.wakeups.joining import join
from postroom.mailbox import threads, wakes
from postroom.mailbox.wakes import WakeState
from postroom.store.memory import MemoryStore
from postroom.store.transact import transact_one

DAY = 86_400


async def test_mail_wakes_its_recipient_half_a_second_later_and_once(autojump_clock: MockClock) -> None:
    async with waking(one_pair()) as process:
        for _ in range(5):
            await process.send("worker/w")
        await trio.sleep(100)
    assert (process.driver.woken, process.driver.times) == (["worker/w"], [0.5])
    (_, order) = process.driver.orders[0]
    assert (order.task, order.role, order.thread_id) == ("t1", "worker", "worker-w")
    assert "worker/w" in order.prompt
    assert wakes.find(process.store, "worker/w")[0].state is WakeState.SENT


async def test_mail_that_keeps_coming_puts_nobody_s_waking_off(autojump_clock: MockClock) -> None:
    async with waking(one_pair()) as process:
        for _ in range(10):
            await process.send("worker/w")
            await trio.sleep(0.3)
    assert process.driver.times == [0.5]


async def test_a_day_without_mail_costs_nothing(autojump_clock: MockClock) -> None:
    async with waking(one_pair()) as process:
        await trio.sleep(DAY)
    assert process.driver.orders == []


def joining(store: MemoryStore, messages: int, seconds: float) -> None:
    """Have the worker woken for so many messages together."""
    _, put = join(store, "t1", "worker", messages, seconds)
    transact_one(store, put)


async def test_who_joins_messages_is_woken_once_when_all_are_there(autojump_clock: MockClock) -> None:
    async with waking(one_pair()) as process:
        joining(process.store, 3, 300)
        for _ in range(3):
            await process.send("worker/w")
            await trio.sleep(20)
        taken = await process.clerk.poll("worker/w", max=9)
        assert len(taken) == 3
        for one in taken:
            await process.clerk.ack(one.id, one.fence)
        await trio.sleep(500)
    assert process.driver.times == [40.5]


async def test_who_joins_messages_is_woken_for_those_there_are_when_its_time_is_over(
    autojump_clock: MockClock,
) -> None:
    async with waking(one_pair()) as process:
        joining(process.store, 3, 300)
        await trio.sleep(100)
        await process.send("worker/w")
        await trio.sleep(300)
    assert process.driver.times == [300]


async def test_a_join_without_any_mail_wakes_nobody(autojump_clock: MockClock) -> None:
    async with waking(one_pair()) as process:
        joining(process.store, 3, 300)
        await trio.sleep(DAY)
    assert process.driver.orders == []


async def test_who_polls_before_is_not_woken(autojump_clock: MockClock) -> None:
    async with waking(one_pair()) as process:
        await process.send("worker/w")
        await trio.sleep(0.3)
        (taken,) = await process.clerk.poll("worker/w", lease=600)
        await trio.sleep(300)
        await process.clerk.ack(taken.id, taken.fence)
        await trio.sleep(300)
    assert process.driver.orders == []


async def test_a_turn_in_flight_is_never_interrupted_and_its_rest_is_woken_for(
    autojump_clock: MockClock,
) -> None:
    async with waking(one_pair()) as process:
        await process.send("worker/w")
        await process.send("worker/w")
        (taken,) = await process.clerk.poll("worker/w", lease=600)
        await trio.sleep(500)
        assert process.driver.orders == []
        await process.clerk.ack(taken.id, taken.fence)
        acked = trio.current_time()
        await trio.sleep(60)
    assert process.driver.woken == ["worker/w"]
    assert process.driver.times[0] - acked <= 15


async def test_who_polls_on_after_a_turn_is_left_alone(autojump_clock: MockClock) -> None:
    async with waking(one_pair()) as process:
        for _ in range(20):
            await process.send("worker/w")
        for _ in range(20):
            (taken,) = await process.clerk.poll("worker/w", lease=600)
            await trio.sleep(33)
            await process.clerk.ack(taken.id, taken.fence)
            await trio.sleep(4)  # the time it takes to think of polling again
    assert process.driver.orders == []


async def test_a_useful_wake_is_counted_and_the_next_mail_wakes_again(autojump_clock: MockClock) -> None:
    async with waking(one_pair()) as process:
        for _ in range(2):
            await process.send("worker/w")
            await trio.sleep(5)
            (taken,) = await process.clerk.poll("worker/w")
            await process.clerk.ack(taken.id, taken.fence)
            await trio.sleep(60)
    assert process.driver.times == [0.5, 65.5]
    assert counted(process.store) == (2, 0, 0)


async def test_a_lost_wake_is_planned_again_with_doubling_delay(autojump_clock: MockClock) -> None:
    async with waking(one_pair()) as process:
        await process.send("worker/w")
        await trio.sleep(12_000)
    gaps = [round(b - a) for a, b in zip(process.driver.times, process.driver.times[1:], strict=False)]
    assert gaps == [180, 360, 720, 1440, 2880, 3600]
    assert counted(process.store) == (0, 0, 6)
    assert max(process.driver.receipts().values()) == 1


async def test_a_lost_wake_whose_mail_is_gone_is_counted_and_not_repeated(autojump_clock: MockClock) -> None:
    async with waking(one_pair()) as process:
        await process.send("worker/w")
        await trio.sleep(10)
        stage = new_stage()
        stage.store, stage.desk.store = process.store, process.store
        stage.desk.purge("worker/w")
        await trio.sleep(1000)
    assert process.driver.times == [0.5]
    assert counted(process.store) == (0, 0, 1)


async def test_delayed_mail_wakes_when_it_is_due(autojump_clock: MockClock) -> None:
    """Promoting it rings: the dispatcher does that; here, another claim."""
    async with waking(one_pair()) as process:
        flags = {"to": "worker/w", "type": "job", "body": 1, "delay": 50}
        await process.clerk.send(flags, sender="operator/cli")
        await trio.sleep(49)
        assert process.driver.orders == []
        await trio.sleep(2)
        process.wakener.ring(process.store.ready_inboxes() | {"worker/w"})
        await trio.sleep(1)
    assert process.driver.woken == ["worker/w"]


async def test_who_has_no_thread_is_counted_as_blocked_once_and_woken_when_there_is_one(
    autojump_clock: MockClock,
) -> None:
    stage = new_stage()
    stage.pair("t1", threads=False)
    async with waking(stage.store) as process:
        await process.send("worker/w")
        await trio.sleep(600)
        assert wakes.find(stage.store, "worker/w")[0].blocked == 1
        _, write = threads.assign(stage.store, "worker/w", "late")
        assert write is not None
        await process.clerk.put([write])
        await trio.sleep(100)
    assert [order.thread_id for _, order in process.driver.orders] == ["late"]


async def test_only_who_is_wanted_is_woken(autojump_clock: MockClock) -> None:
    stage = new_stage()
    stage.pair("t1")
    async with waking(stage.store, wanted=lambda task, role: role == "manager") as process:
        await process.send("worker/w")
        await process.send("manager/m")
        await trio.sleep(10)
    assert process.driver.woken == ["manager/m"]


async def test_a_manager_paired_later_is_woken_too(autojump_clock: MockClock) -> None:
    stage = new_stage()
    stage.pair("t1")
    async with waking(stage.store) as process:
        await trio.sleep(100)
        stage.pair("t2", "n", "v")
        await process.send("manager/n")
        await process.send("worker/v")
        await trio.sleep(10)
    assert sorted(process.driver.woken) == ["manager/n", "worker/v"]


async def test_an_ended_task_wakes_nobody(autojump_clock: MockClock) -> None:
    stage = new_stage()
    stage.pair("t1")
    async with waking(stage.store) as process:
        stage.desk.unpair("t1")
        await process.send("manager/m")
        await process.send("worker/w")
        await trio.sleep(1000)
    assert process.driver.orders == []


# Drivers


async def test_a_driver_that_fails_is_tried_three_times_and_again_after_a_while(
    autojump_clock: MockClock,
) -> None:
    async with waking(one_pair()) as process:
        process.driver.answers.extend([Delivered.FAILED] * 6)
        await process.send("worker/w")
        await trio.sleep(200)
    assert process.driver.times == [0.5, 1.0, 1.5, 31.5, 32.0, 32.5, 92.5]
    assert sorted(process.driver.receipts().values()) == [1, 3, 3]
    assert counted(process.store) == (0, 0, 0)


@pytest.mark.parametrize("how", [Delivered.UNKNOWN, RuntimeError("broken")])
async def test_an_attempt_that_may_have_had_its_effect_is_pending_until_its_window_ends(
    how: Delivered | Exception, autojump_clock: MockClock
) -> None:
    async with waking(one_pair()) as process:
        process.driver.answers.append(how)
        await process.send("worker/w")
        await trio.sleep(100)
        assert wakes.find(process.store, "worker/w")[0].state is WakeState.SENDING
        await trio.sleep(200)
    assert process.driver.times == [0.5, 180.5]
    assert counted(process.store) == (0, 0, 1)


async def test_a_driver_that_hangs_is_given_up_and_others_are_served_meanwhile(
    autojump_clock: MockClock,
) -> None:
    stage = new_stage()
    stage.pair("t1")
    stage.pair("t2", "n", "v")
    async with waking(stage.store) as process:
        process.driver.seconds = 10_000
        await process.send("worker/w")
        await trio.sleep(1)
        process.driver.seconds = 0
        await process.send("worker/v")
        await trio.sleep(400)
    assert process.driver.woken[:2] == ["worker/w", "worker/v"]
    assert process.driver.times[2] == 180.5
    assert process.driver.woken[2] == "worker/w"


async def test_who_polls_between_two_tries_is_not_tried_again(autojump_clock: MockClock) -> None:
    async with waking(one_pair()) as process:
        process.driver.answers.extend([Delivered.FAILED] * 3)
        await process.send("worker/w")
        await trio.sleep(0.7)
        (taken,) = await process.clerk.poll("worker/w", lease=600)
        await trio.sleep(100)
        assert process.driver.times == [0.5]
        await process.clerk.ack(taken.id, taken.fence)
    assert wakes.find(process.store, "worker/w")[0].state is WakeState.IDLE


async def test_a_thread_that_was_replaced_between_two_tries_is_not_woken(autojump_clock: MockClock) -> None:
    async with waking(one_pair()) as process:
        process.driver.answers.append(Delivered.FAILED)
        await process.send("worker/w")
        await trio.sleep(0.7)
        await process.clerk.put([threads.rotate(process.store, "worker/w", "worker-w", "second")[1]])
        await trio.sleep(100)
    assert [order.thread_id for _, order in process.driver.orders] == ["worker-w", "second"]


async def test_a_thread_that_polls_while_it_is_being_woken_makes_the_wake_useful(
    autojump_clock: MockClock,
) -> None:
    async with waking(one_pair()) as process:
        process.driver.seconds = 5
        await process.send("worker/w")
        await trio.sleep(2)
        (taken,) = await process.clerk.poll("worker/w", lease=600)
        await trio.sleep(200)
        await process.clerk.ack(taken.id, taken.fence)
        await trio.sleep(200)
    assert process.driver.times == [0.5]
    assert counted(process.store) == (1, 0, 0)


# Shared mail


async def test_shared_mail_wakes_one_for_each_message(autojump_clock: MockClock) -> None:
    stage = new_stage()
    for n in range(10):
        stage.pair(f"t{n}", worker=f"w{n}")
    async with waking(stage.store) as process:
        for _ in range(3):
            await process.send("any:worker")
        await trio.sleep(100)
    assert len(set(process.driver.woken)) == len(process.driver.woken) == 3


async def test_shared_mail_left_behind_is_woken_for_when_somebody_is_free(autojump_clock: MockClock) -> None:
    async with waking(one_pair()) as process:
        await process.send("any:worker")
        await process.send("any:worker")
        await trio.sleep(2)
        (taken,) = await process.clerk.poll("worker/w", lease=600)
        await trio.sleep(100)
        await process.clerk.ack(taken.id, taken.fence)
        await trio.sleep(30)
    assert process.driver.woken == ["worker/w"] * 2
    assert 102 < process.driver.times[1] < 120
