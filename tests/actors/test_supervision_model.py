"""Random failures of supervised actors on virtual time, against a model of what a supervisor does.

The model knows who is up, when each restart was, and what a strategy takes along. It is told of a
failure and says who is stopped, in which order, and who is started again.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stage import ALWAYS, Stage, Witness
from trio.testing import MockClock
from troupe import Job, verified

from postroom import ChildSpec
from postroom.actors.supervisor import Intensity, Restart, Strategy
from postroom.testing import open_testing_postroom

NAMES = ("one", "two", "three", "four")
PERIOD = 4.0

UP, DOWN, PARKED, STOPPED = "up", "down", "parked", "stopped"


@attrs.define
class Child:
    """What the model knows of one actor.

    ``lively`` says whether it has an instance: they are lazy. ``waiting`` says whether mail came that it
    could not do: once it is up again, it has an instance at once.
    """

    name: str
    restart: str
    state: str = UP
    lively: bool = False
    waiting: bool = False


class Supervisor:
    """The model."""

    def __init__(self, strategy: str, restarts: int, kinds: Sequence[str]) -> None:
        self.strategy, self.restarts = strategy, restarts
        self.children = [Child(name, kind) for name, kind in zip(NAMES, kinds, strict=False)]
        self.times: list[float] = []
        self.stopped: list[str] = []
        self.restarted: list[str] = []
        self.parked: list[str] = []

    def works(self, child: Child) -> bool:
        """Whether a job that is sent now is done."""
        child.lively = child.lively or child.state == UP
        child.waiting = child.waiting or child.state != UP
        return child.state == UP

    def fails(self, child: Child, now: float) -> None:
        """An actor that is up fails while it starts."""
        if child.restart == "temporary":
            child.state, child.lively = DOWN, False
            return
        self.times = [at for at in self.times if at > now - PERIOD] + [now]
        if len(self.times) > self.restarts:
            child.state, child.lively, child.waiting = PARKED, False, True
            self.parked.append(child.name)
            return
        taken = self._taken(child)
        for one in reversed(taken):
            if one.lively:
                self.stopped.append(one.name)
            one.lively = False
            one.state = DOWN
        for one in taken:
            if one.restart != "temporary":
                self.restarted.append(one.name)
                one.state = UP
                if one is not child:
                    one.lively, one.waiting = one.waiting, False

    def _taken(self, child: Child) -> list[Child]:
        there = [one for one in self.children if one.state != STOPPED]
        if self.strategy == "one-for-one":
            return [child]
        return there if self.strategy == "one-for-all" else there[there.index(child) :]

    def stop(self, child: Child) -> None:
        if child.lively:
            self.stopped.append(child.name)
        child.state, child.lively = STOPPED, False


EVENT = st.tuples(
    st.sampled_from(["job", "job", "fail", "fail", "burst", "stop", "wait", "long"]), st.integers(0, 3)
)


@settings(max_examples=15, deadline=None)
@given(
    strategy=st.sampled_from([str(s) for s in Strategy]),
    restarts=st.integers(0, 3),
    kinds=st.lists(st.sampled_from([str(k) for k in Restart]), min_size=2, max_size=4),
    events=st.lists(EVENT, max_size=10),
)
@example(
    strategy="one-for-all",
    restarts=2,
    kinds=["permanent", "permanent"],
    events=[("burst", 1), ("long", 0), ("fail", 0), ("fail", 1)],
)
def test_failures_stops_and_jobs_go_as_the_model_says(
    strategy: str, restarts: int, kinds: list[str], events: list[tuple[str, int]]
) -> None:
    clock = MockClock(autojump_threshold=0)
    trio.run(_play, clock, strategy, restarts, kinds, events, clock=clock)


async def _play(
    clock: MockClock, strategy: str, restarts: int, kinds: list[str], events: list[tuple[str, int]]
) -> None:
    stage, witness = Stage(clock), Witness()
    model = Supervisor(strategy, restarts, kinds)
    async with open_testing_postroom(observer=witness) as office:
        specs = [ChildSpec(_address(c.name), stage.player(), Restart(c.restart)) for c in model.children]
        await office.supervise(specs, strategy=strategy, intensity=Intensity(restarts, PERIOD))
        jobs: dict[str, str] = {}
        for what, at in events:
            child = model.children[at % len(model.children)]
            address = _address(child.name)
            if what in ("wait", "long"):
                await trio.sleep(PERIOD / 4 if what == "wait" else PERIOD + 1)
            elif what == "stop":
                await office.stop(address)
                model.stop(child)
            else:
                fails = {"job": 0, "fail": 1, "burst": ALWAYS}[what]
                if fails and child.lively:
                    continue  # only an instance that starts can fail
                stage.broken[address] = fails
                jobs[await office.send(address, Job())] = child.name
                await trio.sleep(0.2)
                while fails and child.state == UP:
                    fails -= 1
                    model.fails(child, trio.current_time())
                model.works(child)
                stage.broken[address] = 0
            await trio.sleep(0.1)
            _compare(stage, witness, model)
        done = {office.show(id).state: name for id, name in jobs.items()}
        assert set(done) <= {"done", "ready"}
        for id, name in jobs.items():
            up = next(c for c in model.children if c.name == name).state == UP
            assert not up or office.show(id).state == "done", f"mail of {name} is not done although it is up"
            assert office.show(id).attempts <= 1
        verified(office)


def _address(name: str) -> str:
    return f"{name}/main"


def _compare(stage: Stage, witness: Witness, model: Supervisor) -> None:
    assert witness.restarted == model.restarted
    assert witness.parked == model.parked
    assert stage.who("stops") == [_address(name) for name in model.stopped]
