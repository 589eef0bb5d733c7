from __future__ import annotations

import json

from postroom.mailbox import views
from postroom.mailbox.desk import Desk
from postroom.store.clock import MICROS
from postroom.store.errors import UnknownInbox


def _plain(view: views.View) -> views.View:
    """As it comes out of JSON: proves that a view is made of JSON values."""
    found: views.View = json.loads(json.dumps(view, allow_nan=False))
    assert found == view
    return found


def test_a_send_shows_its_id_and_state(desk: Desk) -> None:
    sent = desk.send("worker/w", "task", b"1")
    assert _plain(views.sent_view(sent)).keys() == {"id", "state"}
    desk.register("worker/v")
    copies = _plain(views.sent_view(desk.send("all:worker", "task", b"1")))["copies"]
    assert len(copies) == 2


def test_a_poll_shows_what_the_contract_names(desk: Desk) -> None:
    desk.send(
        "worker/w", "task", b'{"a":[1]}', correlation="c", priority="high", headers={"traceparent": "00"}
    )
    (delivery,) = desk.poll("worker/w", lease=2.5)
    message = _plain(views.delivery_view(delivery))
    named = {
        "id",
        "fence",
        "type",
        "body",
        "sender",
        "recipient",
        "correlation_id",
        "attempt",
        "lease_seconds",
    }
    assert named <= message.keys()
    assert (message["body"], message["lease_seconds"]) == ({"a": [1]}, 2.5)
    assert (message["priority"], message["headers"]) == ("high", {"traceparent": "00"})


def test_show_tells_the_state_and_the_history(desk: Desk) -> None:
    id = desk.send("worker/w", "task", b"1").id
    (got,) = desk.poll("worker/w")
    desk.nack(id, got.fence, reason="why", dead=True)
    shown = _plain(views.message_view(desk.show(id)))
    assert {"id", "state", "attempts", "recipient", "history"} <= shown.keys()
    assert [event["event"] for event in shown["history"]] == ["send", "claim", "bury"]
    (letter,) = desk.dead()
    view = _plain(views.dead_view(letter))
    assert {"id", "recipient", "reason", "attempts", "last_error"} <= view.keys()
    assert (view["reason"], view["attempts"]) == ("why", 1)


def test_an_inbox_shows_one_count_for_each_state(desk: Desk) -> None:
    desk.send("worker/w", "task", b"1")
    view = _plain(views.inbox_view(desk.inbox("worker/w")))
    states = {"ready", "delayed", "leased", "held", "done", "dead", "expired", "bounced", "cancelled"}
    assert states | {"inbox", "oldest_ready_seconds", "paused"} <= view.keys()
    assert sum(view[state] for state in states) == view["accepted"] == 1
    proof = _plain(views.verification_view(desk.store.verify()))
    assert states | {"ok", "accepted", "unaccounted"} <= proof.keys()
    assert (proof["ok"], proof["ready"], proof["unaccounted"]) == (True, 1, 0)


def test_settling_shows_what_was_sent_along(desk: Desk) -> None:
    desk.send("worker/w", "task", b"1", sender="manager/m")
    (got,) = desk.poll("worker/w")
    assert _plain(views.extended_view(got.id, desk.extend(got.id, got.fence, 9.0)))["lease_seconds"] == 9.0
    view = _plain(views.settled_view(got.id, desk.ack(got.id, got.fence, b"2")))
    assert (view["state"], view["already"], len(view["sent"])) == ("done", False, 1)
    assert _plain(views.settled_view(got.id, desk.ack(got.id, got.fence, b"2")))["already"]


def test_times_are_written_in_utc_to_the_millisecond() -> None:
    assert views.time_text(1_767_225_600 * MICROS + 7_900) == "2026-01-01T00:00:00.007Z"
    assert views.time_text(None) is None


def test_an_error_shows_what_why_and_what_to_do() -> None:
    view = _plain(views.error_view(UnknownInbox("no inbox a/b", "it was never registered", "register it")))
    assert view == {
        "error": {
            "code": "unknown_inbox",
            "what": "no inbox a/b",
            "why": "it was never registered",
            "do": "register it",
        }
    }
