"""The one JSON shape of everything that commands and the gateway answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..store.clock import MICROS
from ..store.errors import PostroomError
from ..store.records import (
    Accepted,
    Delivery,
    Extended,
    InboxCounts,
    Session,
    Settled,
    StoredMessage,
    Verification,
)
from .codec import decode
from .envelope import PRIORITIES
from .ids import id_text

View = dict[str, Any]


def time_text(micros: int | None) -> str | None:
    """Wall time as ISO 8601 in UTC, to the millisecond."""
    if micros is None:
        return None
    return (
        datetime.fromtimestamp(micros / MICROS, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def seconds(micros: int | None) -> float | None:
    return None if micros is None else micros / MICROS


def sent_view(accepted: Accepted) -> View:
    """``state`` is ``accepted``, ``duplicate``, ``held`` or ``bounced``."""
    view: View = {"id": id_text(accepted.id), "state": accepted.state}
    if accepted.copies:
        view["copies"] = [id_text(id) for id in accepted.copies]
    if accepted.overflow:
        view["overflow"] = accepted.overflow
    return view


def delivery_view(delivery: Delivery) -> View:
    return {
        "id": id_text(delivery.id),
        "fence": delivery.fence,
        "type": delivery.type,
        "body": decode(delivery.body),
        "sender": delivery.sender,
        "recipient": delivery.recipient,
        "correlation_id": delivery.correlation_id,
        "causation_id": delivery.causation_id,
        "reply_to": delivery.reply_to,
        "headers": None if delivery.headers is None else decode(delivery.headers),
        "priority": PRIORITIES[delivery.priority],
        "attempt": delivery.attempt,
        "max_attempts": delivery.max_attempts,
        "created_at": time_text(delivery.created_at),
        "lease_seconds": seconds(delivery.lease_us),
    }


def settled_view(id: bytes, settled: Settled) -> View:
    view: View = {"id": id_text(id), "state": settled.state, "already": settled.already}
    if settled.outputs:
        view["sent"] = [sent_view(output) for output in settled.outputs]
    return view


def extended_view(id: bytes, extended: Extended) -> View:
    return {"id": id_text(id), "lease_seconds": seconds(extended.lease_us)}


def message_view(message: StoredMessage) -> View:
    """A message as it stands, with its history where that was asked for."""
    return {
        "id": id_text(message.id),
        "state": message.state,
        "attempts": message.attempts,
        "max_attempts": message.max_attempts,
        "recipient": message.recipient,
        "sender": message.sender,
        "type": message.type,
        "priority": PRIORITIES[message.priority],
        "fence": message.fence,
        "created_at": time_text(message.created_at),
        "due_at": time_text(message.due_at),
        "expires_at": time_text(message.expires_at),
        "final_at": time_text(message.final_at),
        "correlation_id": message.correlation_id,
        "causation_id": message.causation_id,
        "reply_to": message.reply_to,
        "dedup_key": message.dedup_key,
        "headers": None if message.headers is None else decode(message.headers),
        "reason": message.reason,
        "last_error": message.error,
        "body": decode(message.body),
        "history": [
            {
                "at": time_text(event.at),
                "event": event.event,
                "state": event.state,
                "attempt": event.attempt,
                "fence": event.fence,
                "by": event.by,
                "reason": event.reason,
                "error": event.error,
            }
            for event in message.history
        ],
    }


def dead_view(message: StoredMessage) -> View:
    return {
        "id": id_text(message.id),
        "recipient": message.recipient,
        "sender": message.sender,
        "type": message.type,
        "reason": message.reason,
        "attempts": message.attempts,
        "last_error": message.error,
        "dead_since": time_text(message.final_at),
    }


def inbox_view(counts: InboxCounts) -> View:
    return {
        "inbox": counts.inbox,
        "accepted": counts.accepted,
        "ready": counts.ready,
        "delayed": counts.delayed,
        "leased": counts.leased,
        "held": counts.held,
        "done": counts.done,
        "dead": counts.dead,
        "expired": counts.expired,
        "bounced": counts.bounced,
        "cancelled": counts.cancelled,
        "oldest_ready_seconds": seconds(counts.oldest_ready_us),
        "paused": counts.paused,
        "draining": counts.draining,
        "ended": counts.ended,
        "bound": counts.bound,
        "policy": counts.policy,
        "ordered": counts.ordered,
        "overflowed": counts.overflowed,
        "lost_leases": counts.lost_leases,
        "retried": counts.retried,
    }


def session_view(session: Session) -> View:
    return {"id": session.id, "name": session.name, "kind": session.kind, "process": session.process}


def verification_view(found: Verification) -> View:
    return {
        "ok": found.ok,
        "accepted": found.accepted,
        "unaccounted": found.unaccounted,
        **found.counts,
        "faults": found.faults,
        "lost_by_damage": found.lost_by_damage,
        "notices": found.notices,
    }


def error_view(error: PostroomError) -> View:
    return {"error": {"code": error.code, "what": error.what, "why": error.why, "do": error.do}}
