"""Asking from outside turns: a question, and one who waits for the answer."""

from __future__ import annotations

import trio

from ..mailbox.ids import derive, id_text
from ..store.errors import Conflict, PostroomError
from ..store.port import Store
from ..store.records import Delivery, Settle, StoredMessage, Verdict

MOST_OUTPUTS = 64


class NoAnswer(PostroomError):
    """The message that was asked can give no answer any more: it is dead, expired, bounced or cancelled."""

    code = "no_answer"


class Question:
    """One question under way."""

    __slots__ = ("_answered", "answer")

    def __init__(self) -> None:
        self.answer: Delivery | StoredMessage | None = None
        self._answered = trio.Event()

    def give(self, answer: Delivery | StoredMessage) -> None:
        self.answer = answer
        self._answered.set()

    async def wait(self) -> Delivery | StoredMessage:
        await self._answered.wait()
        assert self.answer is not None
        return self.answer


class Questions:
    """The questions of one session, by the id that their answers carry as correlation."""

    def __init__(self) -> None:
        self._open: dict[str, Question] = {}

    def ask(self, id: bytes) -> Question:
        """Begin to wait for the answer to message ``id``. Raises ``Conflict`` if somebody does already."""
        key = id_text(id)
        if key in self._open:
            raise Conflict("this question is being asked", "somebody waits for its answer", "wait too")
        question = self._open[key] = Question()
        return question

    def drop(self, id: bytes) -> None:
        self._open.pop(id_text(id), None)

    def answer(self, delivery: Delivery) -> Settle:
        """Give an answer to whoever waits for it; the settlement that ends its lease."""
        question = self._open.get(delivery.correlation_id or "")
        if question is not None:
            question.give(delivery)
        return Settle(delivery.id, delivery.fence, Verdict.ACK, delivery.seq)


def stored_answer(store: Store, id: bytes) -> StoredMessage | None:
    """The answer that was given to a question before, or None while it has none.

    Raises ``NoAnswer`` if there can never be one. The id of an answer derives from that of the
    question, so it is found without an index.
    """
    question = store.message(id)
    if question is None or question.state in ("ready", "leased", "delayed", "held"):
        return None
    if question.state == "done":
        for n in range(MOST_OUTPUTS):
            answer = store.message(derive(id, question.fence, n))
            if answer is None:
                break
            if answer.correlation_id == (question.correlation_id or id_text(id)):
                return answer
        raise NoAnswer("there is no answer", "its handler returned nothing", "use send, not ask")
    raise NoAnswer(
        f"the question is {question.state}", question.error or question.reason or "", "look at it with: show"
    )
