"""A budget pauses a run and asks its owner; it never fails it."""

from __future__ import annotations

import pytest
from boards import Play, started, task

from postroom.actors.convoys import events as e
from postroom.actors.convoys.plan import Agent, Budget, Retry
from postroom.actors.convoys.rules import orders
from postroom.actors.convoys.rules.actions import Action, Alarm, Await, Start, Tell
from postroom.actors.convoys.rules.standing import Spent
from postroom.actors.convoys.rules.starting import time_is_up
from postroom.store.errors import BadInput, Conflict


def three(**budget: float) -> Play:
    return Play(task("a"), task("b"), task("c"), concurrency=1, budget=Budget(**budget))  # type: ignore[arg-type]


def allow(run: Play, **more: float) -> list[Action]:
    return run.then(orders.allow, Spent(**more), "me", run.now)  # type: ignore[arg-type]


def test_a_run_whose_turns_are_used_up_pauses_tells_its_owner_and_goes_on_when_allowed() -> None:
    run = three(turns=2)
    run.begin()
    run.done("a")
    (tell,) = run.done("b")
    assert tell == Tell("test pauses: its budget is used up: 2 of 2 turns")
    assert (run.status, run.statuses["c"]) == ("paused", "waiting")
    assert run.of(e.BudgetReached) == [e.BudgetReached("turns", 2, 2)]
    assert started(allow(run, turns=1)) == [("c", 1)]
    assert run.of(e.ConvoyUnpaused) == [e.ConvoyUnpaused("me")]
    run.done("c")
    assert run.status == "done"


def waiting_for_an_agent() -> Play:
    """A run of two turns, both begun: an agent has failed, another task waits for it, and one runs."""
    one, other = (task(id, agent="dev", retry=Retry(retries=0)) for id in "ab")
    agents = (Agent("dev", ("cat",), threshold=1, cooldown=300.0),)
    run = Play(one, other, task("c"), concurrency=1, agents=agents, budget=Budget(turns=2))
    run.begin()
    assert run.fails("a") == [Await("dev", 300.0), Start("c", 1, "local")]
    return run


def test_a_run_whose_turns_are_used_up_asks_also_if_all_that_is_left_waits_for_its_agent() -> None:
    run = waiting_for_an_agent()
    assert run.done("c") == [Tell("test pauses: its budget is used up: 2 of 2 turns")]
    assert (run.status, allow(run, turns=1), run.status) == ("paused", [], "running")
    assert started(run.askable("dev", 300.0)) == [("b", 1)]


def test_nobody_is_asked_for_more_on_behalf_of_a_task_that_was_cancelled_while_it_waited() -> None:
    run = waiting_for_an_agent()
    run.then(orders.cancel, ["b"], "no", run.now)
    run.done("c")
    assert (run.status, run.of(e.BudgetReached)) == ("failed", [])


def test_where_no_tokens_are_bound_nobody_is_named_for_not_counting_them() -> None:
    run = three(turns=10)
    run.begin()
    run.done("a")
    assert not run.of(e.BudgetUncounted)


def test_a_run_pauses_as_soon_as_its_time_is_up_though_a_task_still_runs() -> None:
    run = three(seconds=60)
    assert run.begin()[-1] == Alarm(60.0)
    run.now += 59
    assert run.then(time_is_up, run.now) == [Alarm(1.0)], "it came early"
    run.now += 1
    (tell,) = run.then(time_is_up, run.now)
    assert isinstance(tell, Tell)
    assert (run.status, run.statuses["a"]) == ("paused", "running")
    run.now += 3600
    assert run.done("a") == []
    assert allow(run, seconds=30) == [Start("b", 1, "local"), Alarm(30.0)]
    assert run.board.standing.spent.seconds == 60.0, "time does not count while it waits"


def test_an_alarm_that_comes_a_hair_too_early_is_not_set_again_for_ever() -> None:
    run = three(seconds=60)
    run.begin()
    run.now += 60 - 1e-9
    (tell,) = run.then(time_is_up, run.now)
    assert isinstance(tell, Tell)
    assert run.status == "paused"


def test_time_counts_only_while_somebody_plays_the_run() -> None:
    run = three(seconds=100)
    run.begin()
    run.now += 10
    run.interrupt()
    run.now += 5000
    run.begin()
    run.now += 10
    run.killed()
    run.now += 5000
    assert run.begin()[-1] == Alarm(90.0)
    run.now += 10
    run.done("a")
    assert run.board.standing.spent.seconds == 20.0


def test_an_order_in_the_middle_does_not_lose_time() -> None:
    run = three(seconds=100)
    run.begin()
    run.now += 30
    allow(run, turns=1)
    assert run.board.standing.spent.seconds == 30.0


def test_an_attempt_that_is_given_back_is_no_turn() -> None:
    run = three(turns=3)
    run.begin()
    run.cut_short("a")
    run.killed()
    run.begin()
    assert run.board.standing.spent.turns == 1


def test_a_paused_run_whose_last_tasks_end_is_over() -> None:
    run = three(seconds=5)
    run.begin()
    run.now += 5
    run.then(time_is_up, run.now)
    run.then(orders.cancel, ["b", "c"], "not worth it", run.now)
    run.done("a")
    assert run.status == "failed"


def test_a_run_that_is_resumed_without_more_pauses_again() -> None:
    run = three(turns=1)
    run.begin()
    run.done("a")
    run.killed()
    assert [type(action) for action in run.begin()] == [Tell]
    assert run.status == "paused"


def test_a_budget_is_not_taken_from_nor_added_to_what_is_over() -> None:
    run = three(turns=1)
    run.begin()
    before = run.kept("a")
    with pytest.raises(BadInput):
        orders.allow(run.board, Spent(turns=-1), "me", run.now)
    assert run.kept("a") == before
    run.then(orders.cancel, [], "enough", run.now)
    with pytest.raises(Conflict):
        orders.allow(run.board, Spent(turns=1), "me", run.now)
    assert run.board.events == []
