"""What follows from what happens to the tasks of a convoy."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postroom.actors.convoys.board import Action, Board, Rest, Result, Start
from postroom.actors.convoys.plan import Convoy, Task
from postroom.actors.convoys.states import CONVOY_MOVES, TaskStatus, is_final

DONE = Result(TaskStatus.DONE, 1.0)
FAILED = Result(TaskStatus.FAILED, 1.0, "exit 1")
TIMED_OUT = Result(TaskStatus.TIMED_OUT, 1.0, "took longer than 5 s")


def board(*tasks: Task, concurrency: int = 8) -> Board:
    return Board(Convoy("test", concurrency, tasks))


def task(id: str, *depends_on: str, retries: int = 0) -> Task:
    return Task(id, "/", command=("true",), depends_on=depends_on, retries=retries)


def started(actions: list[Action]) -> list[tuple[str, int]]:
    return [(action.task.id, action.attempt) for action in actions if isinstance(action, Start)]


def statuses(board: Board) -> dict[str, str]:
    return {id: state.status.value for id, state in board.tasks.items()}


def stands(board: Board) -> str:
    return board.status.value


def test_what_depends_on_nothing_starts_first_and_the_rest_follows() -> None:
    diamond = board(task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c"))
    assert started(diamond.begin()) == [("a", 1)]
    assert started(diamond.ended("a", 1, DONE)) == [("b", 1), ("c", 1)]
    assert started(diamond.ended("c", 1, DONE)) == []
    assert started(diamond.ended("b", 1, DONE)) == [("d", 1)]
    assert stands(diamond) == "running"
    assert diamond.ended("d", 1, DONE) == []
    assert stands(diamond) == "done"


def test_no_more_tasks_run_at_once_than_the_convoy_allows() -> None:
    three = board(task("a"), task("b"), task("c"), concurrency=2)
    assert started(three.begin()) == [("a", 1), ("b", 1)]
    assert statuses(three)["c"] == "waiting"
    assert started(three.ended("b", 1, DONE)) == [("c", 1)]


def test_a_failed_task_is_tried_again_after_a_rest_that_doubles() -> None:
    one = board(task("a", retries=2))
    one.begin()
    (first,) = one.ended("a", 1, FAILED)
    assert isinstance(first, Rest)
    assert (first.attempt, first.seconds) == (1, 1.0)
    assert started(one.rested("a", 1)) == [("a", 2)]
    (second,) = one.ended("a", 2, TIMED_OUT)
    assert isinstance(second, Rest)
    assert second.seconds == 2.0
    assert started(one.rested("a", 2)) == [("a", 3)]
    assert one.ended("a", 3, FAILED) == []
    assert stands(one) == "failed"
    assert (one.tasks["a"].attempts, one.tasks["a"].reason) == (3, "exit 1")


def test_while_one_task_rests_its_place_is_free_for_another() -> None:
    two = board(task("a", retries=1), task("b"), concurrency=1)
    assert started(two.begin()) == [("a", 1)]
    assert started(two.ended("a", 1, FAILED)) == [("b", 1)]


def test_dependants_of_a_failed_task_are_skipped_and_all_else_goes_on() -> None:
    mixed = board(task("a"), task("b", "a"), task("c", "b"), task("other"))
    mixed.begin()
    mixed.ended("a", 1, TIMED_OUT)
    assert statuses(mixed) == {"a": "timed-out", "b": "skipped", "c": "skipped", "other": "running"}
    assert stands(mixed) == "running"
    mixed.ended("other", 1, DONE)
    assert stands(mixed) == "failed"
    assert mixed.tasks["c"].reason == "b did not get done"


def test_a_result_that_arrives_twice_counts_once() -> None:
    two = board(task("a"), task("b", "a"))
    two.begin()
    assert started(two.ended("a", 1, DONE)) == [("b", 1)]
    assert two.ended("a", 1, DONE) == []
    assert two.ended("a", 1, FAILED) == []
    assert two.tasks["a"].seconds == 1.0
    assert statuses(two) == {"a": "done", "b": "running"}


def test_a_late_result_of_an_earlier_attempt_does_not_count() -> None:
    one = board(task("a", retries=1))
    one.begin()
    one.ended("a", 1, FAILED)
    one.rested("a", 1)
    assert one.ended("a", 1, DONE) == []
    assert statuses(one) == {"a": "running"}


def test_an_interrupted_convoy_gives_the_attempt_back_and_goes_on_where_it_was() -> None:
    two = board(task("a"), task("b", "a"))
    two.begin()
    two.ended("a", 1, DONE)
    two.interrupt()
    assert two.cut_short("b", 1) == []
    assert stands(two) == "interrupted"
    assert (statuses(two)["b"], two.tasks["b"].attempts) == ("waiting", 0)
    assert two.ended("b", 1, DONE) == []
    assert started(two.begin()) == [("b", 1)]
    two.ended("b", 1, DONE)
    assert stands(two) == "done"


def test_an_interrupted_convoy_starts_nothing_but_takes_what_still_ends() -> None:
    two = board(task("a"), task("b", "a"))
    two.begin()
    two.interrupt()
    assert two.ended("a", 1, DONE) == []
    assert statuses(two) == {"a": "done", "b": "waiting"}
    assert started(two.begin()) == [("b", 1)]


def test_a_convoy_whose_last_task_ends_during_the_interruption_is_over() -> None:
    one = board(task("a"))
    one.begin()
    one.interrupt()
    one.ended("a", 1, DONE)
    assert stands(one) == "done"


def test_an_attempt_that_was_cut_short_though_the_convoy_runs_is_made_again() -> None:
    one = board(task("a"))
    one.begin()
    assert started(one.cut_short("a", 1)) == [("a", 1)]


def test_a_convoy_whose_process_was_killed_starts_again_what_ran() -> None:
    one = board(task("a"), task("b"))
    one.begin()
    assert started(one.begin()) == [("a", 1), ("b", 1)]


def test_a_task_that_rested_when_the_process_ended_starts_at_once_and_only_once() -> None:
    one = board(task("a", retries=1))
    one.begin()
    one.ended("a", 1, FAILED)
    one.interrupt()
    assert started(one.begin()) == [("a", 2)]
    assert one.rested("a", 1) == []


def test_a_finished_convoy_stays_as_it_is() -> None:
    one = board(task("a"))
    one.begin()
    one.ended("a", 1, DONE)
    assert one.begin() == []
    one.interrupt()
    assert stands(one) == "done"


@st.composite
def graphs(draw: st.DrawFn) -> Board:
    count = draw(st.integers(1, 7))
    tasks: list[Task] = []
    for n in range(count):
        known = [str(m) for m in range(n)]
        depends_on = draw(st.lists(st.sampled_from(known), unique=True)) if known else []
        tasks.append(task(str(n), *depends_on, retries=draw(st.integers(0, 2))))
    return board(*tasks, concurrency=draw(st.integers(1, 3)))


@given(graphs(), st.data())
def test_every_convoy_comes_to_an_end_whatever_happens_on_the_way(run: Board, data: st.DataObject) -> None:
    """Actions are done in any order, some twice, with interruptions in between."""
    todo = run.begin()
    for _ in range(data.draw(st.integers(0, 3))):
        if todo:
            todo += _do(run, data.draw(st.sampled_from(todo)), data)
        run.interrupt()
        todo = run.begin()
    for _ in range(200):
        if not todo:
            break
        action = todo.pop(data.draw(st.integers(0, len(todo) - 1)))
        todo += _do(run, action, data)
        assert _running(run) <= run.convoy.concurrency
    assert is_final(CONVOY_MOVES, run.status)
    for plan in run.convoy.tasks:
        assert run.tasks[plan.id].attempts <= plan.retries + 1


def _do(run: Board, action: Action, data: st.DataObject) -> list[Action]:
    if isinstance(action, Rest):
        return run.rested(action.task.id, action.attempt)
    result = data.draw(st.sampled_from([DONE, FAILED, TIMED_OUT]))
    return run.ended(action.task.id, action.attempt, result)


def _running(run: Board) -> int:
    return sum(state.status is TaskStatus.RUNNING for state in run.tasks.values())
