"""Read, decide, write what was decided; and again from the start if somebody wrote meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ...store.errors import Conflict
from ...store.transact import transact_one

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...store.port import Store
    from ...store.records import Put

T = TypeVar("T")
TRIES = 5


def decided(store: Store, decide: Callable[[], tuple[T, Put | None]]) -> tuple[T, bool]:
    """What was decided, and whether anything was written; that is durable then.

    Raises what ``decide`` raises, and ``Conflict`` if others are always faster.
    """
    for _ in range(TRIES - 1):
        made, put = decide()
        if put is None:
            return made, False
        try:
            transact_one(store, put)
        except Conflict:
            continue
        return made, True
    made, put = decide()
    if put is not None:
        transact_one(store, put)
    return made, put is not None
