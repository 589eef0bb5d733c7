"""Leasing ready messages. A claim is self-sufficient: it first does what time made due in its inbox."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import LostLease, PostroomError, StoreUnavailable
from ..records import Claim, Claimed, Delivery
from ..states import State
from . import moves, timekeeping
from .inboxes import Inbox
from .leases import Gone
from .registry import known
from .rowsums import damaged, message_sum
from .statements import Lease, Raced
from .tx import SESSION_LEASE

if TYPE_CHECKING:
    from collections.abc import Callable

    from .tx import Tx

DAMAGED = "its content does not have the sum it was written with"
DISAGREE = "its mail and its indexes do not agree"


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
    if op.key is not None:
        tx.row("claim_key_lock", op.key)  # a repeat waits for what it repeats
    lease = Lease(SESSION_LEASE if op.session else tx.boot + op.lease_us, op.session, tx.wall, op.key)
    deliveries: list[Delivery] = []
    taken: list[int] = []
    left = False
    for inbox in inboxes:
        timekeeping.refresh(tx, inbox, gone)
        if op.key is not None:
            deliveries += _repeat(tx, op, inbox)
        if inbox.paused or len(deliveries) >= op.limit:
            continue
        found = _choose(tx, op, inbox, op.limit - len(deliveries), lease, company=bool(deliveries))
        rows = found.rows
        left |= found.passed
        if rows:
            inbox.empty = None
            taken += () if found.leased else [row[0] for row in rows]
            deliveries += [_delivery(op, inbox, row, row[2] + 1) for row in rows]
            if rows[0][15]:
                break
    _take(tx, op, lease, taken)
    return Claimed(deliveries, more=left and op.alone_ok)


def _repeat(tx: Tx, op: Claim, inbox: Inbox) -> list[Delivery]:
    """What an earlier claim with the same key still holds."""
    rows = _sound(tx, op, inbox, lambda: tx.rows("claim_repeat", inbox.id, op.key, tx.boot))
    deliveries = [_delivery(op, inbox, row[:19], row[2]) for row in rows]
    for delivery, row in zip(deliveries, rows, strict=True):
        delivery.lease_us = None if row[19] == SESSION_LEASE else row[19] - tx.boot
    return deliveries


class _Found(NamedTuple):
    """Rows to lease, whether they are leased already, and whether one that must go alone was passed over."""

    rows: list[Any]
    leased: bool = False
    passed: bool = False


def _choose(tx: Tx, op: Claim, inbox: Inbox, limit: int, lease: Lease, *, company: bool) -> _Found:
    """The rows to lease: company that may travel together, or one message that must go alone."""
    if inbox.ordered:
        tx.row("inbox_lock", inbox.id)  # one claimer after the other
        tx.row("ordered_head", inbox.id)  # who is first is waited for and never passed over
        if tx.row("ordered_blocked", inbox.id)[0]:
            return _Found([])
        limit = 1
    leased = False

    def read() -> list[Any]:
        nonlocal leased
        rows, leased = tx.db.ready(inbox.id, tx.boot, limit, lease, strict=inbox.ordered)
        if leased and not all(_fits(inbox, row) for row in rows):
            raise Raced("what is damaged must not be leased")
        return rows

    rows = _sound(tx, op, inbox, read)
    if not any(row[15] for row in rows):
        return _Found(rows, leased)
    if rows[0][15] and op.alone_ok and not company:
        return _Found(rows[:1])
    if inbox.ordered:
        return _Found([], passed=True)
    others = _sound(tx, op, inbox, lambda: tx.rows("claim_company", inbox.id, tx.boot, limit))
    return _Found(others, passed=True)


def _sound(tx: Tx, op: Claim, inbox: Inbox, read: Callable[[], list[Any]]) -> list[Any]:
    """Rows of this inbox's mail, after any that are damaged have become dead letters."""
    while True:
        with suppress(UnicodeDecodeError):  # a text that is none any more is damage like any other
            rows = read()
            if all(_fits(inbox, row) for row in rows):
                return rows
        _bury_damaged(tx, op, inbox)


def _fits(inbox: Inbox, row: Any) -> bool:
    (
        seq, id, _, sender, type, body, priority, _, max_attempts, created_at, _,
        correlation_id, causation_id, reply_to, headers, _, dedup_key, expires_at, wanted, *_,
    ) = row  # fmt: skip
    return wanted is None or wanted == message_sum(
        (seq, id, inbox.id, priority, type, sender, body, created_at, max_attempts,
         correlation_id, causation_id, reply_to, dedup_key, headers, expires_at)
    )  # fmt: skip


def _bury_damaged(tx: Tx, op: Claim, inbox: Inbox) -> None:
    """Make dead letters of the damaged mail that this claim would deliver. Raises ``StoreUnavailable``."""
    mine = op.key.encode() if op.key is not None else b""
    found = [
        message
        for message in damaged(tx.db, inbox.id)
        if message.state == State.READY or (message.state == State.LEASED and message.claim_key == mine)
    ]
    try:
        for message in found:
            tx.run("claim_legible", *message.texts, message.seq)  # a value of another kind forbids any change
            moves.to_final(
                tx, message.seq, State(message.state), State.DEAD, message.fence, inbox,
                verb="damaged", attempt=message.attempts, reason="damaged", error=DAMAGED,
            )  # fmt: skip
    except tx.db.refusals as error:
        raise _beyond_burying(inbox.address, str(error)) from error
    if not found:
        raise _beyond_burying(inbox.address, DISAGREE)


def _beyond_burying(inbox: str, why: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"the mail of {inbox} is damaged",
        why,
        "see what is wrong with: postroom verify --deep; mend it with: postroom repair",
    )


def _take(tx: Tx, op: Claim, lease: Lease, seqs: list[int]) -> None:
    taken = tx.run_all("claim_take", [(*lease, seq) for seq in seqs])
    if not taken:  # they were chosen in this very transaction
        raise _beyond_burying(" and ".join(op.inboxes), DISAGREE)


def _delivery(op: Claim, inbox: Inbox, row: Any, fence: int) -> Delivery:
    (
        seq, id, _, sender, type, body, priority, attempts, max_attempts, created_at, ready_at,
        correlation_id, causation_id, reply_to, headers, strikes, _, _, _,
    ) = row  # fmt: skip
    return Delivery(
        seq, id, fence, inbox.address, sender, type, body, priority, attempts + 1, max_attempts,
        created_at, ready_at, correlation_id, causation_id, reply_to, headers, strikes > 0,
        None if op.session else op.lease_us,
    )  # fmt: skip
