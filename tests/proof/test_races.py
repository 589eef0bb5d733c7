"""A small share of the races for leases, and the referee's own table."""

from __future__ import annotations

import pytest
from prove import races, races_real
from prove.outcome import Outcome
from prove.referee import ANSWERS, HELD, LEASE_US, OVER, SAID, Referee

from postroom.store import records as r

ACK = r.Settle(b"m", 1, r.Verdict.ACK)
CLAIM = r.Claim(("race/1",), 1, lease_us=LEASE_US)


def test_in_races_on_virtual_time_the_first_committed_statement_wins() -> None:
    outcome, told = Outcome(0), list[int]()
    races.virtual_races(300, 11, outcome, told.append)
    assert outcome.clean, outcome.breaches
    assert outcome.amount == told[-1] == 300
    assert outcome.messages >= 300


def test_in_races_of_real_processes_every_message_is_done_once() -> None:
    outcome = Outcome(0)
    races_real.real_races(5, 3, outcome)
    assert outcome.clean, outcome.breaches
    assert outcome.amount == 5


@pytest.mark.parametrize(
    ("late_us", "claimed", "acked"),
    [
        (-1, ("claimed",), ("done",)),
        (0, ("claimed", 2), ("lost_lease",)),
        (1, ("claimed", 2), ("lost_lease",)),
    ],
)
def test_a_lease_is_over_for_others_from_the_very_microsecond_of_its_end(
    late_us: int, claimed: tuple[object, ...], acked: tuple[object, ...]
) -> None:
    referee = Referee("actor/1")
    referee.leased(0, 1, 0)
    assert referee.answer(LEASE_US + late_us, CLAIM) == claimed
    assert referee.answer(LEASE_US + late_us, ACK) == acked


def test_a_late_ack_stands_while_nobody_has_taken_the_lease() -> None:
    referee = Referee("actor/1")
    referee.leased(0, 1, 0)
    assert referee.answer(9 * LEASE_US, ACK) == ("done",)
    assert referee.answer(9 * LEASE_US, ACK) == ("already",)


def test_the_table_answers_every_word_in_every_standing() -> None:
    words = {word for word, _ in ANSWERS}
    assert set(ANSWERS) == {(word, standing) for word in words for standing in (HELD, SAID, OVER)}
    assert {str(verdict) for verdict in r.Verdict} < words
