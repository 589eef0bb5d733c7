"""Taking leases back from holders that are gone, and what then becomes of the messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..backoff import backoff_us
from ..states import State
from . import moves
from .inboxes import ENDED, UNREGISTERED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .inboxes import Inbox
    from .tx import Tx


class Gone:
    """How the engine learns about holders: is a process gone, and which turns had it begun?"""

    __slots__ = ("begun", "is_gone")

    def __init__(self, is_gone: Callable[[str], bool], begun: Callable[[int], frozenset[int] | None]) -> None:
        self.is_gone = is_gone
        self.begun = begun


def settle_down(
    tx: Tx, seq: int, fence: int, inbox: Inbox, attempts: int, strikes: int, key: str | None
) -> State:
    """A message that has just become ready may meet an ended inbox or a paused key; its state then."""
    if inbox.life == ENDED:
        moves.to_final(
            tx, seq, State.READY, State.BOUNCED, fence, inbox,
            verb="bounce", attempt=attempts, reason="recipient ended",
        )  # fmt: skip
        return State.BOUNCED
    paused = inbox.has_paused_keys and key is not None and tx.row("key_paused", inbox.id, key)
    if inbox.life == UNREGISTERED or paused:
        moves.to_held(tx, seq, State.READY, fence, attempts=attempts, strikes=strikes)
        return State.HELD
    return State.READY


def take_back(tx: Tx, rows: Iterable[tuple[int]], begun: frozenset[int] | None) -> tuple[int, int]:
    """Take leases back from holders that are gone; answers (taken back, buried).

    ``begun`` are the messages whose turns had begun: those keep the attempt. The others only
    waited in the holder's hands and get it back. None means that each of them counts as begun.
    """
    back = buried = 0
    for (seq,) in rows:
        row = tx.row("lease_by_seq", seq)
        waiting = begun is not None and seq not in begun
        buried += _take_one(tx, row, waiting)
        back += 1
    return back, buried


def _take_one(tx: Tx, row: tuple[Any, ...], waiting: bool) -> bool:
    """Take one lease back. The second time and later the message also has to wait a while."""
    seq, _, inbox_id, _, fence, attempts, maximum, _, strikes, since, session, _, key, _ = row
    inbox = tx.registry.get(inbox_id)
    if not waiting and attempts >= maximum:
        moves.to_final(
            tx, seq, State.LEASED, State.DEAD, fence, inbox, verb="bury", attempt=attempts,
            reason="attempts", error="its holder was gone", since=since, session=session,
        )  # fmt: skip
        return True
    attempts, strikes = (attempts - 1, strikes) if waiting else (attempts, strikes + 1)
    if strikes > 1 and not waiting:
        moves.to_delayed(
            tx, seq, fence, backoff_us(strikes - 1, tx.rng), attempts=attempts, strikes=strikes,
            verb="back off", reason="taken back", since=since, session=session,
        )  # fmt: skip
        return False
    moves.to_ready(
        tx, seq, State.LEASED, fence, inbox, attempts=attempts, strikes=strikes,
        verb="take back", reason="taken back", since=since, session=session,
    )  # fmt: skip
    settle_down(tx, seq, fence, inbox, attempts, strikes, key)
    return False
