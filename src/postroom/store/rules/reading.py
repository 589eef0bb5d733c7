"""Looking without touching: one definition of what is claimable, for everybody who counts."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from ..records import Event, InboxCounts, Record, Session, StoredMessage, Term
from ..states import State
from .histories import state_named
from .inboxes import ENDED

if TYPE_CHECKING:
    from ..clock import Instant
    from .statements import Statements

SAMPLE = 32
FIRST_STATES = {"due": State.DELAYED, "resume": State.HELD}
"""The state a message was accepted in, by the first event that its history has; else it was ready."""

ENDS_A_LEASE = frozenset({"release", "retry", "take back", "back off", "bury"})


def _stored(row: tuple[Any, ...], now: Instant) -> StoredMessage:
    """A row as people see it: by the clock, not by when somebody last looked."""
    state, rank, expires_boot = state_named(row[5]), row[22], row[23]
    if (
        expires_boot is not None
        and expires_boot <= now.boot
        and state in (State.READY, State.DELAYED, State.HELD)
    ):
        state = State.EXPIRED
    elif (rank <= now.boot or row[26]) and state in (State.DELAYED, State.LEASED):
        state = State.READY
    return StoredMessage(
        id=row[0], seq=row[1], recipient=row[2], sender=row[3], type=row[4], state=state.word,
        priority=row[6], attempts=row[7], max_attempts=row[8], fence=row[9], created_at=row[10],
        body=row[11], correlation_id=row[12], causation_id=row[13], reply_to=row[14], dedup_key=row[15],
        headers=row[16], due_at=row[17], expires_at=row[18], final_at=row[19], reason=row[20], error=row[21],
    )  # fmt: skip


def message(db: Statements, now: Instant, id: bytes) -> StoredMessage | None:
    rows = db.rows("show", now.boot, id)
    if not rows:
        return None
    found = _stored(rows[0], now)
    found.history = _history(db, found, state_named(rows[0][5]), rows[0][24], rows[0][25])
    return found


def _history(
    db: Statements,
    m: StoredMessage,
    state: State,
    claimed_at: int | None,
    session: int | None,
) -> list[Event]:
    """Its columns tell of the sending, the last claim and the ack; events of all between."""
    rows = db.rows("show_events", m.seq)
    first = FIRST_STATES.get(rows[0][1] if rows else "", State.READY)
    events = [Event(m.created_at, "send", first.word, 0, by=m.sender)]
    attempt = 0
    for at, event, to, attempts, fence, since, by, reason, error in rows:
        if event in ENDS_A_LEASE and since is not None:
            attempt += 1
            events.append(Event(since, "claim", State.LEASED.word, attempt, fence, _by(by)))
        attempt = attempts
        events.append(Event(at, event, state_named(to).word, attempts, fence, _by(by), reason, error))
    if state in (State.LEASED, State.DONE) and claimed_at is not None:
        events.append(Event(claimed_at, "claim", State.LEASED.word, m.attempts, m.fence, _by(session)))
    if state is State.DONE and m.final_at is not None:
        events.append(Event(m.final_at, "ack", State.DONE.word, m.attempts, m.fence, _by(session)))
    return events


def _by(session: int | None) -> str | None:
    return f"session {session}" if session else None


def peek(
    db: Statements, now: Instant, inbox: str, limit: int, state: str | None, after: int
) -> list[StoredMessage]:
    wanted = None if state is None else State[state.upper()]
    query = "peek_final" if wanted is not None and wanted >= State.DONE else "peek"
    code = None if wanted is None else int(wanted)
    return [_stored(row, now) for row in db.rows(query, inbox, after, code, limit, now.boot)]


def dead(db: Statements, now: Instant, inbox: str | None, limit: int) -> list[StoredMessage]:
    return [_stored(row, now) for row in db.rows("dead_all", inbox, limit)]


NOTHING = (0,) * 9
Live = tuple[int, int, int, int, int]
"""(ready, leased, delayed, held, past expiry) of one inbox, ready as a correction.

