"""The dispatcher: one in the whole fleet, it makes happen early what claims would do anyway.

It promotes due mail, takes back leases, forgets what is past its retention, and says that it is there.
It moves facts and never judges success; without one, everything still happens when somebody claims.
Beside it run the duties that it is given, each in one process of the fleet.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from typing import NamedTuple

import trio

from ..mailbox import heartbeats
from ..mailbox.heartbeats import DISPATCHER, MAIN
from ..store.clock import MICROS
from ..store.commit import GroupCommit
from ..store.errors import Conflict, StoreFull, StoreUnavailable
from ..store.looking import look
from ..store.port import Store
from ..store.records import Activate, Put, Sweep, Term, Tick, Ticked

NAME = "postroom/dispatcher"
LONGEST_SECONDS, SHORTEST_SECONDS = 1.0, 0.005
SWEEP_SECONDS = 5.0
BEAT_SECONDS = 60.0
LOOK_SECONDS = 2.0
"""How often a process that is not the dispatcher looks whether it should become it."""

ROWS_US = 7 * 86_400 * MICROS
IDS_US = 14 * 86_400 * MICROS


class Duty(NamedTuple):
    """What one process of the fleet does, under an activation of this name; it runs until cancelled."""

    name: str
    run: Callable[[], Awaitable[None]]


async def dispatch(
    store: Store,
    commit: GroupCommit,
    session: Callable[[], int],
    duties: Sequence[Duty] = (),
    *,
    longest: float = LONGEST_SECONDS,
) -> None:
    """Be the dispatcher whenever nobody else is; for ever, until cancelled.

    It looks at least every ``longest`` seconds: so late may mail be promoted that somebody sent with a
    shorter delay, if nobody claims from that inbox before.

    Each of the ``duties`` is done whenever no other process does it. They are activations of their own,
    for the dispatcher may be in a process that knows nothing of them.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_be, store, commit, session, NAME, partial(_work, store, commit, longest))
        for duty in duties:
            nursery.start_soon(_be, store, commit, session, duty.name, partial(_do, store, duty))


async def _be(
    store: Store,
    commit: GroupCommit,
    session: Callable[[], int],
    name: str,
    work: Callable[[Term], Awaitable[None]],
) -> None:
    """Be the one of this name whenever nobody else is."""
    while True:
        try:
            term = await commit.submit(Activate(name, session()))
            assert isinstance(term, Term)
            await work(term)
        except (Conflict, StoreUnavailable):
            pass  # somebody else is it, or the store is away: look again later
        await trio.sleep(LOOK_SECONDS)


async def _work(store: Store, commit: GroupCommit, longest: float, term: Term) -> None:
    """Tick when something falls due, sweep now and then, as long as the activation is ours."""
    swept, beaten = trio.current_time(), -inf
    while term in await look(store, store.activations):
        ticked = await commit.submit(Tick())
        assert isinstance(ticked, Ticked)
        now = trio.current_time()
        if now - swept >= SWEEP_SECONDS:
            await commit.submit(Sweep(ROWS_US, IDS_US))
            swept = now
        if now - beaten >= BEAT_SECONDS:
            await _beat(store, commit)
            beaten = now
        due = longest if ticked.next_due_us is None else ticked.next_due_us / MICROS
        await trio.sleep(min(longest, max(SHORTEST_SECONDS, due)))


async def _beat(store: Store, commit: GroupCommit) -> None:
    """Say that there is a dispatcher."""
    _, write = await look(store, partial(heartbeats.beat, store, DISPATCHER, MAIN))
    with suppress(Conflict, StoreFull):  # another has just said it, or there is no room to say it
        await commit.submit(Put((write,)))


async def _do(store: Store, duty: Duty, term: Term) -> None:
    """Do a duty as long as its activation is ours."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(duty.run)
        while await _holds(store, term):  # noqa: ASYNC110  # others may take it, which no event tells
            await trio.sleep(LOOK_SECONDS)
        nursery.cancel_scope.cancel()


async def _holds(store: Store, term: Term) -> bool:
    try:
        return term in await look(store, store.activations)
    except StoreUnavailable:
        return False
