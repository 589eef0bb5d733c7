"""One turn: one handling of one message, and everything it wants to have happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from functools import partial
from typing import Any, cast

import trio

from ..mailbox.envelope import compose
from ..mailbox.ids import derive, id_text
from ..mailbox.outputs import BOUNCE
from ..store.errors import BadInput
from ..store.records import Delivery, Send, Settle, Unrouted, Verdict, Write
from .errors import Reject, RetryAfter
from .handlers import Handler
from .stored import StoredRecords
from .wire import Wire, type_name

ERROR_LENGTH = 2000


def _check(name: str) -> None:
    """Refuse what no store of any kind could keep as it is."""
    if "\0" in name or any(0xD800 <= ord(char) <= 0xDFFF for char in name):
        raise BadInput(
            f"no record can be called {name[:60]!r}", "it has a NUL or half a character", "choose another"
        )


class TurnRecords:
    """An actor's keyed records as one turn sees them: what is stored, under what it has written.

    Writes collect and commit with the turn. Where the store is on a server, ``get``, ``keys`` and ``all``
    keep the event loop waiting for it, a second at most, unless what they need was had by ``fetch``.
    A plain function is run in a thread, where they keep nobody waiting. All of them raise
    ``StoreUnavailable``.
    """

    def __init__(self, owner: str, wire: Wire, stored: StoredRecords) -> None:
        self._owner = owner
        self._wire = wire
        self._stored = stored
        self._kinds: dict[str, dict[str, bytes]] = {}
        self._values: dict[tuple[str, str], bytes | None] = {}
        self.writes: dict[tuple[str, str], Write] = {}

    async def fetch(self, kind: str, keys: Iterable[str] | None = None) -> None:
        """Have all records of a kind at hand for the rest of this turn, or those of these keys.

        ``get``, ``keys`` and ``all`` then ask no store, and see nothing that others change meanwhile. Only
        on a server is this a checkpoint. Cancelled, nothing new is at hand.
        """
        if kind in self._kinds:
            return
        if keys is None:
            self._kinds[kind] = await self._stored.fetch(kind)
            return
        known = self._values.keys() | self.writes.keys()
        if unknown := [key for key in keys if (kind, key) not in known]:
            found = await self._stored.fetch(kind, unknown)
            self._values.update({(kind, key): found.get(key) for key in unknown})

    def get(self, kind: str, key: str, as_type: Any = Any) -> Any:
        """The value of one record, or None. Raises ``BadInput`` where it does not fit the type."""
        write = self.writes.get((kind, key))
        value = self._read(kind, key) if write is None else write.value
        return None if value is None else self._wire.decode(value, as_type)

    def _read(self, kind: str, key: str) -> bytes | None:
        if kind in self._kinds:
            return self._kinds[kind].get(key)
        if (kind, key) in self._values:
            return self._values[kind, key]
        return self._stored.read(kind, key)

    def put(self, kind: str, key: str, value: object) -> None:
        """Write one record when the turn commits. Raises ``BadInput`` for a kind or key that is no text."""
        _check(kind)
        _check(key)
        self.writes[kind, key] = Write(self._owner, kind, key, self._wire.encode(value))

    def delete(self, kind: str, key: str) -> None:
        """Delete one record when the turn commits."""
        self.writes[kind, key] = Write(self._owner, kind, key, None)

    def keys(self, kind: str) -> Iterator[str]:
        """The keys of all records of a kind, in order."""
        yield from sorted(self._now(kind))

    def all(self, kind: str, as_type: Any = Any) -> Iterator[tuple[str, Any]]:
        """All records of a kind, as key and value, in the order of their keys.

        Raises ``BadInput`` at one that does not fit the type.
        """
        for key, value in sorted(self._now(kind).items()):
            yield key, self._wire.decode(value, as_type)

    def _now(self, kind: str) -> dict[str, bytes]:
        found = dict(self._kinds[kind]) if kind in self._kinds else self._stored.read_all(kind)
        for (written, key), write in self.writes.items():
            if written != kind:
                continue
            if write.value is None:
                found.pop(key, None)
            else:
                found[key] = write.value
        return found


class Turn:
    """What collects while a handler runs."""

    __slots__ = ("_address", "_make_records", "_records", "_wire", "alive", "delivery", "outputs")

    def __init__(
        self, address: str, delivery: Delivery, wire: Wire, make_records: Callable[[], TurnRecords]
    ) -> None:
        self._address = address
        self.delivery = delivery
        self.outputs: list[Send] = []
        self.alive: Callable[[], None] = _nothing
        self._wire = wire
        self._make_records = make_records
        self._records: TurnRecords | None = None

    @property
    def records(self) -> TurnRecords:
        if self._records is None:
            self._records = self._make_records()
        return self._records

    @property
    def used_records(self) -> bool:
        """Whether the turn has looked at its actor's keyed records."""
        return self._records is not None

    @property
    def writes(self) -> list[Write]:
        return [] if self._records is None else list(self._records.writes.values())

    def send(self, to: str, message: object, envelope: dict[str, Any]) -> str:
        """Collect one output; its id derives from the message, the fence and its place, from 1 on."""
        return self._collect(len(self.outputs) + 1, Unrouted.BOUNCE, to, message, envelope)

    def _collect(self, n: int, unrouted: Unrouted, to: str, message: object, envelope: dict[str, Any]) -> str:
        delivery = self.delivery
        kind = envelope.pop("type", None) or type_name(type(message))
        envelope.setdefault("correlation", delivery.correlation_id)
        made = compose(
            id=derive(delivery.id, delivery.fence, n),
            recipient=to,
            sender=self._address,
            type=kind,
            body=self._wire.encode(message),
            causation=id_text(delivery.id),
            **envelope,
        )
        self.outputs.append(Send(made, unrouted, bounded=False))
        return id_text(made.id)

    def reply(self, value: object) -> None:
        """Collect the answer to whoever asked, as output 0; it is held for one never registered.

        A bounce is not answered: the answer could bounce in turn, for ever.
        """
        delivery = self.delivery
        if delivery.type == BOUNCE:
            return
        correlation = delivery.correlation_id or id_text(delivery.id)
        to = delivery.reply_to or delivery.sender
        self._collect(0, Unrouted.HOLD, to, value, {"correlation": correlation})


