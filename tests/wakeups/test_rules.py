"""Whom to wake: every combination of the facts."""

from __future__ import annotations

from itertools import product

import pytest

from postroom.actors.wakeups import rules
from postroom.actors.wakeups.rules import Facts, Reason, Status

EITHER = (False, True)
ALL = [
    Facts(mail, leased, pending, joining, awake, threaded)
    for mail, leased, pending, joining, awake, threaded in product(EITHER, repeat=6)
]


def test_ready_are_exactly_those_with_mail_and_a_thread_and_nothing_under_way() -> None:
    for given in ALL:
        free = given.mail and not (given.leased or given.pending or given.joining)
        ready = rules.judge(given)[0] is Status.READY
        assert ready == (free and given.threaded), given
        assert (rules.judge(given)[0] is Status.BLOCKED) == (free and not given.threaded), given


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (Facts(True, True, True, True, True, True), Reason.WAKE_PENDING),
        (Facts(True, True, False, True, True, True), Reason.IN_FLIGHT),
        (Facts(True, False, False, True, True, False), Reason.JOINING),
        (Facts(False, False, False, True, True, True), Reason.HEALTHY),
        (Facts(False, False, False, False, False, False), Reason.NO_MAIL),
    ],
)
def test_who_is_not_woken_is_skipped_for_the_first_reason_that_holds(given: Facts, reason: Reason) -> None:
    assert rules.judge(given) == (Status.SKIPPED, reason)


def test_shared_mail_justifies_a_wake_for_each_message_less_those_under_way() -> None:
    assert [rules.share(ready, 2) for ready in (0, 1, 2, 3, 5)] == [0, 0, 0, 1, 3]


def test_the_prompt_is_one_line_with_the_command_to_poll_and_says_that_empty_is_no_reason_to_stop() -> None:
    text = rules.prompt("t1", "worker", "worker/w", "sqlite:////srv/a b.db")
    assert "\n" not in text
    assert "postroom poll --store 'sqlite:////srv/a b.db' worker/w --wait 30" in text
    assert "task t1" in text
    assert "empty poll is never a reason to stop" in text.lower()


def test_a_store_in_memory_is_not_named_in_the_prompt() -> None:
    assert "--store" not in rules.prompt("t1", "worker", "worker/w", "memory:")
