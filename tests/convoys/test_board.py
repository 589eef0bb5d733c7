"""What follows from what happens to the tasks of a convoy."""

from __future__ import annotations

from boards import DONE, GATES, NO, PANEL, YES, Play, started, task

from postroom.actors.convoys import events as e
from postroom.actors.convoys.plan import (
    Agent,
    Budget,
    Hook,
    HookKind,
    HookPoint,
    Input,
    Output,
    OutputKind,
    Retry,
)
from postroom.actors.convoys.rules import coming, orders
from postroom.actors.convoys.rules.actions import Check, CheckConvoy, Review
from postroom.actors.convoys.rules.standing import Artifact, Failure, Note, Spent

ONCE = Retry(retries=0)
BEFORE, AFTER = HookPoint.PRE_CONVOY, HookPoint.POST_CONVOY
CHECKED_CONVOY = tuple(Hook(point, point, HookKind.GUARD) for point in (BEFORE, AFTER))


def test_what_depends_on_nothing_starts_first_and_the_rest_follows() -> None:
    diamond = Play(task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c"))
    assert started(diamond.begin()) == [("a", 1)]
    assert started(diamond.done("a")) == [("b", 1), ("c", 1)]
    assert started(diamond.done("c")) == []
    assert started(diamond.done("b")) == [("d", 1)]
    assert diamond.status == "running"
    assert diamond.done("d") == []
    assert diamond.status == "done"
    assert diamond.facts[-1] == e.ConvoyEnded("done")


def test_no_more_tasks_run_at_once_than_the_convoy_allows() -> None:
    three = Play(task("a"), task("b"), task("c"), concurrency=2)
    assert started(three.begin()) == [("a", 1), ("b", 1)]
    assert three.statuses["c"] == "waiting"
    assert started(three.done("b")) == [("c", 1)]


def test_a_task_that_is_checked_or_reviewed_keeps_its_place() -> None:
    two = Play(task("a", gates=GATES), task("b"), concurrency=1, reviewing=PANEL)
    two.begin()
    assert two.done("a") == [Check("a", 1)]
    (review,) = two.checked("a", Note("tests", "passed"))
    assert isinstance(review, Review)
    assert started(two.reviewed("a", "passed", YES)) == [("b", 1)]


def test_the_most_urgent_starts_first_then_the_most_waited_for_then_as_in_the_file() -> None:
    tasks = (task("a"), task("b"), task("c"), task("d", "b"), task("e", priority=1))
    many = Play(*tasks, concurrency=1)
    assert started(many.begin()) == [("e", 1)]
    assert started(many.done("e")) == [("b", 1)]
    assert started(many.done("b")) == [("a", 1)]
    assert started(many.done("a")) == [("c", 1)]


def test_there_is_no_barrier_between_layers() -> None:
    two_chains = Play(task("slow"), task("a"), task("b", "a"), task("c", "b"), concurrency=2)
    two_chains.begin()
    assert started(two_chains.done("a")) == [("b", 1)]
    assert started(two_chains.done("b")) == [("c", 1)]


def test_claimed_to_be_done_and_checked_are_facts_of_their_own() -> None:
    one = Play(task("a", gates=GATES))
    one.begin()
    one.done("a", tokens=7)
    assert (one["a"].claimed, one["a"].checked) == (True, None)
    assert one.of(e.TaskClaimed) == [e.TaskClaimed("a", 1, 1.0, 7)]
    assert not one.of(e.TaskDone)
    one.checked("a", Note("tests", "passed", seconds=0.5))
    assert one["a"].checked is True
    assert one.facts[-3:-1] == [e.GatePassed("a", 1, "tests", 0.5), e.TaskDone("a", 1, 1.0, True)]


def test_a_claim_that_a_gate_refutes_stays_claimed_and_not_checked() -> None:
    one = Play(task("a", gates=GATES, retry=ONCE))
    one.begin()
    one.done("a")
    one.checked("a", Note("tests", "blocked", "2 failed", 3.0))
    assert (one["a"].claimed, one["a"].checked) == (True, False)
    assert (one["a"].failure, one["a"].reason) == (Failure.GATE, "tests: 2 failed")
    assert one.of(e.GateFailed) == [e.GateFailed("a", 1, "tests", 3.0, "2 failed")]


def test_an_attempt_that_is_made_again_is_neither_claimed_nor_checked() -> None:
    one = Play(task("a", gates=GATES))
    one.begin()
    one.done("a")
    one.checked("a", Note("tests", "blocked"))
    one.rested("a")
    assert (one["a"].status, one["a"].claimed, one["a"].checked) == ("running", False, None)


def test_a_gate_that_could_not_run_or_says_what_nobody_knows_is_no_pass() -> None:
    for verdict in ("unrun", "perhaps"):
        one = Play(task("a", gates=GATES, retry=ONCE))
        one.begin()
        one.done("a")
        one.checked("a", Note("tests", verdict))
        assert one.statuses == {"a": "failed"}


def test_a_task_nobody_has_looked_at_is_done_and_not_checked() -> None:
    one = Play(task("a"), task("b", gates=GATES))
    one.begin()
    one.done("a")
    one.done("b")
    one.checked("b", Note("tests", "skipped"))
    assert one.statuses == {"a": "done", "b": "done"}
    assert (one["a"].checked, one["b"].checked) == (None, None)
    assert one.of(e.GateSkipped)
    assert not one.of(e.GatePassed)


def test_a_task_that_left_out_an_output_is_not_done_whatever_it_says() -> None:
    json = Output("report", OutputKind.JSON)
    one = Play(task("a", outputs=(json,), retry=ONCE), task("b", inputs=(Input("r", "a", "report"),)))
    one.begin()
    one.done("a")
    assert (one["a"].status, one["a"].reason) == ("failed", "it left no output report")


def test_a_task_that_left_its_outputs_lets_those_go_on_that_take_them() -> None:
    json = Output("report", OutputKind.JSON)
    one = Play(task("a", outputs=(json,)), task("b", inputs=(Input("r", "a", "report"),)))
    one.begin()
    assert started(one.done("a", outputs=(Artifact("report", "json", 2, "", "", "{}"),))) == [("b", 1)]


def test_a_result_that_arrives_twice_counts_once() -> None:
    two = Play(task("a"), task("b", "a"))
    two.begin()
    assert started(two.done("a")) == [("b", 1)]
    assert two.done("a") == []
    assert two.fails("a") == []
    assert two["a"].seconds == 1.0
    assert two.statuses == {"a": "done", "b": "running"}


def test_a_late_result_of_an_earlier_attempt_does_not_count() -> None:
    one = Play(task("a"))
    one.begin()
    one.fails("a")
    one.rested("a")
    assert one.ended("a", DONE, attempt=1) == []
    assert one.statuses == {"a": "running"}


def test_an_interrupted_convoy_gives_the_attempt_back_and_goes_on_where_it_was() -> None:
    two = Play(task("a"), task("b", "a"))
    two.begin()
    two.done("a")
    two.interrupt()
    assert two.cut_short("b") == []
    assert two.status == "interrupted"
    assert (two.statuses["b"], two["b"].attempts, two["b"].tries) == ("waiting", 0, [])
    assert two.done("b") == []
    assert started(two.begin()) == [("b", 1)]
    two.done("b")
    assert two.status == "done"


def test_an_interrupted_convoy_starts_nothing_but_takes_what_still_ends() -> None:
    two = Play(task("a"), task("b", "a"))
    two.begin()
    two.interrupt()
    assert two.done("a") == []
    assert two.statuses == {"a": "done", "b": "waiting"}
    assert started(two.begin()) == [("b", 1)]


def test_a_convoy_whose_last_task_ends_during_the_interruption_is_over() -> None:
    one = Play(task("a"))
    one.begin()
    one.interrupt()
    one.done("a")
    assert one.status == "done"


def test_a_killed_run_begins_again_what_ran_checks_what_was_checked_and_reviews_what_was_reviewed() -> None:
    run = Play(task("a"), task("b", gates=GATES), task("c"), task("d", "a"), reviewing=PANEL)
    run.begin()
    run.done("b")
    run.done("c")
    run.killed()
    actions = run.begin()
    assert started(actions) == [("a", 1)]
    assert actions[:2] == [Check("b", 1), Review("c", 1, PANEL.route)]
    assert run.of(e.ConvoyResumed) == [e.ConvoyResumed(1)]


def test_work_of_one_who_pulls_goes_on_over_a_kill_and_is_not_asked_for_twice() -> None:
    run = Play(task("a", agent="far"), agents=(Agent("far", inbox="worker/far"),))
    run.begin()
    run.killed()
    assert run.begin() == []
    run.done("a")
    assert run.status == "done"


def test_a_task_that_rested_when_the_process_ended_starts_at_once_and_only_once() -> None:
    one = Play(task("a"))
    one.begin()
    one.fails("a")
    one.killed()
    assert started(one.begin()) == [("a", 2)]
    assert one.rested("a") == []


def test_a_finished_convoy_stays_as_it_is() -> None:
    one = Play(task("a"))
    one.begin()
    one.done("a")
    assert one.begin() == []
    one.interrupt()
    assert one.status == "done"


def test_tasks_wait_for_the_checks_before_the_convoy_and_its_end_for_those_after_it() -> None:
    one = Play(task("a"), hooks=CHECKED_CONVOY)
    assert one.begin() == [CheckConvoy(BEFORE)]
    one.killed()
    assert one.begin() == [CheckConvoy(BEFORE)]
    assert started(one.then(coming.convoy_checked, BEFORE, [Note("clean", "passed")])) == [("a", 1)]
    assert one.done("a") == [CheckConvoy(AFTER)]
    assert one.status == "running"
    one.killed()
    assert one.begin() == [CheckConvoy(AFTER)]
    one.then(coming.convoy_checked, AFTER, [Note("clean", "passed")])
    assert one.status == "done"


def test_a_check_before_the_convoy_that_fails_leaves_no_task_open() -> None:
    one = Play(task("a"), task("b", "a"), hooks=CHECKED_CONVOY)
    one.begin()
    one.then(coming.convoy_checked, BEFORE, [Note("clean", "blocked", "it is dirty")])
    assert one.statuses == {"a": "cancelled", "b": "cancelled"}
    assert (one.status, one.board.standing.stopped) == ("failed", "pre_convoy: clean: it is dirty")


def test_a_command_before_the_convoy_that_fails_is_told_of_and_stops_nothing() -> None:
    one = Play(task("a"), hooks=CHECKED_CONVOY)
    one.begin()
    one.then(coming.convoy_checked, BEFORE, [Note("clean", "passed"), Note("warm up", "skipped", "exit 1")])
    assert one.statuses == {"a": "running"}
    (said,) = [event for event in one.facts if isinstance(event, e.ConvoyChecked)]
    assert (said.passed, said.reason) == (True, "warm up: exit 1")


def test_what_checks_of_the_convoy_say_twice_or_too_late_is_not_heard() -> None:
    one = Play(task("a"), hooks=CHECKED_CONVOY)
    one.begin()
    one.then(coming.convoy_checked, BEFORE, [])
    one.then(coming.convoy_checked, BEFORE, [Note("clean", "blocked")])
    assert (one.status, one.statuses) == ("running", {"a": "running"})
    one.done("a")
    one.interrupt()
    one.then(coming.convoy_checked, AFTER, [Note("clean", "unrun", "cut short")])
    assert one.status == "interrupted"
    assert one.begin() == [CheckConvoy(AFTER)]


def test_the_checks_of_the_end_are_asked_for_once_whatever_else_is_heard() -> None:
    one = Play(task("a"), hooks=CHECKED_CONVOY[1:])
    one.begin()
    assert one.done("a") == [CheckConvoy(AFTER)]
    assert one.go_on() == []


def test_a_run_that_is_cancelled_in_its_last_checks_has_failed() -> None:
    one = Play(task("a"), hooks=CHECKED_CONVOY[1:])
    one.begin()
    one.done("a")
    one.then(orders.cancel, [], "out of time", one.now)
    assert (one.status, one.board.standing.stopped) == ("failed", "cancelled: out of time")


def test_a_run_that_goes_on_after_a_pause_does_not_say_that_it_waits() -> None:
    two = Play(task("a"), task("b", "a"), budget=Budget(turns=1))
    two.begin()
    two.done("a")
    assert (two.status, two.board.standing.paused) == ("paused", "its budget is used up: 1 of 1 turns")
    two.interrupt()
    two.then(orders.allow, Spent(turns=1), "me", two.now)
    two.begin()
    assert (two.status, two.board.standing.paused) == ("running", "")


def test_a_blocked_task_holds_back_what_needs_it() -> None:
    two = Play(task("a"), task("b", "a"), reviewing=PANEL)
    two.begin()
    two.done("a")
    two.reviewed("a", "blocked", NO)
    assert two.statuses == {"a": "waiting", "b": "pending"}
