"""Another app thread takes over an address: by compare-and-set, so that two who rotate cannot both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...mailbox import threads, wakes
from ...store.records import Put
from .planning import binding_of, side

if TYPE_CHECKING:
    from ...mailbox.threads import Thread
    from ...store.port import Store


def rotate(
    store: Store, task: str, role: str, old_id: str, new_id: str, title: str | None = None
) -> tuple[Thread, Put]:
    """The thread that takes over a role of a task, and what to write for it.

    A wake on its way to the old thread counts for nothing: the new one may be woken at once. Raises
    ``Refused`` for an unknown task, ``Conflict`` if the old thread is another one, ``BadInput``.
    """
    address = side(binding_of(store, task), role)
    thread, write = threads.rotate(store, address, old_id, new_id, title)
    wake, version = wakes.find(store, address)
    after = wakes.failed(wakes.settled(store.clock, wake))
    if after == wake:
        return thread, Put((write,))
    return thread, Put((write, wakes.write(address, after, version)))
