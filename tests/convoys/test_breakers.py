"""Circuit breakers: who is asked while an agent fails, and how it comes back."""

from __future__ import annotations

import pytest
from boards import Play, agents, started, task
from hypothesis import given
from hypothesis import strategies as st

from postroom.actors.convoys import events as e
from postroom.actors.convoys.plan import Agent, Convoy, OnExhausted, Retry, Task
from postroom.actors.convoys.rules import orders
from postroom.actors.convoys.rules.actions import Await
from postroom.actors.convoys.rules.breakers import BREAKER_MOVES, CLOSED, HALF_OPEN, OPEN, Breakers
from postroom.actors.convoys.rules.standing import Breaker, Failure

ONCE = Retry(retries=0)
ALONE = (Agent("a", threshold=1, cooldown=60.0),)
HELPED = (Agent("a", threshold=1, cooldown=60.0, fallback="b"), Agent("b", threshold=1, cooldown=90.0))


def asks(*ids: str, agent: str = "a", retry: Retry = ONCE) -> list[Task]:
    return [task(id, agent=agent, retry=retry) for id in ids]


def tripped(*ids: str, team: tuple[Agent, ...] = ALONE) -> Play:
    """A run whose first task failed, so that its agent is left alone."""
    run = Play(*asks(*ids), concurrency=1, agents=team)
    run.begin()
    run.fails(ids[0])
    return run


def test_after_three_failures_in_a_row_an_agent_is_left_alone_for_its_cooldown() -> None:
    run = Play(*asks("1", "2", "3", "4"), concurrency=1, agents=(Agent("a"),))
    run.begin()
    run.fails("1")
    run.fails("2", Failure.TIMEOUT)
    assert run.fails("3") == [Await("a", 300.0)]
    assert run["4"].reason == "agent a has failed too often and is left alone for a while"
    assert run.of(e.AgentBreaker) == [e.AgentBreaker("a", OPEN)]


def test_a_success_between_failures_starts_the_count_anew() -> None:
    run = Play(*asks("1", "2", "3", "4", "5"), concurrency=1, agents=(Agent("a"),))
    run.begin()
    run.fails("1")
    run.fails("2")
    run.done("3")
    run.fails("4")
    assert run.statuses["5"] == "running"


def test_a_fallback_really_does_the_task_and_answers_for_itself() -> None:
    run = tripped("1", "2", "3", team=HELPED)
    assert run.of(e.TaskStarted)[-1] == e.TaskStarted("2", 1, "b", "a")
    assert run["2"].agent == "b"
    run.fails("2")
    breakers = run.board.standing.breakers
    assert (breakers["a"].state, breakers["b"].state) == (OPEN, OPEN)
    assert breakers["a"].failures == breakers["b"].failures == 1


def test_a_task_whose_agents_are_all_left_alone_waits_for_the_first_to_come_back() -> None:
    run = tripped("1", "2", "3", team=HELPED)
    run.now += 20
    assert run.fails("2") == [Await("a", 40.0)]
    assert agents(run.askable("a", 40)) == [("3", "a")]


def test_a_fallback_that_is_back_lets_start_who_waited() -> None:
    team = (Agent("a", threshold=1, cooldown=90.0, fallback="b"), Agent("b", threshold=1, cooldown=60.0))
    run = Play(*asks("1", "2", "3", "4", "5", "6"), concurrency=2, agents=team)
    run.begin()
    for id in ("1", "2", "3", "4"):
        run.fails(id)
    assert agents(run.askable("a", 60)) == [("5", "b")]
    assert agents(run.done("5")) == [("6", "b")]


def test_commands_of_tasks_have_no_breaker_however_many_fail() -> None:
    run = Play(*(task(id, retry=ONCE) for id in "12345"), concurrency=1)
    run.begin()
    for id in "1234":
        run.fails(id)
    assert run.statuses["5"] == "running"
    assert run.board.standing.breakers == {}


def test_fallbacks_that_run_in_a_circle_are_each_asked_once() -> None:
    team = (Agent("a", threshold=1, fallback="b"), Agent("b", threshold=1, fallback="a"))
    run = tripped("1", "2", "3", team=team)
    assert agents(run.fails("2")) == []
    assert run.statuses["3"] == "waiting"


def test_an_agent_whose_rest_is_over_is_tried_by_one_task_and_no_more() -> None:
    run = Play(*asks("1", "2", "3", "4"), concurrency=3, agents=ALONE)
    run.begin()
    for id in ("1", "2", "3"):
        run.fails(id)
    assert run.then(orders.again, ["1", "2"], "me") == []
    actions = run.askable("a", 60)
    assert len(started(actions)) == 1
    assert [a for a in actions if isinstance(a, Await)] == [Await("a", 60.0)]
    assert run.board.standing.breakers["a"].probe == started(actions)[0][0]
    assert started(run.askable("a", 1)) == []


def test_a_probe_that_is_done_lets_all_start_who_waited() -> None:
    run = Play(*asks("1", "2", "3"), agents=ALONE, concurrency=2)
    run.begin()
    run.fails("1")
    run.done("2")
    run.then(orders.again, ["1"], "me")
    ((probe, _),) = started(run.askable("a", 60))
    other = ({"1", "3"} - {probe}).pop()
    assert started(run.done(probe)) == [(other, run[other].attempts)]
    assert [fact.state for fact in run.of(e.AgentBreaker)] == [OPEN, HALF_OPEN, CLOSED]


