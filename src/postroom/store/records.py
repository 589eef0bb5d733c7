"""What goes into the store and what comes out: plain records, one operation each.

Times are whole microseconds; ``*_us`` fields are durations, ``*_at`` are wall time since 1970.
An operation is answered by its result record, or by the ``PostroomError`` instance that says why
it was refused: in a batch, a refused operation fails alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from .errors import PostroomError
from .views import Event as Event
from .views import InboxCounts as InboxCounts
from .views import Record as Record
from .views import StoredMessage as StoredMessage
from .views import Verification as Verification


class NewMessage(Struct, gc=False):
    """An envelope and its body, before the store has accepted it.

    ``id`` is 16 bytes of UUID; ``body`` is canonical JSON (sorted keys, UTF-8). ``priority`` is 0
    (low) to 3 (urgent). ``delay_us`` and ``ttl_us`` count from acceptance on the boot clock;
    ``due_at`` and ``expires_at`` are wall time that a user gave as absolute, and win over them.
    """

    id: bytes
    recipient: str
    sender: str
    type: str
    body: bytes
    priority: int = 1
    correlation_id: str | None = None
    causation_id: str | None = None
    reply_to: str | None = None
    dedup_key: str | None = None
    headers: bytes | None = None
    max_attempts: int = 5
    delay_us: int = 0
    ttl_us: int | None = None
    due_at: int | None = None
    expires_at: int | None = None


class Delivery(Struct, gc=False):
    """A message handed to whoever claimed it, with the lease it is held under.

    ``attempt`` counts from 1. ``alone`` marks a message that was taken back before and therefore
    travels without company. ``lease_us`` is what is left of the lease; None where the lease hangs
    on the claimer's session.
    """

    seq: int
    id: bytes
    fence: int
    recipient: str
    sender: str
    type: str
    body: bytes
    priority: int
    attempt: int
    max_attempts: int
    created_at: int
    ready_at: int
    correlation_id: str | None = None
    causation_id: str | None = None
    reply_to: str | None = None
    headers: bytes | None = None
    alone: bool = False
    lease_us: int | None = None


class Unrouted(StrEnum):
    """What becomes of mail whose recipient is unknown or ended."""

    REFUSE = "refuse"
    BOUNCE = "bounce"
    HOLD = "hold"


class Send(Struct, gc=False):
    """Accept a message. Its recipient is an address, ``any:ROLE``, ``all:ROLE`` or ``manager-of:TASK``.

    ``bounded`` is False for what a turn sends: that always commits, and overflow is reported.
    ``hand_to`` names a session that can start the message now: if nothing is waiting before it, it
    is accepted as already leased to that session, and ``Accepted.delivery`` is set.
    """

    message: NewMessage
    unrouted: Unrouted = Unrouted.REFUSE
    bounded: bool = True
    hand_to: int = 0


class Accepted(Struct, gc=False):
    """A send that is durable. ``state`` is ``accepted``, ``duplicate``, ``held`` or ``bounced``.

    ``id`` is the id of the live message, which for a duplicate by ``dedup_key`` is not the one
    that was sent. ``overflow`` is set when an unbounded send went past the inbox's bound.
    """

    id: bytes
    state: str
    seq: int = 0
    delivery: Delivery | None = None
    copies: tuple[bytes, ...] = ()
    overflow: str | None = None


class Claim(Struct, gc=False):
    """Lease up to ``limit`` ready messages, oldest first within the highest priority.

    ``session`` is the claimer's session, on which the lease then hangs; 0 for a lease of
    ``lease_us`` on each message. ``alone_ok`` says whether the claimer may start a message that
    must travel alone. ``key`` makes a repeated claim answer what the first one leased.
    """

    inboxes: tuple[str, ...]
    limit: int
    session: int = 0
    lease_us: int = 60_000_000
    alone_ok: bool = True
    key: str | None = None


class Claimed(Struct, gc=False):
    """The messages leased by one claim; empty when there was nothing to do.

    ``more`` says that there are others although fewer than ``limit`` came: room on the disk is tight, or
    one must travel alone, was not the first in line and may be claimed next.
    """

    deliveries: list[Delivery]
    more: bool = False


class Verdict(StrEnum):
    """How a lease ends by its holder's word."""

    ACK = "ack"
    RETRY = "retry"
    RELEASE = "release"
    DEAD = "dead"


class Write(Struct, gc=False):
    """One keyed record to put, or to delete where ``value`` is None.

    ``expect`` is the version that must be there (0 for none yet); None writes whatever is there.
    """

    owner: str
    kind: str
    key: str
    value: bytes | None
    expect: int | None = None


class Term(Struct, gc=False, frozen=True):
    """A claim to be the one living instance of ``name``."""

    name: str
    session: int
    term: int


