"""The verbs of an inbox for programs without an event loop.

Each verb is one transaction, durable when it returns. A ``PostroomError`` means that nothing was
changed, but for ``OutcomeUnknown``: there the same call, with the same id, tells what is true.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from ..store.errors import BadInput, InboxEnded, InboxFull, UnknownInbox
from ..store.port import Store
from ..store.records import (
    Accepted,
    Claim,
    Claimed,
    Delivery,
    Extend,
    Extended,
    Send,
    Settle,
    Settled,
    StoredMessage,
    Unrouted,
    Verdict,
)
from .address import check_inbox, shared_inbox
from .envelope import MAX_ATTEMPTS, check_text, compose, micros
from .ids import IdMaker
from .outputs import answer, outgoing, read_flags, reply_address
from .oversight import Oversight
from .waiting import Hints, Patience

OPERATOR = "operator/cli"
LEASE = 60.0
LONGEST_LEASE = 86_400.0
LONGEST_WAIT = 7 * 86_400.0
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
        check_inbox(inbox)
        if not 1 <= max <= 1000:
            raise BadInput(f"max is {max}", "it must lie in 1 to 1000", "choose another")
        if key is not None:
            check_text("key", key)
        lease_us = _lease_us(lease)
        micros("wait", wait, 0, LONGEST_WAIT)
        found = self._claim(inbox, max, lease_us, key)
        if found or not wait:
            return found
        return self._wait(inbox, max, lease_us, key, wait)

    def _wait(self, inbox: str, most: int, lease_us: int, key: str | None, seconds: float) -> list[Delivery]:
        patience = Patience(self.store.clock, seconds)
        with Hints(self.store, self._nap) as hints:
            look = Patience(self.store.clock, RECLAIM_SECONDS)
            while left := patience.left():
                heard = hints.wait(min(left, look.left()))
                if look.left() and not (heard and self._has_mail(inbox)):
                    continue
                found = self._claim(inbox, most, lease_us, key)
                if found:
                    return found
                look = Patience(self.store.clock, RECLAIM_SECONDS)
        return self._claim(inbox, most, lease_us, key)

    def _claim(self, inbox: str, limit: int, lease_us: int, key: str | None) -> list[Delivery]:
        own = self.inbox(inbox)
        if own.ended:
            raise InboxEnded(f"inbox {inbox} has ended", "it takes no more mail", "register it again")
        if own.paused:
            return []
        shared = shared_inbox(inbox)
        sources = (inbox,) if shared is None else (inbox, shared)
        try:
            return self._one(Claim(sources, limit, 0, lease_us, True, key), Claimed).deliveries
        except UnknownInbox:
            if shared is None or self.store.counts(shared):
                raise
        return self._one(Claim((inbox,), limit, 0, lease_us, True, key), Claimed).deliveries

    def _has_mail(self, inbox: str) -> bool:
        """Whether a claim is worth the write lock, by the counts."""
        shared = shared_inbox(inbox)
        return any(
            counts.ready and not counts.paused
            for address in (inbox, shared)
            if address is not None
            for counts in self.store.counts(address)
        )

    # Settling

    def ack(
        self,
        id: bytes,
        fence: int,
        reply: bytes | None = None,
        sends: Sequence[Mapping[str, object]] = (),
        *,
        reply_type: str = "reply",
    ) -> Settled:
        """End a lease as done. The reply and the sends are committed with it, or nothing is.

        ``reply`` is canonical JSON; it goes to the message's ``reply_to``, else to its sender. It is
        held for an asker that was never registered, and bounces from one that has ended. ``sends``
        are flags of ``send`` as JSON keys, all checked before anything is changed; they come from
        the inbox that is acked unless they say otherwise. Past the bound of an inbox they are
        accepted all the same. Raises ``UnknownMessage``, ``LostLease``, ``BadInput``, and what
        refuses one of the sends.
        """
        outputs: list[Send] = []
        if reply is not None or sends:
            source = self.show(id)
            if reply is not None:
                outputs.append(answer(source, fence, reply_type, reply, self._if_nobody(source)))
            outputs += outgoing(source, fence, sends)
        return self._one(Settle(id, fence, Verdict.ACK, outputs=outputs), Settled)

    def _if_nobody(self, source: StoredMessage) -> Unrouted:
        """What becomes of a reply if the asker is not there, which is not the worker's fault."""
        ended = any(counts.ended for counts in self.store.counts(reply_address(source)))
        return Unrouted.BOUNCE if ended else Unrouted.HOLD

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
        if dead and release:
            raise BadInput("dead and release exclude each other", "a message has one fate", "choose")
        if delay is not None and (dead or release):
            raise BadInput("a delay is for a retry", "dead and release take none", "leave one out")
        if reason is not None:
            check_text("reason", reason, 2000)
        verdict = Verdict.DEAD if dead else Verdict.RELEASE if release else Verdict.RETRY
        delay_us = None if delay is None else micros("delay", delay, 0, LONGEST_WAIT)
        return self._one(Settle(id, fence, verdict, delay_us=delay_us, reason=reason), Settled)

    def extend(self, id: bytes, fence: int, lease: float = LEASE) -> Extended:
        """Make a lease last ``lease`` seconds from now. Raises ``UnknownMessage``, ``LostLease``."""
        return self._one(Extend(id, fence, _lease_us(lease)), Extended)


def _lease_us(seconds: float) -> int:
    return micros("lease", seconds, 0.001, LONGEST_LEASE)
