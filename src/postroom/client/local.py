"""The verbs on a store file: ``Desk``, in a worker thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any, TypeVar

import anyio
import anyio.lowlevel

from ..actors.loops.beating import beat_view, heartbeat
from ..mailbox import verbs, views
from ..mailbox.address import shared_inbox
from ..mailbox.codec import encode
from ..mailbox.desk import RECLAIM_SECONDS, Desk
from ..mailbox.ids import IdMaker, parse_id
from ..store.errors import PostroomError
from ..store.records import Delivery
from ..store.urls import open_store
from .bells import Bells
from .errors import closed
from .hands import Hands
from .transport import View

T = TypeVar("T")
Flags = Mapping[str, Any]


class Local:
    """One open store file. What a verb changed is durable when it returns."""

    def __init__(self, desk: Desk, hands: Hands) -> None:
        self._desk: Desk | None = desk
        self._hands = hands
        self._bells = Bells(desk.store, hands)

    async def run(self) -> None:
        """Hear other processes; until cancelled."""
        await self._bells.run()

    async def call(self, verb: str, flags: Flags) -> View:
        """One verb in a thread: cancelled before it began, nothing happened; after that it is done."""
        return await self._do(partial(VERBS[verb], flags=flags))

    async def _do(self, work: Callable[[Desk], T]) -> T:
        """Do it, and wake those of this client for whom there is mail now."""
        desk = self._desk
        if desk is None:
            raise closed()
        rung: set[str] = set()

        def working() -> T:
            try:
                return work(desk)
            finally:
                rung.update(desk.store.rung())

        try:
            return await self._hands.do(working)
        finally:
            self._bells.ring(rung)

    # Polling

    async def poll(self, inbox: str, wait: float, most: int, lease: float) -> View:
        """Claim, waiting without a thread. Cancelled during a claim, what that leased is released."""
        verbs.check_poll(inbox, wait, most, lease, None)
        found = await self._claim(inbox, most, lease)
        if not found and wait:
            over = anyio.current_time() + wait
            with self._bells.listening(inbox, shared_inbox(inbox) or inbox) as bell:
                found = await self._claim(inbox, most, lease)
                while not found and (left := over - anyio.current_time()) > 0:
                    await bell.heard(min(left, RECLAIM_SECONDS))
                    found = await self._claim(inbox, most, lease)
        return {"messages": [views.delivery_view(delivery) for delivery in found]}

    async def _claim(self, inbox: str, most: int, lease: float) -> list[Delivery]:
        catch = Catch()
        try:
            found = await self._do(lambda desk: catch.take(lambda: desk.poll(inbox, 0.0, most, lease)))
            await anyio.lowlevel.checkpoint_if_cancelled()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._do(catch.let_go)
            raise
        return found

    async def close(self) -> None:
        """Close the file; what other tasks call from now on is refused."""
        desk, self._desk = self._desk, None
        if desk is not None:
            await self._hands.do(desk.store.close)


class Catch:
    """What one claim leased, for whoever has to give it back. Only used in threads, one at a time."""

    def __init__(self) -> None:
        self._held: list[Delivery] = []
        self._unwanted = False

    def take(self, claim: Callable[[], list[Delivery]]) -> list[Delivery]:
        """Claim, unless nobody wants it any more."""
        if not self._unwanted:
            self._held = claim()
        return self._held

    def let_go(self, desk: Desk) -> None:
        """Release it all, with its attempts; a claim that has not begun finds nothing."""
        self._unwanted = True
        for delivery in self._held:
            with suppress(PostroomError):  # then it comes back when its lease is over
                desk.nack(delivery.id, delivery.fence, release=True)


async def open_local(url: str, *, create: bool, rng: Random) -> Local:
    """Open a store file in a thread. Raises ``BadInput`` and ``StoreUnavailable``."""
    hands = Hands()
    opened: list[Desk] = []

    def opening() -> Desk:
        store = open_store(url, create=create)
        opened.append(Desk(store, IdMaker(store.clock, rng)))
        return opened[0]

    def closing() -> None:
        for desk in opened:
            desk.store.close()

    try:
        return Local(await hands.do(opening), hands)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await hands.do(closing)  # a file can be open only once in a process
        raise


# The verbs, each in a thread


def _send(desk: Desk, flags: Flags) -> View:
    return views.sent_view(desk.send_flags(flags, block=0.0))


def _ack(desk: Desk, flags: Flags) -> View:
    id = parse_id(flags["id"])
    reply = encode(flags["reply"]) if flags.get("reply") is not None else None
    return views.settled_view(id, desk.ack(id, flags["fence"], reply, flags.get("send") or ()))


def _nack(desk: Desk, flags: Flags) -> View:
    id = parse_id(flags["id"])
    settled = desk.nack(
        id,
        flags["fence"],
        flags.get("delay"),
        flags.get("reason"),
        dead=flags.get("dead", False),
        release=flags.get("release", False),
    )
    return views.settled_view(id, settled)


def _extend(desk: Desk, flags: Flags) -> View:
    id = parse_id(flags["id"])
    return views.extended_view(id, desk.extend(id, flags["fence"], flags["lease"]))


def _heartbeat(desk: Desk, flags: Flags) -> View:
    beat = heartbeat(desk.store, flags["task"], flags["role"], flags.get("thread_id"))
    return beat_view(beat)


def _register(desk: Desk, flags: Flags) -> View:
    return {"inbox": flags["inbox"], "registered": desk.register(flags["inbox"]).count}


def _deregister(desk: Desk, flags: Flags) -> View:
    return {"inbox": flags["inbox"], "ended": desk.end(flags["inbox"]).count}


def _show(desk: Desk, flags: Flags) -> View:
    return views.message_view(desk.show(parse_id(flags["id"])))


VERBS: dict[str, Callable[..., View]] = {
    "send": _send,
    "ack": _ack,
    "nack": _nack,
    "extend": _extend,
    "heartbeat": _heartbeat,
    "register": _register,
    "deregister": _deregister,
    "show": _show,
}
