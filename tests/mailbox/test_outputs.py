from __future__ import annotations

import pytest

from postroom.mailbox.outputs import read_flags, read_lines
from postroom.store.errors import BadInput
from postroom.store.records import Unrouted

SENT = {"to": "worker/w", "type": "task", "body": {"a": [None, 1]}}


def test_flags_become_a_message() -> None:
    flags = SENT | {"from": "manager/m", "delay": 2, "priority": "high", "correlation": "c", "hold": True}
    send = read_flags(flags).send(b"i" * 16, sender="operator/cli")
    assert (send.message.id, send.message.sender, send.message.body) == (
        b"i" * 16, "manager/m", b'{"a":[null,1]}',
    )  # fmt: skip
    assert (send.message.delay_us, send.message.priority, send.message.correlation_id) == (2_000_000, 2, "c")
    assert send.unrouted is Unrouted.HOLD


def test_null_counts_as_not_given_but_for_the_body() -> None:
    flags = dict.fromkeys(["from", "id", "delay", "expires", "priority", "max_attempts", "hold", "body"])
    send = read_flags(SENT | flags).send(b"i" * 16, sender="operator/cli", correlation="c")
    assert (send.message.sender, send.message.correlation_id) == ("operator/cli", "c")
    assert (send.message.body, send.message.max_attempts) == (b"null", 5)
    assert send.unrouted is Unrouted.REFUSE


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (SENT | {"dedupkey": "x"}, "did you mean dedup_key"),
        (SENT | {"priorty": "x"}, "did you mean priority"),
        (SENT | {"zzzzzz": 1}, "remove it"),
        (SENT | {"sender": "a/b"}, "unknown key 'sender'"),
        ({"to": "worker/w", "type": "task"}, "body"),
        ({"type": "task", "body": 1}, "to"),
        (SENT | {"delay": "3"}, "delay"),
        (SENT | {"delay": True}, "delay"),
        (SENT | {"max_attempts": 1.5}, "max_attempts"),
        (SENT | {"to": ["worker/w"]}, "to"),
        (SENT | {"hold": 1}, "hold"),
    ],
)
def test_a_wrong_key_or_type_is_named(flags: dict[str, object], reason: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_flags(flags)
    assert reason in str(caught.value)


def test_lines_are_read_one_send_each() -> None:
    text = '{"to":"a/b"}\n\n  \r\n{"body":"x\\ny"}\n'
    assert read_lines(text) == read_lines(text.encode()) == [{"to": "a/b"}, {"body": "x\ny"}]
    assert read_lines("") == []


@pytest.mark.parametrize("line", ["{", "[]", "1", '{"a":1,"a":2}', "{} {}"])
def test_a_wrong_line_is_named_by_its_number(line: str) -> None:
    with pytest.raises(BadInput, match=r"line 3: "):
        read_lines("{}\n\n" + line)
