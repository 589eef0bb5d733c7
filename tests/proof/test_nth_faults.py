"""The storage fails at one thing that is asked of it: a small fixed share of the proof."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from random import Random

import apsw
import pytest
from port_verbs import INBOX, claim, do, register, send, session, state
from prove.cuts.child import run_apart
from prove.cuts.failing import Failer, Fault
from prove.cuts.inside import calls

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.sqlite.file import open_file


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


def test_marks_that_cannot_be_removed_do_no_harm(tmp_path: Path) -> None:
    """The session is over by then: a commit that has happened must not look like one that failed."""
    clock = ManualClock()
    store = open_file(tmp_path / "store.db", create=True, clock=clock, rng=Random(0))
    register(store, INBOX)
    sent = send(store)
    lapses = session(store)
    (delivery,) = claim(store, session=lapses)
    store.turn_marks(lapses).begin(delivery.seq)
    clock.advance(3600)
    failer = Failer(tmp_path, Fault(0, lasting=True))
    with calls(["unlink"], failer.failing):
        do(store, r.Tick(), r.Ticked)
    assert failer.failed == f"os of store.db-turns-{lapses}"
    assert state(store, sent.id) == "ready"
    store.close()
