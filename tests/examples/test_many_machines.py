"""The example of many machines: every job is answered once, though a host is cut off with work in hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.long

PLAY = Path(__file__).parents[2] / "examples" / "many_machines" / "play.py"
JOBS = 100
QUICK = ("--jobs", str(JOBS), "--cut", "2.5", "--lease", "1", "--json")
NO_NETWORKS = "no network namespaces"


def play(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PLAY), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def judge(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The account of a play in which all went well."""
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert (said["answered_once"], said["answered_more_than_once"]) == (JOBS, 0)
    assert sum(said["by_host"].values()) == JOBS
    assert said["back_at"] - said["cut_at"] >= 2.4
    assert said["leases_lost"] == sum(said["done_instead_by"].values()) > 0
    assert said["cut_off"] not in said["done_instead_by"]
    assert all("the lease is lost" in told for told in said["told"])
    assert 1 <= said["waited_median"] <= said["waited_longest"]
    return said


@pytest.mark.slow
def test_a_host_that_is_stopped_for_a_while_loses_its_leases_and_no_job_is_done_twice(
    postgres_url: str,
) -> None:
    said = judge(play("--postgres", postgres_url, *QUICK))
    assert said["machines"].startswith("plain processes")


@pytest.mark.slow
@pytest.mark.usefixtures("postgres")
def test_so_does_one_whose_link_is_down() -> None:
    done = play(*QUICK)
    if NO_NETWORKS in done.stderr:
        pytest.skip("this machine grants no network namespaces")
    said = judge(done)
    assert said["machines"].startswith("network namespaces")
    assert said["heard_again_at"] >= said["back_at"]


@pytest.mark.slow
def test_the_account_for_people_has_a_picture_of_it(postgres_url: str) -> None:
    done = play("--postgres", postgres_url, "--hosts", "2", "--jobs", "60", "--cut", "1", "--lease", "0.5")
    assert done.returncode == 0, done.stderr
    assert "60 jobs in " in done.stdout
    assert "ben is cut off" in done.stdout
    assert "answered once: 60 of 60; more than once: 0" in done.stdout
