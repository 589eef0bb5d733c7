"""A system with actors on a small disk: turns under way commit on what is kept back."""

from __future__ import annotations

from pathlib import Path
from random import Random

import attrs
import trio

from postroom import Actor, System, handles, open_postroom
from postroom.mailbox.ids import id_text
from postroom.simulation.checkers import EFFECT, Checkers
from postroom.simulation.witness import witnessed
from postroom.store.clock import SystemClock
from postroom.store.errors import OutcomeUnknown, StoreUnavailable
from postroom.store.sqlite.ballast import BALLAST_BYTES, LOOK_US, ballast_size, min_free, room_at
from postroom.store.sqlite.file import FileStore, open_file

from .full import Disk
from .told import Told

JOBS, LEDGER = "pass/main", "note/main"
SECONDS = 20.0
"""The longest wait for what has to happen by itself."""


@attrs.frozen
class Job:
    n: int
    load: str = ""


@attrs.frozen
class Passed:
    n: int


@attrs.define
class Sum:
    count: int = 0


def note(actor: Actor) -> None:
    """The effect of a turn: once more than before."""
    key = id_text(actor.message.id)
    actor.records.put(EFFECT, key, (actor.records.get(EFFECT, key, int) or 0) + 1)


class Passing(Actor):
    """Tells the ledger of each job."""

    @handles(Job)
    async def work(self, job: Job) -> None:
        await trio.lowlevel.checkpoint()
        note(self)
        self.send(LEDGER, Passed(job.n))


class Ledger(Actor):
    """Counts what was passed on."""

    state: Sum

    @handles(Passed)
    async def add(self, passed: Passed) -> None:
        note(self)
        self.state.count += 1


class Play:
    """One system, its senders, and the disk under them."""

    def __init__(self, office: System, disk: Disk, rng: Random, told: Told) -> None:
        self.office = office
        self.disk = disk
        self.rng = rng
        self.told = told
        self.jobs = 0
        self.doubtful: list[tuple[str, Job]] = []

    async def send(self, size: int, id: str | None = None, job: Job | None = None) -> bool:
        """Send one job from outside, once. Whether it was accepted; a doubtful one is remembered."""
        if job is None or id is None:
            self.jobs += 1
            job = Job(self.jobs, "x" * size)
            id = id_text(self.office.ids.new())
        try:
            await self.office.send(JOBS, job, id=id)
        except OutcomeUnknown:
            self.told.count("commits in doubt")
            self.doubtful.append((id, job))
            return False
        except StoreUnavailable:
            self.told.count("sends refused")
            return False
        return True

    async def burst(self, most: int, size: int) -> int:
        """Many senders at once; answers how many were accepted."""
        accepted = 0

        async def one() -> None:
            nonlocal accepted
            accepted += await self.send(int(size ** self.rng.random()))

        async with trio.open_nursery() as nursery:
            for _ in range(most):
                nursery.start_soon(one)
        return accepted

    async def until_refused(self) -> None:
        """Senders fill the disk themselves."""
        for _ in range(300):
            if not await self.burst(20, 40_000):
                return
        self.told.check(False, "the disk never filled up")

    async def all_settled(self, when: str) -> None:
        """Wait until every accepted message has been brought to its end."""
        with trio.move_on_after(SECONDS) as waiting:
            while not self._settled():  # noqa: ASYNC110  # no event tells that nothing is left
                await trio.sleep(0.01)
        self.told.check(not waiting.cancelled_caught, f"not everything was settled {when}")

    def _settled(self) -> bool:
        try:
            counts = self.office.store.counts()
        except StoreUnavailable:
            return False
        return not any(c.ready + c.delayed + c.leased for c in counts if c.inbox in (JOBS, LEDGER))

    async def accepted_again(self) -> None:
        """Sends are accepted once there is room, and what was in doubt can be repeated."""
        with trio.move_on_after(SECONDS) as waiting:
            while not await self.send(10):  # noqa: ASYNC110  # no event tells that there is room
                await trio.sleep(0.05)
        self.told.check(not waiting.cancelled_caught, "no send is accepted though the disk is free again")
        doubtful, self.doubtful = self.doubtful, []
        for id, job in doubtful:
            self.told.check(await self.send(0, id, job), "a doubtful send could not be repeated")


async def _act(store: FileStore, disk: Disk, told: Told, checkers: Checkers) -> None:
    rng = Random(told.seed)
    seen = witnessed(store, checkers.see, "one")
    async with open_postroom(seen, rng=Random(told.seed), name="disk") as office:
        await office.start(LEDGER, Ledger)
        await office.start(JOBS, Passing, concurrency=rng.choice((1, 4)))
        play = Play(office, disk, rng, told)
        if rng.random() < 0.5:
            await play.until_refused()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(play.burst, rng.randint(20, 200), 5_000)
            await trio.sleep(rng.random() * 0.02)
            if ballast_size(store.path) != 0:  # what the ballast has given back is for settling
                disk.fill()
        await trio.sleep(LOOK_US / 1e6)
        await play.burst(5, 40_000)
        before = room_at(store.path.parent)
        accepted = await play.burst(5, 40_000)
        after = room_at(store.path.parent)
        if max(before.free, after.free) < min_free(before):
            told.check(accepted == 0, "a send was accepted by a full disk")
        else:
            told.count("the log gave its room back")
        await play.all_settled("on a full disk")
        disk.free()
        await play.accepted_again()
        await play.burst(20, 1_000)
        await play.all_settled("afterwards")
    held = ballast_size(store.path)
    told.check(bool(held), f"the ballast was not made anew, it holds {held}")
    found = store.verify(deep=True)
    told.check(found.ok, f"verify: {found.faults}")
    checkers.finish(seen, drained=True)


def run(folder: Path, seed: int) -> Told:
    """One episode on a small file system of its own."""
    told, checkers = Told("actors", seed), Checkers()
    disk = Disk(folder)
    store = open_file(
        folder / "room.db", create=True, clock=SystemClock(), rng=Random(seed), ballast=BALLAST_BYTES
    )
    try:
        trio.run(_act, store, disk, told, checkers)
    finally:
        store.close()
        disk.clear()
    return told.judged(checkers)
