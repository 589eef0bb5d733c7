"""A gateway from its opening to its end, on listeners that are already open."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from random import Random

import trio

from ..actors.clerk import Clerk
from ..actors.wakeups.driving import Housekeeping
from ..mailbox.doorbell import each_of
from ..mailbox.ids import IdMaker
from ..mailbox.verbs import LEASE
from ..store.commit import GroupCommit
from ..store.port import Store
from ..telemetry.metrics import Metrics
from .boxes import Boxes
from .crowd import Crowd
from .door import Door
from .server import GRACE_SECONDS, Gateway
from .verbs import Verbs


@asynccontextmanager
async def opened_gateway(
    store: Store,
    entrances: Iterable[tuple[socket.socket, Door]],
    metrics: Metrics,
    *,
    rng: Random,
    crowd: Crowd | None = None,
    grace: float = GRACE_SECONDS,
    lease: float = LEASE,
    house: Callable[[GroupCommit], Housekeeping] | None = None,
) -> AsyncGenerator[Gateway]:
    """Serve a store inside the block. ``metrics`` watches its commits; ``rng`` makes ids. ``house``
    makes what keeps house beside it on its group commit. ``lease`` is that of requests that name none.

    At the block's end nobody else is let in, long polls are answered with nothing, and requests under way
    have ``grace`` seconds. The sockets are closed as soon as nobody else is let in.
    """
    commit = GroupCommit(store, observer=metrics, rng=Random(rng.getrandbits(64)))
    counter = Clerk(store, commit, IdMaker(store.clock, rng))
    keeper = None if house is None else house(commit)
    commit.on_rung = counter.ring if keeper is None else each_of(counter.ring, keeper.ring)
    gateway = Gateway(store, Verbs(counter, Boxes(store, commit), lease), metrics, crowd)
    try:
        async with trio.open_nursery() as background:
            await background.start(commit.run)
            background.start_soon(counter.run)
            if keeper is not None:
                background.start_soon(keeper.run)
            async with trio.open_nursery() as serving:
                await serving.start(gateway.run, entrances, grace)
                try:
                    yield gateway
                finally:
                    gateway.close()
            background.cancel_scope.cancel()
    finally:
        if keeper is not None:
            await keeper.leave()
