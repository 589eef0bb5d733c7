"""The verbs of whoever fetches their mail themselves, as the operations they stand for.

``Desk`` commits them without an event loop, ``actors.clerk`` in a trio program: both ask here what a
verb means, so that it means the same. Nothing is changed here; all input is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ..store.errors import BadInput, InboxEnded, UnknownInbox, UnknownMessage
from ..store.records import (
    Claim,
    Delivery,
    Extend,
    Put,
    Send,
    Settle,
    StoredMessage,
    Unrouted,
    Verdict,
    Write,
)
from . import threads, wakes
from .address import check_inbox, shared_inbox
from .envelope import check_text, micros
from .ids import id_text
from .outputs import answer, outgoing, reply_address

if TYPE_CHECKING:
    from ..store.port import Store
    from ..store.records import InboxCounts

LEASE = 60.0
LONGEST_LEASE = 86_400.0
LONGEST_WAIT = 7 * 86_400.0
MOST = 1000
"""Messages that one claim may take."""

NOTICES = 3
"""How often a poll is told to whoever wakes its address, if that changes meanwhile."""


# Looking


def message_of(store: Store, id: bytes) -> StoredMessage:
    """The message with its history. Raises ``UnknownMessage``."""
    found = store.message(id)
    if found is None:
        raise UnknownMessage(
            f"no message {id_text(id)}", "it was never sent, or is forgotten", "check the id"
        )
    return found


def counts_of(store: Store, inbox: str) -> InboxCounts:
    """One inbox as of now. Raises ``BadInput`` and ``UnknownInbox``."""
    found = store.counts(check_inbox(inbox))
    if not found:
        raise UnknownInbox(f"no inbox {inbox}", "it was never registered", "register it with: postroom pair")
    return found[0]


def ready_in(counts: InboxCounts) -> int:
    """How many of the messages that were counted a claim could take: the one definition of claimable."""
    return 0 if counts.paused else counts.ready


def claimable(store: Store, inbox: str) -> int:
    """How many messages a claim from this inbox alone could take now; 0 if there is no such inbox."""
    return sum(map(ready_in, store.counts(inbox)))


def has_mail(store: Store, inbox: str) -> bool:
    """Whether there is something to claim, in the inbox or its role's shared one.

    True where to ask a server for it would take longer than to claim.
    """
    if store.is_remote:
        return True
    shared = shared_inbox(inbox)
    return claimable(store, inbox) > 0 or (shared is not None and claimable(store, shared) > 0)


# Taking


def check_poll(inbox: str, wait: float, most: int, lease: float, key: str | None) -> None:
    """Check what a poll is given. Raises ``BadInput``."""
    check_inbox(inbox)
    if not 1 <= most <= MOST:
        raise BadInput(f"max is {most}", f"it must lie in 1 to {MOST}", "choose another")
    if key is not None:
        check_text("key", key)
    lease_us(lease)
    micros("wait", wait, 0, LONGEST_WAIT)


def claims(store: Store, inbox: str, most: int, lease: float, key: str | None) -> Iterator[Claim]:
    """The claims to try in turn until one is not refused with ``UnknownInbox``; none while paused.

    The first takes from the role's shared inbox too, which need not exist. Where nothing is found,
    ``check_open`` says whether there is an inbox at all: whoever gets mail need not ask.
    """
    if (inbox, None) in store.paused():
        return
    shared = shared_inbox(inbox)
    if shared is not None:
        yield Claim((inbox, shared), most, 0, lease_us(lease), True, key)
    yield Claim((inbox,), most, 0, lease_us(lease), True, key)


def check_open(store: Store, inbox: str) -> None:
    """Raises ``UnknownInbox`` for an inbox that was never registered, ``InboxEnded`` for one that is over."""
    if counts_of(store, inbox).ended:
        raise InboxEnded(f"inbox {inbox} has ended", "it takes no more mail", "register it again")


def notices(store: Store, inbox: str, found: Sequence[Delivery]) -> Iterator[Put]:
    """What a poll says of the wake before it, and which shared mail this address now holds.

    To be said in turn until one is not refused: a ``Conflict`` means that who wakes it has just written
    something, and the next says it of that. None where there is nothing to say.
    """
    for _ in range(NOTICES):
        wake, version = wakes.find(store, inbox)
        shared = tuple((id_text(one.id), one.fence) for one in found if one.recipient != inbox)
        if shared and not version and threads.find(store, inbox)[0] is None:
            shared = ()  # nobody wakes this address, so nobody asks what it holds
        after = wakes.polled(wake, len(found), shared)
        if after == wake:
            return
        yield Put((wakes.write(inbox, after, version),))


# Settling


def ack_of(
    store: Store,
    id: bytes,
    fence: int,
    reply: bytes | None,
    sends: Sequence[Mapping[str, object]],
    *,
    reply_type: str = "reply",
    writes: Sequence[Write] = (),
) -> Settle:
    """A lease's end as done, with its reply, sends and writes. Raises ``UnknownMessage``, ``BadInput``."""
    outputs: list[Send] = []
    if reply is not None or sends:
        source = message_of(store, id)
        if reply is not None:
            outputs.append(answer(source, fence, reply_type, reply, _if_nobody(store, source)))
        outputs += outgoing(source, fence, sends)
    return Settle(id, fence, Verdict.ACK, outputs=outputs, writes=writes)


def _if_nobody(store: Store, source: StoredMessage) -> Unrouted:
    """What becomes of a reply if the asker is not there, which is not the worker's fault."""
    ended = any(counts.ended for counts in store.counts(reply_address(source)))
    return Unrouted.BOUNCE if ended else Unrouted.HOLD


def nack_of(
    id: bytes, fence: int, delay: float | None, reason: str | None, *, dead: bool, release: bool
) -> Settle:
    """A lease's end as not done. Raises ``BadInput``."""
    if dead and release:
        raise BadInput("dead and release exclude each other", "a message has one fate", "choose")
    if delay is not None and (dead or release):
        raise BadInput("a delay is for a retry", "dead and release take none", "leave one out")
    if reason is not None:
        check_text("reason", reason, 2000)
    verdict = Verdict.DEAD if dead else Verdict.RELEASE if release else Verdict.RETRY
    delay_us = None if delay is None else micros("delay", delay, 0, LONGEST_WAIT)
    return Settle(id, fence, verdict, delay_us=delay_us, reason=reason)


def extend_of(id: bytes, fence: int, lease: float) -> Extend:
    """A lease that lasts ``lease`` seconds from now. Raises ``BadInput``."""
    return Extend(id, fence, lease_us(lease))


def lease_us(seconds: float) -> int:
    """A lease in microseconds. Raises ``BadInput`` for one that is too short or too long."""
    return micros("lease", seconds, 0.001, LONGEST_LEASE)
