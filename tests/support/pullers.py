"""Whole convoys on virtual time, with somebody who pulls: in this process, by its own desk."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import trio
from stage import pause
from trio.testing import MockClock

from postroom import System, open_postroom
from postroom.actors.convoys.entering import RunRecord, enter
from postroom.actors.convoys.ledger import Report
from postroom.actors.convoys.plan import Agent, Convoy, Retry, Task, Work
from postroom.actors.convoys.playing import play
from postroom.actors.convoys.record.facts import Fact, facts
from postroom.actors.convoys.wires import convoy_wire
from postroom.mailbox.codec import decode, encode
from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import IdMaker
from postroom.store.records import InboxSpec, Register
from postroom.testing import memory_store

RUN = "r1"
INBOX = "worker/anna"
ANNA = Agent("anna", inbox=INBOX)


class Puller:
    """A convoy that is played, and whoever pulls its tasks."""

    def __init__(self, place: Path, clock: MockClock) -> None:
        self.folder, self.logs = place / "work", place / "logs"
        self.folder.mkdir()
        self.logs.mkdir()
        self.clock = clock
        self.store = memory_store()
        self.desk = Desk(self.store, IdMaker(self.store.clock, Random(0)))
        self.reports: list[Report] = []

    def task(self, id: str, prompt: str = "do it", *, retries: int = 0, **more: Any) -> Task:
        """A task for Anna, or for another ``agent``."""
        more = {"agent": ANNA.name, **more}
        return Task(id, str(self.folder), Work(prompt=prompt), retry=Retry(retries, backoff=1), **more)

    @asynccontextmanager
    async def plays(
        self, *tasks: Task, agents: tuple[Agent, ...] = (ANNA,), there: bool = True, **more: Any
    ) -> AsyncGenerator[System, None]:
        """The convoy is played to its end, which this waits for. ``there``: Anna has an inbox."""
        convoy = Convoy("test", 2, tasks, str(self.folder), agents=agents, **more)
        with trio.fail_after(20_000):
            async with (
                open_postroom(self.store, wire=convoy_wire(), rng=Random(0)) as office,
                trio.open_nursery() as nursery,
            ):
                if there:
                    await office.commit.submit(Register((InboxSpec(INBOX),)))
                await enter(office, RunRecord(RUN, "/work.toml", {}), convoy)
                nursery.start_soon(self._play, office, convoy)
                yield office

    async def _play(self, office: System, convoy: Convoy) -> None:
        await play(office, RUN, convoy, self.logs, stop=trio.Event(), watch=self.reports.append)

    async def mail(self) -> Any:
        """The next task that Anna pulls, as a message with a lease."""
        while True:
            if mail := self.desk.poll(INBOX):
                return mail[0]
            await pause(0.1, self.clock)

    async def pull(self, **reply: Any) -> dict[str, Any]:
        """Do the next task, with this reply; its body."""
        mail = await self.mail()
        self.answer(mail, **reply)
        body: dict[str, Any] = decode(mail.body)
        return body

    def answer(self, mail: Any, **reply: Any) -> None:
        """Do a task that was pulled, with this reply."""
        self.desk.ack(mail.id, mail.fence, encode(reply))

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait until this is so, and something was reported."""
        while not (self.reports and done()):
            await pause(0.1, self.clock)

    def row(self, id: str) -> Any:
        """Where a task stands at last."""
        return next(row for row in self.reports[-1].tasks if row.id == id)

    def facts(self, type: str) -> list[Fact]:
        """What the record has of this type."""
        return [fact for fact in facts(self.store, RUN) if fact.type == type]
