"""What the rules are sure to ask of a batch is asked with its first round trip.

Each question is put as they will put it; one that they do not ask after all costs little. Only what nothing
that the batch does before could change: settlements come first, then sends, then claims.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from .. import records as r
from ..rules.inboxes import MANY, Registry
from ..rules.keyed import MANY as MANY_RECORDS
from .statements import PostgresStatements

FORESEEN = frozenset((r.Settle, r.Send, r.Claim))
ROUTES = ("all:", "manager-of:")


def can_foresee(batch: Sequence[r.Operation]) -> bool:
    """Whether a batch only settles, sends and claims."""
    return all(type(op) in FORESEEN for op in batch)


def foresee(db: PostgresStatements, batch: Sequence[r.Operation], registry: Registry) -> None:
    """Ask ahead, where the batch allows it."""
    if not can_foresee(batch):
        return
    settles = [op for op in batch if isinstance(op, r.Settle)]
    sends = [op for op in batch if isinstance(op, r.Send)]
    claims = [op for op in batch if isinstance(op, r.Claim)]
    calm = all(op.verdict is r.Verdict.ACK for op in settles)
    if settles:
        _settles(db, settles, calm=calm)
    _sessions(db, sends, claims)
    outputs = [output for op in settles for output in op.outputs]
    _inboxes(db, outputs, sends, claims, registry, calm=calm)
    if sends and not outputs:
        db.foresee_seqs(len(sends))
    if claims and calm and not any(_may_be_past(send.message) for send in (*outputs, *sends)):
        db.foresee_due()


def _may_be_past(message: r.NewMessage) -> bool:
    """Whether it may be due, or have expired, as soon as it is stored."""
    return message.due_at is not None or message.expires_at is not None


def _settles(db: PostgresStatements, ops: Sequence[r.Settle], *, calm: bool) -> None:
    seqs = [op.seq for op in ops if op.seq]
    if len(seqs) > 1:
        db.foresee("leases_to_ack" if calm else "leases_by_seq", json.dumps(seqs))
    elif seqs:
        db.foresee("lease_by_seq", seqs[0])
    keys = {(write.owner, write.kind, write.key) for op in ops for write in op.writes}
    if len(keys) >= MANY_RECORDS:
        db.foresee("record_versions", json.dumps(sorted(keys)))
    else:
        for key in sorted(keys):
            db.foresee("record_version", *key)
    for name in sorted({op.term.name for op in ops if op.term is not None}):
        db.foresee("activation_get", name)
    if ids := tuple(output.message.id for op in ops for output in op.outputs):
        db.foresee("ids_known", ids)


def _sessions(db: PostgresStatements, sends: Iterable[r.Send], claims: Iterable[r.Claim]) -> None:
    named = {send.hand_to for send in sends} | {claim.session for claim in claims}
    for session in sorted(session for session in named if session):
        db.foresee("session_get", session)


def _inboxes(
    db: PostgresStatements,
    outputs: Sequence[r.Send],
    sends: Sequence[r.Send],
    claims: Sequence[r.Claim],
    registry: Registry,
    *,
    calm: bool,
) -> None:
    """Of an inbox that is known, only what others change: how full it is, and whether something waits."""
    handed = {send.message.recipient for send in sends if send.hand_to and calm}
    filled = {send.message.recipient for send in (*outputs, *sends)}
    addresses = filled.union(address for claim in claims for address in claim.inboxes)
    if len(addresses) >= MANY:
        unread = outputs or (sends if calm else ())
        if len(wanted := {send.message.recipient for send in unread}) >= MANY:
            db.foresee("inboxes_by_address", json.dumps(sorted(wanted)))
        return
    for address in sorted(addresses):
        inbox = registry.known(address)
        if inbox is None:
            if not address.startswith(ROUTES):
                db.foresee("inbox_by_address", address)
            continue
        if address in filled:
            db.foresee("depth", inbox.id)
        if address in handed:
            db.foresee("ready_waiting", inbox.id)
