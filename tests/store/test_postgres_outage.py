"""Who tries again when the server does not answer: not too often, not all at once, and told once."""

from __future__ import annotations

import logging
from random import Random

import psycopg
import pytest

from postroom.store.errors import StoreUnavailable
from postroom.store.postgres.outage import Outage


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which the test moves."""
    time = [1000.0]
    monkeypatch.setattr("postroom.store.postgres.outage.time.monotonic", lambda: time[0])
    return time


def refuse() -> psycopg.Connection[tuple[object, ...]]:
    raise psycopg.OperationalError("connection\n refused")


def pauses(rng: Random, now: list[float], times: int) -> list[float]:
    known = Outage(rng)
    found: list[float] = []
    for _ in range(times):
        with pytest.raises(psycopg.OperationalError):
            known.ended_by(refuse)  # type: ignore[arg-type]  # it makes no connection at all
        found.append(known.left)
        now[0] += known.left
    return found


def test_pauses_grow_to_half_a_minute_and_not_beyond(now: list[float]) -> None:
    found = pauses(Random(1), now, 20)
    assert found[0] <= 0.2
    assert min(found[10:]) >= 15
    assert max(found) <= 30


def test_two_processes_do_not_try_at_the_same_moments(now: list[float]) -> None:
    assert pauses(Random(1), now, 12) != pauses(Random(2), now, 12)


def test_before_its_time_nobody_tries(now: list[float]) -> None:
    known = Outage(Random(1))
    with pytest.raises(psycopg.OperationalError):
        known.ended_by(refuse)  # type: ignore[arg-type]  # as above
    with pytest.raises(StoreUnavailable, match="connection refused"):
        known.ended_by(lambda: pytest.fail("it was tried"))


def test_several_connections_that_are_lost_at_once_are_one_failure(
    now: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    known = Outage(Random(1))
    known.over()
    with caplog.at_level(logging.WARNING):
        for _ in range(10):
            known.failed("gone")
        assert known.left <= 0.2
        now[0] += 0.5
        known.failed("still gone")
        now[0] += 6.5
        known.over()
        known.over()
    assert caplog.messages == [
        "the server does not answer: still gone",
        "the server answers again after 7.0 s",
    ]


def test_one_failure_between_two_answers_is_not_worth_a_word(caplog: pytest.LogCaptureFixture) -> None:
    known = Outage(Random(1))
    known.over()
    known.failed("gone")
    known.over()
    assert caplog.messages == []


def test_who_has_never_had_an_answer_is_told_by_the_error_alone(
    now: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    known = Outage(Random(1))
    for _ in range(3):
        known.failed("gone")
        now[0] += 30
    known.over()
    assert caplog.messages == []
