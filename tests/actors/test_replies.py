"""Replies: what a handler returns goes to whoever asked."""

from __future__ import annotations

from trio.testing import MockClock
from troupe import Answer, Echo, Job

from postroom import Actor, handles
from postroom.testing import open_testing_postroom, settled


async def test_a_reply_goes_to_who_asked_and_carries_the_question_s_id(autojump_clock: MockClock) -> None:
    class Asker(Actor):
        heard: tuple[str | None, int] = (None, 0)

        @handles(Answer)
        async def hear(self, answer: Answer) -> None:
            Asker.heard = (self.message.correlation_id, answer.n)

    async with open_testing_postroom() as office:
        await office.start("echo/main", Echo)
        await office.start("asker/main", Asker)
        sent = await office.send("echo/main", Job(7), reply_to="asker/main")
        await settled(office)
    assert Asker.heard == (sent, 7)


async def test_a_reply_keeps_the_correlation_of_its_question(autojump_clock: MockClock) -> None:
    class Asker(Actor):
        correlation: str | None = None

        @handles(Answer)
        async def hear(self, answer: Answer) -> None:
            Asker.correlation = self.message.correlation_id

    async with open_testing_postroom() as office:
        await office.start("echo/main", Echo)
        await office.start("asker/main", Asker)
        await office.send("echo/main", Job(7), reply_to="asker/main", correlation="order-1")
        await settled(office)
    assert Asker.correlation == "order-1"
