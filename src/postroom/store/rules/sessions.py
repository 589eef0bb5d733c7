"""Sessions and activations: who takes part, and who is the one living instance of a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import Conflict, LostLease, PostroomError
from ..records import (
    Activate,
    Changed,
    CloseSession,
    Deactivate,
    OpenSession,
    RenewSession,
    Session,
    Term,
)
from .leases import Gone, take_back
from .statements import Raced

if TYPE_CHECKING:
    from .tx import Tx


def open_session(tx: Tx, op: OpenSession, gone: Gone) -> Session:
    """Register a participant; on the way, take back what processes left that are gone."""
    lapse_gone(tx, gone)
    (id,) = tx.row("session_insert", op.name, op.kind, op.process, tx.boot + op.lease_us)
    return Session(id, op.name, op.kind, op.process, tx.boot + op.lease_us, True)


def renew(tx: Tx, op: RenewSession) -> Changed | PostroomError:
    """Keep a session alive. One that has lapsed stays lapsed: its leases may be others' by now."""
    row = tx.row("session_get", op.session)
    if row is None or not row[5] or row[4] <= tx.boot:
        return LostLease(f"session {op.session} has lapsed", "it was not renewed in time", "open a new one")
    return Changed(tx.run("session_renew", tx.boot + op.lease_us, op.session))


def close(tx: Tx, op: CloseSession) -> Changed:
    """End a session on purpose: whatever it holds goes back with its attempt."""
    row = tx.row("session_get", op.session)
    if op.most is not None and row is not None and row[5]:
        leased = tx.rows("leased_by_session", op.session)
        if len(leased) > op.most:
            take_back(tx, leased[: op.most], frozenset())
            return Changed(0)
    changed = tx.run("session_end", op.session)
    if changed:
        tx.ended(op.session)
        tx.run("activation_free_session", op.session)
        take_back(tx, tx.rows("leased_by_session", op.session), frozenset())  # now nobody can add to them
    return Changed(changed if op.most is None else 1)


def lapse(tx: Tx, session: int, gone: Gone) -> tuple[int, int]:
    """End a session that was not renewed or whose process is gone; answers (taken back, buried)."""
    tx.run("session_end", session)
    tx.ended(session)
    tx.run("activation_free_session", session)
    return take_back(tx, tx.rows("leased_by_session", session), gone.begun(session))


def lapse_gone(tx: Tx, gone: Gone) -> tuple[int, int]:
    """End every session whose time is over or whose process is gone; answers (taken back, buried)."""
    back = buried = 0
    for session, _, _, process, expires, _ in tx.rows("session_all"):
        if expires <= tx.boot or gone.is_gone(process):
            counts = lapse(tx, session, gone)
            back, buried = back + counts[0], buried + counts[1]
    return back, buried


def activate(tx: Tx, op: Activate, gone: Gone) -> Term | PostroomError:
    """Take an activation that is free, or whose holder's session is over or process gone."""
    if not tx.lives(op.session):
        return LostLease(f"session {op.session} has ended", "it can hold nothing", "open a new one")
    row = tx.row("activation_get", op.name)
    holder = None if row is None or row[0] in (0, op.session) else tx.row("session_get", row[0])
    if holder is not None and holder[5]:
        session, name, _, process, expires, _ = holder
        if expires > tx.boot and not gone.is_gone(process):
            return Conflict(
                f"{op.name} is active elsewhere", f"session {name} holds it", "wait until it ends"
            )
        lapse(tx, session, gone)
    if not tx.run("activation_put", op.name, op.session, row is not None):
        raise Raced("somebody else has just taken it for the first time")
    return Term(op.name, op.session, tx.row("activation_get", op.name)[1])


def deactivate(tx: Tx, op: Deactivate) -> Changed:
    """Step down; stepping down twice changes nothing."""
    return Changed(tx.run("activation_free", op.term.name, op.term.session, op.term.term))


def still_holds(tx: Tx, term: Term) -> bool:
    """Whether this term is the current one of its name."""
    row = tx.row("activation_get", term.name)
    return row is not None and row[0] == term.session and row[1] == term.term
