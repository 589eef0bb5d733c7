"""Accepting messages: routes are resolved, limits bite, and one statement inserts the batch.

The common case costs one tuple and one insert for each message. What is uncommon is found
afterwards: rows that a unique index kept out are looked at one by one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..errors import Conflict, InboxFull, PostroomError
from ..identity import content_digest, derived_id, id_text
from ..records import Accepted, Delivery, NewMessage, Send, Unrouted
from ..states import State
from . import moves, rowsums
from .inboxes import OPEN, UNREGISTERED, Inbox
from .routing import Row, route
from .statements import Raced
from .timekeeping import AT_ONCE, expire
from .tx import ACCEPTED, BOUNCED, OVERFLOWED, SESSION_LEASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .tx import Tx

Answer = Accepted | PostroomError
REFUSING = frozenset({"reject", "block"})


class _Room:
    """How full one inbox is, with what this batch has put there so far."""

    __slots__ = ("depth",)

    def __init__(self, tx: Tx, inbox: Inbox) -> None:
        self.depth = tx.depth(inbox.id)


Rooms = dict[int, _Room]


def accept(tx: Tx, sends: Sequence[Send]) -> list[Answer]:
    """Accept a batch of sends; each is answered by itself, in order."""
    rooms: Rooms = {}
    placed: list[list[Row] | PostroomError] = []
    rows: list[Row] = []
    doubles: dict[int, Accepted | Conflict] = {}
    tx.registry.fetch(send.message.recipient for send in sends)
    for send in sends:
        found = route(tx, send)
        if _doubtful(tx, found, rooms):
            doubles |= _insert(tx, rows) if rows else {}
            rows, rooms = [], {}
            found = _carefully(tx, send)
        if not isinstance(found, PostroomError):
            _place_all(tx, send, found, rooms)
            rows += found
        placed.append(found)
    doubles |= _insert(tx, rows) if rows else {}
    return [found if isinstance(found, PostroomError) else _answer(found, doubles) for found in placed]


def _doubtful(tx: Tx, found: list[Row] | PostroomError, rooms: Rooms) -> bool:
    """Whether a send may be refused, wholly or for one of its copies: then what is stored decides."""
    if isinstance(found, PostroomError):
        return True
    for row in found:
        if row.state is State.READY and _room(tx, row.inbox, rooms).depth >= row.inbox.bound:
            return True
    return len(found) > 1 and any(known_as(tx, row) for row in found)


def _room(tx: Tx, inbox: Inbox, rooms: Rooms) -> _Room:
    room = rooms.get(inbox.id)
    if room is None:
        room = rooms[inbox.id] = _Room(tx, inbox)
    return room


def _carefully(tx: Tx, send: Send) -> list[Row] | PostroomError:
    """Where a send goes when all before it is stored: nothing of it is done if a part is refused.

    A repeat takes no room, and is answered whatever has become of its recipient.
    """
    found = route(tx, send)
    if isinstance(found, PostroomError):
        return found
    for row in found:
        known = known_as(tx, row)
        if isinstance(known, Conflict):
            return known
        if known is not None or (row.state is not State.BOUNCED and _twin(tx, row) is not None):
            row.state = State.HELD
        elif row.state is State.READY and (refused := _refused(tx, send, row.inbox)):
            return refused
    return found


def _twin(tx: Tx, row: Row) -> object:
    """The live message with the same dedup key, if there is one."""
    key = row.message.dedup_key
    if key is None:
        return None
    expire(tx, AT_ONCE)
    return tx.row("message_by_dedup", row.inbox.id, key)


def _refused(tx: Tx, send: Send, inbox: Inbox) -> InboxFull | None:
    """Whether the bound of an inbox refuses this; mail past its expiry makes room first."""
    if tx.depth(inbox.id) >= inbox.bound:
        expire(tx, AT_ONCE)
    depth = tx.depth(inbox.id)
    if not send.bounded or depth < inbox.bound:
        return None
    nothing_to_drop = inbox.policy == "drop-oldest" and tx.row("oldest_ready", inbox.id) is None
    return _inbox_full(inbox, depth) if inbox.policy in REFUSING or nothing_to_drop else None


def check(tx: Tx, send: Send) -> PostroomError | None:
    """Why this send would be refused, or None; sends nothing. For outputs that ride on an ack."""
    found = _carefully(tx, send)
    return found if isinstance(found, PostroomError) else None


def known_as(tx: Tx, row: Row) -> Accepted | Conflict | None:
    """The answer for a message whose id was seen before; None if it is new."""
    if row.message.id in tx.unseen:
        return None
    same = tx.row("message_same", row.message.id)
    if same is not None:
        return Accepted(row.message.id, "duplicate") if _is_same(row, same) else _other_content()
    spent = tx.row("spent_digest", row.message.id)
    if spent is None:
        return None
    return Accepted(row.message.id, "duplicate") if spent[0] == _digest(row) else _other_content()


def content(m: NewMessage) -> object:
    """What must be the same for one id to be the same message."""
    return (m.recipient, m.sender, m.type, m.body, m.priority, m.dedup_key, m.correlation_id)


def _digest(row: Row) -> bytes:
    m = row.message
    return content_digest(
        row.inbox.address, m.sender, m.type, m.body, m.priority, m.dedup_key, m.correlation_id
    )


def _place_all(tx: Tx, send: Send, rows: list[Row], rooms: Rooms) -> None:
    for row in rows:
        if row.state is State.READY:
            _place(tx, send, row, rooms)


def _place(tx: Tx, send: Send, row: Row, rooms: Rooms) -> None:
    """Apply the inbox's bound, then choose the state the message begins in."""
    inbox, message = row.inbox, row.message
    room = _room(tx, inbox, rooms)
    if room.depth >= inbox.bound:
        _full(tx, send, row, room)
        if row.state is State.BOUNCED:
            return
    if message.delay_us > 0 or message.due_at is not None:
        row.state = State.DELAYED
    elif inbox.has_paused_keys and tx.row("key_paused", inbox.id, message.correlation_id):
        row.state = State.HELD
    elif send.hand_to and tx.lives(send.hand_to) and _may_hand_over(tx, inbox):
        row.state, row.session = State.LEASED, send.hand_to
    else:
        tx.ring(inbox)
    room.depth += 1


