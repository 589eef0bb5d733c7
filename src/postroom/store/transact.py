"""One batch, one transaction, for programs without an event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from .errors import PostroomError, StoreBusy
from .port import Store
from .records import Answer, Operation, Result

FIRST_NAP, LONGEST_NAP = 0.0003, 0.002
DEADLINE_SECONDS = 5.0
"""How long the write lock is waited for."""


def transact(
    store: Store,
    batch: Sequence[Operation],
    *,
    deadline_seconds: float = DEADLINE_SECONDS,
    nap: Callable[[float], None] = time.sleep,
) -> list[Answer]:
    """Apply a batch durably and answer each operation.

    Another process may hold the lock, which is waited for. Raises ``StoreBusy`` past the deadline and
    ``OutcomeUnknown`` if the commit itself fails.
    """
    begin(store, deadline_seconds=deadline_seconds, nap=nap)
    try:
        answers = store.apply(batch)
        store.commit()
    except BaseException:
        store.rollback()
        raise
    return answers


def begin(
    store: Store, *, deadline_seconds: float = DEADLINE_SECONDS, nap: Callable[[float], None] = time.sleep
) -> None:
    """Take the write lock. Its holders yield often, so short naps are enough. Raises ``StoreBusy``."""
    waited, pause = 0.0, FIRST_NAP
    while True:
        try:
            store.begin()
        except StoreBusy:
            if waited >= deadline_seconds:
                raise
            nap(pause)
            waited += pause
            pause = min(pause * 1.5, LONGEST_NAP)
        else:
            return


def transact_one(store: Store, operation: Operation, *, deadline_seconds: float = DEADLINE_SECONDS) -> Result:
    """Apply one operation; raises the ``PostroomError`` that refuses it."""
    (answer,) = transact(store, [operation], deadline_seconds=deadline_seconds)
    if isinstance(answer, PostroomError):
        raise answer
    return answer
