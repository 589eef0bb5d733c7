"""The dispatcher: one in the whole fleet, it makes happen early what claims would do anyway.

It promotes due mail, takes back leases, forgets what is past its retention. It moves facts and
never judges success; without one, everything still happens when somebody claims.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from ..store.clock import MICROS
from ..store.commit import GroupCommit
from ..store.errors import Conflict, StoreUnavailable
from ..store.port import Store
from ..store.records import Activate, Sweep, Term, Tick, Ticked

NAME = "postroom/dispatcher"
LONGEST_SECONDS, SHORTEST_SECONDS = 1.0, 0.005
SWEEP_SECONDS = 5.0
LOOK_SECONDS = 2.0
"""How often a process that is not the dispatcher looks whether it should become it."""

ROWS_US = 7 * 86_400 * MICROS
IDS_US = 14 * 86_400 * MICROS


async def dispatch(store: Store, commit: GroupCommit, session: Callable[[], int]) -> None:
    """Be the dispatcher whenever nobody else is; for ever, until cancelled."""
    while True:
        try:
            term = await commit.submit(Activate(NAME, session()))
            assert isinstance(term, Term)
            await _work(store, commit, term)
        except (Conflict, StoreUnavailable):
            pass  # somebody else is it, or the store is away: look again later
        await trio.sleep(LOOK_SECONDS)


async def _work(store: Store, commit: GroupCommit, term: Term) -> None:
    """Tick when something falls due, sweep now and then, as long as the activation is ours."""
    swept = trio.current_time()
    while term in store.activations():
        ticked = await commit.submit(Tick())
        assert isinstance(ticked, Ticked)
        if trio.current_time() - swept >= SWEEP_SECONDS:
            await commit.submit(Sweep(ROWS_US, IDS_US))
            swept = trio.current_time()
        due = LONGEST_SECONDS if ticked.next_due_us is None else ticked.next_due_us / MICROS
        await trio.sleep(min(LONGEST_SECONDS, max(SHORTEST_SECONDS, due)))
