"""What reading a store answers: plain records. Times are microseconds of wall time."""

from __future__ import annotations

from msgspec import Struct, field


class Event(Struct, gc=False):
    """One line of a message's history. ``event`` is a verb of the transition table."""

    at: int
    event: str
    state: str
    attempt: int
    fence: int | None = None
    by: str | None = None
    reason: str | None = None
    error: str | None = None


class StoredMessage(Struct, gc=False):
    """A message as it stands now. ``history`` is filled only by ``show``."""

    id: bytes
    seq: int
    recipient: str
    sender: str
    type: str
    state: str
    priority: int
    attempts: int
    max_attempts: int
    fence: int
    created_at: int
    body: bytes
    correlation_id: str | None = None
    causation_id: str | None = None
    reply_to: str | None = None
    dedup_key: str | None = None
    headers: bytes | None = None
    due_at: int | None = None
    expires_at: int | None = None
    final_at: int | None = None
    reason: str | None = None
    error: str | None = None
    history: list[Event] = []


class InboxCounts(Struct, gc=False):
    """One inbox as of now: due mail counts as ready, lapsed leases as ready, past expiry as expired.

    ``accepted`` and the final counts are for all time; the sum of the nine states equals ``accepted``.
    ``oldest_ready_us`` is the age of the oldest ready message, None when there is none.
    """

    inbox: str
    accepted: int
    ready: int
    leased: int
    delayed: int
    held: int
    done: int
    dead: int
    expired: int
    bounced: int
    cancelled: int
    oldest_ready_us: int | None
    paused: bool
    draining: bool
    ended: bool
    bound: int
    policy: str
    ordered: bool
    overflowed: int
    lost_leases: int
    retried: int


class Record(Struct, gc=False):
    """One keyed record. ``version`` starts at 1 and grows by one with each write."""

    owner: str
    kind: str
    key: str
    version: int
    value: bytes


class Verification(Struct, gc=False):
    """Whether every accepted message is in exactly one state. ``faults`` says what is wrong, in words.

    ``lost_by_damage`` messages were given up in a repair of the file; ``notices`` are what a person
    should know although it is no fault.
    """

    ok: bool
    accepted: int
    unaccounted: int
    counts: dict[str, int]
    faults: list[str]
    lost_by_damage: int = 0
    notices: list[str] = field(default_factory=list[str])
