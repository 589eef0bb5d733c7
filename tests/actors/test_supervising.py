"""Who is started again when an actor fails, who is stopped with it, and when that ends."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from stage import ALWAYS, Stage, Witness, answers
from trio.testing import MockClock, wait_all_tasks_blocked
from troupe import Adder, Echo, Job, final, state_of, verified

from postroom import Actor, ChildSpec, handles
from postroom.actors.supervisor import RESTARTS, Intensity, Reason, Restart, RestartLog, Strategy, affected
from postroom.store.errors import BadInput, Conflict
from postroom.store.records import Put, Write
from postroom.testing import open_testing_postroom, settled

TRIO = ("first/main", "second/main", "third/main")


@pytest.mark.parametrize(
    ("restart", "reason", "again"),
    [
        ("permanent", "normal", True),
        ("permanent", "error", True),
        ("permanent", "shutdown", False),
        ("transient", "normal", False),
        ("transient", "error", True),
        ("transient", "shutdown", False),
        ("temporary", "normal", False),
        ("temporary", "error", False),
        ("temporary", "shutdown", False),
    ],
)
def test_the_restart_type_and_the_reason_decide_who_is_started_again(
    restart: str, reason: str, again: bool
) -> None:
    assert RESTARTS[Restart(restart), Reason(reason)] is again


@given(
    gaps=st.lists(st.integers(0, 12), max_size=40),
    restarts=st.integers(0, 4),
    period=st.integers(1, 20),
)
def test_a_restart_is_allowed_while_few_others_lie_within_the_period(
    gaps: list[int], restarts: int, period: int
) -> None:
    log, now = RestartLog(Intensity(restarts, period)), 0
    before: list[int] = []
    for gap in gaps:
        now += gap
        recent = [time for time in before if now - time < period]
        assert log.allows(now) is (len(recent) + 1 <= restarts)
        before.append(now)


@given(st.lists(st.text("abc", min_size=1), min_size=1, unique=True), st.data())
def test_a_strategy_takes_one_all_or_the_rest(children: list[str], data: st.DataObject) -> None:
    failed = data.draw(st.sampled_from(children))
    before = children[: children.index(failed)]
    assert affected(Strategy.ONE_FOR_ONE, children, failed) == [failed]
    assert affected(Strategy.ONE_FOR_ALL, children, failed) == children
    assert before + affected(Strategy.REST_FOR_ONE, children, failed) == children


@pytest.mark.parametrize(
    ("strategy", "stopped", "restarted"),
    [
        ("one-for-one", [], ["second"]),
        ("one-for-all", ["third/main", "first/main"], ["first", "second", "third"]),
        ("rest-for-one", ["third/main"], ["second", "third"]),
    ],
)
async def test_a_strategy_stops_in_reverse_and_starts_in_order(
    strategy: str, stopped: list[str], restarted: list[str], autojump_clock: MockClock
) -> None:
    stage, witness = Stage(autojump_clock), Witness()
    stage.broken["second/main"] = 1
    async with open_testing_postroom(observer=witness) as office:
        await office.supervise([ChildSpec(a, stage.player()) for a in TRIO], strategy=strategy)
        for address in ("first/main", "third/main", "second/main"):
            await final(office, await office.send(address, Job()))
        assert stage.who("stops") == stopped
        assert witness.restarted == restarted
        for address in TRIO:
            await final(office, await office.send(address, Job()))
        assert sorted(stage.who("plays")) == sorted(TRIO * 2)
        again = [address for address in TRIO if stage.who("starts").count(address) == 2]
        assert again == sorted(stopped)
        assert verified(office)["done"] == 6


async def test_the_actors_of_a_group_stop_in_reverse_when_the_system_ends(
    autojump_clock: MockClock,
) -> None:
    stage = Stage(autojump_clock)
    async with open_testing_postroom() as office:
        await office.supervise([ChildSpec(a, stage.player()) for a in TRIO])
        for address in TRIO:
            await final(office, await office.send(address, Job()))
    assert stage.who("starts") == list(TRIO)
    assert stage.who("stops") == list(reversed(TRIO))


async def test_a_handler_that_raises_is_no_failure_of_its_actor(autojump_clock: MockClock) -> None:
    class Failing(Actor):
        @handles(Job)
        async def fail(self, job: Job) -> None:
            raise ValueError

    witness = Witness()
    async with open_testing_postroom(observer=witness) as office:
        await office.start("failing/main", Failing)
        assert (await final(office, await office.send("failing/main", Job()))).state == "dead"
    assert witness.restarted == witness.parked == []


async def test_an_actor_that_fails_too_often_is_parked_and_its_mail_waits(autojump_clock: MockClock) -> None:
    stage, witness = Stage(autojump_clock), Witness()
    stage.broken["second/main"] = ALWAYS
    async with open_testing_postroom(observer=witness) as office:
        specs = [ChildSpec(a, stage.player()) for a in TRIO]
        await office.supervise(specs, intensity=Intensity(3, 30))
        early = await office.send("second/main", Job())
        await witness.someone_parked()
        late = await office.send("second/main", Job())
        await final(office, await office.send("first/main", Job()))
        await final(office, await office.send("third/main", Job()))
        assert [(m.state, m.attempts) for m in map(office.show, (early, late))] == [("ready", 0)] * 2
        assert verified(office)["ready"] == 2
    assert witness.restarted == ["second"] * 3
    assert witness.parked == ["second"]


async def test_the_standard_intensity_is_five_restarts_in_thirty_seconds(autojump_clock: MockClock) -> None:
    stage, witness = Stage(autojump_clock), Witness()
    stage.broken["first/main"] = ALWAYS
    stage.rehearsal = 5.5
    async with open_testing_postroom(observer=witness) as office:
        await office.start("first/main", stage.player())
        await office.send("first/main", Job())
        await witness.someone_parked()
    assert len(witness.restarted) == 5


@pytest.mark.parametrize(("period", "parked"), [(5, []), (25, ["first"])])
async def test_failures_that_lie_far_apart_do_not_add_up(
    period: float, parked: list[str], autojump_clock: MockClock
) -> None:
    stage, witness = Stage(autojump_clock), Witness()
    stage.broken["first/main"] = 5
    stage.rehearsal = 10
    async with open_testing_postroom(observer=witness) as office:
        await office.start("first/main", stage.player(), intensity=Intensity(1, period))
        sent = await office.send("first/main", Job())
        await trio.sleep(100)
        assert office.show(sent).state == ("ready" if parked else "done")
    assert witness.parked == parked


async def test_a_parked_actor_can_be_stopped_and_started_again(autojump_clock: MockClock) -> None:
    stage, witness = Stage(autojump_clock), Witness()
    stage.broken["first/main"] = ALWAYS
    async with open_testing_postroom(observer=witness) as office:
        await office.start("first/main", stage.player())
        sent = await office.send("first/main", Job())
        await witness.someone_parked()
        stage.broken.clear()
        await office.stop("first/main")
        await office.start("first/main", stage.player())
        message = await final(office, sent)
        assert (message.state, message.attempts) == ("done", 1)


@pytest.mark.parametrize(
    ("restart", "state", "restarted"),
    [("permanent", "done", ["first"]), ("transient", "done", ["first"]), ("temporary", "ready", [])],
)
async def test_the_restart_type_of_an_actor_that_failed_is_heeded(
    restart: str, state: str, restarted: list[str], autojump_clock: MockClock
) -> None:
    stage, witness = Stage(autojump_clock), Witness()
    stage.broken["first/main"] = 1
    async with open_testing_postroom(observer=witness) as office:
        await office.supervise([ChildSpec("first/main", stage.player(), Restart(restart))])
        sent = await office.send("first/main", Job())
        await trio.sleep(60)
        assert (office.show(sent).state, office.show(sent).attempts) == (state, len(restarted))
        verified(office)
    assert (witness.restarted, witness.parked) == (restarted, [])


async def test_a_temporary_sibling_is_stopped_for_good(autojump_clock: MockClock) -> None:
    stage, witness = Stage(autojump_clock), Witness()
    stage.broken["first/main"] = 1
    async with open_testing_postroom(observer=witness) as office:
        specs = [
            ChildSpec("first/main", stage.player()),
            ChildSpec("second/main", stage.player(), Restart.TEMPORARY),
        ]
        await office.supervise(specs, strategy="one-for-all")
        await final(office, await office.send("second/main", Job()))
        await final(office, await office.send("first/main", Job()))
        assert stage.who("stops") == ["second/main"]
    assert witness.restarted == ["first"]


async def test_an_actor_that_was_stopped_is_not_brought_back_by_a_sibling(autojump_clock: MockClock) -> None:
    stage, witness = Stage(autojump_clock), Witness()
    stage.broken["first/main"] = 1
    async with open_testing_postroom(observer=witness) as office:
        await office.supervise([ChildSpec(a, stage.player()) for a in TRIO], strategy="one-for-all")
        await office.stop("second/main")
        await final(office, await office.send("first/main", Job()))
        sent = await office.send("second/main", Job())
        await trio.sleep(60)
        assert office.show(sent).state == "ready"
    assert witness.restarted == ["first", "third"]


async def test_an_actor_that_is_stopped_while_it_fails_is_not_started_again(
    autojump_clock: MockClock,
) -> None:
    stage, witness = Stage(autojump_clock), Witness()
    stage.broken["first/main"], stage.rehearsal = 1, 1
    async with open_testing_postroom(observer=witness) as office:
        await office.start("first/main", stage.player())
        sent = await office.send("first/main", Job())
        await stage.failed.wait()
        await office.stop("first/main")
        await trio.sleep(60)
        assert office.show(sent).state == "ready"
    assert witness.restarted == []


async def test_two_lanes_that_fail_at_once_are_one_failure(autojump_clock: MockClock) -> None:
    failing, tries, witness = trio.Event(), [0], Witness()

    class Crowded(Echo):
        async def on_start(self) -> None:
            tries[0] += 1
            if tries[0] <= 2:
                await failing.wait()
                raise OSError

    async with open_testing_postroom(observer=witness) as office:
        await office.start("crowded/main", Crowded, concurrency=2)
        sent = [await office.send("crowded/main", Job(n)) for n in range(2)]
        await wait_all_tasks_blocked()
        assert tries == [2]
        failing.set()
        assert [(await final(office, id)).state for id in sent] == ["done"] * 2
    assert witness.restarted == ["crowded"]


async def test_an_actor_whose_state_does_not_decode_is_parked_until_it_is_mended(
    autojump_clock: MockClock,
) -> None:
    witness = Witness()
    async with open_testing_postroom(observer=witness) as office:
        await office.commit.submit(Put((Write("adder/main", "state", "", b'{"total":"many"}'),)))
        await office.supervise([ChildSpec("adder/main", Adder), *(ChildSpec(a, Echo) for a in TRIO)])
        await witness.someone_parked()
        sent = await office.send("adder/main", Job(3))
        assert await answers(office, "third/main")
        assert office.show(sent).state == "ready"
        await office.stop("adder/main")
        await office.commit.submit(Put((Write("adder/main", "state", "", b'{"total":39}'),)))
        await office.start("adder/main", Adder)
        await final(office, sent)
        assert state_of(office, "adder/main").total == 42
    assert witness.restarted == ["adder"] * 5


@pytest.mark.parametrize(("good", "parked"), [({1, 3, 4, 5}, []), ({1}, ["odd"])])
async def test_a_start_callable_that_raises_is_its_actor_s_failure(
    good: set[int], parked: list[str], autojump_clock: MockClock
) -> None:
    made, witness = [0], Witness()

    def start() -> Actor:
        made[0] += 1
        if made[0] in good:
            return Echo()
        raise OSError("nothing to make it of")

    async with open_testing_postroom(observer=witness) as office:
        await office.start("odd/main", start)
        await office.start("echo/main", Echo)
        sent = await office.send("odd/main", Job())
        await trio.sleep(20)
        assert office.show(sent).state == ("ready" if parked else "done")
        assert await answers(office, "echo/main")
    assert witness.parked == parked


async def test_an_on_stop_that_raises_ends_nobody_else(autojump_clock: MockClock) -> None:
    stage, sour = Stage(autojump_clock), [OSError("no")]
    stage.broken["first/main"] = 1

    class Sour(Echo):
        async def on_stop(self) -> None:
            if sour:
                raise sour.pop()

    async with open_testing_postroom() as office:
        specs = [ChildSpec("first/main", stage.player()), ChildSpec("second/main", Sour)]
        await office.supervise(specs, strategy="one-for-all")
        assert await answers(office, "second/main")
        assert (await final(office, await office.send("first/main", Job()))).state == "done"
        assert await answers(office, "second/main")
    assert not sour


@pytest.mark.parametrize("names", [["echo"], ["new", "echo"], ["new", "new"]])
async def test_starting_an_address_twice_is_a_conflict_and_changes_nothing(
    names: list[str], autojump_clock: MockClock
) -> None:
    async with open_testing_postroom() as office:
        await office.start("echo/main", Echo, bound=50)
        with pytest.raises(Conflict, match="/main"):
            await office.supervise([ChildSpec(f"{name}/main", Adder, bound=3) for name in names])
        counts = office.counts("echo/main")
        assert counts is not None
        assert counts.bound == 50
        assert office.counts("new/main") is None
        assert await answers(office, "echo/main")


async def test_of_two_who_start_an_address_at_once_one_meets_a_conflict(autojump_clock: MockClock) -> None:
    met: list[str] = []

    async with open_testing_postroom() as office:

        async def start() -> None:
            try:
                await office.start("echo/main", Echo)
            except Conflict:
                met.append("conflict")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(start)
            nursery.start_soon(start)
        assert met == ["conflict"]
        assert await answers(office, "echo/main")


@pytest.mark.parametrize("others", [[], [ChildSpec("echo/main", Echo)]])
async def test_a_state_and_more_than_one_turn_at_once_is_bad_input_and_registers_nothing(
    others: list[ChildSpec], autojump_clock: MockClock
) -> None:
    async with open_testing_postroom() as office:
        with pytest.raises(BadInput, match="concurrency 2"):
            await office.supervise([*others, ChildSpec("adder/main", Adder, concurrency=2)])
        assert office.counts("adder/main") is None
        assert office.counts("echo/main") is None
        await office.start("echo/main", Echo)
        assert await answers(office, "echo/main")


async def test_stop_finishes_the_turn_that_runs_and_gives_the_rest_back(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    async with open_testing_postroom() as office:
        await office.start("first/main", stage.player())
        await office.send_many("first/main", [Job()] * 50)
        await settled(office)
        slow, *rest = [await office.send("first/main", Job(n)) for n in (5, 0, 0, 0)]
        assert [office.show(id).state for id in (slow, *rest)] == ["leased"] * 4
        started = trio.current_time()
        await office.stop("first/main")
        assert trio.current_time() - started == pytest.approx(5, abs=0.1)
        assert office.show(slow).state == "done"
        assert [(m.state, m.attempts) for m in map(office.show, rest)] == [("ready", 0)] * 3
        assert stage.told[-2:] == [("plays", "first/main"), ("stops", "first/main")]
        await office.start("first/main", stage.player())
        assert [(await final(office, id)).attempts for id in rest] == [1] * 3


@pytest.mark.parametrize("to", ["echo/main", "any:echo"])
@pytest.mark.parametrize("wait", [0, 0.0004, 0.0008, 0.0012, 0.0016, 0.002, 0.0024])
async def test_mail_that_comes_while_an_actor_stops_is_done_then_or_later(
    to: str, wait: float, autojump_clock: MockClock
) -> None:
    async with open_testing_postroom() as office:
        await office.start("echo/main", Echo)
        await settled(office)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(office.send, to, Job())
            await wait_all_tasks_blocked()
            await trio.sleep(wait)
            await office.stop("echo/main")
        await trio.sleep(10)
        await office.start("echo/main", Echo)
        await trio.sleep(10)
        assert [m.attempts for m in office.store.peek(to, 10, state="done")] == [1]
