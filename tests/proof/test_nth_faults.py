"""The storage fails at one thing that is asked of it: a small fixed share of the proof."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import apsw
import pytest
from prove.cuts.child import run_apart
from prove.cuts.failing import Failer, Fault


def test_whatever_the_storage_refuses_the_port_says_so_and_nothing_is_lost() -> None:
    outcome = run_apart("prove.nth", 90, 1)
    assert outcome.clean, outcome.breaches
    assert all(outcome.figures.get(f"failed_{verb}") for verb in ("read", "write", "sync", "lock", "size"))


def test_a_fault_strikes_once_or_from_then_on(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    once, lasting = Failer(tmp_path, Fault(1)), Failer(tmp_path, Fault(1, lasting=True))
    for failer in (once, lasting):
        failer.about_to("read", path)
        with pytest.raises(apsw.IOError):
            failer.about_to("read", path)
    once.about_to("read", path)
    with pytest.raises(apsw.IOError):
        lasting.about_to("read", path)
    lasting.heal()
    lasting.about_to("read", path)
    assert once.asked == 3
    assert once.failed == "read of store.db"


def test_a_sync_may_fail_although_the_data_is_there(tmp_path: Path) -> None:
    failer = Failer(tmp_path, Fault(0, done=True))
    failer.about_to("sync", str(tmp_path / "store.db"))
    with pytest.raises(apsw.IOError):
        failer.synced(str(tmp_path / "store.db"))


def test_what_goes_past_sqlite_fails_in_the_words_of_the_operating_system(tmp_path: Path) -> None:
    failer = Failer(tmp_path, Fault(0, code=1))
    with failer.beside_sqlite(), pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        (tmp_path / "store.db-turns-1").unlink()
