"""The store port: the one door through which anything becomes durable.

A store is a synchronous object. It changes only inside a transaction that is opened, filled with
one batch of operations and committed::

    store.begin()                 # takes the write lock or raises StoreBusy at once; never waits
    answers = store.apply(batch)  # one answer for each operation, in order
    store.commit()                # durable when this returns; may run in another thread

Until then the answers may change: an engine whose transactions run side by side may find out last of all
that another one got in between, and apply the batch anew.

``GroupCommit`` does this for trio programs, ``transact`` for programs without an event loop.
Reading never needs the write lock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from .clock import Clock
from .records import (
    Answer,
    InboxCounts,
    Operation,
    Record,
    Session,
    StoredMessage,
    Term,
    Verification,
)


class TurnMarks(Protocol):
    """Which turns of one session have begun and not ended, in a place that survives the process.

    It decides who is charged when a process dies with many messages in hand: only the turns that
    were running keep the attempt, the ones that merely waited get it back.
    """

    def begin(self, seq: int) -> int:
        """Note that the turn of message ``seq`` runs now; returns the slot to give to ``end``."""
        ...

    def end(self, slot: int) -> None: ...

    def close(self) -> None: ...


LOOK_AGAIN = (0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.004, 0.008)
"""Seconds between looks after a hint: soon at first, then for as long as a slow disk may sync."""


class CommitWatch(Protocol):
    """A hint that is waited for as a file: readable means that a commit is about to happen.

    ``changed_elsewhere`` tells when it has: look again after each of ``LOOK_AGAIN``.
    """

    def fileno(self) -> int: ...

    def drain(self) -> None:
        """Take the hints that are there."""
        ...

    def close(self) -> None: ...


class Store(Protocol):
    """What every engine offers. Errors: ``StoreUnavailable`` for storage that does not answer."""

    @property
    def url(self) -> str: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def commits_in_thread(self) -> bool:
        """Whether ``commit`` may block on a device and so belongs in a thread when it is slow."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether a transaction waits for a server from its beginning: it belongs in a thread as a whole."""
        ...

    def begin(self) -> None:
        """Open a transaction. Raises ``StoreBusy`` when another process holds the lock."""
        ...

    def apply(self, batch: Sequence[Operation]) -> list[Answer]:
        """Apply a batch inside the open transaction; a refused operation fails alone."""
        ...

    def commit(self) -> None:
        """Make the batch durable. Any failure is ``OutcomeUnknown``, never "failed"."""
        ...

    def rollback(self) -> None: ...

    def reopen(self) -> None:
        """Open the storage anew after ``OutcomeUnknown``: what it then shows is what was kept."""
        ...

    def rung(self) -> set[str]:
        """Inboxes that the last committed batch gave claimable mail, for doorbells; then forgets."""
        ...

    def changed_elsewhere(self) -> bool:
        """Whether another process may have committed since the last call. Cheap; only a hint."""
        ...

    def watch(self) -> CommitWatch | None:
        """Something readable when another process may have committed; None where there is none."""
        ...

    def on_commit(self, ring: Callable[[], None]) -> Callable[[], None] | None:
        """Have ``ring`` called after each commit of another handle within this process.

        It is a hint as that of ``watch``; ``ring`` must not raise. Returns what ends it, or None where
        such commits cannot be told.
        """
        ...

    def commit_delay(self) -> float:
        """Seconds that the next commit takes in a simulated store; 0.0 for a real one.

        They pass before the batch begins, so that nobody else finds the store locked meanwhile.
        """
        ...

    def turn_marks(self, session: int) -> TurnMarks: ...

    def message(self, id: bytes) -> StoredMessage | None:
        """The message with its history, or None if it is not remembered."""
        ...

    def peek(
        self, inbox: str, limit: int, *, state: str | None = None, after: int = 0
    ) -> list[StoredMessage]:
        """Messages in claiming order; changes nothing. ``after`` pages by ``seq``."""
        ...

    def dead(self, inbox: str | None, limit: int) -> list[StoredMessage]: ...

    def counts(self, inbox: str | None = None) -> list[InboxCounts]:
        """Counts of one inbox (empty if unknown) or of all, by name. The one definition of claimable."""
        ...

    def ready_inboxes(self) -> set[str]:
        """The inboxes that have ready mail and are not paused. Quick however much mail there is."""
        ...

    def paused(self) -> set[tuple[str, str | None]]:
        """What is paused: inboxes with a key each, or with None where all of the inbox is."""
        ...

    def records(self, owner: str, kind: str | None = None, key: str | None = None) -> list[Record]: ...

    def sessions(self) -> list[Session]: ...

    def activations(self) -> list[Term]: ...

    def verify(self, *, deep: bool = False) -> Verification: ...

    def backup(self, path: str) -> None:
        """Write a consistent copy to a new file while others go on working."""
        ...

    def close(self) -> None: ...
