"""Asking from outside turns: a question, and one who waits for the answer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio

from ..mailbox.ids import derive, id_text
from ..store.errors import Conflict, NoAnswer, StoreUnavailable
from ..store.port import Store
from ..store.records import Accepted, Answer, Claim, Claimed, Delivery, Settle, StoredMessage, Verdict

if TYPE_CHECKING:
    from .runtime import Runtime

ANSWERS = 100


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
    """The box for answers of one session, and who waits for which, by correlation id."""

    def __init__(self, runtime: Runtime, address: str) -> None:
        self.address = address
        self._runtime = runtime
        self._open: dict[str, Question] = {}
        self._claiming = False

    def ask(self, id: bytes) -> Question:
        """Begin to wait for the answer to message ``id``. Raises ``Conflict`` if somebody does already."""
        key = id_text(id)
        if key in self._open:
            raise Conflict("this question is being asked", "somebody waits for its answer", "wait too")
        question = self._open[key] = Question()
        return question

    def drop(self, id: bytes) -> None:
        self._open.pop(id_text(id), None)

    def offer(self) -> int:
        return self._runtime.session

    def handed(self, delivery: Delivery | None) -> None:
        """Give an answer to whoever waits for it, and settle it without keeping anybody waiting."""
        if delivery is None:
            return
        question = self._open.get(delivery.correlation_id or "")
        if question is not None:
            question.give(delivery)
        self._settle(Settle(delivery.id, delivery.fence, Verdict.ACK, delivery.seq))

    def _settle(self, settle: Settle) -> None:
        self._runtime.commit.submit_nowait(settle, partial(self._settled, settle), patient=True)

    def _settled(self, settle: Settle, answer: Answer) -> None:
        """What the store has not kept hangs on the session, however long that lives: settle it again."""
        if isinstance(answer, StoreUnavailable):
            self._runtime.start_soon(self._runtime.again, self._settle, settle)

    def heard(self, answer: Answer) -> None:
        self.handed(answer.delivery if isinstance(answer, Accepted) else None)

    def ring(self) -> None:
        """Answers came another way, from other processes: claim them."""
        if not self._claiming:
            self._claiming = True
            claim = Claim((self.address,), ANSWERS, self._runtime.session)
            self._runtime.commit.submit_nowait(claim, self._claimed)

    def _claimed(self, answer: Answer) -> None:
        self._claiming = False
        if isinstance(answer, Claimed):
            for delivery in answer.deliveries:
                self.handed(delivery)
            if len(answer.deliveries) == ANSWERS:
                self.ring()
        else:
            self._runtime.start_soon(self._runtime.again, self.ring)


def stored_answer(store: Store, id: bytes) -> StoredMessage | None:
    """The answer that was given to a question before, or None while it has none.

    Raises ``NoAnswer`` if there can never be one. The id of an answer derives from that of the
    question, so it is found without an index.
    """
    question = store.message(id)
    if question is None or question.state in ("ready", "leased", "delayed", "held"):
        return None
    if question.state == "done":
        answer = store.message(derive(id, question.fence, 0))
        if answer is not None:
            return answer
        raise NoAnswer("there is no answer", "its handler returned nothing", "use send, not ask")
    raise NoAnswer(
        f"the question is {question.state}", question.error or question.reason or "", "look at it with: show"
    )
