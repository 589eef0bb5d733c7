"""Asking: a question, an inbox of one's own for the answers, and whoever waits for which."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio

from ..mailbox.ids import derive, id_text, parse_id
from ..store.errors import Conflict, LostLease, NoAnswer, PostroomError, UnknownMessage
from .records import Delivered, Known, Reply
from .verbs import Verbs

LIVE = frozenset({"ready", "leased", "delayed", "held"})
REST = 60.0
"""Seconds that one poll for answers waits."""

LEASE = 60.0
MOST = 100
FIRST_LOOK, LONGEST_LOOK = 0.25, 5.0
"""Seconds between looks at what has become of a question: its answer may have gone elsewhere."""


class Question:
    """One question under way."""

    __slots__ = ("answer", "answered", "correlation")

    def __init__(self, correlation: str) -> None:
        self.correlation = correlation
        self.answered = anyio.Event()
        self.answer: Reply | PostroomError | None = None

    def give(self, answer: Reply | PostroomError) -> None:
        """Have the answer, or why it cannot be heard; the first counts."""
        if self.answer is None:
            self.answer = answer
        self.answered.set()


class Questions:
    """The questions of one client. Its inbox for answers is made with the first, and ends with the client."""

    def __init__(self, client: Verbs, address: str) -> None:
        self.address = address
        self._client = client
        self._open: dict[str, Question] = {}
        self._registered = False
        self._registering = anyio.Lock()
        self._listening: anyio.CancelScope | None = None

    async def ask(self, flags: dict[str, Any]) -> Reply:
        """Send the question and wait for its answer; for ever, the caller has a timeout.

        ``flags`` have an ``id`` and a ``correlation``. Raises ``Conflict`` if it is being asked already,
        and ``NoAnswer``.
        """
        id = flags["id"]
        if id in self._open:
            raise Conflict("this question is being asked", "somebody waits for its answer", "wait too")
        question = self._open[id] = Question(flags["correlation"])
        try:
            await self._register()
            sent = await self._client.transport.call("send", {**flags, "reply_to": self.address})
            self._listen()
            return await self._answer(id, question, again=sent["state"] == "duplicate")
        finally:
            del self._open[id]
            if not self._open and self._listening is not None:
                self._listening.cancel()
                self._listening = None

    async def close(self) -> None:
        """End the inbox, so that later answers bounce rather than lie there for nobody."""
        if self._registered:
            await self._client.transport.call("deregister", {"inbox": self.address})

    async def _register(self) -> None:
        async with self._registering:
            if not self._registered:
                await self._client.transport.call("register", {"inbox": self.address})
                self._registered = True

    # Waiting

    async def _answer(self, id: str, question: Question, *, again: bool) -> Reply:
        """The answer, as it comes or as it was kept. Asked before, it may have come to another inbox."""
        pause = 0.0 if again else FIRST_LOOK
        while True:
            with anyio.move_on_after(pause):
                await question.answered.wait()
            if isinstance(question.answer, PostroomError):
                raise question.answer
            if question.answer is not None:
                return question.answer
            found = await self._look(id, again=again)
            if found is not None:
                return found
            pause = min(max(FIRST_LOOK, pause * 2), LONGEST_LOOK)

    async def _look(self, id: str, *, again: bool) -> Reply | None:
        """The stored answer; None while there may still be one. Raises ``NoAnswer``."""
        asked = await self._client.known(id)
        if asked.state in LIVE:
            return None
        if asked.state != "done":
            why = asked.last_error or asked.reason or ""
            raise NoAnswer(f"the question is {asked.state}", why, "look at it with: postroom show")
        if not again:
            return None  # it comes to the inbox here, or from whoever the question was passed on to
        try:
            answer = await self._client.known(id_text(derive(parse_id(id), asked.fence, 0)))
        except UnknownMessage as error:
            raise NoAnswer(
                "there is no answer", "its handler returned nothing", "use send, not ask"
            ) from error
        return _reply(answer)

    # Listening

    def _listen(self) -> None:
        if self._listening is None:
            self._listening = anyio.CancelScope()
            self._client.spawn(self._hear, self._listening)

    async def _hear(self, scope: anyio.CancelScope) -> None:
        """Take answers from the inbox while anybody waits; each is settled, whoever it was for."""
        with scope:
            try:
                while True:
                    await self._take()
            except PostroomError as error:
                for question in self._open.values():
                    question.give(error)
                if self._listening is scope:
                    self._listening = None

    async def _take(self) -> None:
        for mail in await self._client.poll(self.address, wait=REST, max=MOST, lease=LEASE):
            with (
                anyio.CancelScope(shield=True),
                suppress(LostLease),
            ):  # or it is delivered again, and settled then
                await self._client.ack(mail.id, mail.fence)
            question = self._asked_by(mail)
            if question is not None:
                question.give(_reply(mail))

    def _asked_by(self, mail: Delivered) -> Question | None:
        """The question that an answer is for: its cause, else what it belongs to."""
        caused = self._open.get(mail.causation_id or "")
        if caused is not None:
            return caused
        return next((one for one in self._open.values() if one.correlation == mail.correlation_id), None)


def _reply(mail: Delivered | Known) -> Reply:
    return Reply(
        id=mail.id,
        type=mail.type,
        body=mail.body,
        sender=mail.sender,
        correlation_id=mail.correlation_id,
        causation_id=mail.causation_id,
    )