def _may_hand_over(tx: Tx, inbox: Inbox) -> bool:
    """Whether nothing waits before this message, so that leasing it at once keeps the order."""
    if inbox.paused or inbox.ordered:
        return False
    if inbox.empty is None:
        inbox.empty = tx.row("ready_waiting", inbox.id) is None
    return inbox.empty


def _full(tx: Tx, send: Send, row: Row, room: _Room) -> None:
    """What a full inbox that does not refuse does: to turns a remark, to others its policy."""
    inbox = row.inbox
    if not send.bounded:
        tx.count(inbox.id, OVERFLOWED)
        row.overflow = inbox.address
    elif inbox.policy == "bounce":
        row.state, row.reason = State.BOUNCED, "inbox full"
    else:
        seq, fence, attempts = tx.row("oldest_ready", inbox.id)
        moves.to_final(
            tx,
            seq,
            State.READY,
            State.DEAD,
            fence,
            inbox,
            verb="overflow",
            attempt=attempts,
            reason="overflow",
        )
        tx.count(inbox.id, OVERFLOWED)
        room.depth -= 1


def _inbox_full(inbox: Inbox, depth: int) -> InboxFull:
    return InboxFull(
        f"inbox {inbox.address} is full",
        f"{depth} messages wait and its bound is {inbox.bound}",
        "send again later, or raise its bound",
    )


def _insert(tx: Tx, rows: list[Row]) -> dict[int, Accepted | Conflict]:
    """Insert all rows; answers for those that a unique index kept out, by sequence number."""
    for row, seq in zip(rows, tx.db.seqs(len(rows)), strict=True):
        row.seq = seq
    if any(row.message.dedup_key is not None for row in rows):
        expire(tx, AT_ONCE)  # what has expired takes no key any more
    known = _spent(tx, rows)
    tx.unseen = frozenset()
    whole = tx.run_all("message_insert", [_columns(tx, row) for n, row in enumerate(rows) if n not in known])
    doubles = {rows[n].seq: answer for n, answer in known.items()}
    if not whole:
        wanted = json.dumps([row.seq for n, row in enumerate(rows) if n not in known])
        missing = {seq for (seq,) in tx.rows("message_missing", wanted, rows[0].seq, rows[-1].seq)}
        doubles |= {row.seq: _double(tx, row) for row in rows if row.seq in missing}
    for row in rows:
        if row.seq not in doubles:
            _count(tx, row)
    return doubles


def _count(tx: Tx, row: Row) -> None:
    tx.count(row.inbox.id, ACCEPTED)
    if row.state is State.BOUNCED:
        tx.count(row.inbox.id, BOUNCED)
        tx.bounced.append((row.seq, row.reason or ""))


