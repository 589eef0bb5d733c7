"""Circles, phases and overlaps of a graph are what they are by definition."""

from __future__ import annotations

from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from postroom.actors.convoys.plan import Input, Task
from postroom.actors.convoys.rules.holds import overlap
from postroom.actors.convoys.spec.graph import MOST_CYCLES, Order, cycles_in
from postroom.actors.convoys.spec.overlaps import overlaps
from postroom.actors.convoys.spec.phases import phases

NAMES = "abcdefgh"
GRAPHS = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), unique=True, max_size=3))
FILES = st.lists(st.sampled_from(["a", "a/b", "a/b/c", "a/d", "b", "b/c"]), unique=True, max_size=2)


@st.composite
def acyclic(draw: st.DrawFn) -> list[Task]:
    """Tasks that need only earlier ones, in any order."""
    tasks: list[Task] = []
    for n in range(draw(st.integers(1, 7))):
        before = [task.id for task in tasks]
        some = st.lists(st.sampled_from(before), unique=True, max_size=2) if before else st.just([])
        inputs = tuple(Input("x", other, "o") for other in draw(some))
        tasks.append(
            Task(f"t{n}", "/", depends_on=tuple(draw(some)), inputs=inputs, files=tuple(draw(FILES)))
        )
    return draw(st.permutations(tasks))


def reach(needs: dict[str, list[str]], name: str) -> set[str]:
    found: set[str] = set()
    todo = list(needs.get(name, ()))
    while todo:
        other = todo.pop()
        if other not in found:
            found.add(other)
            todo += needs.get(other, ())
    return found


@given(GRAPHS)
def test_a_circle_is_found_if_there_is_one_and_each_name_in_it_needs_the_next(
    needs: dict[str, list[str]],
) -> None:
    rings = list(cycles_in(needs))
    assert bool(rings) == any(name in reach(needs, name) for name in needs)
    for ring in rings:
        assert ring[0] == ring[-1]
        assert all(other in needs[name] for name, other in pairwise(ring))
    named = [name for ring in rings for name in ring[:-1]]
    assert len(named) == len(set(named))


def test_a_circle_begins_with_its_first_name_wherever_it_was_entered() -> None:
    needs = {"a": [], "b": ["d"], "c": ["a", "b"], "d": ["c"]}
    assert list(cycles_in(needs)) == [["b", "d", "c", "b"]]


def test_very_many_circles_are_not_all_told() -> None:
    needs = {f"{n}": [f"{n}"] for n in range(100)}
    assert len(list(cycles_in(needs))) == MOST_CYCLES


@given(acyclic())
def test_an_order_knows_what_comes_before_what(tasks: list[Task]) -> None:
    order = Order({task.id: task.needs for task in tasks})
    needs = {task.id: list(task.needs) for task in tasks}
    for first in tasks:
        for second in tasks:
            assert order.comes_before(first.id, second.id) == (first.id in reach(needs, second.id))


@given(acyclic())
def test_a_task_is_in_the_first_phase_that_comes_after_all_it_needs(tasks: list[Task]) -> None:
    place = {task.id: n for n, phase in enumerate(phases(tasks)) for task in phase}
    assert place == {task.id: max((place[other] + 1 for other in task.needs), default=0) for task in tasks}
    assert all(phases(tasks))


@given(acyclic())
def test_an_overlap_is_told_exactly_where_tasks_that_could_run_at_once_own_the_same(
    tasks: list[Task],
) -> None:
    order = Order({task.id: task.needs for task in tasks})
    clashing: set[frozenset[str]] = set()
    for one, other in combinations(tasks, 2):
        ordered = order.comes_before(one.id, other.id) or order.comes_before(other.id, one.id)
        if not ordered and overlap(one.files, other.files):
            clashing.add(frozenset((one.id, other.id)))
    told = {frozenset((found.first, found.second)) for found in overlaps(tasks, order)}
    assert told <= clashing
    assert bool(told) == bool(clashing)
    files = {task.id: task.files for task in tasks}
    for found in overlaps(tasks, order):
        assert files[found.second][found.at] == found.file
        assert overlap(files[found.first], (found.file,)) == found.file
