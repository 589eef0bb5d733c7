"""Whatever is done in whatever order: the records, the messages and the history tell the same story."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from loop_tasks import FAIL, PASS, Task

from postroom.actors.loops import budgets, criteria, talking
from postroom.actors.loops.beating import heartbeat
from postroom.actors.loops.finishing import finish
from postroom.actors.loops.reconciling import apply, find
from postroom.actors.loops.records import history
from postroom.actors.loops.states import CRITERION_VERBS, LOOP_MOVES, LoopState, Source
from postroom.mailbox import pairs
from postroom.store.clock import ManualClock
from postroom.store.errors import Refused
from postroom.store.memory import MemoryStore

STEPS = 60
SENT_BY = {
    "continue_iteration": "continued",
    "nudge": "nudged",
    "notify": "notify",
    "budget_reached": "paused",
}


def one_step(task: Task, rng: Random) -> None:
    """Do one thing, sensible or not."""
    iteration = rng.randint(0, 5)
    verb = rng.choice(list(CRITERION_VERBS))
    steps: list[Callable[[], object]] = [
        lambda: task.start("tests", iterations=4, nudges=3, turns=20, tokens=50, seconds=5000),
        lambda: task.go_on(iteration, rng.choice([PASS, FAIL])),
        lambda: task.go_on(task.loop.iteration),
        lambda: task.change(lambda change: talking.nudge(change, f"n{rng.randint(0, 2)}", None)),
        lambda: task.change(lambda change: talking.notify(change, "n", rng.choice([None, "k"]))),
        lambda: task.change(lambda change: budgets.spend(change, "tokens", rng.randint(0, 20), None)),
        lambda: task.change(lambda change: budgets.resume(change, {task.loop.paused_by or "tokens": 3})),
        lambda: task.change(lambda change: criteria.add(change, f"c{rng.randint(0, 3)}", Source.USER)),
        lambda: task.change(lambda change: criteria.move(change, verb, "c1", Source.AUDIT, None)),
        lambda: heartbeat(task.store, "t", rng.choice(["manager", "worker"])),
        lambda: finish(task.store, "t"),
        lambda: [apply(task.store, one, 600.0) for one in find(task.store, 600.0, is_gone=lambda _: False)],
        lambda: task.clock.advance(rng.choice([1.0, 60.0, 700.0])),
        task.settle_all,
    ]
    rng.choice(steps)()


@pytest.mark.parametrize("seed", range(30))
def test_no_half_of_a_change_is_ever_kept(seed: int) -> None:
    clock, rng = ManualClock(), Random(seed)
    store = MemoryStore(clock)
    task = Task(store, clock)
    task.pair()
    for _ in range(STEPS):
        before = task.loop
        try:
            one_step(task, rng)
        except Refused:
            after = task.loop
            paused = (before.state, after.state) == (LoopState.RUNNING, LoopState.PAUSED)
            assert after == before or paused
        if before.state is not task.loop.state:
            assert any((m.source, m.target) == (before.state, task.loop.state) for m in LOOP_MOVES)
        if task.binding.state == pairs.ACTIVE:
            assert task.desk.inbox("worker/w").paused == (task.loop.state is LoopState.PAUSED)
    told = history(store, "t")
    assert task.loop.events == len(told)
    sent = [m for inbox in ("manager/m", "worker/w") for m in every_message(task, inbox)]
    for type, event in SENT_BY.items():
        assert sent.count(type) == [line.event for line in told].count(event), type
    assert [line.event for line in told].count("continued") == max(0, task.loop.iteration - 1)
    assert store.verify(deep=True).ok
    store.close()


def every_message(task: Task, inbox: str) -> list[str]:
    """The types of all messages that an inbox ever had."""
    return [m.type for state in (None, "done", "bounced") for m in task.store.peek(inbox, 1000, state=state)]
