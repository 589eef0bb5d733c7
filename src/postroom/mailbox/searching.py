"""Finding messages by a word in them, of all that the store remembers.

There is no index of words: every message is read. It is for people who look for something, not for
programs that route by it.
"""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING

import msgspec

from ..store.errors import BadInput
from ..store.states import State
from .envelope import check_text
from .ids import id_text
from .verbs import counts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..store.port import Store
    from ..store.records import StoredMessage

MOST = 1000
PAGE = 500
MOST_READY = 100_000
"""Messages that wait in one inbox and are looked through, the first to be claimed first."""


class Word:
    """What is looked for; upper and lower case count as the same."""

    def __init__(self, text: str) -> None:
        plain = check_text("text", text).casefold()
        self._forms = {plain, msgspec.json.encode(plain)[1:-1].decode()}  # also as it stands within JSON

    def among(self, *texts: str | None) -> bool:
        """Whether one of these has it."""
        return any(form in text.casefold() for text in texts if text is not None for form in self._forms)


def messages(store: Store, word: Word, limit: int, inbox: str | None = None) -> list[StoredMessage]:
    """The newest messages that have a word in their body or envelope, at most so many; changes nothing.

    Raises ``BadInput``, and ``UnknownInbox`` for one inbox that is not there.
    """
    if not 1 <= limit <= MOST:
        raise BadInput(f"limit is {limit}", f"it lies in 1 to {MOST}", "choose another")
    inboxes = (
        [counts.inbox for counts in store.counts()] if inbox is None else [counts_of(store, inbox).inbox]
    )
    found = (one for name in inboxes for one in _all(store, name) if _has(one, word))
    return nlargest(limit, found, key=lambda message: message.seq)


def _all(store: Store, inbox: str) -> Iterator[StoredMessage]:
    yield from store.peek(inbox, MOST_READY, state=State.READY.word)
    for state in State:
        if state is State.READY:
            continue
        page = store.peek(inbox, PAGE, state=state.word)
        while page:
            yield from page
            page = store.peek(inbox, PAGE, state=state.word, after=page[-1].seq)


def _has(message: StoredMessage, word: Word) -> bool:
    return word.among(
        message.body.decode(errors="replace"),
        message.type,
        message.sender,
        message.recipient,
        message.correlation_id,
        message.dedup_key,
        message.reason,
        message.error,
        id_text(message.id),
    )
