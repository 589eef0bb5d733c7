from __future__ import annotations

import math
from typing import Any

import pytest

from postroom.mailbox.envelope import PRIORITIES, compose
from postroom.store.errors import BadInput
from postroom.store.records import NewMessage


def _composed(**changed: Any) -> NewMessage:
    given: dict[str, Any] = {
        "id": b"i" * 16,
        "recipient": "worker/w",
        "sender": "manager/m",
        "type": "task",
        "body": b"{}",
    }
    return compose(**(given | changed))


def test_what_is_not_said_has_its_usual_value() -> None:
    message = _composed()
    assert message == NewMessage(b"i" * 16, "worker/w", "manager/m", "task", b"{}", 1)
    assert message.max_attempts == 5


def test_every_field_reaches_the_store_in_its_units() -> None:
    message = _composed(
        priority="urgent",
        correlation="c",
        causation="u",
        reply_to="any:manager",
        dedup_key="d",
        headers={"b": 1, "a": "x"},
        delay=1.5,
        expires=2,
        max_attempts=1,
        due_at=7,
        expires_at=8,
    )
    assert (message.priority, message.correlation_id, message.causation_id) == (3, "c", "u")
    assert (message.reply_to, message.dedup_key) == ("any:manager", "d")
    assert message.headers == b'{"a":"x","b":1}'
    assert (message.delay_us, message.ttl_us, message.max_attempts) == (1_500_000, 2_000_000, 1)
    assert (message.due_at, message.expires_at) == (7, 8)


def test_priorities_are_words_outside_and_numbers_inside() -> None:
    assert [_composed(priority=word).priority for word in PRIORITIES] == [0, 1, 2, 3]


@pytest.mark.parametrize("sender", ["manager/m", "any:worker"])
def test_mail_may_come_from_one_or_from_somebody_of_a_role(sender: str) -> None:
    assert _composed(sender=sender).sender == sender


WRONG: list[dict[str, Any]] = [
    {"recipient": "worker"},
    {"sender": "all:worker"},
    {"sender": "nobody"},
    {"type": ""},
    {"type": "a\nb"},
    {"type": "x" * 129},
    {"type": "\x1b[31m"},
    {"type": "\ud800"},
    {"priority": "highest"},
    {"correlation": ""},
    {"correlation": "a\0"},
    {"causation": "x" * 257},
    {"dedup_key": ""},
    {"reply_to": "me"},
    {"headers": {"a": math.nan}},
    {"headers": {"a": "x" * 20_000}},
    {"delay": -1.0},
    {"delay": math.nan},
    {"delay": math.inf},
    {"delay": 1e12},
    {"expires": 0.0},
    {"expires": -3},
    {"delay": 10.0, "expires": 10.0},
    {"max_attempts": 0},
    {"max_attempts": 10_000},
    {"body": b"x" * ((1 << 20) + 1)},
]


@pytest.mark.parametrize("changed", WRONG, ids=lambda changed: f"{changed!r:.40}")
def test_a_field_that_means_nothing_is_refused_in_one_line(changed: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as caught:
        _composed(**changed)
    assert caught.value.do
    assert str(caught.value).isprintable()
