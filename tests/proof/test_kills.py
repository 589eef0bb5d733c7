"""A small share of the strikes, and that the judge of them is no yes-man."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from accounts import Accounts, accounts
from children import Child
from crew import LEDGER, POOL
from jobs import send_jobs, stored
from msgspec.structs import replace
from prove.charges import Charge, Charges, charges, unexplained
from prove.herd import HELD_BY, Herd
from prove.kills import Strikes, judge, percentile, run

from postroom.store import records as r
from postroom.store.marks import FileMarks, read_marks
from postroom.store.transact import transact_one

GOOD = Accounts(accepted=10, jobs=5, noted=5, lost=0, duplicated=0, stuck=0, dead=0, faults=())
PATIENT = 60.0
NONE = Charges()


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
    assert judge(Strikes(herd), GOOD, NONE, PATIENT).clean
    assert not judge(Strikes(herd), replace(GOOD, **{word: 2}), NONE, PATIENT).clean
    herd.close()


def test_an_attempt_more_than_turns_can_have_begun_is_told(herd: Herd) -> None:
    strikes = Strikes(herd)
    strikes.done["node", "term"] = 7
    strikes.done["node", "kill"] = 1
    all_its_turns = tuple(Charge(n, "take back", 0) for n in range(HELD_BY["node"]))
    assert judge(strikes, GOOD, Charges(all_its_turns), PATIENT).clean
    one_more = Charges((*all_its_turns, Charge(100, "take back", 0)))
    (told,) = judge(strikes, GOOD, one_more, PATIENT).breaches
    assert "attempts were charged" in told
    herd.close()


def test_a_slow_first_delivery_is_told(herd: Herd) -> None:
    herd.first = [0.1] * 50 + [2.5]
    assert "first deliveries" in judge(Strikes(herd), GOOD, NONE, 2.0).breaches[0]
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


@pytest.mark.parametrize(
    ("charged", "what"),
    [
        ([Charge(1, "retry", 7)], "a handler has failed"),
        ([Charge(1, "take back", 8)], "nobody struck"),
        ([Charge(1, "take back", 7), Charge(2, "take back", 7), Charge(3, "bury", 7)], "of 2 turns"),
        ([Charge(1, "take back", 7), Charge(1, "back off", 7)], "charged twice"),
    ],
)
def test_an_attempt_that_no_blow_explains_is_told(charged: list[Charge], what: str) -> None:
    assert (
        unexplained([Charge(1, "take back", 7), Charge(2, "take back", 7), Charge(3, "bury", 0)], {7}, 2)
        == []
    )
    (told,) = unexplained(charged, {7}, 2)
    assert what in told


def test_a_dead_message_is_told_with_its_history(herd: Herd) -> None:
    transact_one(herd.store, r.Register((r.InboxSpec("worker/a"),)))
    send_jobs(herd.store, [1], to="worker/a")
    for verdict in (r.Verdict.RETRY, r.Verdict.DEAD):
        claimed = transact_one(herd.store, r.Claim(("worker/a",), 1))
        assert isinstance(claimed, r.Claimed)
        (delivery,) = claimed.deliveries
        transact_one(
            herd.store, r.Settle(delivery.id, delivery.fence, verdict, delay_us=0, reason="rejected")
        )
    found = accounts(herd.store, 0)
    (told,) = judge(Strikes(herd), found, NONE, PATIENT).breaches
    assert "1 messages are dead" in told
    for word in ('"n":1', "retry 1", "claim 2", "bury 2", "rejected"):
        assert word in told
    herd.close()


def test_sums_that_are_wrong_are_told_with_the_turn_that_broke_them(herd: Herd) -> None:
    """The turn of job 4 built on a state in which 5 was noted and 3 was not."""
    sums = {1: [1, 1, 0], 2: [2, 3, 0], 3: [3, 6, 0], 5: [4, 13, 0], 4: [5, 17, 0]}
    values: dict[tuple[str, str], object] = {("seen", str(n)): value for n, value in sums.items()}
    values["state", ""] = {"count": 5, "total": 17}
    transact_one(herd.store, r.Register((r.InboxSpec(LEDGER), r.InboxSpec("worker/a"))))
    send_jobs(herd.store, [1], to="worker/a")
    claimed = transact_one(herd.store, r.Claim(("worker/a",), 1))
    assert isinstance(claimed, r.Claimed)
    (delivery,) = claimed.deliveries
    writes = [r.Write(LEDGER, kind, key, json.dumps(value).encode()) for (kind, key), value in values.items()]
    transact_one(herd.store, r.Settle(delivery.id, delivery.fence, r.Verdict.ACK, writes=writes))
    assert accounts(herd.store, 5).faults == (
        "the ledger's total is 17, not 15",
        "after job 3: 3, 6 (fence 0) came 5: 4, 13",
    )
    herd.close()


def test_a_session_that_is_struck_hard_is_remembered(herd: Herd) -> None:
    transact_one(herd.store, r.Register((r.InboxSpec(POOL),)))
    struck, other = (
        transact_one(herd.store, r.OpenSession(name, "runtime", "", 60_000_000)) for name in "ab"
    )
    assert isinstance(struck, r.Session)
    assert isinstance(other, r.Session)
    with Child("holder", herd.url) as child:
        herd.children["a"] = child
        herd.bury("a")
    assert herd.hit == {struck.id}
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
    found = charges(herd.store.path)
    assert ([charge.event for charge in found.all], found.again, found.most) == (["retry"], 2, 2)


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
