"""Random convoys, played with random results, orders, kills and time, keep what the rules promise."""

from __future__ import annotations

from collections import Counter
from typing import Any

from boards import DONE, NO, YES, Play, task
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from postroom.actors.convoys import events as e
from postroom.actors.convoys.plan import (
    LOCAL,
    Agent,
    Budget,
    Gate,
    Hook,
    HookKind,
    HookPoint,
    Input,
    OnExhausted,
    Output,
    OutputKind,
    Retry,
    Reviewing,
    Route,
    Task,
)
from postroom.actors.convoys.rules import actions as a
from postroom.actors.convoys.rules import attempts, coming, orders, starting
from postroom.actors.convoys.rules.standing import Artifact, Failure, Note, Result, Spent
from postroom.actors.convoys.rules.states import ACTIVE, LOST, OVER, ConvoyStatus, TaskStatus, is_over
from postroom.store.errors import BadInput, Conflict

OUTPUTS = (Output("out", OutputKind.SUMMARY),)
LEFT = (Artifact("out", "summary", 1, "", "", "x"),)
AGENTS = (
    Agent("a", threshold=2, cooldown=20.0, fallback="b"),
    Agent("b", threshold=1, cooldown=30.0),
    Agent("far", inbox="worker/far", threshold=2, cooldown=10.0),
)
FILES = st.lists(st.sampled_from(["f", "f/g", "h"]), max_size=1).map(tuple)
FAILURES = st.sampled_from([Failure.ERROR, Failure.TIMEOUT, Failure.GATE, Failure.HOOK, Failure.AGENT])
STATUS = {a.Start: TaskStatus.RUNNING, a.Check: TaskStatus.CHECKING, a.Review: TaskStatus.REVIEWING}
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink)
"""Not the explaining of a failure, which takes longer than a test may."""

ENOUGH = 3000


@st.composite
def tasks(draw: st.DrawFn, id: str, known: list[str]) -> Task:
    """A task that may need some of those that are known; each of them leaves an output."""
    needs = draw(st.lists(st.sampled_from(known), unique=True, max_size=3)) if known else []
    taken = draw(st.sampled_from(["", *needs]))
    return task(
        id,
        *needs,
        inputs=(Input("given", taken, "out"),) if taken else (),
        outputs=OUTPUTS,
        agent=draw(st.sampled_from([LOCAL, "a", "a", "b", "far"])),
        files=draw(FILES),
        gates=(Gate("g"),) if draw(st.booleans()) else (),
        review=draw(st.sampled_from([Route.NONE, Route.NONE, Route.FAST, Route.PANEL])),
        retry=Retry(draw(st.integers(0, 2)), on_exhausted=draw(st.sampled_from(OnExhausted))),
    )


