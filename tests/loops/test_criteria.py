from __future__ import annotations

import pytest
from loop_tasks import Task

from postroom.actors.loops import criteria
from postroom.actors.loops.change import Change
from postroom.actors.loops.errors import IllegalMove
from postroom.actors.loops.states import CRITERION_MOVES, CRITERION_VERBS, CriterionState, Source
from postroom.store.errors import BadInput, Conflict, Refused

PATHS: dict[CriterionState, list[str]] = {
    CriterionState.PROPOSED: [],
    CriterionState.ACCEPTED: ["accept"],
    CriterionState.SATISFIED: ["accept", "satisfy"],
    CriterionState.DEFERRED: ["defer"],
    CriterionState.REJECTED: ["reject"],
}


def add(task: Task, text: str = "it works") -> str:
    return task.change(lambda change: criteria.add(change, text, Source.USER))[0].id


def move(task: Task, verb: str, id: str = "c1") -> bool:
    return task.change(lambda change: criteria.move(change, verb, id, Source.AUDIT, "because"))[1]


def test_criteria_are_numbered_and_the_same_words_are_one_criterion(task: Task) -> None:
    assert [add(task), add(task, "it is fast"), add(task)] == ["c1", "c2", "c1"]
    assert [one.text for one in task.loop.criteria] == ["it works", "it is fast"]


@pytest.mark.parametrize("state", list(CriterionState))
@pytest.mark.parametrize("verb", list(CRITERION_VERBS))
def test_a_criterion_moves_as_the_table_says_and_not_otherwise(
    task: Task, state: CriterionState, verb: str
) -> None:
    add(task)
    for step in PATHS[state]:
        move(task, step)
    before = task.loop
    target = CRITERION_VERBS[verb]
    legal = any((one.verb, one.source) == (verb, state) for one in CRITERION_MOVES)
    if state is target:
        assert move(task, verb)
        assert task.loop == before
    elif legal:
        assert not move(task, verb)
        assert task.loop.criteria[0].state is target
        assert task.loop.criteria[0].reason == "because"
    else:
        with pytest.raises(IllegalMove):
            move(task, verb)
        assert task.loop == before


def test_what_is_wanted_is_a_new_agreement_and_what_is_fulfilled_is_none(task: Task) -> None:
    revisions = [task.loop.revision]
    add(task)
    revisions.append(task.loop.revision)
    for verb in ("accept", "satisfy"):
        move(task, verb)
        revisions.append(task.loop.revision)
    assert revisions == [1, 2, 3, 3]


def test_unknown_criteria_and_verbs_are_refused(task: Task) -> None:
    with pytest.raises(Refused, match="no criterion c1"):
        move(task, "accept")
    with pytest.raises(BadInput):
        move(task, "burn")
    with pytest.raises(BadInput):
        add(task, "two\nlines")


def test_there_are_not_too_many(task: Task) -> None:
    def fill(change: Change) -> None:
        for n in range(criteria.MOST):
            criteria.add(change, f"criterion {n}", Source.MANAGER)

    task.change(fill)
    with pytest.raises(Conflict):
        add(task)
