"""Iterations go on one by one, each with its evidence, and only as many as were allowed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from loop_tasks import FAIL, PASS, Task

from postroom.actors.loops.errors import (
    Forbidden,
    LoopPaused,
    MaxIterationsReached,
    MissingEvidence,
    StaleIteration,
)
from postroom.actors.loops.evidence import not_passed, read_evidence
from postroom.actors.loops.iterations import add_evidence, checked_terms
from postroom.actors.loops.records import history
from postroom.actors.loops.states import LOOP_MOVES, LoopState, moved
from postroom.actors.loops.talking import permit
from postroom.store.errors import BadInput, Conflict, Refused


def test_a_loop_begins_with_iteration_one_and_starting_it_again_changes_nothing(task: Task) -> None:
    assert not task.start("tests", iterations=3)
    assert (task.loop.state, task.loop.iteration) == (LoopState.RUNNING, 1)
    assert task.start("tests", iterations=3)
    with pytest.raises(Conflict):
        task.start("tests", iterations=4)


def test_going_on_sends_the_worker_one_message_with_the_evidence(task: Task) -> None:
    task.start(iterations=3)
    answer = task.go_on(1)
    (message,) = task.mail("worker/w")
    body: Any = msgspec.json.decode(message.body)
    assert answer["iteration"] == body["iteration"] == 2
    assert (message.type, message.sender, message.correlation_id) == ("continue_iteration", "manager/m", "t")
    assert body["max_iterations"] == 3
    assert body["evidence"] == [{"kind": "tests", **msgspec.json.decode(PASS)}]
    assert task.loop.evidence == ()


def test_the_same_continue_again_changes_nothing_and_another_is_stale(task: Task) -> None:
    task.start(iterations=5)
    task.go_on(1)
    assert task.go_on(1) == {"iteration": 2, "already": True}
    assert len(task.mail("worker/w")) == 1
    for iteration, evidence in ((1, FAIL), (0, PASS), (3, PASS), (-1, PASS)):
        with pytest.raises(StaleIteration):
            task.go_on(iteration, evidence)
    assert task.loop.iteration == 2


def test_without_evidence_no_iteration_ends(task: Task) -> None:
    task.start(iterations=3)
    with pytest.raises(MissingEvidence, match="missing_any_evidence"):
        task.go_on(1, None)


def test_each_required_kind_must_be_there_whatever_it_showed(task: Task) -> None:
    task.start("tests", "review", iterations=3)
    with pytest.raises(MissingEvidence, match="missing_review_evidence"):
        task.go_on(1, FAIL)
    review = read_evidence('{"kind": "review", "checked": "the diff", "how": "read it", "result": "unknown"}')
    task.change(lambda change: add_evidence(change, 1, review))
    assert task.go_on(1, FAIL)["iteration"] == 2


def test_evidence_is_for_the_present_iteration(task: Task) -> None:
    given = read_evidence(PASS)
    with pytest.raises(Refused, match="has no loop"):
        task.change(lambda change: add_evidence(change, 1, given))
    task.start(iterations=2)
    with pytest.raises(StaleIteration):
        task.change(lambda change: add_evidence(change, 2, given))


def test_after_the_last_iteration_the_loop_is_paused_and_the_manager_asked_once(task: Task) -> None:
    task.start(iterations=1)
    for _ in range(3):
        with pytest.raises(MaxIterationsReached):
            task.go_on(1)
    assert (task.loop.state, task.loop.paused_by) == (LoopState.PAUSED, "iterations")
    assert task.types("manager/m") == ["budget_reached"]
    assert task.types("worker/w") == []
    assert task.desk.inbox("worker/w").paused


def test_a_paused_loop_does_not_go_on(task: Task) -> None:
    task.start(iterations=9, seconds=5)
    task.clock.advance(5.0)
    with pytest.raises(Refused, match="seconds of task t are spent"):
        task.go_on(1)
    with pytest.raises(LoopPaused):
        task.go_on(1)
    assert task.types("worker/w") == []


def test_going_on_needs_the_permission(task: Task) -> None:
    task.start(iterations=3)
    task.change(lambda change: permit(change, "loop.continue", granted=False))
    with pytest.raises(Forbidden):
        task.go_on(1)
    assert task.loop.iteration == 1


def test_a_loop_that_was_not_started_does_not_go_on(task: Task) -> None:
    with pytest.raises(Refused, match="has no loop"):
        task.go_on(1)


def test_a_task_that_is_paired_again_has_a_fresh_loop_and_its_old_history(task: Task) -> None:
    task.start(iterations=3)
    task.go_on(1)
    task.desk.unpair("t")
    task.pair()
    assert (task.loop.state, task.loop.iteration) == (LoopState.IDLE, 0)
    assert [event.event for event in history(task.store, "t")] == ["started", "continued"]
    task.start(iterations=3)
    assert task.go_on(1)["already"] is False
    assert [event.event for event in history(task.store, "t")] == ["started", "continued"] * 2
    assert len({message.id for message in task.mail("worker/w")}) == 2


@pytest.mark.parametrize(
    "limits", [{"iterations": 0}, {"iterations": -1}, {"iterations": 10_001}, {"x": 1}, {"tokens": 1 << 54}]
)
def test_absurd_terms_are_bad_input(limits: dict[str, int]) -> None:
    with pytest.raises(BadInput):
        checked_terms(limits)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 1e12])
def test_absurd_nudging_times_are_bad_input(seconds: float) -> None:
    with pytest.raises(BadInput):
        checked_terms({}, nudge_seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "1", "null", '"x"', "{}", '{"checked":"a","how":"b"}',
        '{"checked":"a","how":"b","result":"maybe"}', '{"checked":"","how":"b","result":"pass"}',
        '{"checked":"a","how":"b","result":"pass","more":1}', '{"checked":1,"how":"b","result":"pass"}',
        '{"checked":"a","checked":"a","how":"b","result":"pass"}',
        '{"kind":"adversarial","checked":"a","how":"b","result":"pass"}',
        '{"checked":"a\\u0007","how":"b","result":"pass"}', "[" + ",".join([PASS] * 51) + "]",
    ],
)  # fmt: skip
def test_what_is_no_evidence_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput):
        read_evidence(text)


def test_an_adversarial_check_names_the_failure_it_looked_for() -> None:
    (one,) = read_evidence(
        '{"kind":"adversarial","checked":"a","how":"b","result":"fail","failure_mode":"a race"}'
    )
    assert one.failure_mode == "a race"


def test_the_last_check_of_each_kind_decides_and_unknown_is_no_pass() -> None:
    good, bad = read_evidence(PASS), read_evidence(FAIL)
    unknown = read_evidence(PASS.replace('"pass"', '"unknown"'))
    assert not_passed(("tests",), (*bad, *good)) == []
    assert not_passed(("tests",), (*good, *bad)) == ["tests evidence is fail"]
    assert not_passed((), unknown) == ["tests evidence is unknown"]
    assert not_passed((), ()) == ["no evidence"]
    assert not_passed(("review",), good) == ["no review evidence"]


def test_no_move_of_a_loop_is_legal_that_is_not_in_the_table() -> None:
    for verb in {move.verb for move in LOOP_MOVES}:
        for state in LoopState:
            targets = [move.target for move in LOOP_MOVES if (move.verb, move.source) == (verb, state)]
            if targets:
                assert [moved(state, verb)] == targets
            else:
                with pytest.raises(Refused, match=f"cannot {verb}"):
                    moved(state, verb)
    assert not [move for move in LOOP_MOVES if move.source is LoopState.FINISHED]
