"""Programs to be stopped, killed and forked by tests: nodes that run actors, a sender, a puller.

Run as a script, one role each; every event is one JSON line on standard output, and the end of
standard input is the order to stop. Times are seconds of the monotonic clock, which all share.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from postroom.mailbox.desk import Desk

POOL, LEDGER, PULL = "any:worker", "ledger/main", "pull/main"
BATCH = 250
EVERY_TENTH = 10
PULL_EVERY = 25
PATIENT = 100
"""Attempts of a job. A long one is struck with bad luck more often than mail usually may be."""


def tell(event: str, **facts: Any) -> None:
    """One event, written whole at once, so that a kill never cuts a line."""
    os.write(1, json.dumps({"event": event, "at": time.monotonic(), **facts}).encode() + b"\n")


def ordered(seconds: float) -> bool:
    """Whether a line or the end of standard input has come, waiting so long for it."""
    return bool(select.select([sys.stdin], [], [], seconds)[0])


def job_id(n: int) -> bytes:
    """The id of job n: the same whoever sends it, and of no age."""
    raw = bytearray(n.to_bytes(16))
    raw[6], raw[8] = 0x80, 0x80
    return bytes(raw)


def inbox_of(n: int) -> str:
    """Where job n is sent: most to the workers' pool, a few to the one who pulls."""
    return PULL if n % PULL_EVERY == 0 else POOL


def node(args: argparse.Namespace) -> None:
    """Run a worker and the ledger until SIGTERM, SIGINT, or the end of standard input."""
    import trio
    from crew_actors import Ledger, worker_kind

    from postroom import open_postroom
    from postroom.actors import system

    # There is no argument for it. Sessions of a minute would let no test see that one is overtaken.
    system.SESSION_SECONDS = args.session
    tell("loaded")

    async def run() -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with open_postroom(args.store, name=args.name, grace=args.grace) as office:
                tell("opened")
                kind = worker_kind(tell, args.pace)
                await office.start(f"worker/{args.name}", kind, concurrency=args.concurrency)
                await office.start(LEDGER, Ledger)
                tell("ready")
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(orphaned, nursery.cancel_scope)
                    async for _ in signals:
                        nursery.cancel_scope.cancel()
                        break
                tell("leaving")  # nothing else runs between this and the end of taking mail
        tell("ended")

    async def orphaned(scope: trio.CancelScope) -> None:
        """Who started this one is gone, or orders it to stop."""
        await trio.lowlevel.wait_readable(0)
        scope.cancel()

    trio.run(run)


def sender(args: argparse.Namespace) -> None:
    """Send jobs from ``--start`` on, keeping ``--waiting`` of them in the pool."""
    from postroom.store.records import NewMessage, Send
    from postroom.store.transact import transact
    from postroom.store.urls import open_store

    store = open_store(args.store, create=False)
    n = args.start
    while not ordered(0):
        (pool,) = store.counts(POOL)
        if pool.ready >= args.waiting:
            if ordered(0.02):
                break
            continue
        batch = [
            Send(
                NewMessage(
                    job_id(k),
                    inbox_of(k),
                    "sender/main",
                    "Job",
                    b'{"hard":%s,"n":%d}' % (_hard(k), k),
                    max_attempts=PATIENT,
                ),
                bounded=False,
            )
            for k in range(n, n + BATCH)
        ]
        answers = transact(store, batch, deadline_seconds=30)
        refused = [answer for answer in answers if isinstance(answer, Exception)]
        if refused:
            tell("refused", error=str(refused[0]))
            return
        n += BATCH
        tell("sent", upto=n)
    store.close()
    tell("ended")


def _hard(n: int) -> bytes:
    return b"true" if n % EVERY_TENTH == 0 else b"false"


def digest(n: int) -> str:
    """A little real work: about a millisecond."""
    return hashlib.blake2b(n.to_bytes(8) * 100_000).hexdigest()


def puller(args: argparse.Namespace) -> None:
    """Poll and ack like a program of its own; each message may be held for a second."""
    from postroom.mailbox.desk import Desk
    from postroom.mailbox.ids import IdMaker
    from postroom.store.errors import StoreBusy
    from postroom.store.urls import open_store

    store = open_store(args.store, create=False)
    desk = Desk(store, IdMaker(store.clock, Random()))
    lost = busy = 0
    while not ordered(0):
        try:
            lost += _pull(desk)
        except StoreBusy:
            busy += 1  # nothing was kept of what it asked for: it asks again
    store.close()
    tell("ended", lost=lost, busy=busy)


def _pull(desk: Desk) -> int:
    """One poll and its acks; how many of them came too late."""
    from postroom.store.errors import LostLease

    lost = 0
    for delivery in desk.poll(PULL, wait=0.2, max=5, lease=1.0):
        n = json.loads(delivery.body)["n"]
        digest(n)
        done = {"to": LEDGER, "type": "Done", "body": {"n": n}}
        try:
            desk.ack(delivery.id, delivery.fence, sends=[done])
        except LostLease:
            lost += 1
    return lost


def holder(args: argparse.Namespace) -> None:
    """Hold the write lock as somebody would who knows nothing of postroom."""
    import sqlite3

    connection = sqlite3.connect(args.store.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    tell("holding")
    ordered(60)
    connection.execute("COMMIT")
    connection.close()
    tell("ended")


def forker(args: argparse.Namespace) -> None:
    """Open a store, fork, and try it on both sides."""
    from postroom.store.errors import PostroomError
    from postroom.store.records import InboxSpec, Register
    from postroom.store.transact import transact_one
    from postroom.store.urls import open_store

    store = open_store(args.store, create=True)
    register = Register((InboxSpec("worker/fork"),))
    tries: dict[str, Callable[[], object]] = {
        "read": lambda: store.counts(),
        "write": lambda: transact_one(store, register),
        "claim": lambda: store.begin(),
    }
    child = os.fork()
    if child == 0:
        for name, attempt in tries.items():
            try:
                attempt()
            except PostroomError as error:
                tell("refused", attempt=name, error=str(error))
            else:
                tell("worked", attempt=name)
        os._exit(0)
    os.waitpid(child, 0)
    tries["read"]()
    tries["write"]()
    store.close()
    tell("ended")


ROLES = {"node": node, "sender": sender, "puller": puller, "holder": holder, "forker": forker}


def main() -> None:
    """Play the role that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("store")
    parser.add_argument("--name", default="a")
    parser.add_argument("--grace", type=float, default=10.0)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--session", type=float, default=60.0, help="how long a node's session lasts")
    parser.add_argument("--pace", type=float, default=0.0, help="how long a job waits on average")
    parser.add_argument("--start", type=int, default=1)
    parser.add_argument("--waiting", type=int, default=1_000_000_000)
    args = parser.parse_args()
    ROLES[args.role](args)


if __name__ == "__main__":
    main()
