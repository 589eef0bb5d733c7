"""Leasing ready messages. A claim is self-sufficient: it first does what time made due in its inbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import LostLease, PostroomError
from ..records import Claim, Claimed, Delivery
from . import timekeeping
from .inboxes import Inbox
from .leases import Gone
from .registry import known
from .tx import SESSION_LEASE

if TYPE_CHECKING:
    from .tx import Tx


def claim(tx: Tx, op: Claim, gone: Gone) -> Claimed | PostroomError:
    """Lease up to ``limit`` messages from the inboxes, in the order they are named."""
    if op.session and not tx.lives(op.session):
        return LostLease(f"session {op.session} has ended", "it can hold no leases", "open a new one")
    inboxes: list[Inbox] = []
    for address in dict.fromkeys(op.inboxes):
        inbox = known(tx, address)
        if isinstance(inbox, PostroomError):
            return inbox
        inboxes.append(inbox)
    deliveries: list[Delivery] = []
    taken: list[int] = []
    for inbox in inboxes:
        timekeeping.refresh(tx, inbox, gone)
        if op.key is not None:
            deliveries += _repeat(tx, op, inbox)
        if inbox.paused or len(deliveries) >= op.limit:
            continue
        rows = _choose(tx, op, inbox, op.limit - len(deliveries), company=bool(deliveries))
        if rows:
            inbox.empty = None
            taken += [row[0] for row in rows]
            deliveries += [_delivery(op, inbox, row, row[2] + 1) for row in rows]
            if rows[0][15]:
                break
    _take(tx, op, taken)
    return Claimed(deliveries)


def _repeat(tx: Tx, op: Claim, inbox: Inbox) -> list[Delivery]:
    """What an earlier claim with the same key still holds."""
    rows = tx.rows("claim_repeat", inbox.id, op.key, tx.boot)
    deliveries = [_delivery(op, inbox, row[:16], row[2]) for row in rows]
    for delivery, row in zip(deliveries, rows, strict=True):
        delivery.lease_us = None if row[16] == SESSION_LEASE else row[16] - tx.boot
    return deliveries


def _choose(tx: Tx, op: Claim, inbox: Inbox, limit: int, *, company: bool) -> list[Any]:
    """The rows to lease: company that may travel together, or one message that must go alone."""
    if inbox.ordered:
        if tx.row("ordered_blocked", inbox.id)[0]:
            return []
        limit = 1
    rows = tx.rows("claim_select", inbox.id, tx.boot, limit)
    if not any(row[15] for row in rows):
        return rows
    if rows[0][15] and op.alone_ok and not company:
        return rows[:1]
    if inbox.ordered:
        return []
    return tx.rows("claim_company", inbox.id, tx.boot, limit)


def _take(tx: Tx, op: Claim, seqs: list[int]) -> None:
    rank = SESSION_LEASE if op.session else tx.boot + op.lease_us
    taken = tx.run_many("claim_take", [(rank, op.session, tx.wall, op.key, seq) for seq in seqs])
    if taken != len(seqs):
        raise AssertionError(f"claimed {taken} of {len(seqs)} messages")


def _delivery(op: Claim, inbox: Inbox, row: Any, fence: int) -> Delivery:
    (
        seq, id, _, sender, type, body, priority, attempts, max_attempts, created_at, ready_at,
        correlation_id, causation_id, reply_to, headers, strikes,
    ) = row  # fmt: skip
    return Delivery(
        seq, id, fence, inbox.address, sender, type, body, priority, attempts + 1, max_attempts,
        created_at, ready_at, correlation_id, causation_id, reply_to, headers, strikes > 0,
        None if op.session else op.lease_us,
    )  # fmt: skip
