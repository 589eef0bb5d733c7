"""The app thread behind an address: whom to wake so that somebody looks into that inbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ..store.errors import Conflict
from .address import check_address
from .envelope import check_text
from .keeping import Kept

if TYPE_CHECKING:
    from ..store.port import Store
    from ..store.records import Write


class Thread(Struct, frozen=True, gc=False):
    """An app thread. ``thread_id`` is what its app calls it; ``since`` is wall time in microseconds."""

    address: str
    thread_id: str
    title: str | None
    since: int


THREADS = Kept("postroom/threads", "thread", Thread)


def find(store: Store, address: str) -> tuple[Thread | None, int]:
    """The thread of an address and its record's version; None and 0 if it has none."""
    return THREADS.find(store, address)


def assign(
    store: Store, address: str, thread_id: str, title: str | None = None
) -> tuple[Thread, Write | None]:
    """The thread to have and the write that makes it so; no write if nothing changes.

    Assigning the same thread again may change its title. Raises ``BadInput``, and ``Conflict`` if
    another thread is assigned: only ``rotate`` replaces one.
    """
    wanted = _made(store, address, thread_id, title)
    present, version = find(store, address)
    if present is None:
        return wanted, THREADS.write(address, wanted, version)
    if present.thread_id != wanted.thread_id:
        raise Conflict(
            f"{address} has thread {present.thread_id}",
            f"{wanted.thread_id} is another",
            "replace it with: postroom wakeup rotate",
        )
    if title is None or title == present.title:
        return present, None
    return wanted, THREADS.write(address, wanted, version)


def rotate(
    store: Store, address: str, old_id: str, new_id: str, title: str | None = None
) -> tuple[Thread, Write]:
    """The new thread of an address and the write that puts it in the place of ``old_id``.

    Raises ``BadInput``, and ``Conflict`` if the address has another thread now, or none.
    """
    wanted = _made(store, address, new_id, title)
    present, version = find(store, address)
    if present is None or present.thread_id != old_id:
        has = "no thread" if present is None else f"thread {present.thread_id}"
        raise Conflict(f"{address} has {has}", f"it is not {old_id}", "look again with: postroom loop status")
    return wanted, THREADS.write(address, wanted, version)


def _made(store: Store, address: str, thread_id: str, title: str | None) -> Thread:
    check_address(address)
    check_text("thread id", thread_id)
    if title is not None:
        check_text("thread title", title)
    return Thread(address, thread_id, title, store.clock.now().wall)