Ready mail may be very many, so it is not counted but is what remains of all live mail: the first number
is what to add to the live count.
"""


NO_LIVE: Live = (0, 0, 0, 0, 0)


def counts(db: Statements, now: Instant, address: str | None) -> list[InboxCounts]:
    """Counts by inbox, moved along to now: due mail is ready, lapsed leases are ready, and so on."""
    if address is not None:
        rows = db.rows("counts_inbox", address)
        return [_counted(db, now, row, _live_in(db, now, row[0]), _final_in(db, row[0])) for row in rows]
    live = _live(db, now)
    final: dict[int, tuple[int, ...]] = {row[0]: row[1:] for row in db.rows("counts_final")}
    return [
        _counted(db, now, row, live.get(row[0], NO_LIVE), final.get(row[0], NOTHING))
        for row in db.rows("counts_inboxes")
    ]


def _counted(
    db: Statements, now: Instant, row: tuple[Any, ...], live: Live, final: tuple[int, ...]
) -> InboxCounts:
    """The counts of one inbox. Arguments by position: there may be very many inboxes."""
    id, name, life, paused, draining, bound, policy, ordered = row
    moved, leased, delayed, held, past = live
    accepted, done, buried, expired, bounced, cancelled, over, lost, retried = final
    ready = accepted - done - buried - expired - bounced - cancelled + moved
    return InboxCounts(
        name, accepted, ready, leased, delayed, held, done, buried, expired + past, bounced, cancelled,
        _oldest(db, now, id) if ready else None, bool(paused), bool(draining), life == ENDED, bound, policy,
        bool(ordered), over, lost, retried,
    )  # fmt: skip


def _live(db: Statements, now: Instant) -> dict[int, Live]:
    """The live mail of every inbox that has any but ready mail."""
    table: dict[int, list[int]] = defaultdict(lambda: [0] * 5)
    for inbox, state, count in db.rows("counts_live"):
        table[inbox][state] = count
    for inbox, count, _ in db.rows("counts_due", now.boot):
        table[inbox][State.DELAYED] -= count
    for inbox, count, _ in db.rows("counts_lapsed", now.boot):
        table[inbox][State.LEASED] -= count
    for inbox, state, due, count in db.rows("counts_expired", now.boot):
        _pass(table[inbox], state, due, count)
    return {inbox: _moved(n) for inbox, n in table.items()}


def _live_in(db: Statements, now: Instant, inbox: int) -> Live:
    """The live mail of one inbox, at the price of what is in it."""
    n = [0] * 5
    for state, count in db.rows("counts_one_live", inbox):
        n[state] = count
    if n[State.DELAYED]:
        n[State.DELAYED] -= db.rows("counts_one_due", now.boot, inbox)[0][0]
    if n[State.LEASED]:
        n[State.LEASED] -= db.rows("counts_one_lapsed", now.boot, inbox)[0][0]
    for state, due, count in db.rows("counts_one_expired", now.boot, inbox):
        _pass(n, state, due, count)
    return _moved(n)


def _pass(n: list[int], state: int, due: int, count: int) -> None:
    """So many messages of a state are past their expiry; those that were due are no longer in it."""
    if state == State.HELD or (state == State.DELAYED and not due):
        n[state] -= count
    n[4] += count


def _moved(n: list[int]) -> Live:
    return -sum(n), n[1], n[2], n[3], n[4]


def _final_in(db: Statements, inbox: int) -> tuple[int, ...]:
    row: tuple[int | None, ...] = db.rows("counts_one_final", inbox)[0]
    return tuple(value or 0 for value in row)


def _oldest(db: Statements, now: Instant, inbox: int) -> int:
    """The age of the oldest ready message, from the first few of each priority.

    Mail that came back keeps its place in the queue but was not waiting meanwhile, so the head
    alone may be younger than its successors.
    """
    found = db.rows("oldest_age", inbox, SAMPLE) + db.rows("oldest_due", inbox, now.boot)
    since: list[int] = [at for (at,) in found if at is not None]
    return max(0, now.wall - min(since)) if since else 0


def ready_inboxes(db: Statements) -> set[str]:
    return {address for (address,) in db.rows("inboxes_ready")}


class Paused(NamedTuple):
    """What is paused, as of one version of all inbox rows."""

    registry: int
    what: frozenset[tuple[str, str | None]]


def paused(db: Statements, known: Paused | None) -> Paused:
    """What is paused; read anew only if an inbox row has changed since it was ``known``.

    Every poll asks, and there may be very many inboxes.
    """
    ((_, registry, _),) = db.rows("store_row")
    if known is not None and known.registry == registry:
        return known
    return Paused(registry, frozenset((address, key) for address, key in db.rows("paused")))


def records(db: Statements, owner: str, kind: str | None, key: str | None) -> list[Record]:
    if kind is None:
        rows = db.rows("records_of_owner", owner)
    elif key is None:
        rows = db.rows("records_of_kind", owner, kind)
    else:
        rows = db.rows("record_get", owner, kind, key)
    return [Record(*row) for row in rows]


def sessions(db: Statements) -> list[Session]:
    return [
        Session(id, name, kind, process, expires, bool(live))
        for id, name, kind, process, expires, live in db.rows("session_all")
    ]


def activations(db: Statements) -> list[Term]:
    return [Term(*row) for row in db.rows("activation_all")]
