"""What people and the sweep do to messages that nobody is working on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import Conflict, PostroomError, UnknownMessage
from ..identity import content_digest
from ..records import Cancel, Changed, Drop, Requeue, Sweep
from ..states import FINAL, State
from . import moves
from .leases import settle_down
from .timekeeping import AT_ONCE, expire, heed_clock, least_wall
from .tx import DEAD

if TYPE_CHECKING:
    from .tx import Tx


def _find(
    tx: Tx, ids: tuple[bytes, ...], *states: State
) -> list[tuple[int, int, int, int, int, str | None, str | None]] | PostroomError:
    """The rows of these messages, if each exists and is in one of these states."""
    found: list[tuple[int, int, int, int, int, str | None, str | None]] = []
    for id in dict.fromkeys(ids):
        row = tx.row("by_id", id)
        if row is None:
            return UnknownMessage("no such message", "its id is not known here", "check the id")
        if row[1] not in states:
            words = " or ".join(state.word for state in states)
            return Conflict(
                f"the message is {State(row[1]).word}",
                f"it must be {words}",
                "look at it with: show",
            )
        found.append(row)
    return found


def requeue(tx: Tx, op: Requeue) -> Changed | PostroomError:
    """Dead messages become ready with all attempts before them."""
    rows = _find(tx, op.ids, State.DEAD)
    if isinstance(rows, PostroomError):
        return rows
    if any(row[5] is not None for row in rows):
        expire(tx, AT_ONCE)
    keys: set[tuple[int, str]] = set()
    for _, _, _, _, inbox, dedup_key, _ in rows:
        if dedup_key is None:
            continue
        twin = (inbox, dedup_key) in keys or tx.row("message_by_dedup", inbox, dedup_key)
        keys.add((inbox, dedup_key))
        if twin:
            return Conflict(
                "another message with its dedup key is live",
                "only one may be",
                "wait until that one is done",
            )
    for seq, _, fence, _, inbox_id, _, key in rows:
        target = tx.registry.get(inbox_id)
        moves.to_ready(tx, seq, State.DEAD, fence, target, attempts=0, strikes=0, verb="requeue")
        tx.count(inbox_id, DEAD, -1)
        settle_down(tx, seq, fence, target, 0, 0, key)
    return Changed(len(rows))


def drop(tx: Tx, op: Drop) -> Changed | PostroomError:
    """Dead messages are given up."""
    return _cancel(tx, op.ids, "drop", State.DEAD)


def cancel(tx: Tx, op: Cancel) -> Changed | PostroomError:
    """Unclaimed messages are given up, such as a timer that is no longer wanted."""
    return _cancel(tx, op.ids, "cancel", State.READY, State.DELAYED, State.HELD)


def _cancel(tx: Tx, ids: tuple[bytes, ...], verb: str, *states: State) -> Changed | PostroomError:
    rows = _find(tx, ids, *states)
    if isinstance(rows, PostroomError):
        return rows
    for seq, state, fence, attempts, inbox_id, _, _ in rows:
        moves.to_final(
            tx, seq, State(state), State.CANCELLED, fence, tx.registry.get(inbox_id),
            verb=verb, attempt=attempts, reason=f"{verb}ped" if verb == "drop" else "cancelled",
        )  # fmt: skip
    return Changed(len(rows))


def sweep(tx: Tx, op: Sweep, after: int) -> tuple[Changed, int]:
    """Forget what is past its retention, and fold the counts of handles too short-lived to do so.

    Looks at ``limit`` rows after sequence number ``after``; answers where to go on (0: from the
    start). Rows are met in the order they were sent, so no index on the final time is paid for by
    every message. The newest row is always kept, since its number must not be given out again.
    """
    heed_clock(tx)
    tx.fold()
    wall = least_wall(tx)
    tx.run("session_forget", tx.boot - op.rows_us)
    forgotten = tx.run("spent_forget", wall - op.ids_us, op.limit)
    first = tx.row("sweep_first", after)
    if first is None or wall - op.rows_us < first[0] <= tx.wall:
        return Changed(forgotten), 0  # it is too young, and so is all that was sent after it
    rows = tx.rows("sweep_rows", after, op.limit)
    for (
        seq,
        id,
        inbox,
        state,
        address,
        sender,
        type,
        body,
        priority,
        dedup_key,
        correlation_id,
    ) in rows:
        if state not in FINAL or state == State.DEAD:
            continue
        if tx.row("sweep_final_at", seq)[0] > wall - op.rows_us:
            continue
        digest = content_digest(address, sender, type, body, priority, dedup_key, correlation_id)
        tx.run("sweep_spend", id, digest, tx.wall)
        tx.run("sweep_dropped", inbox, state, 1)
        tx.run("sweep_delete", seq)
        tx.run("sweep_events", seq)
        forgotten += 1
    following = rows[-1][0] if len(rows) == op.limit else 0
    return Changed(forgotten), following
