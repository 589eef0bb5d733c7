"""Everything at once: two systems that are killed, pause and fail, and at the end all is done, once."""

from __future__ import annotations

import json

import attrs
import trio
from fleet import Fleet, Process, fleet
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock
from troupe import Job, Sum

from postroom import Actor, handles
from postroom.store.memory import MemoryStore
from postroom.testing import memory_store

DRAINED_SECONDS = 300.0
"""Virtual seconds in which everything is done: sessions lapse after 60, and retries wait for some."""

WORKERS = 2
"""Workers in each system, besides the tally that is alive in one of them."""


@attrs.frozen
class Done:
    n: int


class Tally(Actor):
    """Adds up what the workers have done, and keeps a record of each."""

    state: Sum

    @handles(Done)
    async def add(self, done: Done) -> None:
        self.state.total += done.n
        self.state.seen.append(done.n)
        self.records.put("done", str(done.n), done.n)


@attrs.frozen
class Send:
    """Send so many jobs more."""

    jobs: int


@attrs.frozen
class Kill:
    """Kill one of the two systems, which others see at once or only by its session; start another."""

    which: int
    seen: bool


@attrs.frozen
class End:
    """End one of the two systems in good order; start another."""

    which: int


@attrs.frozen
class Pause:
    """Pause an inbox for so long."""

    inbox: str
    seconds: float


@attrs.frozen
class Wait:
    """Let time pass."""

    seconds: float


Step = Send | Kill | End | Pause | Wait


def a_time(most: float) -> st.SearchStrategy[float]:
    """Often a moment within a few commits, sometimes long."""
    return st.one_of(st.floats(0.0005, 0.02), st.floats(0.02, most)).map(lambda seconds: round(seconds, 4))


STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(Send, st.integers(1, 12)),
    st.builds(Kill, st.integers(0, 1), st.booleans()),
    st.builds(End, st.integers(0, 1)),
    st.builds(Pause, st.sampled_from(["any:worker", "tally/main"]), a_time(2)),
    st.builds(Wait, a_time(20)),
)


class Story:
    """One run: which handlings fail or wait is part of the plan, by the number of the job."""

    def __init__(self, us: Fleet, failing: frozenset[int], slow: frozenset[int]) -> None:
        self.us = us
        self.failing, self.slow = failing, slow
        self.tried: set[int] = set()
        self.jobs = 0
        self.started = 0
        self.pair: list[Process] = []

    def worker(self, autojump_clock: MockClock) -> type[Actor]:
        """Some jobs take their time, and some fail at the first try."""
        story = self

        class Worker(Actor):
            @handles(Job)
            async def work(self, job: Job) -> None:
                self.records.put("worked", str(job.n), job.n)
                self.send("tally/main", Done(job.n))
                if job.n % 10 in story.slow:
                    await trio.sleep(0.3)
                if job.n % 10 in story.failing and job.n not in story.tried:
                    story.tried.add(job.n)
                    raise ValueError("not at the first try")

        return Worker

    async def another(self, autojump_clock: MockClock) -> Process:
        """One more system, with workers and, where it is not alive elsewhere, the tally."""
        process = await self.us.join(f"p{self.started}", grace=1)
        self.started += 1
        await process.office.start("tally/main", Tally)
        for n in range(WORKERS):
            await process.office.start(
                f"worker/{process.name}-{n}", self.worker(autojump_clock), concurrency=1 + n
            )
        return process

    async def play(self, autojump_clock: MockClock, step: Step) -> None:
        match step:
            case Send(jobs):
                office = self.pair[self.jobs % 2].office
                await office.send_many(
                    "any:worker", [Job(self.jobs + n) for n in range(jobs)], max_attempts=100
                )
                self.jobs += jobs
            case Kill(which, seen):
                await self.pair[which].kill(seen=seen)
                self.pair[which] = await self.another(autojump_clock)
            case End(which):
                await self.pair[which].end()
                self.pair[which] = await self.another(autojump_clock)
            case Pause(inbox, seconds):
                await self.pair[0].office.pause(inbox)
                await trio.sleep(seconds)
                await self.pair[1].office.resume(inbox)
            case Wait(seconds):
                await trio.sleep(seconds)


def alive(store: MemoryStore) -> int:
    """How many messages are in no final state."""
    return sum(c.ready + c.leased + c.delayed + c.held for c in store.counts())


def all_done_once(store: MemoryStore, jobs: int) -> None:
    """Each job has had its effects, none had them twice, and nothing else is left."""
    proof = store.verify(deep=True)
    assert proof.ok, proof.faults
    assert {state: n for state, n in proof.counts.items() if n} == ({"done": 2 * jobs} if jobs else {})
    owners = [counts.inbox for counts in store.counts() if counts.inbox.startswith("worker/")]
    worked = [record for owner in owners for record in store.records(owner, "worked")]
    assert sorted(int(record.key) for record in worked) == list(range(jobs))
    done = store.records("tally/main", "done")
    assert sorted(int(record.key) for record in done) == list(range(jobs))
    assert {record.version for record in (*worked, *done)} <= {1}
    for record in store.records("tally/main", "state"):
        state = json.loads(record.value)
        assert (state["total"], sorted(state["seen"])) == (sum(range(jobs)), list(range(jobs)))


async def live(
    autojump_clock: MockClock, steps: list[Step], failing: frozenset[int], slow: frozenset[int]
) -> None:
    store = memory_store()
    try:
        async with fleet(store) as us:
            story = Story(us, failing, slow)
            story.pair = [await story.another(autojump_clock), await story.another(autojump_clock)]
            for step in steps:
                await story.play(autojump_clock, step)
            with trio.fail_after(DRAINED_SECONDS):
                while alive(store):  # noqa: ASYNC110  # the store changes under several systems
                    await trio.sleep(1)
            all_done_once(store, story.jobs)
    finally:
        store.close()


# Examples that fail take long, so they are not made smaller; they are kept and tried first next time.
@settings(max_examples=25, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    steps=st.lists(STEPS, min_size=2, max_size=14),
    failing=st.frozensets(st.integers(0, 9), max_size=3),
    slow=st.frozensets(st.integers(0, 9), max_size=3),
)
def test_whatever_happens_each_message_is_handled_and_has_its_effects_once(
    steps: list[Step], failing: frozenset[int], slow: frozenset[int]
) -> None:
    clock = MockClock(autojump_threshold=0)
    trio.run(live, clock, [Send(3), *steps], failing, slow, clock=clock)
