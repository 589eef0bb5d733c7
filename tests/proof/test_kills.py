"""A small share of the strikes, and that the judge of them is no yes-man."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from accounts import Accounts, accounts
from crew import LEDGER, POOL
from jobs import send_jobs, stored
from msgspec.structs import replace
from prove.herd import HELD_BY, Herd
from prove.kills import Strikes, attempts, judge, percentile, run

from postroom.store import records as r
from postroom.store.sqlite.marks import FileMarks, read_marks
from postroom.store.transact import transact_one

GOOD = Accounts(accepted=10, jobs=5, noted=5, lost=0, duplicated=0, stuck=0, dead=0, faults=())
PATIENT = 60.0


@pytest.fixture
def herd(tmp_path: Path) -> Herd:
    return Herd(tmp_path, 2, Random(1))


def test_a_few_strikes_lose_nothing_and_do_nothing_twice() -> None:
    told: list[int] = []
    outcome = run(3, 11, told.append, nodes=2, late=PATIENT, backlog=200)
    assert outcome.clean, outcome.breaches
    assert outcome.amount == 3
    assert told[-1] == 3
    assert outcome.messages >= 400


@pytest.mark.parametrize("word", ["lost", "duplicated", "stuck", "dead"])
def test_what_the_accounts_say_is_missing_is_told(herd: Herd, word: str) -> None:
    assert judge(Strikes(herd), GOOD, 0, PATIENT).clean
    assert not judge(Strikes(herd), replace(GOOD, **{word: 2}), 0, PATIENT).clean
    herd.close()


def test_an_attempt_more_than_turns_can_have_begun_is_told(herd: Herd) -> None:
    strikes = Strikes(herd)
    strikes.done["node", "term"] = 7
    strikes.done["node", "kill"] = 1
    assert judge(strikes, GOOD, HELD_BY["node"], PATIENT).clean
    (told,) = judge(strikes, GOOD, HELD_BY["node"] + 1, PATIENT).breaches
    assert "attempts were charged" in told
    herd.close()


def test_a_slow_first_delivery_is_told(herd: Herd) -> None:
    herd.first = [0.1] * 50 + [2.5]
    assert "first deliveries" in judge(Strikes(herd), GOOD, 0, 2.0).breaches[0]
    herd.close()


def test_a_term_that_shrinks_is_told(herd: Herd) -> None:
    session = transact_one(herd.store, r.OpenSession("p0", "runtime", "", 60_000_000))
    assert isinstance(session, r.Session)
    transact_one(herd.store, r.Activate(LEDGER, session.id))
    herd.watch_terms()
    assert not herd.faults
    herd.terms[LEDGER] = (session.id, 9)
    herd.watch_terms()
    assert len(herd.faults) == 1
    herd.close()


def test_the_accounts_tell_a_job_that_nobody_noted(herd: Herd) -> None:
    transact_one(herd.store, r.Register(tuple(map(r.InboxSpec, (POOL, LEDGER, "worker/a")))))
    send_jobs(herd.store, [1])
    found = accounts(herd.store, 1)
    assert (found.lost, found.stuck) == (1, 1)
    herd.close()


def test_attempts_are_read_past_the_first(herd: Herd) -> None:
    transact_one(herd.store, r.Register((r.InboxSpec("worker/a"),)))
    send_jobs(herd.store, [1], to="worker/a")
    for verdict in (r.Verdict.RETRY, r.Verdict.RELEASE, r.Verdict.ACK):
        claimed = transact_one(herd.store, r.Claim(("worker/a",), 1))
        assert isinstance(claimed, r.Claimed)
        (delivery,) = claimed.deliveries
        transact_one(herd.store, r.Settle(delivery.id, delivery.fence, verdict, delay_us=0))
    assert (stored(herd.store, 1).state, stored(herd.store, 1).attempts) == ("done", 2)
    herd.close()
    assert attempts(herd.store.path) == (1, 2, 2)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([], 0.99) == 0.0
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0


def test_a_turn_that_outlives_its_session_ends_without_a_mark(tmp_path: Path) -> None:
    """A process that was stopped past its session closes its marks while turns still run."""
    marks = FileMarks(tmp_path / "turns")
    running = marks.begin(7)
    marks.close()
    marks.end(running)
    assert marks.begin(8) == -1


def test_new_marks_know_nothing_of_old_ones_in_the_same_place(tmp_path: Path) -> None:
    old = FileMarks(tmp_path / "turns")
    assert (old.begin(6), old.begin(7)) == (0, 1)
    FileMarks(tmp_path / "turns").begin(8)
    assert read_marks(tmp_path / "turns") == frozenset({8})
