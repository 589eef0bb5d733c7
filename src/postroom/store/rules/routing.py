"""Where a message goes: routes resolved in the sending transaction, and mail for nobody."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..errors import EmptyGroup, InboxEnded, PostroomError, Refused, UnknownInbox
from ..identity import derived_id, version_7_time
from ..records import Delivery, NewMessage, Send, Unrouted
from ..states import State
from .inboxes import ENDED, OPEN, UNREGISTERED, Inbox
from .registry import ensure
from .timekeeping import heed_clock, least_wall

if TYPE_CHECKING:
    from .tx import Tx

PAIRS = "postroom/pairs"


class Row:
    """One message on its way in: the send it came from, where it goes and as what."""

    __slots__ = ("delivery", "inbox", "message", "overflow", "reason", "seq", "session", "state")

    def __init__(self, message: NewMessage, inbox: Inbox, state: State) -> None:
        self.message = message
        self.inbox = inbox
        self.state = state
        self.overflow: str | None = None
        self.reason: str | None = None
        self.delivery: Delivery | None = None
        self.session = 0
        self.seq = 0


def route(tx: Tx, send: Send) -> list[Row] | PostroomError:
    """Where a send goes. The first lines are the whole way of an ordinary one."""
    message = send.message
    refused = _too_old(tx, message.id)
    if refused is not None:
        return refused
    recipient = message.recipient
    if recipient.startswith(("all:", "manager-of:")):
        return _group(tx, send)
    inbox = tx.registry.find(recipient)
    if inbox is None and recipient.startswith("any:"):
        return _unrouted(tx, send, None, empty=True)
    if inbox is None or inbox.life != OPEN or inbox.draining:
        return _unrouted(tx, send, inbox)
    if recipient.startswith("any:") and not tx.rows("inbox_members", inbox.role):
        return _unrouted(tx, send, None, empty=True)
    return [Row(message, inbox, State.READY)]


def _unrouted(tx: Tx, send: Send, inbox: Inbox | None, *, empty: bool = False) -> list[Row] | PostroomError:
    """Mail for somebody who is not there: refused, bounced or held, as the sender chose."""
    address = send.message.recipient
    before = tx.registry.find(address)
    if before is not None and (
        tx.row("message_same", send.message.id) or tx.row("spent_digest", send.message.id)
    ):
        return [
            Row(send.message, before, State.HELD)
        ]  # it was accepted, whatever has become of its recipient
    if inbox is not None and inbox.life == OPEN and send.bounded:
        return InboxEnded(f"inbox {address} takes no more mail", "it is draining", "resume it first")
    if inbox is not None and inbox.life == OPEN:
        return [Row(send.message, inbox, State.READY)]
    ended = inbox is not None and inbox.life == ENDED
    if send.unrouted is Unrouted.HOLD and not ended:
        later = send.message.delay_us > 0 or send.message.due_at is not None
        state = State.DELAYED if later else State.HELD
        return [Row(send.message, ensure(tx, address, UNREGISTERED), state)]
    if send.unrouted is Unrouted.BOUNCE or (send.unrouted is Unrouted.HOLD and not send.bounded):
        row = Row(send.message, inbox or ensure(tx, address, UNREGISTERED), State.BOUNCED)
        row.reason = "recipient ended" if ended else "recipient unknown"
        return [row]
    if empty:
        return EmptyGroup(f"nobody takes mail for {address}", "the role has no member", "start one first")
    if ended:
        return InboxEnded(f"inbox {address} has ended", "it takes no more mail", "register it again first")
    return UnknownInbox(f"no inbox {address}", "it was never registered", "register it, or send with --hold")


def _group(tx: Tx, send: Send) -> list[Row] | PostroomError:
    """Copies for every member of a route, with ids derived from the message and the member."""
    members = resolve(tx, send.message.recipient)
    if isinstance(members, PostroomError):
        return members
    rows: list[Row] = []
    for address in members:
        copy = NewMessage(**{f: getattr(send.message, f) for f in NewMessage.__struct_fields__})
        copy.recipient = address
        copy.id = derived_id(send.message.id, address.encode())
        found = route(tx, Send(copy, send.unrouted, send.bounded))
        if isinstance(found, PostroomError):
            return found
        rows += found
    return rows


def resolve(tx: Tx, recipient: str) -> list[str] | PostroomError:
    """The addresses a route stands for, as of this transaction."""
    kind, _, name = recipient.partition(":")
    if kind == "all":
        members = [address for (address,) in tx.rows("inbox_members", name)]
        if not members:
            return EmptyGroup(f"nobody is in {recipient}", "the role has no member", "start one first")
        return members
    row = tx.row("record_value", PAIRS, "binding", name)
    binding: dict[str, Any] = json.loads(row[0]) if row else {}
    if binding.get("state") != "active":
        return EmptyGroup(f"task {name} has no manager", "it is not paired", "run: postroom pair")
    return [str(binding["manager"])]


def _too_old(tx: Tx, id: bytes) -> Refused | None:
    made = version_7_time(id)
    if made is None or tx.wall - made <= tx.policy.ids_us:
        return None
    heed_clock(tx)
    if least_wall(tx) - made <= tx.policy.ids_us:
        return None
    error = Refused(
        "the message's id is too old",
        "repeats of ids older than 14 days cannot be recognised",
        "send it under a new id",
    )
    error.code = "id_too_old"
    return error