class Runs(RuleBasedStateMachine):
    """The world around one run: who works for it, its timers, and the people who give it orders.

    ``work`` is what each task being worked on waits for, ``timers`` are due times and what they
    say then. Both outlive the process that plays the run.
    """

    @initialize(data=st.data(), count=st.integers(1, 6), concurrency=st.integers(1, 3))
    def enter(self, data: st.DataObject, count: int, concurrency: int) -> None:
        plan: list[Task] = []
        for n in range(count):
            plan.append(data.draw(tasks(str(n), [one.id for one in plan])))
        points = data.draw(st.sets(st.sampled_from([HookPoint.PRE_CONVOY, HookPoint.POST_CONVOY])))
        hooks = tuple(Hook(point, point, HookKind.GUARD) for point in sorted(points))
        reviewing = Reviewing(panels=data.draw(st.integers(1, 2)), stop_on_dispute=data.draw(st.booleans()))
        budget = data.draw(
            st.sampled_from([Budget(), Budget(turns=3), Budget(seconds=40.0), Budget(tokens=20)])
        )
        self.run = Play(
            *plan, concurrency=concurrency, agents=AGENTS, hooks=hooks, reviewing=reviewing, budget=budget
        )
        self.work: dict[str, a.Start | a.Check | a.Review] = {}
        self.checks: list[HookPoint] = []
        self.timers: list[tuple[float, Any]] = []
        self.ended_as: dict[str, TaskStatus] = {}
        self.see(self.run.begin())

    def see(self, todo: list[a.Action]) -> None:
        """Take on what is to be done; nobody is asked twice for the same."""
        for action in todo:
            if isinstance(action, a.Halt):
                self.work.pop(action.task, None)
            elif isinstance(action, a.Start | a.Check | a.Review):
                assert action.task not in self.work, "it is being done already"
                self.work[action.task] = action
            elif isinstance(action, a.CheckConvoy):
                self.checks.append(action.point)
            elif isinstance(action, a.Rest | a.Await | a.Alarm):
                self.timers.append((self.run.now + action.seconds, action))

    # What happens

    def pick(self, data: st.DataObject, kind: type) -> Any:
        return data.draw(st.sampled_from([one for one in self.work.values() if isinstance(one, kind)]))

    def any_of(self, kind: type) -> bool:
        return any(isinstance(one, kind) for one in self.work.values())

    def finish(self, start: a.Start, failure: Failure | None) -> None:
        del self.work[start.task]
        if failure is None:
            result = Result(TaskStatus.DONE, 1.0, tokens=5, outputs=LEFT)
        else:
            timed_out = failure is Failure.TIMEOUT
            status = TaskStatus.TIMED_OUT if timed_out else TaskStatus.FAILED
            result = Result(status, 1.0, "why", failure, tokens=5)
        self.see(self.run.ended(start.task, result, start.attempt))
        assert self.run[start.task].claimed is (failure is None)

    @precondition(lambda self: self.any_of(a.Start))
    @rule(data=st.data(), failure=st.none() | FAILURES)
    def an_attempt_ends(self, data: st.DataObject, failure: Failure | None) -> None:
        self.finish(self.pick(data, a.Start), failure)

    @precondition(lambda self: self.any_of(a.Start))
    @rule(data=st.data())
    def an_attempt_is_cut_short(self, data: st.DataObject) -> None:
        start = self.pick(data, a.Start)
        del self.work[start.task]
        self.see(self.run.cut_short(start.task))

    def check(self, id: str, verdict: str) -> None:
        del self.work[id]
        self.see(self.run.checked(id, Note("g", verdict)))
        assert (self.run[id].checked is not False) == (verdict in ("passed", "skipped"))

    @precondition(lambda self: self.any_of(a.Check))
    @rule(data=st.data(), verdict=st.sampled_from(["passed", "passed", "blocked", "unrun", "skipped"]))
    def gates_have_run(self, data: st.DataObject, verdict: str) -> None:
        self.check(self.pick(data, a.Check).task, verdict)

    def review(self, id: str, verdict: str) -> None:
        asked = self.work.pop(id)
        assert isinstance(asked, a.Review)
        notes = NO if verdict == "blocked" else YES if verdict == "passed" else ()
        self.see(self.run.reviewed(id, verdict, notes, panel=asked.route is Route.PANEL))

    @precondition(lambda self: self.any_of(a.Review))
    @rule(data=st.data(), verdict=st.sampled_from(["passed", "blocked", "blocked", "unrun", "skipped"]))
    def reviewers_have_spoken(self, data: st.DataObject, verdict: str) -> None:
        self.review(self.pick(data, a.Review).task, verdict)

    @precondition(lambda self: self.checks)
    @rule(verdict=st.sampled_from(["passed", "passed", "blocked"]))
    def the_convoy_is_checked(self, verdict: str) -> None:
        self.see(self.run.then(coming.convoy_checked, self.checks.pop(0), [Note("x", verdict)]))

    def fire(self, due: float, timer: Any) -> None:
        self.timers.remove((due, timer))
        self.run.now = max(self.run.now, due)
        if isinstance(timer, a.Rest):
            self.see(self.run.then(attempts.rested, timer.task, timer.attempt))
        elif isinstance(timer, a.Await):
            self.see(self.run.then(attempts.askable, timer.agent))
        else:
            self.see(self.run.then(starting.time_is_up, self.run.now))

    @precondition(lambda self: self.timers)
    @rule(data=st.data())
    def a_timer_fires(self, data: st.DataObject) -> None:
        self.fire(*data.draw(st.sampled_from(self.timers)))

    @rule(data=st.data(), attempt=st.integers(0, 4))
    def an_answer_comes_too_late_or_twice(self, data: st.DataObject, attempt: int) -> None:
        id = data.draw(st.sampled_from([*self.run.board.plan, "unknown"]))
        asked = self.work.get(id)
        before = self.picture()
        if not (isinstance(asked, a.Start) and asked.attempt == attempt):
            self.see(self.run.then(attempts.claimed, id, attempt, DONE, self.run.now))
            self.see(self.run.then(attempts.cut_short, id, attempt, "late"))
        if not (isinstance(asked, a.Check) and asked.attempt == attempt):
            self.see(self.run.then(attempts.checked, id, attempt, [], self.run.now))
        if not (isinstance(asked, a.Review) and asked.attempt == attempt):
            self.see(self.run.then(attempts.reviewed, id, attempt, "passed", [], 1, self.run.now))
        assert self.picture() == before

    # Kills and interruptions

    @rule()
    def the_process_is_killed_and_the_run_resumed(self) -> None:
        self.resume()

    @rule()
    def the_run_is_interrupted(self) -> None:
        self.see(self.run.interrupt())

    def resume(self) -> None:
        self.run.killed()
        pulled = {agent.name for agent in AGENTS if agent.inbox}
        self.work = {
            id: asked
            for id, asked in self.work.items()
            if isinstance(asked, a.Start) and asked.agent in pulled
        }
        self.see(self.run.begin())
        assert self.run.status != "interrupted"

    # Orders

    def order(self, verb: Any, *args: Any) -> None:
        """What is refused changes nothing."""
        before = self.picture()
        try:
            verb(self.run.board, *args)
        except (BadInput, Conflict):
            assert self.picture() == before
            assert self.run.board.taken() == ([], [], [], [])
        else:
            self.see(self.run.go_on())

    def some(self, data: st.DataObject) -> list[str]:
        return data.draw(st.lists(st.sampled_from(list(self.run.board.plan)), max_size=2))

    @rule(data=st.data())
    def some_or_all_are_done_again(self, data: st.DataObject) -> None:
        self.order(orders.again, self.some(data), "me")

    @rule(data=st.data())
    def some_are_cancelled(self, data: st.DataObject) -> None:
        self.order(orders.cancel, self.some(data) or ["0"], "not wanted", self.run.now)

    @rule()
    def all_are_cancelled(self) -> None:
        over = is_over(self.run.board.status)
        self.order(orders.cancel, [], "not wanted", self.run.now)
        assert over or not self.run.board.index.left

    @rule(data=st.data(), key=st.integers(0, 3).map(str))
    def a_task_is_added(self, data: st.DataObject, key: str) -> None:
        known = list(self.run.board.plan)
        self.order(orders.inject, data.draw(tasks(str(len(known)), known)), "me", key)

    @rule(turns=st.integers(0, 3), seconds=st.floats(0, 50), tokens=st.integers(0, 20))
    def the_budget_is_raised(self, turns: int, seconds: float, tokens: int) -> None:
        self.order(orders.allow, Spent(turns, tokens, seconds), "me", self.run.now)

    def disputed(self) -> list[str]:
        return [id for id, state in self.run.board.tasks.items() if state.status is TaskStatus.DISPUTED]

    @precondition(lambda self: self.disputed())
    @rule(data=st.data(), resolution=st.sampled_from(["pass", "fail", "again"]))
    def a_dispute_is_settled(self, data: st.DataObject, resolution: str) -> None:
        id = data.draw(st.sampled_from(self.disputed()))
        self.order(orders.settle_dispute, id, resolution, "me", "so it is", self.run.now)

    # What holds all the time

    def picture(self) -> tuple[str, str, list[str]]:
        return repr(self.run.board.standing), repr(self.run.board.tasks), list(self.run.board.plan)

    def active(self) -> list[str]:
        return [id for id, state in self.run.board.tasks.items() if state.status in ACTIVE]

    @invariant()
    def each_task_that_is_worked_on_waits_for_one_answer(self) -> None:
        states = self.run.board.tasks
        asked = {id: (STATUS[type(one)], one.attempt) for id, one in self.work.items()}
        assert asked == {id: (states[id].status, states[id].attempts) for id in self.active()}

    @invariant()
    def no_more_are_worked_on_than_may_be_and_none_on_the_files_of_another(self) -> None:
        active, plan = self.active(), self.run.board.plan
        assert len(active) <= self.run.board.convoy.concurrency
        owned = [(id, file) for id in active for file in plan[id].files]
        for id, file in owned:
            assert not [o for o, f in owned if o != id and (f"{f}/").startswith(f"{file}/")]

    @invariant()
    def what_is_counted_is_what_is_there_and_what_is_kept_is_how_it_stands(self) -> None:
        board = self.run.board
        assert +board.index.counts == Counter(state.status for state in board.tasks.values())
        assert board.index.active == set(self.active())
        assert {id: self.run.kept(id) for id in board.plan} == board.tasks

    @invariant()
    def another_board_made_of_what_is_kept_starts_nothing_that_this_one_does_not(self) -> None:
        board = self.run.board
        twin = self.run.twin()
        starting.go_on(twin, self.run.now)
        found = [action for action in twin.actions if not isinstance(action, a.Await | a.Alarm)]
        assert found == []
        assert twin.status is board.status

    @invariant()
    def a_task_is_begun_when_all_it_needs_is_done_and_waits_for_nothing_that_is_lost(self) -> None:
        board = self.run.board
        for id, state in board.tasks.items():
            needs = [board.tasks[other].status for other in board.plan[id].needs]
            if state.status in (TaskStatus.WAITING, *ACTIVE, TaskStatus.DONE, TaskStatus.DISPUTED):
                assert set(needs) <= {TaskStatus.DONE}
            elif state.status is TaskStatus.PENDING:
                assert not set(needs) & set(LOST)
                assert set(needs) - {TaskStatus.DONE} or not board.standing.began

    @invariant()
    def attempts_are_counted_listed_and_bounded(self) -> None:
        board = self.run.board
        begun = Counter(fact.task for fact in self.run.of(e.TaskStarted))
        begun.subtract(Counter(fact.task for fact in self.run.of(e.TaskRequeued)))
        for id, state in board.tasks.items():
            assert state.attempts == len(state.tries) == begun[id]
            assert state.attempts - state.base <= board.plan[id].retry.retries + 1
            assert all(one.outcome for one in state.tries) or state.status in ACTIVE
        assert board.standing.spent.turns == sum(state.attempts for state in board.tasks.values())
        assert board.standing.spent.tokens == sum(state.tokens for state in board.tasks.values())

    @invariant()
    def an_agent_that_is_tried_has_one_probe_and_that_runs(self) -> None:
        for name, breaker in self.run.board.standing.breakers.items():
            if breaker.state == "half-open":
                probe = self.run[breaker.probe]
                assert (probe.status, probe.agent) == (TaskStatus.RUNNING, name)
            else:
                assert breaker.probe == ""

    @invariant()
    def what_is_over_has_nothing_left_and_the_record_says_how_it_ended(self) -> None:
        board = self.run.board
        if is_over(board.status):
            assert all(state.status in OVER for state in board.tasks.values())
            bad = {TaskStatus.FAILED, TaskStatus.TIMED_OUT, TaskStatus.CANCELLED, TaskStatus.DISPUTED}
            if board.status is ConvoyStatus.DONE:
                assert not [state for state in board.tasks.values() if state.status in bad]
        ended = {fact.task: fact.status for fact in self.run.of(e.TaskEnded)}
        for id, state in board.tasks.items():
            assert state.status not in LOST or ended[id] == state.status
            assert (state.dead is None) or self.run.of(e.DeadAdded)
            if state.status in (TaskStatus.FAILED, TaskStatus.TIMED_OUT):
                lost = state.attempts == 0 or state.failure is Failure.INPUT
                assert lost or state.dead is not None

    # And in the end

    def teardown(self) -> None:
        """As long as answers keep coming, and a person is there, every run comes to its end."""
        if not hasattr(self, "run"):
            return
        for n in range(ENOUGH):
            if is_over(self.run.board.status):
                return
            self.step(n)
        raise AssertionError(f"it does not end: {self.run.statuses}")

    def step(self, n: int) -> None:
        if self.run.status == "interrupted":
            self.resume()
        elif self.work:
            asked = list(self.work.values())[n % len(self.work)]
            if isinstance(asked, a.Start):
                self.finish(asked, Failure.ERROR if n % 3 == 0 else None)
            elif isinstance(asked, a.Check):
                self.check(asked.task, "blocked" if n % 5 == 0 else "passed")
            else:
                self.review(asked.task, "blocked" if n % 4 == 0 else "passed")
        elif self.checks:
            self.the_convoy_is_checked("passed")
        elif self.disputed():
            self.order(orders.settle_dispute, self.disputed()[0], "pass", "me", "", self.run.now)
        elif self.run.status == "paused":
            self.order(orders.allow, Spent(100, 1000, 1000.0), "me", self.run.now)
        else:
            assert self.timers, f"nothing will ever happen any more: {self.run.statuses}"
            self.fire(*min(self.timers, key=lambda timer: timer[0]))


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, phases=PHASES)
