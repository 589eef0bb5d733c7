"""The two tables of legal moves."""

from __future__ import annotations

import pytest

from postroom.actors.convoys.rules.states import (
    ACTIVE,
    CONVOY_MOVES,
    LOST,
    OVER,
    TASK_MOVES,
    ConvoyStatus,
    IllegalMove,
    TaskStatus,
    convoy_moved,
    is_over,
    moved,
)

PERSONS = ("uphold", "leave out", "overrule", "again", "cancel")


def test_every_task_status_can_be_reached_from_pending() -> None:
    reached = {TaskStatus.PENDING}
    for _ in TASK_MOVES:
        reached |= {move.target for move in TASK_MOVES if move.source in reached}
    assert reached == set(TaskStatus)


def test_every_convoy_status_can_be_reached_from_running() -> None:
    reached = {ConvoyStatus.RUNNING}
    for _ in CONVOY_MOVES:
        reached |= {move.target for move in CONVOY_MOVES if move.source in reached}
    assert reached == set(ConvoyStatus)


def test_a_verb_leads_from_a_status_to_one_other_only() -> None:
    tasks = [(move.verb, move.source) for move in TASK_MOVES]
    convoys = [(move.verb, move.source) for move in CONVOY_MOVES]
    assert len(tasks) == len(set(tasks))
    assert len(convoys) == len(set(convoys))


def test_only_a_person_changes_a_task_that_is_over_and_nobody_one_that_is_done() -> None:
    assert {move.verb for move in TASK_MOVES if is_over(move.source)} == set(PERSONS)
    assert not [move for move in TASK_MOVES if move.source is TaskStatus.DONE]


def test_only_a_person_changes_a_convoy_that_is_over() -> None:
    assert {move.verb for move in CONVOY_MOVES if is_over(move.source)} == {"reopen"}


def test_a_task_waits_or_is_worked_on_or_is_over() -> None:
    assert set(TaskStatus) - {*ACTIVE, *OVER} == {TaskStatus.PENDING, TaskStatus.WAITING}
    assert set(OVER) - {*LOST} == {TaskStatus.DONE, TaskStatus.DISPUTED}
    assert not {*ACTIVE} & {*OVER}


def test_each_status_of_the_design_is_there() -> None:
    assert " ".join(status.value for status in TaskStatus) == (
        "pending waiting running checking reviewing done failed timed-out skipped cancelled disputed"
    )
    assert " ".join(status.value for status in ConvoyStatus) == "running paused interrupted done failed"


def test_a_move_that_is_not_in_the_table_is_refused() -> None:
    assert moved("start", TaskStatus.WAITING) is TaskStatus.RUNNING
    with pytest.raises(IllegalMove, match="start a task that is done"):
        moved("start", TaskStatus.DONE)
    assert convoy_moved("resume", ConvoyStatus.INTERRUPTED) is ConvoyStatus.RUNNING
    with pytest.raises(IllegalMove, match="pause a convoy that is done"):
        convoy_moved("pause", ConvoyStatus.DONE)
