"""Every change of a stored message's state, one function for each target.

Each is one statement guarded by (seq, state, fence). Callers have read the row in the same
transaction, so a miss here is a defect of the engine and raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..states import State, may_move
from .tx import TALLY_OF_FINAL

if TYPE_CHECKING:
    from .inboxes import Inbox
    from .tx import Tx


def _must(changed: int, seq: int, source: State, target: State) -> None:
    if changed != 1 or not may_move(source, target):
        raise AssertionError(f"message {seq} cannot go from {source.word} to {target.word}")


def to_ready(
    tx: Tx,
    seq: int,
    source: State,
    fence: int,
    inbox: Inbox,
    *,
    attempts: int,
    strikes: int,
    verb: str,
    verdict: str | None = None,
    reason: str | None = None,
    error: str | None = None,
    since: int | None = None,
    session: int | None = None,
) -> None:
    """Make a message claimable, and ring for it."""
    changed = tx.run("to_ready", tx.wall, attempts, strikes, verdict, reason, error, seq, int(source), fence)
    _must(changed, seq, source, State.READY)
    tx.note(
        seq,
        verb,
        State.READY,
        attempts,
        fence,
        since=since,
        session=session,
        reason=reason,
        error=error,
    )
    tx.ring(inbox)


def to_delayed(
    tx: Tx,
    seq: int,
    fence: int,
    delay_us: int,
    *,
    attempts: int,
    strikes: int,
    verb: str,
    verdict: str | None = None,
    reason: str | None = None,
    error: str | None = None,
    since: int | None = None,
    session: int | None = None,
) -> None:
    """Put a leased message aside for a while."""
    changed = tx.run(
        "to_delayed",
        tx.boot + delay_us,
        tx.wall + delay_us,
        strikes,
        verdict,
        reason,
        error,
        seq,
        int(State.LEASED),
        fence,
    )
    _must(changed, seq, State.LEASED, State.DELAYED)
    tx.note(
        seq,
        verb,
        State.DELAYED,
        attempts,
        fence,
        since=since,
        session=session,
        reason=reason,
        error=error,
    )


def to_held(tx: Tx, seq: int, source: State, fence: int, *, attempts: int, strikes: int) -> None:
    """Keep a ready message back because its correlation id is paused."""
    changed = tx.run("to_held", attempts, strikes, seq, int(source), fence)
    _must(changed, seq, source, State.HELD)
    tx.note(seq, "hold", State.HELD, attempts, fence)


def to_final(
    tx: Tx,
    seq: int,
    source: State,
    target: State,
    fence: int,
    inbox: Inbox,
    *,
    verb: str,
    attempt: int,
    verdict: str | None = None,
    reason: str | None = None,
    error: str | None = None,
    since: int | None = None,
    session: int | None = None,
) -> None:
    """End a message's life, count it, and tell the sender where that is due."""
    changed = tx.run("to_final", int(target), tx.wall, verdict, reason, error, seq, int(source), fence)
    _must(changed, seq, source, target)
    tx.count(inbox.id, TALLY_OF_FINAL[target])
    if source is State.DEAD:
        tx.count(inbox.id, TALLY_OF_FINAL[State.DEAD], -1)
    tx.note(seq, verb, target, attempt, fence, since=since, session=session, reason=reason, error=error)
    if target is State.BOUNCED:
        tx.bounced.append((seq, reason or ""))
