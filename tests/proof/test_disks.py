"""A small share of the episodes on bad disks, and proof that their judge can find fault."""

from __future__ import annotations

import shutil
from pathlib import Path

from prove import disks
from prove.disk import syncs
from prove.disk.told import Told
from prove.outcome import Outcome

from postroom.console.exits import NO_STORE


def test_each_kind_of_bad_disk_loses_nothing_and_does_nothing_twice() -> None:
    outcome = disks.run(len(disks.CYCLE), 0, lambda _: None)
    assert outcome.clean, outcome.breaches
    assert sum(n for name, n in outcome.figures.items() if name.startswith("episodes of")) == outcome.amount
    assert outcome.messages > 100


def test_a_child_that_dies_is_no_success() -> None:
    (told,) = disks.play([("no such kind", 1), ("full", 2)], None)
    outcome = Outcome(2)
    disks.judge(outcome, told)
    assert outcome.other == 1
    assert "KeyError" in outcome.breaches[0]


def test_what_is_wrong_in_an_episode_is_counted_with_its_seed() -> None:
    outcome = Outcome(1)
    told = Told("full", 17)
    told.check(True, "this is good")
    told.check(False, "this is not")
    disks.judge(outcome, told)
    assert outcome.breaches == ["full, seed 17: this is not"]
    assert not outcome.clean


def test_the_library_that_fails_syncs_does_what_strace_does(tmp_path: Path) -> None:
    ways = {name for name in (syncs.injector(), "cc") if name and shutil.which(name)}
    for name in ways:
        folder = tmp_path / name
        folder.mkdir()
        episode = syncs.Syncs(folder, 1, by=name)
        status, code = episode.command(1, "send", "worker/a", "--type", "Job", "--body", "1")
        assert (status, code) == (NO_STORE, "outcome_unknown")
        assert episode.told.wrong == []
