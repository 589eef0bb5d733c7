"""A worker's loop: take a message, keep its lease while one works, settle it by how the work ended."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import Any

import anyio

from ..mailbox.codec import one_line
from ..store.errors import BadInput, InboxEnded, LostLease, OutcomeUnknown, PostroomError, UnknownMessage
from .records import Delivered, Settled
from .transport import send_flags
from .verbs import Verbs

Kind = type[BaseException]

REST = 60.0
"""Seconds that a worker's loop waits in one poll before it waits again."""

SETTLE_SECONDS = 30.0
"""How long the end of a message may take, from whatever the work was cancelled."""

AGAIN = 0.1
"""The share of a lease after which an extension that failed is tried again."""


class Message:
    """One message while it is worked on; use it as ``async with message:``.

    Inside the block the lease is extended at half its time. At the block's end the message is acked,
    with what was given to ``reply`` and ``send``. An exception nacks it, with the exception as reason, and
    goes on. A cancellation releases it: this attempt does not count. If the lease is lost, the block is
    cancelled and ``LostLease`` raised; nothing of what was collected is sent then.
    """

    def __init__(self, client: Verbs, delivered: Delivered, lease: float) -> None:
        self.delivered = delivered
        self.settled: Settled | None = None
        """How it ended, once it has."""
        self._client = client
        self._lease = lease
        self._answer: tuple[Any, ...] = ()
        self._sends: list[dict[str, Any]] = []
        self._scope = anyio.CancelScope()
        self._keeping = anyio.CancelScope()
        self._lost: LostLease | None = None

    @property
    def id(self) -> str:
        """The message's id, the idempotency key for whatever is done outside."""
        return self.delivered.id

    @property
    def type(self) -> str:
        """What kind of message it is."""
        return self.delivered.type

    @property
    def body(self) -> Any:
        """The decoded body."""
        return self.delivered.body

    @property
    def sender(self) -> str:
        """Who sent it."""
        return self.delivered.sender

    # What leaves with the ack

    def reply(self, body: object) -> None:
        """Answer whoever sent it, or its ``reply_to``, when the block ends well. At most once, never null."""
        if body is None:
            raise BadInput("a reply of null", "it would be none", "reply with a value")
        if self._answer:
            raise BadInput("a second reply", "a message has one", "use send for more")
        self._answer = (body,)

    def send(self, to: str, type: str, body: object = None, **flags: object) -> None:
        """Send a message when the block ends well; ``flags`` are those of ``Client.send``."""
        self._sends.append(send_flags(to, type, body, flags))

    # The block

    async def __aenter__(self) -> Message:
        self._scope.__enter__()
        self._client.spawn(self._keep)
        return self

    async def __aexit__(
        self, kind: Kind | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keeping.cancel()
        absorbed = bool(self._scope.__exit__(kind, error, trace))
        if self._lost is not None and (error is None or absorbed):
            raise self._lost
        with anyio.move_on_after(SETTLE_SECONDS, shield=True):
            if error is None:
                await self._ack()
            else:
                with suppress(PostroomError):  # the first error counts; the lease ends by itself
                    await self._give_back(error)
        if error is None and self.settled is None:
            raise OutcomeUnknown(
                f"the ack of {self.id} is not confirmed", "it took too long", "look with: postroom show"
            )

    async def _ack(self) -> None:
        reply = self._answer[0] if self._answer else None
        self.settled = await self._client.ack(self.id, self.delivered.fence, reply=reply, sends=self._sends)

    async def _give_back(self, error: BaseException) -> None:
        if isinstance(error, Exception):
            reason = one_line(f"{type(error).__name__}: {error}", 500)
            self.settled = await self._client.nack(self.id, self.delivered.fence, reason=reason)
        else:
            self.settled = await self._client.nack(self.id, self.delivered.fence, release=True)

    # The lease

    async def _keep(self) -> None:
        """Extend the lease at half its time; if it is lost, end the block."""
        pause = min(self.delivered.lease_seconds, self._lease) / 2
        with self._keeping:
            while True:
                await anyio.sleep(pause)
                try:
                    await self._client.extend(self.delivered.id, self.delivered.fence, self._lease)
                    pause = self._lease / 2
                except (LostLease, UnknownMessage) as error:
                    self._lost = (
                        error if isinstance(error, LostLease) else LostLease(error.what, error.why, error.do)
                    )
                    self._scope.cancel()
                    return
                except PostroomError:  # while it lasts there is hope; the ack will tell in any case
                    pause = self._lease * AGAIN


class Messages:
    """The messages of an inbox, one by one and for ever; ends when the inbox has ended."""

    def __init__(self, client: Verbs, inbox: str, lease: float) -> None:
        self._client = client
        self._inbox = inbox
        self._lease = lease

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Message:
        while True:
            try:
                found = await self._client.poll(self._inbox, wait=REST, lease=self._lease)
            except InboxEnded as error:
                raise StopAsyncIteration from error
            if found:
                return Message(self._client, found[0], self._lease)