def _columns(tx: Tx, row: Row) -> tuple[Any, ...]:
    """The row to insert; a handed-over message gets its delivery made beside it."""
    m, state, seq = row.message, row.state, row.seq
    leased = state is State.LEASED
    fence = tx.first_fence() + leased
    due_at, expires_at, expires_boot, absolute = _times(tx, m)
    if state is State.READY:
        rank = 3 - m.priority
    elif leased:
        rank = SESSION_LEASE
        row.delivery = Delivery(
            seq, m.id, fence, row.inbox.address, m.sender, m.type, m.body, m.priority, 1, m.max_attempts,
            tx.wall, tx.wall, m.correlation_id, m.causation_id, m.reply_to, m.headers,
        )  # fmt: skip
    else:
        rank = due_at - tx.wall_offset if due_at is not None and absolute & 1 else tx.boot + m.delay_us
    content = (
        seq, m.id, row.inbox.id, m.priority, m.type, m.sender, m.body, tx.wall, m.max_attempts,
        m.correlation_id, m.causation_id, m.reply_to, m.dedup_key, m.headers, expires_at,
    )  # fmt: skip
    return (
        seq, m.id, row.inbox.id, int(state), rank, m.priority, m.type, m.sender, m.body, tx.wall, tx.wall,
        int(leased), m.max_attempts, fence, row.session, tx.wall if leased else None,
        tx.wall if state is State.BOUNCED else None, absolute, m.correlation_id, m.causation_id,
        m.reply_to, m.dedup_key, m.headers, due_at, expires_at, expires_boot, row.reason,
        rowsums.message_sum(content),
    )  # fmt: skip


def _times(tx: Tx, m: NewMessage) -> tuple[int | None, int | None, int | None, int]:
    """Due and expiry as wall time and boot time; a bit for each that was given as wall time."""
    if m.ttl_us is None and m.expires_at is None and m.due_at is None and not m.delay_us:
        return None, None, None, 0
    absolute = (m.due_at is not None) | (m.expires_at is not None) << 1
    due_at = m.due_at if m.due_at is not None else (tx.wall + m.delay_us if m.delay_us else None)
    if m.expires_at is not None:
        return due_at, m.expires_at, m.expires_at - tx.wall_offset, absolute
    if m.ttl_us is not None:
        return due_at, tx.wall + m.ttl_us, tx.boot + m.ttl_us, absolute
    return due_at, None, None, absolute


def _spent(tx: Tx, rows: list[Row]) -> dict[int, Accepted | Conflict]:
    """Answers for messages whose rows are gone but whose ids are remembered."""
    if tx.db.keeps_ids_out or tx.row("spent_any") is None:
        return {}
    known: dict[int, Accepted | Conflict] = {}
    for n, row in enumerate(rows):
        found = tx.row("spent_digest", row.message.id)
        if found is not None:
            same = found[0] == _digest(row)
            known[n] = Accepted(row.message.id, "duplicate") if same else _other_content()
    return known


def _double(tx: Tx, row: Row) -> Accepted | Conflict:
    """Why the row was kept out: the same message again, other content, or a live dedup key."""
    known = known_as(tx, row)
    if known is not None:
        return known
    live = tx.row("message_by_dedup", row.inbox.id, row.message.dedup_key)
    if live is None:
        raise Raced("what kept a message out is gone")
    tx.run_many("id_forget", [(row.message.id, row.seq)])
    return Accepted(live[0], "duplicate")


def _is_same(row: Row, stored: tuple[Any, ...]) -> bool:
    m = row.message
    return stored[1:8] == (
        row.inbox.address, m.sender, m.type, m.body, m.priority, m.dedup_key, m.correlation_id,
    )  # fmt: skip


def _other_content() -> Conflict:
    return Conflict("the id is taken", "a message with this id and other content was sent", "use a new id")


STATE_WORDS = {State.HELD: "held", State.BOUNCED: "bounced"}


def _answer(rows: list[Row], doubles: dict[int, Accepted | Conflict]) -> Answer:
    """One answer for one send, from the rows it became."""
    first = rows[0]
    answer = doubles.get(first.seq)
    if answer is None:
        answer = Accepted(
            first.message.id,
            STATE_WORDS.get(first.state) or ("held" if first.inbox.life == UNREGISTERED else "accepted"),
            first.seq,
            first.delivery,
            overflow=first.overflow,
        )
    if len(rows) > 1 and isinstance(answer, Accepted):
        kept = [doubles.get(row.seq) or Accepted(row.message.id, "") for row in rows]
        answer.copies = tuple(copy.id for copy in kept if isinstance(copy, Accepted))
    return answer


def send_bounces(tx: Tx) -> None:
    """Tell the senders of bounced mail, where they have an inbox. A bounce never bounces."""
    notices: list[Send] = []
    for seq, reason in tx.bounced:
        id, recipient, sender, type, correlation_id, reply_to = tx.row("bounce_source", seq)
        back = tx.registry.find(reply_to or sender)
        if type == BOUNCE_TYPE or back is None or back.life != OPEN:
            continue
        body = {"id": id_text(id), "reason": reason, "recipient": recipient, "type": type}
        notice = NewMessage(
            derived_id(id, b"bounce"), back.address, recipient, BOUNCE_TYPE,
            json.dumps(body, separators=(",", ":"), sort_keys=True).encode(),
            correlation_id=correlation_id or id_text(id), causation_id=id_text(id),
        )  # fmt: skip
        notices.append(Send(notice, Unrouted.REFUSE, bounded=False))
    tx.bounced.clear()
    if notices:
        accept(tx, notices)


BOUNCE_TYPE = "postroom.bounce"
