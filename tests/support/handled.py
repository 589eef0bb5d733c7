"""Actors that note what they handle, and the proof that a system is whole."""

from __future__ import annotations

from collections import Counter

import trio
from troupe import Answer, Job, Sum, final, verified

from postroom import Actor, System, handles
from postroom.mailbox.ids import id_text, parse_id
from postroom.testing import settled

PROBE = 99


class Log:
    """Which jobs were handled how often, by actors that answer them. A turn takes ``seconds``."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.handled = Counter[int]()
        self.stopped = 0

    def actor(self) -> type[Actor]:
        """An actor without a state."""
        log = self

        class Logging(Actor):
            @handles(Job)
            async def note(self, job: Job) -> Answer:
                await trio.sleep(log.seconds)
                log.handled[job.n] += 1
                return Answer(job.n)

            async def on_stop(self) -> None:
                log.stopped += 1

        return Logging

    def keeper(self) -> type[Actor]:
        """The same with a state."""
        log = self

        class Keeping(Actor):
            state: Sum

            @handles(Job)
            async def note(self, job: Job) -> Answer:
                await trio.sleep(log.seconds)
                self.state.total += job.n
                log.handled[job.n] += 1
                return Answer(job.n)

            async def on_stop(self) -> None:
                log.stopped += 1

        return Keeping

    async def burden(self, office: System, address: str, *, slow: float = 0.01) -> dict[int, int]:
        """Let a started actor take much mail at once, for slow turns; answers how it should be handled.

        Many quick turns before let it expect that the next ones are quick too.
        """
        await office.send_many(address, [Job(PROBE)] * 60)
        await settled(office)
        self.handled.pop(PROBE)
        self.seconds = slow
        await office.send_many(address, [Job(n) for n in range(8)])
        return dict.fromkeys(range(8), 1)

    async def proves(self, office: System, address: str) -> None:
        """A message that is sent now is handled, once; after that nothing is left over anywhere."""
        sent = await office.send(address, Job(PROBE))
        assert (await final(office, sent)).state == "done"
        await settled(office)
        assert self.handled.pop(PROBE) == 1
        verified(office)


def new_id(office: System) -> str:
    return id_text(office.ids.new())


def known(office: System, id: str) -> bool:
    return office.store.message(parse_id(id)) is not None