def _nothing() -> None:
    return None


async def run_handler(actor: object, handler: Handler, turn: Turn, value: object) -> object:
    """Run one handler to its end, within its deadlines. Raises what it raises, or ``TooSlowError``."""
    if not handler.exact and not handler.in_thread and handler.progress_within is None:
        return await getattr(actor, handler.method)(value)
    with trio.fail_after(handler.timeout):
        if handler.progress_within is None:
            return await _call(actor, handler, value)
        with trio.fail_after(handler.progress_within) as scope:
            within = handler.progress_within

            def alive() -> None:
                scope.deadline = trio.current_time() + within

            turn.alive = partial(trio.from_thread.run_sync, alive) if handler.in_thread else alive
            return await _call(actor, handler, value)


async def _call(actor: object, handler: Handler, value: object) -> object:
    """Call the method; in a thread, on a copy of the actor.

    A thread that outlives its deadline keeps the copy, with the turn that is over, and so can do
    nothing to the turns that follow. What it sets comes back only if it ends in time.
    """
    if not handler.in_thread:
        return await getattr(actor, handler.method)(value)
    stand_in = copy(actor)
    method = getattr(stand_in, handler.method)
    answer = await trio.to_thread.run_sync(method, value, abandon_on_cancel=True)
    vars(actor).update(vars(stand_in))
    return answer


def failure(delivery: Delivery, error: BaseException) -> Settle:
    """How a message is settled whose handler raised."""
    verdict, reason, delay_us = Verdict.RETRY, "error", None
    match error:
        case Reject():
            verdict, reason = Verdict.DEAD, "rejected"
        case RetryAfter(seconds=seconds):
            reason, delay_us = "asked to retry", round(seconds * 1_000_000)
        case trio.TooSlowError():
            reason = "deadline"
        case BadInput():
            reason = "error"
        case _:
            pass
    return Settle(
        delivery.id,
        delivery.fence,
        verdict,
        delivery.seq,
        delay_us=delay_us,
        reason=reason,
        error=describe(error),
    )


def released(delivery: Delivery) -> Settle:
    """How a message is settled whose turn was cancelled for no fault of its own."""
    return Settle(delivery.id, delivery.fence, Verdict.RELEASE, delivery.seq, reason="shutdown")


def cancellation_in(error: BaseException) -> BaseException | None:
    """The cancellations among what a handler raised, whose nurseries put them into groups; None if none.

    What else is in such a group fell victim to the cancellation, and the message is run again.
    """
    if isinstance(error, trio.Cancelled):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    group = cast("BaseExceptionGroup[BaseException]", error)
    return group.split(trio.Cancelled)[0]


def describe(error: BaseException) -> str:
    """An error in one line: its type, its words, and the last place in the handler's code.

    Half a character, as a file name that is no UTF-8 has it, becomes a question mark: no store can keep it.
    """
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is not None:
        code = place.tb_frame.f_code
        text += f" (at {code.co_filename.rpartition('/')[2]}:{place.tb_lineno} in {code.co_name})"
    return " ".join(text.split())[:ERROR_LENGTH].encode(errors="replace").decode()


def unpack(delivery: Delivery, handlers: Mapping[str, Handler], wire: Wire) -> tuple[Handler, Any] | Settle:
    """The handler of a message and what it is given; or how a message is settled that none can take."""
    handler = handlers.get(delivery.type)
    if handler is None:
        known = ", ".join(handlers) or "nothing"
        return _undeliverable(delivery, "no handler", f"it handles {known}, not {delivery.type}")
    try:
        return handler, wire.decode(delivery.body, handler.kind)
    except BadInput as error:
        return _undeliverable(delivery, "undecodable", str(error))


def _undeliverable(delivery: Delivery, reason: str, error: str) -> Settle:
    return Settle(
        delivery.id, delivery.fence, Verdict.DEAD, delivery.seq, reason=reason, error=error[:ERROR_LENGTH]
    )
