"""The verbs under ``/v1``: the flags of the commands as JSON keys, and the JSON of the commands back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import msgspec
import trio
from msgspec import Struct

from ..actors.clerk import Clerk
from ..actors.loops.acks import role_ack_write
from ..actors.loops.beating import Beat, beat_of, beat_view
from ..actors.wakeups import autopilot
from ..mailbox import codec, pairs, views
from ..mailbox.address import check_task
from ..mailbox.desk import OPERATOR
from ..mailbox.envelope import check_text
from ..mailbox.ids import parse_id
from ..mailbox.outputs import read_flags
from ..mailbox.verbs import LEASE, message_of
from ..store.errors import BadInput, Conflict, LostLease
from ..store.looking import look
from ..store.records import Delivery, Settled, Write
from .boxes import Boxes
from .door import Caller
from .statuses import NotFound
from .wire import Answer

LONGEST_WAIT = 60.0
KEY_LENGTH = 200
ANSWER_BYTES = 8 << 20
"""Bodies in one answer to a poll; what is beyond that is given back, but for the first."""

MOST_SENDS = 1000
RACES = 4

T = TypeVar("T")
Flags = dict[str, Any]
Poll = Callable[[], Awaitable[list[Delivery]]]


class PollFlags(Struct, forbid_unknown_fields=True):
    """The flags of ``poll``; ``wait`` and ``lease`` are in seconds. What is null counts as not given."""

    inbox: str
    wait: float | None = None
    max: int | None = None
    lease: float | None = None


class AckFlags(Struct, forbid_unknown_fields=True):
    """The flags of ``ack``; ``reply`` is any JSON but null, ``send`` a list of sends."""

    id: str
    fence: int
    reply: Any = None
    send: list[Flags] | None = None
    role_ack: str | None = None
    role_text: str | None = None


class NackFlags(Struct, forbid_unknown_fields=True):
    """The flags of ``nack``; ``delay`` is in seconds."""

    id: str
    fence: int
    delay: float | None = None
    reason: str | None = None
    dead: bool | None = None
    release: bool | None = None


class ExtendFlags(Struct, forbid_unknown_fields=True):
    """The flags of ``extend``; ``lease`` is in seconds, from now on."""

    id: str
    fence: int
    lease: float | None = None


class HeartbeatFlags(Struct, forbid_unknown_fields=True):
    """The flags of ``heartbeat``."""

    task: str
    role: str
    thread_id: str | None = None


class Asked(Struct):
    """One request for a verb: who asks, what, and how to go on being sure of that.

    ``admit`` checks the caller anew. ``park`` runs what waits, and cancels it when the client has gone or
    the server closes.
    """

    caller: Caller
    flags: Flags
    key: str | None
    admit: Callable[[], Awaitable[Caller]]
    park: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]


class Verbs:
    """The verbs on one clerk. Each answer is durable when it is given.

    ``lease`` is that of a request that names none, in seconds.
    """

    def __init__(self, clerk: Clerk, boxes: Boxes, lease: float = LEASE) -> None:
        self._clerk = clerk
        self._lease = lease
        self.table: dict[str, Callable[[Asked], Awaitable[Answer]]] = {
            "send": self.send,
            "poll": self.poll,
            "ack": self.ack,
            "nack": self.nack,
            "extend": self.extend,
            **{name: partial(_beside, act) for name, act in boxes.table.items()},
            "heartbeat": self.heartbeat,
        }

    async def send(self, asked: Asked) -> Answer:
        """Send one message."""
        asked.caller.check_send(read_flags(asked.flags))
        return _answer(views.sent_view(await self._clerk.send(asked.flags, sender=OPERATOR)))

    async def poll(self, asked: Asked) -> Answer:
        """Lease messages, waiting up to 60 seconds for the first; none is no error."""
        flags = _read(PollFlags, asked.flags, "poll")
        asked.caller.check_inbox(flags.inbox)
        wait = flags.wait or 0.0
        if not 0 <= wait <= LONGEST_WAIT:
            raise BadInput(
                f"wait is {wait}", f"it is in seconds, from 0 to {LONGEST_WAIT:g}", "ask again instead"
            )
        most = 1 if flags.max is None else flags.max
        lease = self._lease if flags.lease is None else flags.lease
        key = None if asked.key is None else f"{asked.caller.id}/{check_text('key', asked.key, KEY_LENGTH)}"
        found = await self._clerk.poll(flags.inbox, 0.0, most, lease, key)
        if not found and wait:
            found = await self._wait(asked, partial(self._clerk.poll, flags.inbox, wait, most, lease, key))
        found = await self._fitting(found)
        answer = _answer({"messages": list(map(views.delivery_view, found))})
        if found:
            answer.unwritten = partial(self._clerk.release, found)
        return answer

    async def _fitting(self, found: list[Delivery]) -> list[Delivery]:
        """As much as one answer holds, one message at least; the rest is given back."""
        size = 0
        for n, one in enumerate(found):
            size += len(one.body)
            if n and size > ANSWER_BYTES:
                await self._clerk.release(found[n:])
                return found[:n]
        return found

    async def _wait(self, asked: Asked, poll: Poll) -> list[Delivery]:
        """What came while the client waited, if it may still have it: its token may have ended meanwhile."""
        found: list[Delivery] = []

        async def work() -> None:
            found.extend(await poll())

        try:
            await asked.park(work)
            if found:
                await asked.admit()
        except BaseException:
            if found:
                with trio.CancelScope(shield=True):
                    await self._clerk.release(found)
            raise
        return found

    async def ack(self, asked: Asked) -> Answer:
        """Settle as done, with a reply and sends, or nothing of it."""
        flags = _read(AckFlags, asked.flags, "ack")
        id = parse_id(flags.id)
        await self._check_settling(asked.caller, id)
        sends = flags.send or []
        if len(sends) > MOST_SENDS:
            raise BadInput(f"{len(sends)} sends", f"at most {MOST_SENDS} are taken", "send them apart")
        if sends:
            asked.caller.check_verb("send")
        for send in sends:
            asked.caller.check_send(read_flags(send))
        reply = None if flags.reply is None else codec.encode(flags.reply)
        fence = _fence(flags.fence)

        async def settle() -> Settled:
            writes = await look(self._clerk.store, partial(self._role_ack, id, flags))
            return await self._clerk.ack(id, fence, reply, sends, writes=writes)

        settled = await (settle() if flags.role_ack is None else _despite_races(settle))
        return _answer(views.settled_view(id, settled))

    def _role_ack(self, id: bytes, flags: AckFlags) -> list[Write]:
        """What the recipient says of the message, kept with the settlement."""
        if flags.role_ack is None:
            if flags.role_text is not None:
                raise BadInput("a text without a role ack", "it says what was acked how", "give role_ack too")
            return []
        message = message_of(self._clerk.store, id)
        return [role_ack_write(self._clerk.store, message, flags.role_ack, flags.role_text)]

    async def nack(self, asked: Asked) -> Answer:
        """Give back: to be tried again, released, or dead."""
        flags = _read(NackFlags, asked.flags, "nack")
        id = parse_id(flags.id)
        await self._check_settling(asked.caller, id)
        settled = await self._clerk.nack(
            id, _fence(flags.fence), flags.delay, flags.reason, flags.dead or False, flags.release or False
        )
        return _answer(views.settled_view(id, settled))

    async def extend(self, asked: Asked) -> Answer:
        """Make a lease last longer."""
        flags = _read(ExtendFlags, asked.flags, "extend")
        id = parse_id(flags.id)
        await self._check_settling(asked.caller, id)
        lease = self._lease if flags.lease is None else flags.lease
        return _answer(views.extended_view(id, await self._clerk.extend(id, _fence(flags.fence), lease)))

    async def heartbeat(self, asked: Asked) -> Answer:
        """Keep a sign of life of one side of a task; answers what to run next."""
        flags = _read(HeartbeatFlags, asked.flags, "heartbeat")
        store = self._clerk.store
        binding, _ = await look(store, partial(pairs.find, store, check_task(flags.task)))
        if binding is None:
            raise NotFound(f"task {flags.task} is not paired", "nobody paired it", "run: postroom pair")

        asked.caller.check_inbox(pairs.address_of(binding, flags.role))

        async def beat() -> Beat:
            asks = partial(beat_of, store, flags.task, flags.role, flags.thread_id)
            made, (guarded, *others) = await look(store, asks)
            await self._clerk.do(guarded)
            for operation in others:  # what a spent budget asks for: a pause, and mail to the manager
                await self._clerk.do(operation)
            rested = await look(store, partial(autopilot.rested, store, made.binding))
            if rested is not None:
                with suppress(Conflict):  # another heartbeat has just ended it
                    await self._clerk.put([rested])
            return made

        return _answer(beat_view(await _despite_races(beat)))

    async def _check_settling(self, caller: Caller, id: bytes) -> None:
        if not caller.everywhere:
            store = self._clerk.store
            caller.check_settling((await look(store, partial(message_of, store, id))).recipient)


def _read(kind: type[T], flags: Flags, verb: str) -> T:
    try:
        return msgspec.convert(flags, kind)
    except msgspec.ValidationError as error:
        why = codec.one_line(str(error))
        raise BadInput(
            f"not what {verb} takes", why, f"its keys are the flags of: postroom {verb}"
        ) from error


async def _despite_races(act: Callable[[], Awaitable[T]]) -> T:
    """Act, and again if somebody else has written the same record meanwhile; a few times at most."""
    for _ in range(RACES):
        try:
            return await act()
        except LostLease:
            raise
        except Conflict:
            continue  # it reads anew what it is to follow
    return await act()


def _fence(fence: int) -> int:
    if 0 <= fence <= 1 << 53:
        return fence
    raise BadInput(f"no fence {fence}", "it is not between 0 and 2^53", "give it as poll gave it")


def _answer(view: views.View) -> Answer:
    return Answer(200, msgspec.json.encode(view))


async def _beside(act: Callable[[Caller, Flags], Awaitable[Answer]], asked: Asked) -> Answer:
    return await act(asked.caller, asked.flags)
