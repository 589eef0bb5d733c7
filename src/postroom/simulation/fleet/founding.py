"""Founding a fleet: its pairs, inboxes and threads are made as anybody would make them, by the port."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from random import Random

from msgspec import Struct

from ...mailbox import pairs, threads
from ...mailbox.heartbeats import MANAGER, WORKER
from ...store.errors import PostroomError
from ...store.port import Store
from ...store.records import InboxSpec, Operation, Put, Register
from ...store.transact import transact
from .arrivals import ANY_WORKER, Pair
from .crew import AppThread, thread_id
from .options import Options

BATCH = 2000
ANY_MANAGER = "any:manager"


class Founded(Struct, frozen=True):
    """A fleet that is there. ``unassigned`` are the addresses whose thread nobody knows yet."""

    pairs: list[Pair]
    members: dict[str, AppThread]
    unassigned: list[str]


def found(store: Store, options: Options) -> Founded:
    """Pair all tasks, register all inboxes, assign the threads. Everything is durable on return."""
    fleet, rng = options.fleet, Random(f"{options.seed}/founding")
    made: list[Pair] = []
    members: dict[str, AppThread] = {}
    for n in range(options.pairs):
        pair = Pair(f"task-{n}", f"manager/m{n // fleet.fleet.workers_per_manager}", f"worker/w{n}")
        made.append(pair)
        slow = rng.random() < fleet.turns.slow
        members[pair.worker] = AppThread(
            pair.worker, WORKER, pair.task, fleet.turns.slow_factor if slow else 1.0
        )
        if pair.manager not in members:
            members[pair.manager] = AppThread(pair.manager, MANAGER, pair.task, 1.0)
    unassigned = {address for address in members if rng.random() < fleet.threads.unassigned}
    _apply(store, _operations(store, made, members.keys() - unassigned))
    return Founded(made, members, sorted(unassigned))


def _operations(store: Store, made: list[Pair], assigned: Iterable[str]) -> Iterator[Operation]:
    """What makes a fleet: inboxes, bindings, threads."""
    yield Register((InboxSpec(ANY_WORKER), InboxSpec(ANY_MANAGER)))
    since = store.clock.now().wall
    for pair in made:
        binding, put = pairs.bind(store, pairs.new_binding(pair.task, pair.manager, pair.worker, since))
        yield pairs.registration(binding)
        if put is not None:
            yield put
    for address in sorted(assigned):
        yield assignment(store, address)


def assignment(store: Store, address: str) -> Put:
    """What makes the thread of an address known."""
    _, write = threads.assign(store, address, thread_id(address))
    return Put(() if write is None else (write,))


def _apply(store: Store, operations: Iterator[Operation]) -> None:
    while batch := list(islice(operations, BATCH)):
        for answer in transact(store, batch):
            if isinstance(answer, PostroomError):
                raise answer
