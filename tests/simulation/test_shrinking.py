"""A run that fails is made smaller for as long as it still fails."""

from __future__ import annotations

from postroom.simulation.options import Options, expand
from postroom.simulation.scenario import load
from postroom.simulation.shrinking import TRIES, shrink


def options(seed: int = 1) -> Options:
    return expand("faults", load("faults"), seed)


def test_only_the_faults_that_matter_are_left() -> None:
    def fails(candidate: Options) -> bool:
        return {1, 3} <= {number for number, _ in candidate.armed}

    smallest = shrink(options(), fails)
    assert [number for number, _ in smallest.armed] == [1, 3]


def test_the_load_is_halved_while_that_helps() -> None:
    whole = options()
    smallest = shrink(whole, lambda candidate: candidate.jobs >= whole.jobs // 4)
    assert smallest.jobs == whole.jobs // 4
    assert smallest.armed == []
    assert "--lighter 4" in smallest.command


def test_what_cannot_be_made_smaller_is_left_as_it_is() -> None:
    whole = options()
    assert shrink(whole, lambda candidate: candidate == whole) == whole


def test_it_does_not_go_on_for_ever() -> None:
    spent: list[Options] = []

    def fails(candidate: Options) -> bool:
        spent.append(candidate)
        return True

    shrink(options(), fails)
    assert len(spent) <= TRIES


def test_the_command_of_a_run_names_what_was_left_out() -> None:
    smallest = options(7).without([2, 0]).lighter(2).lighter(2)
    assert smallest.command == "postroom simulate --scenario faults --seed 7 --leave-out 0,2 --lighter 4"
