from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from postroom.mailbox.codec import decode
from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import derive, id_text
from postroom.store.clock import ManualClock
from postroom.store.errors import (
    BadInput,
    Conflict,
    EmptyGroup,
    LostLease,
    PostroomError,
    UnknownInbox,
    UnknownMessage,
)
from postroom.store.memory import MemoryStore
from postroom.store.records import Delivery, InboxSpec, Register
from postroom.store.transact import transact_one


def _given(desk: Desk, sender: str = "manager/m", **envelope: Any) -> Delivery:
    """A message to ``worker/w`` that has just been polled."""
    desk.send("worker/w", "task", b"{}", sender=sender, **envelope)
    (delivery,) = desk.poll("worker/w")
    return delivery


def _snapshot(desk: Desk) -> list[object]:
    return [(c.inbox, c.accepted, c.ready, c.leased, c.done, c.held, c.delayed) for c in desk.inboxes()]


def test_an_ack_ends_the_message_and_can_be_repeated(desk: Desk) -> None:
    got = _given(desk)
    assert not desk.ack(got.id, got.fence).already
    assert desk.ack(got.id, got.fence).already
    assert desk.show(got.id).state == "done"


def test_ids_and_fences_that_are_not_known_are_told_apart(desk: Desk) -> None:
    got = _given(desk)
    verbs: list[Callable[[bytes, int], object]] = [desk.ack, desk.nack, desk.extend]
    for verb in verbs:
        with pytest.raises(UnknownMessage):
            verb(b"x" * 16, got.fence)
        with pytest.raises(LostLease):
            verb(got.id, got.fence + 1)
    assert desk.show(got.id).state == "leased"


def test_a_reply_goes_to_the_sender_and_names_what_it_answers(desk: Desk) -> None:
    got = _given(desk)
    (sent,) = desk.ack(got.id, got.fence, b'{"ok":true}').outputs
    (reply,) = desk.poll("manager/m")
    assert (reply.id, reply.type, reply.sender) == (sent.id, "reply", "worker/w")
    assert (reply.correlation_id, reply.causation_id) == (id_text(got.id), id_text(got.id))
    assert reply.id == derive(got.id, got.fence, 0)


def test_a_reply_goes_where_it_was_asked_for_within_its_conversation(desk: Desk) -> None:
    got = _given(desk, sender="worker/w", reply_to="manager/m", correlation="talk")
    desk.ack(got.id, got.fence, b"1", reply_type="counted")
    (reply,) = desk.poll("manager/m")
    assert (reply.type, reply.correlation_id, reply.causation_id) == ("counted", "talk", id_text(got.id))


def test_a_reply_to_somebody_unregistered_is_kept_for_him(desk: Desk) -> None:
    got = _given(desk, sender="operator/cli")
    assert [output.state for output in desk.ack(got.id, got.fence, b"1").outputs] == ["held"]
    desk.register("operator/cli")
    assert [d.body for d in desk.poll("operator/cli")] == [b"1"]


def test_a_reply_to_somebody_who_has_ended_bounces_and_that_is_not_answered(desk: Desk) -> None:
    got = _given(desk)
    desk.end("manager/m")
    assert [output.state for output in desk.ack(got.id, got.fence, b"1").outputs] == ["bounced"]
    (notice,) = desk.poll("worker/w")
    assert decode(notice.body)["reason"] == "recipient ended"
    with pytest.raises(BadInput, match="bounce"):
        desk.ack(notice.id, notice.fence, b"1")
    assert desk.ack(notice.id, notice.fence).state == "done"


def test_the_sends_of_an_ack_come_from_the_inbox_that_is_acked(desk: Desk) -> None:
    got = _given(desk)
    sends = [
        {"to": "manager/m", "type": "progress", "body": 1},
        {"to": "worker/w", "type": "next", "body": 2, "from": "manager/m", "correlation": "c"},
    ]
    settled = desk.ack(got.id, got.fence, b'"r"', sends)
    assert [output.id for output in settled.outputs] == [derive(got.id, got.fence, n) for n in range(3)]
    reply, progress = desk.poll("manager/m", max=5)
    (following,) = desk.poll("worker/w")
    assert (reply.type, progress.type, progress.sender) == ("reply", "progress", "worker/w")
    assert (progress.correlation_id, progress.causation_id) == (id_text(got.id), id_text(got.id))
    assert (following.sender, following.correlation_id) == ("manager/m", "c")


def test_a_repeated_ack_sends_nothing_twice(desk: Desk) -> None:
    got = _given(desk)
    for _ in range(3):
        desk.ack(got.id, got.fence, b"1", [{"to": "manager/m", "type": "t", "body": 1}])
    assert desk.inbox("manager/m").accepted == 2


