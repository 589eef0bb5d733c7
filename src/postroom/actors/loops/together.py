"""All or nothing: a change of several records and messages, for programs without an event loop.

In a batch a refused operation fails alone, so a record and the message that belongs to it could part.
Here a refusal undoes the transaction before it is committed. What was read before is guarded by the
versions that the writes expect: if one has changed, everything is read and decided anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from ...store.errors import Conflict, OutcomeUnknown, PostroomError, StoreBusy
from ...store.port import Store
from ...store.records import Answer, Operation
from ...store.transact import begin

T = TypeVar("T")
Decide = Callable[[], tuple[T, Sequence[Operation]]]
ATTEMPTS = 8
"""How often a change is decided anew because somebody else was quicker."""


def _as_it_stands(answers: Sequence[Answer]) -> bool:
    """Any answers will do."""
    return True


def together(
    store: Store,
    decide: Decide[T],
    *,
    still: Callable[[Sequence[Answer]], bool] = _as_it_stands,
    nap: Callable[[float], None] = time.sleep,
) -> T:
    """Let ``decide`` read and choose, and commit all of its operations in one transaction, or none.

    ``decide`` must only read; it is called again if a version that it read has changed, or if ``still``
    is not content with the answers, which are those of the transaction before it is committed. What it
    answered last is durable on return. Raises what it raises, the first refusal of an operation,
    ``StoreBusy``, and ``OutcomeUnknown``: then the store has been opened anew, and the same call tells
    what is true. Not for a handle that a ``GroupCommit`` uses.
    """
    for attempt in range(1, ATTEMPTS + 1):
        value, operations = decide()
        if not operations:
            return value
        begin(store, nap=nap)
        try:
            if _apply(store, operations, still, last=attempt == ATTEMPTS):
                store.commit()
                return value
            store.rollback()
        except OutcomeUnknown:
            store.rollback()
            store.reopen()
            raise
        except BaseException:
            store.rollback()
            raise
    raise StoreBusy("others change the same things", f"{ATTEMPTS} attempts were too slow", "try again")


def _apply(
    store: Store, operations: Sequence[Operation], still: Callable[[Sequence[Answer]], bool], *, last: bool
) -> bool:
    """Apply everything; False if it has to be decided anew. Raises a refusal, a conflict only at last."""
    answers = store.apply(operations)
    for answer in answers:
        if isinstance(answer, Conflict) and not last:
            return False
        if isinstance(answer, PostroomError):
            raise answer
    return still(answers)
