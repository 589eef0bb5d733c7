"""Ending leases by their holders' word, with everything a turn did in the same transaction.

Guards first, effects after: a pass over the batch decides which settlements stand (the lease with
its fence, the term, the versions of the records they write, the routes of what they send), then
the effects of those that stand are applied in a few set-based statements.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..backoff import backoff_us
from ..errors import Conflict, LostLease, LostTerm, PostroomError, UnknownMessage
from ..records import Accepted, Extend, Extended, Send, Settle, Settled, Verdict
from ..states import State
from . import keyed, moves, sending
from .leases import settle_down
from .sessions import still_holds
from .statements import Raced
from .tx import DONE, LOST, RETRIED, SESSION_LEASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..records import Term
    from .tx import Tx

Lease = tuple[Any, ...]
(
    SEQ,
    ID,
    INBOX,
    STATE,
    FENCE,
    ATTEMPTS,
    MAXIMUM,
    PRIORITY,
    STRIKES,
    SINCE,
    SESSION,
    VERDICT,
    KEY,
    RANK,
) = range(14)


def settle(tx: Tx, ops: Sequence[Settle]) -> list[Settled | PostroomError]:
    """Settle a batch in order; each stands or falls by itself."""
    leases = _leases(tx, ops)
    writes = keyed.Writes(tx)
    writes.fetch(write for op in ops for write in op.writes)
    outputs = [output.message for op in ops for output in op.outputs]
    tx.registry.fetch(output.recipient for output in outputs)
    tx.unseen = tx.db.unseen([output.id for output in outputs])
    terms: dict[Term, bool] = {}
    answers: list[Settled | PostroomError] = []
    standing: list[tuple[Settle, Lease, Settled]] = []
    sent: dict[bytes, object] = {}
    settled: dict[int, tuple[Verdict, Settled]] = {}
    repeats: list[tuple[Settled, Settled]] = []
    for op, lease in zip(ops, leases, strict=True):
        refused = _guard(tx, op, lease, settled, terms, writes, sent)
        if refused is not None:
            answers.append(refused)
            if lease is not None and isinstance(refused, Settled) and lease[SEQ] in settled:
                repeats.append((refused, settled[lease[SEQ]][1]))
            continue
        assert lease is not None
        answer = Settled("done")
        settled[lease[SEQ]] = op.verdict, answer
        answers.append(answer)
        inbox = tx.registry.get(lease[INBOX])
        if inbox.ordered:
            tx.ring(inbox)
        standing.append((op, lease, answer))
    _apply(tx, standing)
    for repeat, first in repeats:
        repeat.state = first.state
    writes.apply()
    return answers


def _leases(tx: Tx, ops: Sequence[Settle]) -> list[Lease | None]:
    """The stored row of each settlement's message, read in one statement where possible.

    An ack is guarded when it is made, so a row that is read only for one need not be locked.
    """
    seqs = [op.seq for op in ops if op.seq]
    by_seq: dict[int, Lease] = {}
    if len(seqs) > 1 and all(op.verdict is Verdict.ACK for op in ops):
        by_seq = {row[SEQ]: row for row in tx.rows("leases_to_ack", json.dumps(seqs))}
        final = [seq for seq in seqs if seq not in by_seq]
        by_seq |= {row[SEQ]: row for seq in final for row in tx.rows("lease_by_seq", seq)}
    elif len(seqs) > 1:
        by_seq = {row[SEQ]: row for row in tx.rows("leases_by_seq", json.dumps(seqs))}
    elif seqs:
        by_seq = {row[SEQ]: row for row in tx.rows("lease_by_seq", seqs[0])}
    return [by_seq.get(op.seq) if op.seq else tx.row("lease_by_id", op.id) for op in ops]


def _guard(
    tx: Tx,
    op: Settle,
    lease: Lease | None,
    settled: dict[int, tuple[Verdict, Settled]],
    terms: dict[Term, bool],
    writes: keyed.Writes,
    sent: dict[bytes, object],
) -> Settled | PostroomError | None:
    """Why this settlement does not stand, or its old answer; None if it stands."""
    if lease is None:
        return UnknownMessage("no such message", "its id is not known here", "check the id")
    if lease[STATE] != State.LEASED or lease[FENCE] != op.fence or lease[SEQ] in settled:
        return _not_leased(tx, op, lease, settled.get(lease[SEQ]))
    if op.term is not None:
        if op.term not in terms:
            terms[op.term] = still_holds(tx, op.term)
        if not terms[op.term]:
            tx.count(lease[INBOX], LOST)
            return LostTerm(
                f"{op.term.name} is active elsewhere",
                "this instance's term is over",
                "stop this instance",
            )
    mine: dict[bytes, object] = {}
    for output in op.outputs:
        refused = sending.check(tx, output)
        content = sending.content(output.message)
        if refused is None and mine.get(output.message.id, sent.get(output.message.id, content)) != content:
            refused = Conflict(
                "the id is taken", "another output has this id and other content", "use a new id"
            )
        if refused is not None:
            return refused
        mine[output.message.id] = content
    if op.writes and not writes.stage(op.writes):
        return Conflict(
            "a record changed meanwhile",
            "it is not at the version that was read",
            "reload and repeat",
        )
    sent |= mine
    return None


def _not_leased(
    tx: Tx, op: Settle, lease: Lease, just: tuple[Verdict, Settled] | None
) -> Settled | PostroomError:
    """A repeat of the settlement that ended this lease is answered; anything else has lost it."""
    verdict = lease[VERDICT] if just is None else just[0]
    if lease[FENCE] == op.fence and verdict == op.verdict and (just or lease[STATE] != State.LEASED):
        return Settled(State(lease[STATE]).word, already=True)
    tx.count(lease[INBOX], LOST)
    why = (
        "it was leased again under another fence"
        if lease[STATE] == State.LEASED
        else f"it is {State(lease[STATE]).word}, not leased"
    )
    return LostLease("the lease is lost", why, "drop this work; whoever holds the message now will do it")


def _apply(tx: Tx, standing: list[tuple[Settle, Lease, Settled]]) -> None:
    """The effects of the settlements that stand."""
    acks: list[tuple[int, int, int]] = []
    outputs: list[Send] = []
    owners: list[tuple[Settled, int]] = []
    for op, lease, answer in standing:
        if op.verdict is Verdict.ACK:
            acks.append((tx.wall, lease[SEQ], op.fence))
            tx.count(lease[INBOX], DONE)
            if op.outputs:
                outputs += op.outputs
                owners.append((answer, len(op.outputs)))
        else:
            answer.state = _other_verdict(tx, op, lease)
    if acks and not tx.run_all("ack", acks):
        raise Raced("a lease was taken back meanwhile")
    if outputs:
        _send(tx, outputs, owners)


def _send(tx: Tx, outputs: list[Send], owners: list[tuple[Settled, int]]) -> None:
    sent = sending.accept(tx, outputs)
    start = 0
    for answer, count in owners:
        mine = sent[start : start + count]
        start += count
        wrong = next((a for a in mine if isinstance(a, PostroomError)), None)
        if wrong is not None:
            raise Raced(f"an output that was checked is refused: {wrong}")
        answer.outputs = tuple(a for a in mine if isinstance(a, Accepted))


def _other_verdict(tx: Tx, op: Settle, lease: Lease) -> str:
    """Retry, release or bury one message; answers the word for its new state."""
    seq, fence, attempts, strikes = lease[SEQ], lease[FENCE], lease[ATTEMPTS], lease[STRIKES]
    inbox = tx.registry.get(lease[INBOX])
    if op.verdict is Verdict.RELEASE:
        moves.to_ready(
            tx, seq, State.LEASED, fence, inbox, attempts=attempts - 1, strikes=strikes, verb="release",
            verdict=op.verdict, reason=op.reason, since=lease[SINCE], session=lease[SESSION],
        )  # fmt: skip
        return settle_down(tx, seq, fence, inbox, attempts - 1, strikes, lease[KEY]).word
    if op.verdict is Verdict.DEAD or attempts >= lease[MAXIMUM]:
        reason = (op.reason or "rejected") if op.verdict is Verdict.DEAD else "attempts"
        moves.to_final(
            tx, seq, State.LEASED, State.DEAD, fence, inbox, verb="bury", attempt=attempts,
            verdict=op.verdict, reason=reason, error=op.error or op.reason, since=lease[SINCE],
            session=lease[SESSION],
        )  # fmt: skip
        return State.DEAD.word
    delay = backoff_us(attempts, tx.rng) if op.delay_us is None else op.delay_us
    tx.count(inbox.id, RETRIED)
    moves.to_delayed(
        tx, seq, fence, delay, attempts=attempts, strikes=strikes, verb="retry", verdict=op.verdict,
        reason=op.reason, error=op.error, since=lease[SINCE], session=lease[SESSION],
    )  # fmt: skip
    return State.DELAYED.word


def extend(tx: Tx, op: Extend) -> Extended | PostroomError:
    """Make one lease end later; a lease that hangs on a session is as long as that already."""
    lease = tx.row("lease_by_id", op.id)
    if lease is None:
        return UnknownMessage("no such message", "its id is not known here", "check the id")
    if lease[STATE] != State.LEASED or lease[FENCE] != op.fence:
        tx.count(lease[INBOX], LOST)
        return LostLease("the lease is lost", "the message is not leased under this fence", "drop this work")
    if lease[RANK] != SESSION_LEASE:
        tx.run("extend", tx.boot + op.lease_us, lease[SEQ], op.fence)
    return Extended(op.lease_us)
