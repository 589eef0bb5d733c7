from __future__ import annotations

from typing import Any

import pytest

from postroom.mailbox.desk import Desk
from postroom.store.errors import (
    BadInput,
    InboxEnded,
    UnknownInbox,
    UnknownMessage,
)
from postroom.store.records import Delivery


def _given(desk: Desk, sender: str = "manager/m", **envelope: Any) -> Delivery:
    """A message to ``worker/w`` that has just been polled."""
    desk.send("worker/w", "task", b"{}", sender=sender, **envelope)
    (delivery,) = desk.poll("worker/w")
    return delivery


def test_show_tells_the_history_and_not_what_it_does_not_know(desk: Desk) -> None:
    got = _given(desk)
    desk.ack(got.id, got.fence)
    assert [event.event for event in desk.show(got.id).history] == ["send", "claim", "ack"]
    with pytest.raises(UnknownMessage):
        desk.show(b"x" * 16)


def test_peeking_leases_nothing(desk: Desk) -> None:
    first, second = (desk.send("worker/w", "task", body).id for body in (b"1", b"2"))
    assert [m.id for m in desk.peek("worker/w")] == [first, second]
    assert desk.peek("worker/w", state="dead") == []
    assert desk.inbox("worker/w").ready == 2
    with pytest.raises(BadInput, match="no state"):
        desk.peek("worker/w", state="lost")
    with pytest.raises(UnknownInbox):
        desk.peek("worker/new")


def test_a_draining_inbox_delivers_but_accepts_nothing(desk: Desk) -> None:
    desk.send("worker/w", "task", b"1")
    desk.drain("worker/w")
    with pytest.raises(InboxEnded):
        desk.send("worker/w", "task", b"2")
    assert len(desk.poll("worker/w")) == 1


def test_a_purge_cancels_what_nobody_has_claimed(desk: Desk) -> None:
    got = _given(desk)
    desk.send("worker/w", "task", b"1")
    desk.send("worker/w", "task", b"2", delay=5.0)
    assert desk.purge("worker/w").count == 2
    counts = desk.inbox("worker/w")
    assert (counts.cancelled, counts.leased) == (2, 1)
    assert desk.ack(got.id, got.fence).state == "done"


def test_one_conversation_can_be_paused(desk: Desk) -> None:
    desk.send("worker/w", "task", b"1", correlation="a")
    desk.send("worker/w", "task", b"2", correlation="b")
    desk.pause("worker/w", key="a")
    assert [d.body for d in desk.poll("worker/w", max=5)] == [b"2"]
    desk.resume("worker/w", key="a")
    assert [d.body for d in desk.poll("worker/w", max=5)] == [b"1"]


def test_switching_what_is_no_inbox_is_refused(desk: Desk) -> None:
    with pytest.raises(UnknownInbox):
        desk.pause("worker/new")
    with pytest.raises(BadInput):
        desk.pause("all:worker")
    with pytest.raises(UnknownInbox):
        desk.dead("worker/new")
    assert desk.store.verify().ok
