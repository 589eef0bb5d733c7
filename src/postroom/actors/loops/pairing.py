"""Pairing with all that belongs to it: binding, inboxes, app threads and the loop, in one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from ...mailbox import heartbeats, pairs, threads
from ...store.records import Operation, Put, Write
from ..wakeups import autopilot
from . import iterations
from .change import Change
from .together import together

if TYPE_CHECKING:
    from ...mailbox.pairs import Binding
    from ...mailbox.threads import Thread
    from ...store.port import Store
    from .iterations import Terms
    from .records import Loop

ROLES = (heartbeats.MANAGER, heartbeats.WORKER)


class AppThread(Struct, frozen=True):
    """An app thread as it is given for a role."""

    id: str
    title: str | None = None


class Paired(Struct, frozen=True):
    """A task as it is paired now; ``already`` when nothing was changed. ``threads`` are by role."""

    binding: Binding
    loop: Loop
    threads: dict[str, Thread]
    already: bool


def pair(
    store: Store,
    wanted: Binding,
    given: Mapping[str, AppThread] | None = None,
    terms: Terms | None = None,
    *,
    nap: Callable[[float], None] = time.sleep,
) -> Paired:
    """Bind a task, make its inboxes, assign threads and start its loop, if ``terms`` are given.

    All of it or nothing; the same again changes nothing. Raises ``BadInput``, and ``Conflict`` if task or
    worker are bound otherwise, an address has another thread, or the loop has other terms.
    """

    def decide() -> tuple[Paired, list[Operation]]:
        binding, put = pairs.bind(store, wanted)
        writes: list[Write] = [] if put is None else [*put.writes, *_forgotten(store, binding.task)]
        kept: dict[str, Thread] = {}
        for role, thread in (given or {}).items():
            kept[role], write = _assigned(store, binding, role, thread, new=put is not None)
            writes += [] if write is None else [write]
        change = Change(store, binding)
        if terms is not None:
            iterations.start(change, terms)
        operations = change.operations()
        if writes:
            operations.append(Put(tuple(writes)))
        already = not operations
        return Paired(binding, change.loop, kept, already), [*operations, pairs.registration(binding)]

    return together(store, decide, nap=nap)


def _assigned(
    store: Store, binding: Binding, role: str, thread: AppThread, *, new: bool
) -> tuple[Thread, Write | None]:
    """The thread of a role and its write. A worker has one task: if that is new, its last thread is gone."""
    address = pairs.address_of(binding, role)
    present = threads.find(store, address)[0]
    if new and role == heartbeats.WORKER and present is not None and present.thread_id != thread.id:
        return threads.rotate(store, address, present.thread_id, thread.id, thread.title)
    return threads.assign(store, address, thread.id, thread.title)


def _forgotten(store: Store, task: str) -> list[Write]:
    """The writes that forget the heartbeats and the autopilot of an earlier binding: it is over."""
    found = {role: heartbeats.find(store, role, task)[1] for role in ROLES}
    writes = [heartbeats.FAMILIES[role].remove(task, version) for role, version in found.items() if version]
    _, version = autopilot.find(store, task)
    return [*writes, autopilot.PILOTS.remove(task, version)] if version else writes
