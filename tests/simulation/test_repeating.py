"""The same seed is the same run: in one process, and in others that hash strings differently."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from msgspec import structs

from postroom.simulation.options import Options, expand
from postroom.simulation.running import run, run_untraced
from postroom.simulation.scenario import load

TELL = """
import sys
from postroom.simulation.options import expand
from postroom.simulation.running import run
from postroom.simulation.scenario import load
for seed in map(int, sys.argv[1:]):
    print(run(expand("faults", load("faults"), seed).lighter(2)).trace_sha256)
"""


def options(seed: int) -> Options:
    return expand("faults", load("faults"), seed).lighter(3)


def test_a_seed_run_twice_in_one_process_leaves_the_same_trace() -> None:
    first: list[bytes] = []
    again: list[bytes] = []
    one, two = run(options(3), first.append), run(options(3), again.append)
    assert first == again
    assert one == two
    assert len(first) == one.events


def test_a_seed_run_without_its_trace_is_the_same_run() -> None:
    traced, untraced = run(options(3)), run_untraced(options(3))
    assert structs.replace(traced, trace_sha256="") == untraced


def test_another_seed_is_another_run() -> None:
    assert run(options(3)).trace_sha256 != run(options(4)).trace_sha256


def _told(seeds: list[int], hash_seed: int) -> list[str]:
    """The digests of some seeds as another process finds them."""
    done = subprocess.run(
        [sys.executable, "-c", TELL, *map(str, seeds)],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    return done.stdout.split()


@pytest.mark.slow
def test_processes_that_hash_differently_leave_the_same_traces() -> None:
    seeds = [1, 2, 5]
    told = _told(seeds, 1)
    assert len(told) == len(seeds)
    assert told == _told(seeds, 2)


def test_leaving_out_a_fault_changes_no_other() -> None:
    whole = options(3)
    without = whole.without([0])
    assert without.armed == whole.armed[1:]
    assert without.jobs == whole.jobs
