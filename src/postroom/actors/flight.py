"""Settlements of one actor that are under way, and what becomes of those that are not kept.

Turns run ahead of their commits: each hands its settlement to the group commit and the next begins
on the state in memory. Of an actor with a state, the version of its state record chains them: if
one is refused, all after it are refused too. The actor is ``stale`` then: it begins no turn until
its state was read again and the turns whose messages are still its own are run anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

import trio

from ..store.errors import Conflict, LostLease, LostTerm, PostroomError, StoreUnavailable
from ..store.events import LeaseLost, Overflowed
from ..store.records import Answer, Delivery, Settle, Settled, Verdict
from .runtime import AGAIN_SECONDS
from .turn import failure, released

if TYPE_CHECKING:
    from .memory import Memory
    from .runtime import Receiver, Runtime

AHEAD = 512
"""Settlements of one actor that may be under way before its next turn waits."""

Offers = list["Receiver | None"]


def in_turn_order(deliveries: Iterable[Delivery]) -> list[Delivery]:
    """Messages in the order of a claim: the most urgent first, and within a priority by commit."""
    return sorted(deliveries, key=lambda delivery: (-delivery.priority, delivery.seq))


class Flight:
    """What one actor has handed over and does not know the outcome of.

    ``landed`` is called after each outcome, ``overflowed`` with the inboxes sent past their bound.
    ``flying`` are the keyed records in what is under way: the next turn must see them. Each comes
    with how many such settlements there are.
    """

    __slots__ = (
        "_address",
        "_landed",
        "_overflowed",
        "_role",
        "_runtime",
        "_waiters",
        "air",
        "flying",
        "memory",
        "redo",
        "stale",
    )

    def __init__(
        self,
        runtime: Runtime,
        address: str,
        role: str,
        landed: Callable[[], None],
        overflowed: Callable[[set[str]], None],
    ) -> None:
        self._runtime = runtime
        self._address = address
        self._role = role
        self._landed = landed
        self._overflowed = overflowed
        self._waiters: trio.Event | None = None
        self.memory: Memory | None = None
        self.air = 0
        self.stale = False
        self.redo: list[Delivery] = []
        self.flying: dict[tuple[str, str], tuple[bytes | None, int]] = {}

    def launch(self, settle: Settle, delivery: Delivery) -> None:
        """Hand a settlement over, and its outputs to local actors where they can start."""
        runtime = self._runtime
        offers: Offers | None = None
        if settle.outputs:
            offers = [runtime.offer_to(output) for output in settle.outputs]
        self.air += 1
        for write in settle.writes:
            _, count = self.flying.get((write.kind, write.key), (None, 0))
            self.flying[write.kind, write.key] = (write.value, count + 1)
        done = partial(self._outcome, settle, delivery, offers)
        runtime.commit.submit_nowait(settle, done, patient=not settle.outputs)

    async def room(self) -> None:
        """Wait while too much is under way."""
        while self.air >= AHEAD:
            await self._next_landing()

    async def all_landed(self) -> None:
        """Wait until the outcome of everything is known."""
        while self.air:
            await self._next_landing()

    def again(self) -> list[Delivery]:
        """What has to be run anew, in the order of a claim. The state must have been read again."""
        redo, self.redo = in_turn_order(self.redo), []
        self.stale = False
        return redo

    async def _next_landing(self) -> None:
        if self._waiters is None:
            self._waiters = trio.Event()
        await self._waiters.wait()

    def _outcome(self, settle: Settle, delivery: Delivery, offers: Offers | None, answer: Answer) -> None:
        self.air -= 1
        for write in settle.writes:
            value, count = self.flying.pop((write.kind, write.key))
            if count > 1:
                self.flying[write.kind, write.key] = (value, count - 1)
        if isinstance(answer, Settled) and not answer.already:
            if offers is not None:
                self._outputs_left(offers, answer)
        else:
            for receiver in offers or ():
                if receiver is not None:
                    receiver.handed(None)
            self._not_kept(settle, delivery, answer)
        if self._waiters is not None and (self.air == 0 or self.air < AHEAD // 2):
            self._waiters.set()
            self._waiters = None
        self._landed()

    def _outputs_left(self, offers: Offers, answer: Settled) -> None:
        full: set[str] = set()
        for receiver, output in zip(offers, answer.outputs, strict=True):
            if receiver is not None:
                receiver.handed(output.delivery)
            if output.overflow is not None:
                full.add(output.overflow)
        if full:
            self._runtime.observer(Overflowed(self._role))
            self._overflowed(full)

    def _not_kept(self, settle: Settle, delivery: Delivery, answer: Answer) -> None:
        """A settlement that was not kept as it was handed over: what becomes of its message."""
        self.stale = self.memory is not None
        match answer:
            case LostTerm():
                self._runtime.observer(LeaseLost(self._role))
                self.launch(released(delivery), delivery)
                self._runtime.on_lost_term(self._address)
            case LostLease():
                self._runtime.observer(LeaseLost(self._role))
            case StoreUnavailable() | Conflict() if self.stale:
                self.redo.append(delivery)
            case StoreUnavailable() if not self._runtime.ended:
                self.air += 1
                self._runtime.start_soon(self._launch_again, settle, delivery)
            case StoreUnavailable():
                pass  # the end: what was leased comes back with the session
            case PostroomError() if settle.verdict is Verdict.ACK:
                # What the turn wants cannot be had, such as mail to a group of nobody.
                self.launch(failure(delivery, answer), delivery)
            case _:
                pass  # kept by an earlier try, or its message is not there any more

    async def _launch_again(self, settle: Settle, delivery: Delivery) -> None:
        """The store failed. The same settlement again is safe: if it was kept, it answers so."""
        try:
            await trio.sleep(AGAIN_SECONDS)
        except trio.Cancelled:
            self.air -= 1
            self._landed()
            raise
        self.air -= 1
        self.launch(settle, delivery)
