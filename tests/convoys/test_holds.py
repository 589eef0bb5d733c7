"""Files have one owner at a time, and a folder stands for all that is in it."""

from __future__ import annotations

from boards import GATES, Play, started, task
from hypothesis import given
from hypothesis import strategies as st

from postroom.actors.convoys.rules.holds import Holds, overlap

PATHS = ("a", "a/b", "a/b/c", "a/d", "ab", "e/f")
FILES = st.lists(st.sampled_from(PATHS), max_size=3).map(tuple)


def meet(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    """The plain rule: the same path, or one inside the other."""
    return any(x == y or x.startswith(f"{y}/") or y.startswith(f"{x}/") for x in first for y in second)


def test_tasks_that_own_the_same_file_run_one_after_the_other() -> None:
    two = Play(task("a", files=("x.py",)), task("b", files=("x.py",)), task("c", files=("y.py",)))
    assert started(two.begin()) == [("a", 1), ("c", 1)]
    assert started(two.done("c")) == []
    assert started(two.done("a")) == [("b", 1)]


def test_who_owns_a_folder_owns_what_is_in_it() -> None:
    two = Play(task("a", files=("src/x.py",)), task("b", files=("src",)), task("c", files=("src/y.py",)))
    assert started(two.begin()) == [("a", 1), ("c", 1)]
    assert started(two.done("a")) == []
    assert started(two.done("c")) == [("b", 1)]


def test_what_is_in_a_folder_waits_for_who_owns_the_folder() -> None:
    two = Play(task("a", files=("src",)), task("b", files=("src/ui/x.py",)))
    assert started(two.begin()) == [("a", 1)]
    assert started(two.done("a")) == [("b", 1)]


def test_files_are_held_while_a_task_is_checked_and_are_free_while_it_rests() -> None:
    two = Play(task("a", files=("x",), gates=GATES), task("b", files=("x",)))
    two.begin()
    assert started(two.done("a")) == []
    two.killed()
    assert started(two.begin()) == [], "also after a kill"
    two.interrupt()
    two.begin()
    two.checked("a")
    assert two.statuses == {"a": "done", "b": "running"}


def test_who_waits_for_a_file_leaves_its_place_to_others() -> None:
    three = Play(task("a", files=("x",)), task("b", files=("x",)), task("c"), concurrency=2)
    assert started(three.begin()) == [("a", 1), ("c", 1)]


def test_a_file_named_twice_is_given_back_all_the_same() -> None:
    two = Play(task("a", files=("d/x", "d/x")), task("b", files=("d",)))
    two.begin()
    assert started(two.done("a")) == [("b", 1)]


@given(FILES, FILES)
def test_paths_overlap_as_the_plain_rule_says(first: tuple[str, ...], second: tuple[str, ...]) -> None:
    shared = overlap(first, second)
    assert (shared is not None) == meet(first, second)
    assert shared is None or (shared in second and meet(first, (shared,)))


@given(st.lists(FILES, min_size=1, max_size=6), st.lists(st.integers(0, 5), max_size=30))
def test_nobody_holds_what_another_holds_and_who_waits_is_told(
    files: list[tuple[str, ...]], turns: list[int]
) -> None:
    holds = Holds()
    active: set[int] = set()
    parked: set[int] = set()
    for n in turns:
        if n >= len(files) or n in parked:
            continue
        if n in active:
            active.discard(n)
            parked -= {int(id) for id in holds.give_back(str(n), files[n])}
        else:
            blocked = any(meet(files[n], files[m]) for m in active)
            assert holds.parked(str(n), files[n]) == blocked
            if blocked:
                parked.add(n)
            else:
                holds.take(str(n), files[n])
                active.add(n)
    for n in active:
        parked -= {int(id) for id in holds.give_back(str(n), files[n])}
    assert not parked
