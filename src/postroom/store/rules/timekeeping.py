"""What time does to messages: due mail, expiry, leases taken back, clocks that were set, reboots."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..records import Ticked
from ..states import State
from . import moves, sessions
from .leases import Gone, settle_down, take_back
from .rowsums import record_row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .inboxes import Inbox
    from .tx import Tx

CLOCK_STEP_US = 500_000
STEP = ("postroom/store", "clock", "step")
"""The record of when the wall clock was last set in this boot, and how low it has stood."""

AT_ONCE = 1000


def refresh(tx: Tx, inbox: Inbox, gone: Gone) -> None:
    """Bring one inbox up to date: what a claim needs before it looks.

    What concerns the whole store is done once in a transaction, and whether anything at all is due
    or lapsed is asked once; mostly nothing is.
    """
    if not tx.refreshed:
        tx.refreshed = True
        heed_clock(tx)
        tx.first_due, tx.first_lapse, expiry, end = tx.db.due()
        if expiry <= tx.boot or end <= tx.boot:
            expire(tx, AT_ONCE)
            for (session,) in tx.rows("sessions_lapsed", tx.boot):
                sessions.lapse(tx, session, gone)
            tx.first_due, tx.first_lapse, *_ = tx.db.due()
    if tx.first_due <= tx.boot:
        _promote(tx, tx.rows("due_in_inbox", inbox.id, tx.boot, AT_ONCE))
    if tx.first_lapse <= tx.boot:
        take_back(tx, tx.rows("lapsed_in_inbox", inbox.id, tx.boot, AT_ONCE), None)


def tick(tx: Tx, limit: int, gone: Gone) -> Ticked:
    """Bring every inbox up to date, at most ``limit`` of each kind."""
    heed_clock(tx)
    due = tx.rows("due_anywhere", tx.boot, limit)
    _promote(tx, due)
    expired = expire(tx, limit)
    held, lost = sessions.lapse_gone(tx, gone)
    back, buried = take_back(tx, tx.rows("lapsed_anywhere", tx.boot, limit), None)
    following = tx.row("next_due")[0]
    return Ticked(
        len(due),
        expired,
        held + back,
        lost + buried,
        None if following is None else max(0, following - tx.boot),
    )


def heed_clock(tx: Tx) -> None:
    """If somebody has set the wall clock, reckon anew when wall times will come."""
    offset = tx.wall - tx.boot
    if abs(offset - tx.wall_offset) > CLOCK_STEP_US:
        lowest = min(offset, tx.wall_offset, least_wall(tx) - tx.boot)
        step = json.dumps({"at": tx.boot, "lowest": lowest})
        tx.run("record_put", *record_row(*STEP, 1, step.encode()))
        tx.run("store_set_offset", offset)
        tx.run("absolute_reckon", offset)
        tx.wall_offset = offset


def least_wall(tx: Tx) -> int:
    """The wall time that it is at least, for what must not be forgotten too early.

    A clock that somebody has set ahead ages nothing: until what was stored before has had its whole
    retention on the boot clock, time goes on from where the earlier clock stood.
    """
    row = tx.row("record_value", *STEP)
    if row is None:
        return tx.wall
    step = json.loads(row[0])
    over = tx.boot - step["at"] > tx.policy.ids_us
    return tx.wall if over else min(tx.wall, tx.boot + step["lowest"])


def _promote(tx: Tx, rows: Iterable[tuple[int, int, int, int, str | None, int, int]]) -> None:
    for seq, fence, attempts, strikes, correlation_id, inbox_id, _ in rows:
        inbox = tx.registry.get(inbox_id)
        moves.to_ready(tx, seq, State.DELAYED, fence, inbox, attempts=attempts, strikes=strikes, verb="due")
        settle_down(tx, seq, fence, inbox, attempts, strikes, correlation_id)


def expire(tx: Tx, limit: int) -> int:
    """End what has passed its expiry and is not being worked on."""
    rows = tx.rows("expired", tx.boot, limit)
    for seq, fence, state, inbox_id, attempts in rows:
        moves.to_final(
            tx, seq, State(state), State.EXPIRED, fence, tx.registry.get(inbox_id),
            verb="expire", attempt=attempts, reason="expired",
        )  # fmt: skip
    return len(rows)


def reboot(tx: Tx, boot_id: str) -> None:
    """The first opening after a reboot: boot times start over, and no holder has survived.

    Nobody can say which turns had begun, and a power cut is no message's fault, so all leases
    count as waiting.
    """
    offset = tx.wall - tx.boot
    tx.run_many("record_delete", [STEP])
    tx.run("reboot_messages", offset)
    tx.run("reboot_store", boot_id, offset)
    tx.wall_offset = offset
    forget_holders(tx)


def forget_holders(tx: Tx) -> None:
    """No holder has survived: end all sessions, and take all leases back as if they had only waited."""
    tx.run("reboot_sessions")
    take_back(tx, tx.rows("leased_all"), frozenset())
