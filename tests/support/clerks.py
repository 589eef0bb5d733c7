"""Actors that do with each job whatever a turn can do, so that a test can see it happen once."""

from __future__ import annotations

import trio
from troupe import Adder, Job, verified

from postroom import Actor, System, handles
from postroom.mailbox.ids import id_text


class Clerk(Adder):
    """Adds up, and does with each job whatever else a turn can do."""

    @handles(Job)
    async def add(self, job: Job) -> None:
        await trio.lowlevel.checkpoint()
        self.state.total += job.n
        self.state.seen.append(job.n)
        self.records.put("done", str(job.n), job.n)
        self.send("sink/main", job)


class Sink(Actor):
    """Takes jobs and says nothing."""

    @handles(Job)
    async def take(self, job: Job) -> None:
        pass


class Passing(Actor):
    """Without a state: a record and an output for each job."""

    @handles(Job)
    async def go(self, job: Job) -> None:
        self.records.put("done", str(job.n), job.n)
        self.send("sink/main", job)


def once_each(office: System, address: str, n: int) -> None:
    """Each of the jobs 0 to n - 1 has had its effects, and none had them twice."""
    written = {record.key: record.version for record in office.store.records(address, "done")}
    assert written == {str(job): 1 for job in range(n)}
    for inbox in (address, "sink/main"):
        (counts,) = office.store.counts(inbox)
        assert (counts.accepted, counts.done) == (n, n), inbox
    verified(office)


async def queued(office: System, to: str, jobs: int) -> list[str]:
    """Jobs for one actor that all wait before the first of them is begun."""
    await office.pause(to)
    ids = [id_text(office.ids.new()) for _ in range(jobs)]
    for n, id in enumerate(ids):
        await office.send(to, Job(n), id=id)
    await office.resume(to)
    return ids
