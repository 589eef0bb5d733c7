"""The verbs of an inbox for programs without an event loop.

Each verb is one transaction, durable when it returns. A ``PostroomError`` means that nothing was
changed, but for ``OutcomeUnknown``: there the same call, with the same id, tells what is true.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from ..store.errors import Conflict, InboxFull, StoreUnavailable, UnknownInbox
from ..store.port import Store
from ..store.records import (
    Accepted,
    Claimed,
    Delivery,
    Extended,
    Send,
    Settled,
    Unrouted,
    Write,
)
from . import verbs
from .envelope import MAX_ATTEMPTS, compose
from .ids import IdMaker
from .outputs import read_flags
from .oversight import Oversight
from .verbs import LEASE
from .waiting import Hints, Patience

OPERATOR = "operator/cli"
RECLAIM_SECONDS = 0.5
"""How long a waiting poll trusts that nothing came: due mail and lapsed leases commit nothing."""

BLOCK_SECONDS = 30.0
"""How long a send waits for room in an inbox whose policy is ``block``."""


class Desk(Oversight):
    """Sends, polls and settles on one store; also all that an operator does there."""

    def __init__(self, store: Store, ids: IdMaker, *, nap: Callable[[float], None] = time.sleep) -> None:
        super().__init__(store, nap=nap)
        self.ids = ids

    # Sending

    def send(
        self,
        to: str,
        type: str,
        body: bytes,
        *,
        sender: str = OPERATOR,
        id: bytes | None = None,
        dedup_key: str | None = None,
        delay: float = 0.0,
        expires: float | None = None,
        priority: str = "normal",
        correlation: str | None = None,
        causation: str | None = None,
        reply_to: str | None = None,
        headers: Mapping[str, object] | None = None,
        max_attempts: int = MAX_ATTEMPTS,
        hold: bool = False,
        block: float = BLOCK_SECONDS,
    ) -> Accepted:
        """Send one message. ``body`` is canonical JSON; ``delay`` and ``expires`` are in seconds.

        A full inbox whose policy is ``block`` is waited for, up to ``block`` seconds. Raises
        ``BadInput`` and what ``Refused`` stands for.
        """
        message = compose(
            id=self.ids.new() if id is None else id,
            recipient=to,
            sender=sender,
            type=type,
            body=body,
            priority=priority,
            correlation=correlation,
            causation=causation,
            reply_to=reply_to,
            dedup_key=dedup_key,
            headers=headers,
            delay=delay,
            expires=expires,
            max_attempts=max_attempts,
        )
        return self._send(Send(message, Unrouted.HOLD if hold else Unrouted.REFUSE), block)

    def send_flags(
        self, flags: Mapping[str, object], *, sender: str = OPERATOR, block: float = BLOCK_SECONDS
    ) -> Accepted:
        """Send one message whose flags are JSON keys; errors are those of ``send``."""
        return self._send(read_flags(flags).send(self.ids.new(), sender=sender), block)

    def _send(self, send: Send, block: float) -> Accepted:
        try:
            return self._one(send, Accepted)
        except InboxFull:
            if not self._blocks(send.message.recipient):
                raise
        patience = Patience(self.store.clock, block)
        with Hints(self.store, self._nap) as hints:
            while True:
                left = patience.left()
                hints.wait(min(left, RECLAIM_SECONDS))
                try:
                    return self._one(send, Accepted)
                except InboxFull:
                    if not left:
                        raise

    def _blocks(self, inbox: str) -> bool:
        return any(counts.policy == "block" for counts in self.store.counts(inbox))

    # Taking

    def poll(
        self,
        inbox: str,
        wait: float = 0.0,
        max: int = 1,
        lease: float = LEASE,
        key: str | None = None,
    ) -> list[Delivery]:
        """Lease up to ``max`` messages of an inbox and of its role's shared one, for ``lease`` seconds.

        An empty or paused inbox is waited for, up to ``wait`` seconds; the answer may be empty. A
        call repeated with the same ``key`` is given again what the first one leased. Raises
        ``UnknownInbox``, ``InboxEnded`` and ``BadInput``.
        """
        verbs.check_poll(inbox, wait, max, lease, key)
        found = self._claim(inbox, max, lease, key)
        if found or not wait:
            return found
        return self._wait(inbox, max, lease, key, wait)

    def _wait(self, inbox: str, most: int, lease: float, key: str | None, seconds: float) -> list[Delivery]:
        patience = Patience(self.store.clock, seconds)
        with Hints(self.store, self._nap) as hints:
            look = Patience(self.store.clock, RECLAIM_SECONDS)
            while left := patience.left():
                heard = hints.wait(min(left, look.left()))
                if look.left() and not (heard and verbs.has_mail(self.store, inbox)):
                    continue
                found = self._claim(inbox, most, lease, key)
                if found:
                    return found
                look = Patience(self.store.clock, RECLAIM_SECONDS)
        return self._claim(inbox, most, lease, key)

    def _claim(self, inbox: str, most: int, lease: float, key: str | None) -> list[Delivery]:
        for claim in verbs.claims(self.store, inbox, most, lease, key):
            with suppress(UnknownInbox):  # perhaps only the shared one
                found = self._one(claim, Claimed).deliveries
                self._notice(inbox, found)
                if found:
                    return found
                break
        verbs.check_open(self.store, inbox)
        return []

    def _notice(self, inbox: str, found: list[Delivery]) -> None:
        """Tell whoever wakes this address that it has polled."""
        # What was claimed is told in any case; a wake that nobody answers for is counted as lost.
        with suppress(StoreUnavailable):
            for put in verbs.notices(self.store, inbox, found):
                with suppress(Conflict):
                    self._all([put])
                    return

    # Settling

    def ack(
        self,
        id: bytes,
        fence: int,
        reply: bytes | None = None,
        sends: Sequence[Mapping[str, object]] = (),
        *,
        reply_type: str = "reply",
        writes: Sequence[Write] = (),
    ) -> Settled:
        """End a lease as done. The reply and the sends are committed with it, or nothing is.

        ``reply`` is canonical JSON; it goes to the message's ``reply_to``, else to its sender. It is
        held for an asker that was never registered, and bounces from one that has ended. ``sends``
        are flags of ``send`` as JSON keys, all checked before anything is changed; they come from
        the inbox that is acked unless they say otherwise. Past the bound of an inbox they are
        accepted all the same. ``writes`` are keyed records that commit with it. Raises
        ``UnknownMessage``, ``LostLease``, ``BadInput``, and what refuses one of the sends.
        """
        settle = verbs.ack_of(self.store, id, fence, reply, sends, reply_type=reply_type, writes=writes)
        return self._one(settle, Settled)

    def nack(
        self,
        id: bytes,
        fence: int,
        delay: float | None = None,
        reason: str | None = None,
        dead: bool = False,
        release: bool = False,
    ) -> Settled:
        """End a lease as not done: retry after ``delay`` seconds, or the standard backoff.

        ``dead`` buries the message at once; ``release`` makes it ready and gives the attempt back.
        Raises ``UnknownMessage``, ``LostLease`` and ``BadInput``.
        """
        return self._one(verbs.nack_of(id, fence, delay, reason, dead=dead, release=release), Settled)

    def extend(self, id: bytes, fence: int, lease: float = LEASE) -> Extended:
        """Make a lease last ``lease`` seconds from now. Raises ``UnknownMessage``, ``LostLease``."""
        return self._one(verbs.extend_of(id, fence, lease), Extended)
