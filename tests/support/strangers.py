"""Processes that use a store's file and know nothing of postroom, and those that fork with it open.

Each tells its events as the crew does; the end of standard input is the order to stop.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Callable

import apsw
from crew import POOL, job_id, ordered, tell

from postroom.store.errors import PostroomError
from postroom.store.records import NewMessage, Send
from postroom.store.transact import transact_one
from postroom.store.urls import open_store

LONG = 120.0


def holder(path: str, url: str) -> None:
    """Hold the write lock."""
    connection = apsw.Connection(path)
    connection.set_busy_timeout(10_000)
    connection.execute("BEGIN IMMEDIATE")
    tell("holding")
    ordered(LONG)
    connection.execute("COMMIT")
    connection.close()


def pinner(path: str, url: str) -> None:
    """Read, and do not end the transaction."""
    connection = apsw.Connection(path)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM message").fetchall()
    tell("pinned")
    ordered(LONG)
    connection.execute("COMMIT")
    connection.close()


def meddler(path: str, url: str) -> None:
    """Write into the tables, to no effect, and checkpoint in every way."""
    connection = apsw.Connection(path)
    connection.set_busy_timeout(2000)
    rounds = 0
    while not ordered(0.005):
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE message SET type = type WHERE seq = (SELECT max(seq) FROM message)")
            connection.execute("UPDATE store SET registry = registry + 1")
            connection.execute("COMMIT")
            mode = ("PASSIVE", "FULL", "RESTART", "TRUNCATE")[rounds % 4]
            connection.pragma(f"wal_checkpoint({mode})")
        except apsw.BusyError:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            continue
        rounds += 1
    connection.close()
    tell("meddled", rounds=rounds)


def _send(url: str, n: int) -> str:
    """Send job n on a handle of its own; what the store said."""
    store = open_store(url, create=False)
    try:
        return transact_one(store, _job(n)).state  # type: ignore[union-attr]  # a send is answered Accepted
    finally:
        store.close()


def _job(n: int) -> Send:
    return Send(NewMessage(job_id(n), POOL, "sender/main", "Job", b'{"hard":false,"n":%d}' % n))


def reopener(path: str, url: str) -> None:
    """Fork with the store open; the child opens it again and goes on when the parent has closed it.

    What the child is told to be accepted has to be there afterwards.
    """
    store = open_store(url, create=False)
    back, forth = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        accepted: list[int] = []
        try:
            again = open_store(url, create=False)
            os.write(forth[1], b".")
            os.read(back[0], 1)
            for n in range(1, 11):
                transact_one(again, _job(n))
                accepted.append(n)
        except PostroomError as error:
            os.write(forth[1], b".")
            tell("refused", error=str(error), accepted=accepted)
        else:
            tell("worked", accepted=accepted)
        os._exit(0)
    os.read(forth[0], 1)
    store.close()
    os.write(back[1], b".")
    os.waitpid(child, 0)
    tell("forked")


def mid_turn(path: str, url: str) -> None:
    """Fork in the middle of a transaction; the child ends as programs do, and the parent commits."""
    store = open_store(url, create=False)
    store.begin()
    store.apply([_job(21)])
    child = os.fork()
    if child == 0:
        try:
            store.commit()
        except PostroomError as error:
            tell("refused", error=str(error), accepted=[])
        else:
            tell("worked", accepted=[])
        store.close()
        sys.exit(0)
    os.waitpid(child, 0)
    store.commit()
    transact_one(store, _job(22))
    store.close()
    tell("forked", accepted=[21, 22])


def spawner(path: str, url: str) -> None:
    """Have a spawned process send, while this one has the store open."""
    store = open_store(url, create=False)
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        said = pool.apply(_send, (url, 31))
    transact_one(store, _job(32))
    store.close()
    tell("forked", accepted=[31, 32], said=said)


ROLES: dict[str, Callable[[str, str], None]] = {
    "holder": holder,
    "pinner": pinner,
    "meddler": meddler,
    "reopener": reopener,
    "mid_turn": mid_turn,
    "spawner": spawner,
}


def main() -> None:
    """Play the role that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("store")
    args = parser.parse_args()
    ROLES[args.role](args.store.removeprefix("sqlite:///"), args.store)


if __name__ == "__main__":
    main()