class Settle(Struct, gc=False):
    """End a lease. With ``ACK``, the outputs and writes of the turn commit with it, or not at all.

    ``delay_us`` is for RETRY; None takes the standard backoff. ``seq`` may be 0 where only the id
    is known. ``term`` must still hold if it is given.
    """

    id: bytes
    fence: int
    verdict: Verdict
    seq: int = 0
    delay_us: int | None = None
    reason: str | None = None
    error: str | None = None
    outputs: Sequence[Send] = ()
    writes: Sequence[Write] = ()
    term: Term | None = None


class Settled(Struct, gc=False):
    """``state`` is the word for the message's new state; ``already`` when it had been settled so before."""

    state: str
    already: bool = False
    outputs: tuple[Accepted, ...] = ()


class Extend(Struct, gc=False):
    """Make a lease last ``lease_us`` from now."""

    id: bytes
    fence: int
    lease_us: int


class Extended(Struct, gc=False):
    lease_us: int


class InboxSpec(Struct, gc=False):
    """An inbox as it is registered. Registering again changes nothing that is None here.

    ``policy`` decides what a full inbox does to sends from outside turns: ``reject``, ``block``,
    ``bounce`` or ``drop-oldest``.
    """

    address: str
    bound: int | None = None
    policy: str | None = None
    ordered: bool | None = None
    member: bool = True


class Register(Struct, gc=False):
    """Make inboxes exist (again), and give them the mail that was held for them."""

    inboxes: tuple[InboxSpec, ...]


class Switch(StrEnum):
    """What can be done to an inbox as a whole."""

    PAUSE = "pause"
    RESUME = "resume"
    DRAIN = "drain"
    END = "end"
    PURGE = "purge"


class Control(Struct, gc=False):
    """Switch one inbox; with ``key``, only the mail of that correlation id (pause and resume)."""

    inbox: str
    switch: Switch
    key: str | None = None


class Changed(Struct, gc=False):
    """How many things an operation changed."""

    count: int = 0


class OpenSession(Struct, gc=False):
    """Register a participant. ``process`` identifies it on this host; see ``store.process``."""

    name: str
    kind: str
    process: str
    lease_us: int


class Session(Struct, gc=False):
    """A registered participant. ``expires`` is boot time in microseconds."""

    id: int
    name: str
    kind: str
    process: str
    expires: int
    live: bool


class RenewSession(Struct, gc=False):
    """Keep a session, and every lease and activation that hangs on it, for ``lease_us`` more."""

    session: int
    lease_us: int


class CloseSession(Struct, gc=False):
    """End a session: its leases are released (attempt given back), its activations freed.

    Answers whether it was live. With ``most``, at most so many leases are released, so that it fits on a
    disk that is nearly full, and the answer is 1 once the session is over, else 0: then say it again.
    """

    session: int
    most: int | None = None


class Activate(Struct, gc=False):
    """Become the one living instance of ``name``, unless a live session already is."""

    name: str
    session: int


class Deactivate(Struct, gc=False):
    """Step down, so that the next activation need not wait for the session to lapse."""

    term: Term


class Put(Struct, gc=False):
    """Write keyed records outside a turn: all of them, or none and a ``Conflict``."""

    writes: tuple[Write, ...]
    term: Term | None = None


class Requeue(Struct, gc=False):
    """Make dead messages ready again: attempts start over, fences never."""

    ids: tuple[bytes, ...]


class Drop(Struct, gc=False):
    """Give up dead messages for good (``cancelled``)."""

    ids: tuple[bytes, ...]


class Cancel(Struct, gc=False):
    """Cancel messages that nobody has claimed yet, such as timers."""

    ids: tuple[bytes, ...]


class Tick(Struct, gc=False):
    """Do what time has made due in every inbox: promote, expire, take back. At most ``limit`` each."""

    limit: int = 500


class Ticked(Struct, gc=False):
    """What a tick did. ``next_due_us`` is how long from now something falls due; None for nothing."""

    promoted: int
    expired: int
    taken_back: int
    buried: int
    next_due_us: int | None


class Sweep(Struct, gc=False):
    """Forget what is past its retention, and fold the counts. At most ``limit`` rows."""

    rows_us: int
    ids_us: int
    limit: int = 2000


Operation = (
    Send
    | Claim
    | Settle
    | Extend
    | Register
    | Control
    | OpenSession
    | RenewSession
    | CloseSession
    | Activate
    | Deactivate
    | Put
    | Requeue
    | Drop
    | Cancel
    | Tick
    | Sweep
)
Result = Accepted | Claimed | Settled | Extended | Changed | Session | Term | Ticked
Answer = Result | PostroomError
