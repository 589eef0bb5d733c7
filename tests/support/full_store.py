"""A store with everything in it that a store may have."""

from __future__ import annotations

import time

from port_verbs import SECOND, Engine, a_message, claim, do, register, send, settle

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.port import Store
from postroom.store.states import State

DAY = 86_400 * SECOND
TAKEN_BACK = ("take back", "back off", "bounce")
"""What reopening and copying write: at the moment they do."""


def clock_of_now(behind: int = 0) -> ManualClock:
    """A clock of a test that agrees with the server's, or is so many seconds behind it."""
    return ManualClock(wall=time.time_ns() // 1000 - behind * SECOND)


def fill(store: Engine, process: str) -> None:
    """Mail in each state, delayed, expiring, leased in both ways and held; keys, records and old ids.

    ``process`` holds a session.
    """
    _forgotten(store)
    register(store, "worker/a", "worker/b", "boss/x", "worker/gone")
    register(store, "worker/few", bound=3, policy="drop-oldest", ordered=True)
    session = do(store, r.OpenSession("s1", "process", process, 3600 * SECOND), r.Session).id
    do(store, r.Activate("actor/one", session), r.Term)
    for _ in range(3):
        send(store)
    send(store, a_message(expires_at=store.clock.now().wall + DAY))
    send(store, a_message(ttl_us=2 * DAY))
    send(store, a_message(dedup_key="once", priority=3, correlation_id="c1", headers=b"{}"))
    for number, verdict in enumerate((r.Verdict.ACK, r.Verdict.RETRY, r.Verdict.RELEASE, r.Verdict.DEAD)):
        send(store, a_message("worker/b", body=b'{"n":%d}' % number))
        (delivery,) = claim(store, 1, "worker/b")
        later = 3600 * SECOND if verdict is r.Verdict.RETRY else None
        settle(store, delivery, verdict, delay_us=later, reason="a reason", error="went wrong: \u00e9")
    send(store, a_message("worker/b"))
    claim(store, 1, "worker/b", lease_us=3600 * SECOND)
    send(store, a_message("worker/b"))
    claim(store, 1, "worker/b", session=session)
    send(store, a_message(delay_us=3600 * SECOND))
    send(store, a_message(due_at=store.clock.now().wall + DAY, ttl_us=2 * DAY))
    send(store, a_message("worker/later"), unrouted=r.Unrouted.HOLD)
    send(store, a_message(correlation_id="stopped"))
    do(store, r.Control("worker/a", r.Switch.PAUSE, "stopped"), r.Changed)
    do(store, r.Control("boss/x", r.Switch.PAUSE), r.Changed)
    for _ in range(5):
        send(store, a_message("worker/few"))
    cancelled = send(store).id
    do(store, r.Cancel((cancelled,)), r.Changed)
    send(store, a_message("worker/gone", sender="boss/x"))
    do(store, r.Control("worker/gone", r.Switch.END), r.Changed)
    writes = (r.Write("me", "kind", "key", b"\x00\xff"), r.Write("me", "kind", "\u00e9", b"1"))
    do(store, r.Put(writes), r.Changed)


def _forgotten(store: Engine) -> None:
    """Mail whose rows are no longer kept."""
    register(store, "worker/old")
    for _ in range(3):
        send(store, a_message("worker/old"))
        settle(store, claim(store, 1, "worker/old")[0])
    send(store, a_message("worker/old"))
    settle(store, claim(store, 1, "worker/old")[0])
    do(store, r.Sweep(rows_us=-1, ids_us=100 * DAY), r.Changed)


def seen(store: Store) -> dict[str, object]:
    """Everything that can be seen of a store, but for its epoch, and for what a second changes."""
    boxes = sorted(counts.inbox for counts in store.counts())
    mail: dict[str, object] = {}
    for box in boxes:
        for state in State:
            for message in store.peek(box, 1000, state=state.word):
                found = store.message(message.id)
                assert found is not None
                found.fence &= (1 << 20) - 1
                for event in found.history:
                    event.fence = None
                    if event.event in TAKEN_BACK:
                        event.at = 0
                mail[found.id.hex()] = found
    owners = ("me", "postroom/pairs", "postroom/sessions", "postroom/damage")
    counts = store.counts()
    for count in counts:
        count.oldest_ready_us = None
    return {
        "counts": counts,
        "mail": mail,
        "records": [store.records(owner) for owner in owners],
        "sessions": [session for session in store.sessions() if session.live],
        "paused": sorted(store.paused(), key=repr),
    }
