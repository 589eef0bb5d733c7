"""What the simulator has found, each reduced to the fewest steps that show it."""

from __future__ import annotations

from port_verbs import INBOX, a_message, claim, do, register, send, session, state

from postroom.simulation.clock import HostClock
from postroom.store import records as r
from postroom.store.memory import MemoryStore
from postroom.testing import VirtualClock, memory_store

DECADE = 10 * 365.25 * 86_400
ROWS_US = 7 * 86_400 * 1_000_000


def test_a_system_that_never_had_a_session_takes_nobodys_leases_with_it() -> None:
    store = memory_store(commit_delay=0.0)
    register(store, INBOX)
    send(store)
    (delivery,) = claim(store)
    do(store, r.CloseSession(0), r.Changed)
    assert state(store, delivery.id) == "leased"


def test_a_session_that_is_closed_still_gives_back_what_it_held() -> None:
    store = memory_store(commit_delay=0.0)
    register(store, INBOX)
    send(store)
    mine = session(store)
    (delivery,) = claim(store, session=mine)
    do(store, r.CloseSession(mine), r.Changed)
    assert state(store, delivery.id) == "ready"


def test_finished_mail_outlives_a_wall_clock_that_is_set_ahead_by_ten_years() -> None:
    """Within one boot its age is a matter of the boot clock, as with leases and due times."""
    clock = HostClock(VirtualClock())
    store = MemoryStore(clock)
    register(store, INBOX)
    send(store, a_message())
    send(store, a_message())  # the newest message is never swept
    first, _ = claim(store)
    do(store, r.Settle(first.id, first.fence, r.Verdict.ACK), r.Settled)
    clock.step_wall(DECADE)
    do(store, r.Sweep(ROWS_US, 2 * ROWS_US), r.Changed)
    assert state(store, first.id) == "done"
