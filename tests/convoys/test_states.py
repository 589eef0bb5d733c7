"""The two tables of legal moves."""

from __future__ import annotations

import pytest

from postroom.actors.convoys.states import (
    CONVOY_MOVES,
    TASK_MOVES,
    ConvoyStatus,
    IllegalMove,
    TaskStatus,
    is_final,
    moved,
)


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


def test_a_final_status_is_never_left() -> None:
    assert {status for status in TaskStatus if is_final(TASK_MOVES, status)} == {
        TaskStatus.DONE,
        TaskStatus.FAILED,
        TaskStatus.TIMED_OUT,
        TaskStatus.SKIPPED,
        TaskStatus.CANCELLED,
    }
    finals = {status for status in ConvoyStatus if is_final(CONVOY_MOVES, status)}
    assert finals == {ConvoyStatus.DONE, ConvoyStatus.FAILED}


def test_an_interrupted_convoy_can_be_resumed() -> None:
    assert moved(CONVOY_MOVES, "resume", ConvoyStatus.INTERRUPTED) is ConvoyStatus.RUNNING


def test_a_move_that_is_not_in_the_table_is_refused() -> None:
    assert moved(TASK_MOVES, "start", TaskStatus.WAITING) is TaskStatus.RUNNING
    with pytest.raises(IllegalMove, match="start from done"):
        moved(TASK_MOVES, "start", TaskStatus.DONE)
