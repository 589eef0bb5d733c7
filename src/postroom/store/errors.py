"""The one tree of errors.

Every error a person can meet says what happened, why, and what to do, in one line each.
The class carries the stable ``code``; the instance carries the data.

    PostroomError
    ├── BadInput            the request itself is wrong; nothing was changed
    ├── Refused             the request is well formed and the answer is no; nothing was changed
    │   ├── UnknownInbox · UnknownMessage · InboxEnded · InboxFull · EmptyGroup
    │   └── Conflict
    │       └── LostLease
    │           └── LostTerm
    └── StoreUnavailable
        └── StoreBusy · StoreFull · OutcomeUnknown
"""

from __future__ import annotations

from typing import Any


def one_line(said: object) -> str:
    """What somebody else's error says, in one line whatever its line breaks."""
    return " ".join(str(said).split())


class PostroomError(Exception):
    """Root of all errors raised on purpose by postroom.

    ``what`` names the event, ``why`` the cause, ``do`` the next step for a person.
    """

    code = "error"

    def __init__(self, what: str, why: str = "", do: str = "") -> None:
        super().__init__(what, why, do)
        self.what = what
        self.why = why
        self.do = do

    def __str__(self) -> str:
        text = self.what
        if self.why:
            text += f": {self.why}"
        if self.do:
            text += f" ({self.do})"
        return text

    def lines(self) -> list[str]:
        """What people are shown: one line, or more where more than one thing is wrong."""
        return [str(self)]

    def details(self) -> dict[str, Any]:
        """What programs are told beside what, why and what to do."""
        return {}


class BadInput(PostroomError):
    """The request cannot mean anything. Never raised for a state of the store."""

    code = "bad_input"


class Refused(PostroomError):
    """The request is well formed, and the store's present state forbids it."""

    code = "refused"


class UnknownInbox(Refused):
    """The recipient was never registered."""

    code = "unknown_inbox"


class UnknownMessage(Refused):
    """No message with this id is remembered."""

    code = "unknown_message"


class InboxEnded(Refused):
    """The recipient existed and has ended; it takes no more mail."""

    code = "inbox_ended"


class InboxFull(Refused):
    """The inbox is at its bound and its policy is to refuse."""

    code = "inbox_full"


class EmptyGroup(Refused):
    """A route resolved to nobody."""

    code = "empty_group"


class Conflict(Refused):
    """Somebody else's committed change forbids this one: same id with other content, a stale
    version, an activation that is taken."""

    code = "conflict"


class LostLease(Conflict):
    """The fence is not the one the message is leased under. None of the caller's effects were kept.

    Not raised when the same settlement is repeated with the same fence: that answers ``already``.
    """

    code = "lost_lease"


class LostTerm(LostLease):
    """The lease still holds, but its actor has come alive elsewhere. None of the effects were kept."""


class StoreUnavailable(PostroomError):
    """The store cannot be opened, read or written now. Nothing of the request was kept."""

    code = "store_unavailable"


class StoreBusy(StoreUnavailable):
    """Another process holds the write lock. Retrying is right; the group commit does it by itself."""

    code = "store_busy"


class StoreFull(StoreUnavailable):
    """There is no room on the store's disk, or so little that it is kept for settling what is there.

    Nothing of the request was kept. It is accepted again by itself once there is room.
    """

    code = "store_full"


class OutcomeUnknown(StoreUnavailable):
    """The store failed while committing: the request may or may not have been kept.

    Repeat it with the same id; a message that was kept answers ``duplicate``.
    """

    code = "outcome_unknown"


class NoAnswer(PostroomError):
    """The message that was asked can give no answer any more: it is dead, expired, bounced or cancelled."""

    code = "no_answer"