def test_a_probe_that_fails_has_the_others_wait_another_cooldown() -> None:
    run = tripped("1", "2", "3")
    run.askable("a", 60)
    (again,) = run.fails("2")
    assert again == Await("a", 60.0)
    assert run.statuses["3"] == "waiting"
    assert started(run.askable("a", 60)) == [("3", 1)]


def test_a_probe_that_is_cut_short_frees_its_place_for_another() -> None:
    run = tripped("1", "2", "3")
    run.askable("a", 60)
    assert run.board.standing.breakers["a"].probe == "2"
    assert started(run.cut_short("2")) == [("2", 1)]


def test_a_probe_that_is_cancelled_frees_its_place_at_once() -> None:
    run = Play(*asks("1", "2", "3"), agents=ALONE, concurrency=2)
    run.begin()
    run.fails("1")
    run.fails("2")
    run.then(orders.again, ["1"], "me")
    ((probe, _),) = started(run.askable("a", 60))
    other = ({"1", "3"} - {probe}).pop()
    actions = run.then(orders.cancel, [probe], "not wanted", run.now)
    assert started(actions) == [(other, run[other].attempts)]


def test_a_probe_that_did_not_get_as_far_as_the_agent_says_nothing_about_it() -> None:
    run = tripped("1", "2", "3")
    run.askable("a", 60)
    assert started(run.fails("2", Failure.HOOK)) == [("3", 1)]
    assert run.board.standing.breakers["a"].state == HALF_OPEN


def test_work_that_a_gate_refuses_is_no_failure_of_the_agent() -> None:
    run = tripped("1", "2", "3")
    run.askable("a", 60)
    run.fails("2", Failure.GATE)
    assert run.board.standing.breakers["a"].state == CLOSED


def test_only_the_probe_speaks_for_an_agent_that_is_tried() -> None:
    run = Play(*asks("old", "1", "2", "3"), agents=ALONE, concurrency=2)
    run.begin()
    run.fails("1")
    run.askable("a", 60)
    assert run.board.standing.breakers["a"].probe == "2"
    run.done("old")
    assert run.board.standing.breakers["a"].state == HALF_OPEN
    run.done("2")
    assert run.board.standing.breakers["a"].state == CLOSED


def test_a_breaker_outlives_the_process() -> None:
    run = tripped("1", "2")
    run.killed()
    run.now += 10
    assert run.begin() == [Await("a", 50.0)]
    assert started(run.askable("a", 50)) == [("2", 1)]
    run.killed()
    assert started(run.begin()) == [("2", 1)], "the probe was cut short with the process"


def test_however_many_wait_for_an_agent_there_is_one_timer() -> None:
    ids = [str(n) for n in range(200)]
    run = Play(*asks(*ids), concurrency=1, agents=ALONE)
    run.begin()
    assert run.fails("0") == [Await("a", 60.0)]
    actions = run.askable("a", 60)
    assert started(actions) == [("1", 1)]
    run.fails("1")
    assert sum(state.status == "waiting" for state in run.board.tasks.values()) == 198


def test_a_task_that_waits_for_an_agent_and_is_cancelled_stays_so() -> None:
    run = tripped("1", "2", "3")
    run.then(orders.cancel, ["2"], "no", run.now)
    assert started(run.askable("a", 60)) == [("3", 1)]


def test_attempts_of_one_task_count_against_its_agent_too() -> None:
    skipped = Retry(retries=5, on_exhausted=OnExhausted.SKIP)
    run = Play(*asks("1", retry=skipped), agents=HELPED)
    run.begin()
    run.fails("1")
    assert agents(run.rested("1")) == [("1", "b")]


@given(st.lists(st.sampled_from(["choose", "fail", "succeed", "give up", "wait"]), max_size=40))
def test_a_breaker_moves_along_its_table_and_has_one_probe_when_it_is_half_open(verbs: list[str]) -> None:
    kept: dict[str, Breaker] = {}
    breakers = Breakers(Convoy("test", 1, (), agents=(Agent("a", threshold=2, cooldown=10.0),)), kept)
    at, running, number = 100.0, list[str](), 0
    edges = {(source, target) for (_, source), target in BREAKER_MOVES.items()}
    for verb in verbs:
        before = kept["a"].state if kept else CLOSED
        if verb == "wait":
            at += 10.0
        elif verb == "choose":
            number += 1
            if breakers.choose(str(number), "a", at).agent:
                running.append(str(number))
        elif running and verb == "fail":
            breakers.failed("a", running.pop(0), at)
        elif running and verb == "succeed":
            breakers.succeeded("a", running.pop(0))
        elif running:
            breakers.given_up("a", running.pop(0))
        after = kept["a"].state if kept else CLOSED
        assert before == after or (before, after) in edges
        assert bool(kept and kept["a"].probe) == (after == HALF_OPEN)
        if after == HALF_OPEN:
            assert kept["a"].probe in running


def test_a_verb_that_is_news_of_an_earlier_time_changes_nothing() -> None:
    kept = {"a": Breaker(OPEN, 3, 50.0)}
    breakers = Breakers(Convoy("test", 1, ()), kept)
    breakers.succeeded("a", "old")
    breakers.failed("a", "old", 60.0)
    assert kept == {"a": Breaker(OPEN, 3, 50.0)}
    assert breakers.changed == []
    assert breakers.choose("new", "a", 60.0).at == pytest.approx(350.0)