WRONG_SENDS: list[tuple[dict[str, Any], type[PostroomError]]] = [
    ({"to": "manager/m", "type": "t", "body": 1, "prio": "high"}, BadInput),
    ({"to": "manager/m", "type": "t"}, BadInput),
    ({"to": "manager", "type": "t", "body": 1}, BadInput),
    ({"to": "manager/m", "type": "t", "body": float("nan")}, BadInput),
    ({"to": "manager/m", "type": "t", "body": 1, "id": "x"}, BadInput),
    ({"to": "manager/nobody", "type": "t", "body": 1}, UnknownInbox),
    ({"to": "all:nobody", "type": "t", "body": 1}, EmptyGroup),
]


@pytest.mark.parametrize(("wrong", "error"), WRONG_SENDS)
def test_one_wrong_send_changes_nothing(
    desk: Desk, wrong: dict[str, Any], error: type[PostroomError]
) -> None:
    got = _given(desk)
    before = _snapshot(desk)
    good = {"to": "manager/m", "type": "t", "body": 1}
    with pytest.raises(error):
        desk.ack(got.id, got.fence, b"1", [good, wrong, good])
    assert _snapshot(desk) == before
    assert not desk.ack(got.id, got.fence).already


def test_two_sends_of_one_ack_cannot_have_the_same_id(desk: Desk) -> None:
    got = _given(desk)
    sends = [{"to": "manager/m", "type": "t", "body": n, "id": id_text(b"i" * 16)} for n in range(2)]
    with pytest.raises(BadInput, match="send 2"):
        desk.ack(got.id, got.fence, None, sends)


def test_a_lost_lease_sends_nothing(desk: Desk) -> None:
    got = _given(desk)
    with pytest.raises(LostLease):
        desk.ack(got.id, got.fence + 1, b"1", [{"to": "manager/m", "type": "t", "body": 1}])
    assert desk.inbox("manager/m").accepted == 0


def test_what_an_ack_sends_passes_the_bound(desk: Desk, store: MemoryStore) -> None:
    transact_one(store, Register((InboxSpec("manager/m", bound=1),)))
    got = _given(desk)
    settled = desk.ack(got.id, got.fence, b"1", [{"to": "manager/m", "type": "t", "body": 1}])
    assert [output.overflow for output in settled.outputs] == [None, "manager/m"]


def test_a_nack_retries_after_the_standard_backoff_or_the_given_delay(desk: Desk, clock: ManualClock) -> None:
    got = _given(desk)
    assert desk.nack(got.id, got.fence, reason="later").state == "delayed"
    assert desk.nack(got.id, got.fence).already
    clock.advance(1.3)
    (again,) = desk.poll("worker/w")
    desk.nack(again.id, again.fence, delay=100.0)
    clock.advance(99.0)
    assert desk.poll("worker/w") == []
    clock.advance(1.0)
    assert [d.attempt for d in desk.poll("worker/w")] == [3]


def test_a_release_gives_the_attempt_back(desk: Desk) -> None:
    got = _given(desk)
    assert desk.nack(got.id, got.fence, release=True).state == "ready"
    assert [d.attempt for d in desk.poll("worker/w")] == [1]


def test_dead_letters_are_listed_requeued_and_dropped(desk: Desk) -> None:
    got = _given(desk)
    assert desk.nack(got.id, got.fence, reason="no such file", dead=True).state == "dead"
    (letter,) = desk.dead("worker/w")
    assert (letter.id, letter.reason, letter.attempts, letter.error) == (
        got.id, "no such file", 1, "no such file",
    )  # fmt: skip
    assert desk.requeue(got.id).count == 1
    (again,) = desk.poll("worker/w")
    assert again.attempt == 1
    desk.nack(again.id, again.fence, dead=True)
    assert desk.drop(got.id).count == 1
    assert (desk.dead(), desk.show(got.id).state) == ([], "cancelled")


def test_only_dead_messages_are_requeued_all_or_none(desk: Desk) -> None:
    got = _given(desk)
    desk.nack(got.id, got.fence, dead=True)
    other = desk.send("worker/w", "task", b"1").id
    with pytest.raises(Conflict):
        desk.requeue(got.id, other)
    with pytest.raises(UnknownMessage):
        desk.drop(got.id, b"x" * 16)
    assert len(desk.dead()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"dead": True, "release": True},
        {"dead": True, "delay": 1.0},
        {"release": True, "delay": 0.0},
        {"delay": -1.0},
        {"reason": "a\nb"},
    ],
)
def test_a_nack_that_contradicts_itself_is_refused(desk: Desk, arguments: dict[str, Any]) -> None:
    got = _given(desk)
    with pytest.raises(BadInput):
        desk.nack(got.id, got.fence, **arguments)
    assert desk.show(got.id).state == "leased"


def test_an_extended_lease_lasts_from_now(desk: Desk, clock: ManualClock) -> None:
    got = _given(desk)
    clock.advance(50.0)
    assert desk.extend(got.id, got.fence, 30.0).lease_us == 30_000_000
    clock.advance(29.0)
    assert desk.ack(got.id, got.fence).state == "done"
