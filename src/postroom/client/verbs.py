"""The verbs on an open transport, as typed methods."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar, TypeVarTuple, Unpack

import anyio.abc

from ..mailbox.ids import IdMaker, id_text, parse_id
from ..mailbox.verbs import LEASE
from .errors import closed
from .records import Alive, Delivered, Extended, Known, Polled, Sent, Settled, read
from .transport import Transport, View, send_flags

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Verbs:
    """What a client can say. Every change is durable when its method returns."""

    def __init__(self, ids: IdMaker) -> None:
        self._ids = ids
        self._transport: Transport | None = None
        self._tasks: anyio.abc.TaskGroup | None = None

    @property
    def transport(self) -> Transport:
        """The way to the verbs, for this package's own modules. Raises ``StoreUnavailable`` when closed."""
        if self._transport is None:
            raise closed()
        return self._transport

    def spawn(self, work: Callable[[Unpack[Ts]], Coroutine[Any, Any, None]], *args: *Ts) -> None:
        """Let something go on while the client is open, for this package's own modules."""
        if self._tasks is None:
            raise closed()
        self._tasks.start_soon(work, *args)

    # Sending

    async def send(
        self,
        to: str,
        type: str,
        body: object = None,
        *,
        sender: str | None = None,
        id: str | None = None,
        dedup_key: str | None = None,
        delay: float | None = None,
        expires: float | None = None,
        priority: str | None = None,
        correlation: str | None = None,
        reply_to: str | None = None,
        max_attempts: int | None = None,
        hold: bool | None = None,
    ) -> Sent:
        """Send one message; durable on return. ``body`` is plain data; ``delay`` and ``expires`` are seconds.

        Without an ``id`` it gets one here, so that a request may be repeated; a repeated one may be told
        that it is a ``duplicate``. A full inbox is not waited for. Cancelled, the message may or may not
        have been sent: the same id tells. Raises ``BadInput`` and what ``Refused`` stands for.
        """
        flags = send_flags(
            to,
            type,
            body,
            {
                "sender": sender,
                "id": self._id(id),
                "dedup_key": dedup_key,
                "delay": delay,
                "expires": expires,
                "priority": priority,
                "correlation": correlation,
                "reply_to": reply_to,
                "max_attempts": max_attempts,
                "hold": hold,
            },
        )
        return await self._call("send", flags, Sent)

    # Taking

    async def poll(
        self, inbox: str, wait: float = 0.0, max: int = 1, lease: float = LEASE
    ) -> list[Delivered]:
        """Lease up to ``max`` messages for ``lease`` seconds, waiting up to ``wait`` for the first.

        An empty or paused inbox answers nothing. Cancelled, what had been leased by then is released, as
        far as that can be told in 2 seconds; otherwise it comes back when its lease is over. Raises
        ``UnknownInbox``, ``InboxEnded`` and ``BadInput``.
        """
        return read(await self.transport.poll(inbox, wait, max, lease), Polled).messages

    # Settling

    async def ack(
        self, id: str, fence: int, *, reply: object = None, sends: Sequence[Mapping[str, object]] = ()
    ) -> Settled:
        """End a lease as done, with a reply (anything but null) and further sends, or nothing of it.

        ``sends`` are flags of ``send`` as JSON keys. Repeated, it answers ``already``. Raises
        ``UnknownMessage``, ``LostLease``, ``BadInput``, and what refuses one of the sends.
        """
        flags: View = {"id": id, "fence": fence}
        if reply is not None:
            flags["reply"] = reply
        if sends:
            flags["send"] = [dict(send) for send in sends]
        return await self._call("ack", flags, Settled)

    async def nack(
        self,
        id: str,
        fence: int,
        *,
        delay: float | None = None,
        reason: str | None = None,
        dead: bool = False,
        release: bool = False,
    ) -> Settled:
        """End a lease as not done: tried again after ``delay`` seconds, or by the standard schedule.

        ``dead`` buries the message; ``release`` gives the attempt back. Raises ``UnknownMessage``,
        ``LostLease`` and ``BadInput``.
        """
        flags = {"delay": delay, "reason": reason, "dead": dead or None, "release": release or None}
        given = {key: value for key, value in flags.items() if value is not None}
        return await self._call("nack", {"id": id, "fence": fence, **given}, Settled)

    async def extend(self, id: str, fence: int, lease: float = LEASE) -> Extended:
        """Make a lease last ``lease`` seconds from now. Raises ``UnknownMessage``, ``LostLease``."""
        return await self._call("extend", {"id": id, "fence": fence, "lease": lease}, Extended)

    async def heartbeat(self, task: str, role: str, *, thread_id: str | None = None) -> Alive:
        """Say that a role of a task is alive; answers what to do next. Not repeated by itself.

        Raises ``BadInput``, ``Refused`` for a task that is not paired or over, and ``Conflict`` for
        another thread than the assigned one.
        """
        flags = {"task": task, "role": role}
        return await self._call(
            "heartbeat", flags if thread_id is None else {**flags, "thread_id": thread_id}, Alive
        )

    # Looking

    async def show(self, id: str) -> View:
        """All that is remembered of one message, as ``postroom show --json`` tells it."""
        return await self.transport.call("show", {"id": id})

    async def known(self, id: str) -> Known:
        """What asking needs of ``show``."""
        return read(await self.show(id), Known)

    async def _call(self, verb: str, flags: Mapping[str, object], kind: type[T]) -> T:
        return read(await self.transport.call(verb, flags), kind)

    def _id(self, given: str | None) -> str:
        return id_text(self._ids.new() if given is None else parse_id(given))
