"""What can be done to an inbox as a whole: register, pause, drain, end, purge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import BadInput, InboxEnded, PostroomError, UnknownInbox
from ..records import Changed, Control, Register, Switch
from ..states import State
from . import moves
from .inboxes import ENDED, OPEN, UNREGISTERED, Inbox

if TYPE_CHECKING:
    from .tx import Tx


def role_of(address: str) -> str:
    """The role of ``role/name`` or ``any:role``."""
    return address.removeprefix("any:").partition("/")[0]


def ensure(tx: Tx, address: str, life: int, *, member: bool = True) -> Inbox:
    """The inbox row of an address, made if the store has never heard of it."""
    inbox = tx.registry.find(address)
    member = member and not address.startswith("any:")
    if inbox is not None and inbox.life == UNREGISTERED and inbox.member != member:
        tx.run("inbox_member", member, inbox.id)
        inbox.member = member
    if inbox is None:
        tx.run("inbox_insert", address, role_of(address), life, member)
        inbox = tx.registry.find(address)
        assert inbox is not None
    return inbox


def _changed(tx: Tx) -> None:
    tx.run("store_bump_registry")
    tx.registry.forget()


def register(tx: Tx, op: Register) -> Changed:
    """Open each inbox and give it the mail that was held for it."""
    opened = 0
    for spec in op.inboxes:
        inbox = ensure(tx, spec.address, UNREGISTERED, member=spec.member)
        ordered = None if spec.ordered is None else int(spec.ordered)
        if inbox.life == OPEN and (spec.bound, spec.policy, ordered) == (None, None, None):
            continue
        tx.run("inbox_set", spec.bound, spec.policy, ordered, inbox.id)
        opened += inbox.life != OPEN
        _changed(tx)
        resume_held(tx, tx.registry.get(inbox.id))
        if spec.member and not spec.address.startswith("any:"):
            _open_shared(tx, f"any:{inbox.role}")
    return Changed(opened)


def _open_shared(tx: Tx, address: str) -> None:
    """A role's shared inbox comes into being with its first member."""
    shared = ensure(tx, address, UNREGISTERED, member=False)
    if shared.life != OPEN:
        tx.run("inbox_set", None, None, None, shared.id)
        _changed(tx)
    resume_held(tx, tx.registry.get(shared.id))


def resume_held(tx: Tx, inbox: Inbox) -> int:
    """Held mail of an inbox, but for its paused keys, becomes ready in its old order."""
    if inbox.life != OPEN:
        return 0
    rows = tx.rows("held_in_inbox", inbox.id)
    for seq, fence, attempts, strikes in rows:
        moves.to_ready(tx, seq, State.HELD, fence, inbox, attempts=attempts, strikes=strikes, verb="resume")
    return len(rows)


def known(tx: Tx, address: str) -> Inbox | UnknownInbox:
    """The inbox, or the error that says it was never registered."""
    inbox = tx.registry.find(address)
    if inbox is None or inbox.life == UNREGISTERED:
        return UnknownInbox(
            f"no inbox {address}", "it was never registered", "register it, or send with --hold"
        )
    return inbox


def control(tx: Tx, op: Control) -> Changed | PostroomError:
    """Switch an inbox, or one key of it."""
    inbox = known(tx, op.inbox)
    if isinstance(inbox, PostroomError):
        return inbox
    if op.key is not None:
        return _control_key(tx, inbox, op.switch, op.key)
    if op.switch is Switch.PURGE:
        return Changed(_empty(tx, inbox, State.CANCELLED, "cancel", "purged"))
    if inbox.life == ENDED and op.switch is not Switch.END:
        return InboxEnded(f"inbox {op.inbox} has ended", "", "register it again first")
    paused, draining, life = {
        Switch.PAUSE: (True, inbox.draining, inbox.life),
        Switch.RESUME: (False, False, inbox.life),
        Switch.DRAIN: (inbox.paused, True, inbox.life),
        Switch.END: (False, False, ENDED),
    }[op.switch]
    changed = (paused, draining, life) != (inbox.paused, inbox.draining, inbox.life)
    tx.run("inbox_switch", int(paused), int(draining), life, inbox.id)
    _changed(tx)
    if op.switch is Switch.END:
        _empty(tx, inbox, State.BOUNCED, "bounce", "recipient ended")
    if op.switch is Switch.RESUME:
        tx.ring(inbox)
    return Changed(int(changed))


def _control_key(tx: Tx, inbox: Inbox, switch: Switch, key: str) -> Changed | PostroomError:
    if switch is Switch.PAUSE:
        changed = tx.run("key_pause", inbox.id, key)
        _changed(tx)
        for seq, state, fence, attempts, strikes in tx.rows("ready_of_key", inbox.id, key):
            moves.to_held(tx, seq, State(state), fence, attempts=attempts, strikes=strikes)
        return Changed(changed)
    if switch is Switch.RESUME:
        changed = tx.run("key_resume", inbox.id, key)
        _changed(tx)
        resume_held(tx, tx.registry.get(inbox.id))
        return Changed(changed)
    return BadInput(f"cannot {switch} one key", "only pause and resume take a key", "leave the key out")


def _empty(tx: Tx, inbox: Inbox, target: State, verb: str, reason: str) -> int:
    """Bring all unclaimed mail of an inbox to a final state."""
    rows = tx.rows("live_in_inbox", inbox.id, -1)
    for seq, state, fence, attempts in rows:
        moves.to_final(
            tx, seq, State(state), target, fence, inbox, verb=verb, attempt=attempts, reason=reason
        )
    return len(rows)
