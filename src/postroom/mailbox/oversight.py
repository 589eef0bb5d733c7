"""What an operator does: looks, switches inboxes, deals with dead letters, pairs tasks.

Each verb that changes something is one transaction, durable when it returns. A ``PostroomError``
means that nothing was changed, but for ``OutcomeUnknown``: there the same call tells what is true.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..store.errors import BadInput, OutcomeUnknown, PostroomError
from ..store.port import Store
from ..store.records import (
    Answer,
    Changed,
    Control,
    Drop,
    InboxCounts,
    InboxSpec,
    Operation,
    Register,
    Requeue,
    StoredMessage,
    Switch,
)
from ..store.states import State
from ..store.transact import transact
from . import pairs, verbs
from .address import check_address, check_inbox
from .codec import encode
from .envelope import check_text

STATES = frozenset(state.word for state in State)
T = TypeVar("T")


class Oversight:
    """Looks at one store and keeps it in order. ``nap`` sleeps for so many seconds."""

    def __init__(self, store: Store, *, nap: Callable[[float], None] = time.sleep) -> None:
        self.store = store
        self._nap = nap

    # Looking

    def show(self, id: bytes) -> StoredMessage:
        """The message with its history. Raises ``UnknownMessage``."""
        return verbs.message_of(self.store, id)

    def peek(
        self, inbox: str, limit: int = 20, *, state: str | None = None, after: int = 0
    ) -> list[StoredMessage]:
        """Messages in claiming order, leasing none. ``after`` pages by ``seq``. Raises ``UnknownInbox``."""
        if state is not None and state not in STATES:
            raise BadInput(f"no state {state[:60]!r}", f"there are {', '.join(sorted(STATES))}", "choose")
        self.inbox(inbox)
        return self.store.peek(inbox, limit, state=state, after=after)

    def inboxes(self) -> list[InboxCounts]:
        """All inboxes as of now, by name."""
        return self.store.counts()

    def inbox(self, inbox: str) -> InboxCounts:
        """One inbox as of now. Raises ``UnknownInbox``."""
        return verbs.counts_of(self.store, inbox)

    def dead(self, inbox: str | None = None, limit: int = 100) -> list[StoredMessage]:
        """Dead letters of one inbox or of all, oldest first. Raises ``UnknownInbox``."""
        if inbox is not None:
            self.inbox(inbox)
        return self.store.dead(inbox, limit)

    # Switching inboxes, and what lies dead in them

    def register(self, *addresses: str) -> Changed:
        """Make inboxes exist and give them the mail that was held for them; how many are new."""
        specs = tuple(InboxSpec(check_address(address)) for address in addresses)
        return self._one(Register(specs), Changed)

    def pause(self, inbox: str, key: str | None = None) -> Changed:
        """Deliver nothing more, or nothing of the correlation id ``key``; mail is still accepted."""
        if key is not None:
            check_text("key", key)
        return self._switch(inbox, Switch.PAUSE, key)

    def resume(self, inbox: str, key: str | None = None) -> Changed:
        """Undo ``pause`` and ``drain``."""
        if key is not None:
            encode(key)  # any text that the store can hold may have been a key once
        return self._switch(inbox, Switch.RESUME, key)

    def drain(self, inbox: str) -> Changed:
        """Accept nothing more; what is there is still delivered."""
        return self._switch(inbox, Switch.DRAIN)

    def purge(self, inbox: str) -> Changed:
        """Cancel all mail that nobody has claimed; how many messages that were."""
        return self._switch(inbox, Switch.PURGE)

    def end(self, inbox: str) -> Changed:
        """End an inbox for good: unclaimed mail bounces, and it takes no more."""
        return self._switch(inbox, Switch.END)

    def _switch(self, inbox: str, switch: Switch, key: str | None = None) -> Changed:
        return self._one(Control(check_inbox(inbox), switch, key), Changed)

    def requeue(self, *ids: bytes) -> Changed:
        """Make dead messages ready with all attempts before them: all of these, or none.

        Raises ``UnknownMessage``, and ``Conflict`` for one that is not dead.
        """
        return self._one(Requeue(ids), Changed)

    def drop(self, *ids: bytes) -> Changed:
        """Give dead messages up: all of these, or none. Raises as ``requeue`` does."""
        return self._one(Drop(ids), Changed)

    # Pairs

    def pair(self, task: str, manager: str, worker: str) -> pairs.Pairing:
        """Bind a task to its manager and worker, and make both inboxes exist.

        Pairing the same again changes nothing. Raises ``BadInput``, and ``Conflict`` if the task
        or the worker is bound otherwise.
        """
        wanted = pairs.new_binding(task, manager, worker, self.store.clock.now().wall)
        binding, put = pairs.bind(self.store, wanted)
        self._all([pairs.registration(binding)] if put is None else [put, pairs.registration(binding)])
        return pairs.Pairing(binding, put is None)

    def unpair(self, task: str) -> pairs.Pairing:
        """End a task's binding, so that its worker is free; the inboxes stay. Raises ``Refused``."""
        binding, put = pairs.unbind(self.store, task)
        if put is not None:
            self._all([put])
        return pairs.Pairing(binding, put is None)

    # The store

    def _one(self, operation: Operation, kind: type[T]) -> T:
        """Apply one operation, whose result is a ``kind``; raises the error that refuses it."""
        (answer,) = self._all([operation])
        assert isinstance(answer, kind), f"a {type(operation).__name__} was answered by {answer!r}"
        return answer

    def _all(self, operations: Sequence[Operation]) -> list[Answer]:
        """Apply in one transaction; the first refusal is raised."""
        try:
            answers = transact(self.store, operations, nap=self._nap)
        except OutcomeUnknown:
            self.store.reopen()
            raise
        for answer in answers:
            if isinstance(answer, PostroomError):
                raise answer
        return answers
