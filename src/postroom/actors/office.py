"""The office: what anybody in the process can say to a store, outside turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import trio

from ..mailbox.envelope import compose, like
from ..mailbox.ids import IdMaker, id_text, parse_id
from ..mailbox.outputs import BOUNCE
from ..store.commit import GroupCommit
from ..store.errors import PostroomError, UnknownMessage
from ..store.looking import look
from ..store.port import Store
from ..store.records import (
    Accepted,
    Cancel,
    Control,
    Delivery,
    InboxCounts,
    Send,
    StoredMessage,
    Switch,
    Unrouted,
)
from .asking import Questions, stored_answer
from .cell import IN_TURN
from .errors import AskInsideTurn
from .runtime import Runtime
from .wire import Wire, type_name

T = TypeVar("T")


class Office:
    """Sends, asks and looks, for whoever holds it."""

    def __init__(self, runtime: Runtime, name: str, ids: IdMaker) -> None:
        self.name = name
        self.store: Store = runtime.store
        self.commit: GroupCommit = runtime.commit
        self.wire: Wire = runtime.wire
        self.ids = ids
        self._runtime = runtime
        self._replies = f"reply/{name}"
        self._questions = Questions(runtime, self._replies)
        self._kinds: dict[str, Any] = {}
        runtime.receivers[self._replies] = self._questions

    async def send(self, to: str, message: object, *, sender: str | None = None, **envelope: Any) -> str:
        """Send a message; durable when this returns its id.

        ``envelope`` takes ``type``, ``id`` (text), ``priority``, ``correlation``, ``reply_to``,
        ``dedup_key``, ``headers``, ``delay``, ``expires``, ``due_at``, ``expires_at``, ``max_attempts``
        and ``hold``. Cancelled before its batch began, nothing was sent; later it may have been:
        send again with the same id to know. Raises ``BadInput``, ``UnknownInbox``, ``InboxEnded``,
        ``InboxFull``, ``EmptyGroup``, ``Conflict``, ``StoreUnavailable``.
        """
        return id_text((await self._send(self._compose(to, message, sender, envelope))).id)

    async def send_many(
        self, to: str, messages: Sequence[object], **envelope: Any
    ) -> list[Accepted | PostroomError]:
        """Send many messages to one recipient in few transactions; each is answered by itself."""
        sends = self._compose_all(to, messages, envelope)
        answers = await self.commit.submit_many(sends)
        return [a for a in answers if isinstance(a, (Accepted, PostroomError))]

    async def ask(
        self,
        to: str,
        message: object,
        *,
        timeout: float,
        reply: Any = None,
        id: str | None = None,
        **envelope: Any,
    ) -> Any:
        """Send a question and wait for its answer, ``timeout`` seconds at most.

        The answer is given as ``reply``, or as the class of its type if that is known here, or as
        plain JSON. Asking again with the same ``id`` gives the stored answer. Not for turns: use
        ``self.send`` and a reply handler. Raises ``TooSlowError`` (the question stays in its inbox),
        ``NoAnswer`` and what ``send`` raises.
        """
        if IN_TURN.get():
            raise AskInsideTurn
        asked = self.ids.new() if id is None else parse_id(id)
        send = self._compose(to, message, self._replies, {**envelope, "id": id_text(asked)})
        send.message.reply_to = self._replies
        stored = partial(stored_answer, self.store, asked)
        question = self._questions.ask(asked)
        try:
            with trio.fail_after(timeout):
                accepted = await self._send(send)
                answer: Delivery | StoredMessage | None = None
                if accepted.state == "duplicate":
                    answer = await look(self.store, stored)
                while answer is None:
                    with trio.move_on_after(1):
                        answer = await question.wait()
                    if answer is None or answer.type == BOUNCE:
                        answer = await look(self.store, stored)
        finally:
            self._questions.drop(asked)
        return self.wire.decode(answer.body, self._kinds.get(answer.type, Any) if reply is None else reply)

    async def cancel(self, id: str) -> None:
        """Cancel a message that nobody has claimed yet, such as a timer. Raises ``Conflict``."""
        await self.commit.submit(Cancel((parse_id(id),)))

    def _compose(self, to: str, message: object, sender: str | None, envelope: dict[str, Any]) -> Send:
        """A send of a typed message, offered to its recipient if that is an actor here."""
        given = envelope.pop("id", None)
        hold = envelope.pop("hold", False)
        made = compose(
            id=self.ids.new() if given is None else parse_id(given),
            recipient=to,
            sender=sender or self._replies,
            type=envelope.pop("type", None) or type_name(type(message)),
            body=self.wire.encode(message),
            **envelope,
        )
        return Send(made, Unrouted.HOLD if hold else Unrouted.REFUSE)

    def _compose_all(self, to: str, messages: Sequence[object], envelope: dict[str, Any]) -> list[Send]:
        """Sends under one envelope, which is checked with the first of them."""
        if not messages:
            return []
        first = self._compose(to, messages[0], None, dict(envelope))
        given = envelope.get("type")
        new, encode = self.ids.new, self.wire.encode
        same_id = first.message.id if envelope.get("id") is not None else None
        return [first] + [
            Send(
                like(
                    first.message,
                    same_id or new(),
                    given or type_name(type(message)),
                    encode(message),
                ),
                first.unrouted,
            )
            for message in messages[1:]
        ]

    async def _send(self, send: Send) -> Accepted:
        cell = self._runtime.offer_to(send)
        if cell is None:
            answer = await self.commit.submit(send)
            assert isinstance(answer, Accepted)
            return answer
        answer = await self.commit.submit(send, cell.heard)
        assert isinstance(answer, Accepted)
        return answer

    async def pause(self, inbox: str, key: str | None = None) -> None:
        """Accept but deliver nothing, until resumed; mail handed over but not begun goes back."""
        await self.commit.submit(Control(inbox, Switch.PAUSE, key))

    async def resume(self, inbox: str, key: str | None = None) -> None:
        """End a pause."""
        await self.commit.submit(Control(inbox, Switch.RESUME, key))

    async def look(self, read: Callable[..., T], *args: Any) -> T:
        """What ``read`` of these arguments, ``counts`` or ``show`` or any read of ``store``, finds.

        Where the store is on a server it is asked in a thread, and nothing waits for it but the caller;
        only then is this a checkpoint. Cancelled, the answer is dropped. Raises what ``read`` raises.
        """
        return await look(self.store, partial(read, *args))

    def counts(self, inbox: str) -> InboxCounts | None:
        """The counts of an inbox as of now; None if there is none.

        This and ``show`` keep the event loop waiting for a server, a second at most: see ``look``.
        """
        found = self.store.counts(inbox)
        return found[0] if found else None

    def show(self, id: str) -> StoredMessage:
        """A message with its history. Raises ``UnknownMessage``."""
        message = self.store.message(parse_id(id))
        if message is None:
            raise UnknownMessage("no such message", "its id is not known here", "check the id")
        return message
