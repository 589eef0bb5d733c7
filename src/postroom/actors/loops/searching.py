"""Finding sessions and events of tasks by a word: a side's task, address or app thread, or what was said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ...mailbox import heartbeats, pairs, threads
from ...mailbox.heartbeats import MANAGER, WORKER
from ...mailbox.views import time_text
from .records import history

if TYPE_CHECKING:
    from ...mailbox.pairs import Binding
    from ...mailbox.searching import Word
    from ...store.port import Store


def sessions(store: Store, word: Word) -> list[dict[str, Any]]:
    """The sides of all bindings, ended ones too, that have the word in a name; by task."""
    sides = (
        _session(store, binding, role) for binding in pairs.bindings(store) for role in (MANAGER, WORKER)
    )
    names = ("task", "role", "address", "thread_id", "thread_title")
    return [side for side in sides if word.among(*(side[name] for name in names))]


def _session(store: Store, binding: Binding, role: str) -> dict[str, Any]:
    address = pairs.address_of(binding, role)
    thread, _ = threads.find(store, address)
    beat, _ = heartbeats.find(store, role, binding.task)
    return {
        "task": binding.task,
        "role": role,
        "address": address,
        "binding": binding.state,
        "health": str(heartbeats.health(store.clock, beat)),
        "heartbeat_at": None if beat is None else time_text(beat.at.wall),
        "thread_id": None if thread is None else thread.thread_id,
        "thread_title": None if thread is None else thread.title,
    }


def events(store: Store, word: Word, limit: int) -> list[dict[str, Any]]:
    """The newest events of all loops that have the word in them, at most so many."""
    found = [
        (event.at, {"task": binding.task, **msgspec.to_builtins(event), "at": time_text(event.at)})
        for binding in pairs.bindings(store)
        for event in history(store, binding.task)
        if word.among(event.event, event.by, msgspec.json.encode(event.data).decode())
    ]
    return [view for _, view in sorted(found, key=lambda one: one[0], reverse=True)[:limit]]
