"""Waiting for what other processes make true."""

from __future__ import annotations

import time
from collections.abc import Callable

from postroom.mailbox.waiting import Hints, Patience
from postroom.store.port import Store

GLANCE_SECONDS = 0.1
"""What only time makes true commits nothing, so it is looked for this often."""


def until(store: Store, true: Callable[[], bool], within: float = 15.0) -> None:
    """Wait until something about a store is true. Raises ``AssertionError`` if it does not become so."""
    patience = Patience(store.clock, within)
    with Hints(store, time.sleep) as hints:
        while not true():
            assert patience.left(), f"not true within {within} s"
            hints.wait(GLANCE_SECONDS)
