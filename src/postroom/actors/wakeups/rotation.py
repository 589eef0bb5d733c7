"""Another app thread takes over an address: by compare-and-set, so that two who rotate cannot both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...mailbox import pairs, threads, wakes
from ...store.records import Put
from .planning import binding_of

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
    address = pairs.address_of(binding_of(store, task), role)
    thread, write = threads.rotate(store, address, old_id, new_id, title)
    off = wakes.called_off(store, address)
    return thread, Put((write,) if off is None else (write, off))
