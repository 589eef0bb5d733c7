"""What becomes of an attempt that failed: another one that knows why, or the one way out."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from attrs import evolve
from boards import DONE, GATES, NO, PANEL, YES, Play, started, task
from hypothesis import given
from hypothesis import strategies as st

from postroom.actors.convoys import events as e
from postroom.actors.convoys.plan import Input, OnExhausted, Output, OutputKind, Retry, Reviewing, Route
from postroom.actors.convoys.rules import attempts
from postroom.actors.convoys.rules.actions import Rest, Review, Tell
from postroom.actors.convoys.rules.retrying import pause
from postroom.actors.convoys.rules.standing import Artifact, Failure, Feedback, Note
from postroom.actors.convoys.rules.states import TaskStatus

ONCE = Retry(retries=0)
SKIP = Retry(retries=0, on_exhausted=OnExhausted.SKIP)
STOP = Retry(retries=0, on_exhausted=OnExhausted.STOP)
OUT = Output("text", OutputKind.SUMMARY)
LEFT = (Artifact("text", "summary", 1, "", "", "x"),)


def test_a_failed_task_is_tried_again_after_a_rest_that_doubles() -> None:
    one = Play(task("a", retry=Retry(retries=2)))
    one.begin()
    assert one.fails("a") == [Rest("a", 1, 1.0)]
    assert started(one.rested("a")) == [("a", 2)]
    assert one.fails("a", Failure.TIMEOUT) == [Rest("a", 2, 2.0)]
    assert started(one.rested("a")) == [("a", 3)]
    assert one.fails("a") == []
    assert one.status == "failed"
    assert (one["a"].attempts, one["a"].reason) == (3, "exit 1")


def test_while_one_task_rests_its_place_is_free_for_another() -> None:
    two = Play(task("a"), task("b"), concurrency=1)
    assert started(two.begin()) == [("a", 1)]
    assert started(two.fails("a")) == [("b", 1)]


def test_a_rest_that_is_over_wakes_no_later_attempt() -> None:
    one = Play(task("a", retry=Retry(retries=3)))
    one.begin()
    one.fails("a")
    one.killed()
    one.begin()
    one.fails("a")
    assert one.then(attempts.rested, "a", 1) == []
    assert started(one.then(attempts.rested, "a", 2)) == [("a", 3)]


def test_the_next_attempt_is_told_what_was_wrong_with_the_last() -> None:
    one = Play(task("a", gates=GATES, retry=Retry(retries=3)), reviewing=PANEL)
    one.begin()
    one.fails("a", reason="exit 3", code=3, output="the end of its words")
    assert one["a"].feedback == Feedback(1, Failure.ERROR, "exit 3", 3, "the end of its words")
    one.rested("a")
    one.done("a")
    said = Note("tests", "blocked", "2 failed")
    one.checked("a", said)
    assert one["a"].feedback == Feedback(2, Failure.GATE, "tests: 2 failed", notes=(said,))
    one.rested("a")
    one.done("a")
    one.checked("a", Note("tests", "passed"))
    one.reviewed("a", "blocked", NO)
    assert one["a"].feedback == Feedback(3, Failure.REVIEW, "x: names are unclear", notes=NO)
    assert one.kept("a") == one["a"], "all of it outlives the process"


def test_every_attempt_is_on_the_list_with_its_times_and_its_reason() -> None:
    one = Play(task("a"))
    one.begin()
    one.now += 5
    one.fails("a", Failure.TIMEOUT, "took longer than 5 s", tokens=7)
    one.now += 1
    one.rested("a")
    one.now += 2
    one.done("a")
    first, second = one["a"].tries
    assert (first.n, first.started, first.ended, first.outcome) == (1, 1000.0, 1005.0, "failed")
    assert (first.failure, first.reason, first.tokens) == (Failure.TIMEOUT, "took longer than 5 s", 7)
    assert (second.n, second.started, second.ended, second.outcome) == (2, 1006.0, 1008.0, "done")
    assert [fact.failure for fact in one.of(e.TaskRetried)] == ["timeout"]


@pytest.mark.parametrize(
    ("reason", "again"), [("HTTP 503 from there", True), ("HTTP 401 from there", False), ("", False)]
)
def test_only_failures_whose_reason_fits_are_tried_again(reason: str, again: bool) -> None:
    one = Play(task("a", retry=Retry(only=("HTTP 5*", "*reset*"))))
    one.begin()
    one.fails("a", reason=reason)
    assert (one.statuses["a"] == "waiting") is again


def test_what_no_attempt_could_mend_is_not_tried_again() -> None:
    one = Play(task("a", retry=Retry(retries=5)))
    one.begin()
    one.fails("a", Failure.INPUT)
    assert one.statuses == {"a": "failed"}


@given(
    st.floats(0.001, 600.0),
    st.floats(1.0, 5.0),
    st.floats(0.0, 1.0),
    st.integers(1, 5000),
    st.text(max_size=5),
)
def test_a_pause_stays_within_its_bounds_and_is_the_same_when_played_again(
    backoff: float, factor: float, jitter: float, made: int, id: str
) -> None:
    retry = Retry(backoff=backoff, factor=factor, jitter=jitter)
    found = pause(retry, id, made)
    assert 0 <= found <= retry.longest * (1 + jitter) + 0.001
    assert found >= min(backoff, retry.longest) * (1 - jitter) - 0.001
    assert pause(retry, id, made) == found


def test_tasks_that_failed_together_do_not_come_back_together() -> None:
    retry = Retry(backoff=100.0, jitter=0.3)
    assert len({pause(retry, str(n), 1) for n in range(20)}) == 20


# When attempts are used up


def test_dependants_of_a_failed_task_are_skipped_and_all_else_goes_on() -> None:
    mixed = Play(task("a", retry=ONCE), task("b", "a"), task("c", "b"), task("other"))
    mixed.begin()
    mixed.fails("a", Failure.TIMEOUT, "took longer than 5 s")
    assert mixed.statuses == {"a": "timed-out", "b": "skipped", "c": "skipped", "other": "running"}
    assert mixed["c"].reason == "b did not get done"
    mixed.done("other")
    assert mixed.status == "failed"


def test_a_task_that_failed_for_good_is_a_dead_letter() -> None:
    one = Play(task("a", retry=ONCE))
    one.begin()
    one.fails("a")
    dead = one["a"].dead
    assert dead is not None
    assert (dead.at, dead.failure, dead.error, dead.by) == (1000.0, Failure.ERROR, "exit 1", "")
    assert one.of(e.DeadAdded) == [e.DeadAdded("a", "error", "exit 1", 1)]


def test_a_task_that_may_be_skipped_does_not_fail_the_convoy() -> None:
    two = Play(task("a", retry=SKIP), task("b", "a"), task("c"))
    two.begin()
    two.fails("a")
    two.done("c")
    assert two.statuses == {"a": "skipped", "b": "skipped", "c": "done"}
    assert two.status == "done"
    assert two["a"].dead is None


def test_a_task_that_stops_the_convoy_lets_what_runs_end_and_nothing_more_start() -> None:
    many = Play(task("a", retry=STOP), task("b"), task("c", "b"), task("d"), concurrency=2)
    many.begin()
    assert many.fails("a") == []
    assert many.statuses == {"a": "failed", "b": "running", "c": "cancelled", "d": "cancelled"}
    assert many.of(e.ConvoyStopped) == [e.ConvoyStopped("a failed: exit 1")]
    assert many.done("b") == []
    assert many.status == "failed"


def test_a_stopped_convoy_keeps_its_first_reason() -> None:
    two = Play(task("a", retry=STOP), task("b", retry=STOP))
    two.begin()
    two.fails("a")
    two.fails("b", reason="exit 2")
    assert two.of(e.ConvoyStopped) == [e.ConvoyStopped("a failed: exit 1")]
    assert two.board.standing.stopped == "a failed: exit 1"


def test_in_a_stopped_convoy_nothing_is_tried_again() -> None:
    two = Play(task("a", retry=STOP), task("b", retry=Retry(retries=9)))
    two.begin()
    two.fails("a")
    assert two.fails("b") == []
    assert (two.statuses["b"], two.status) == ("failed", "failed")


def test_an_input_that_cannot_come_any_more_fails_at_once_with_the_chain_named() -> None:
    chain = Play(
        task("fetch", retry=ONCE),
        task("parse", "fetch", outputs=(OUT,)),
        task("report", inputs=(Input("parsed", "parse", "text"),)),
    )
    chain.begin()
    chain.fails("fetch", reason="exit 7")
    assert chain.statuses == {"fetch": "failed", "parse": "skipped", "report": "failed"}
    assert chain["report"].failure is Failure.INPUT
    assert chain["report"].reason == (
        "input parsed cannot come any more: fetch -> parse -> report; fetch: exit 7"
    )
    assert chain.status == "failed"


def test_a_long_chain_is_named_by_its_ends() -> None:
    names = [f"t{n}" for n in range(20)]
    pairs = pairwise(names)
    chain = Play(
        task("t0", retry=ONCE, outputs=(OUT,)),
        *(task(name, inputs=(Input("x", before, "text"),), outputs=(OUT,)) for before, name in pairs),
    )
    chain.begin()
    chain.fails("t0")
    assert "t0 -> t1 -> t2 -> t3 -> t4 -> t5 -> t6 -> t7; t0" in chain["t7"].reason
    for n in range(1, 20):
        shown = chain["t" + str(n)].reason.split(": ")[1].split("; ")[0].split(" -> ")
        assert shown[:2] == ["t0", "t1"]
        assert shown[-1] == f"t{n}"
        assert len(shown) == min(n + 1, 12)
    assert " -> t5 -> (9 more) -> t15 -> " in chain["t19"].reason


def test_a_chain_of_a_hundred_thousand_falls_without_recursion_and_in_little_time() -> None:
    count = 100_000
    chain = Play(task("0", retry=ONCE), *(task(str(n), str(n - 1)) for n in range(1, count)))
    chain.begin()
    began = time.process_time()
    chain.fails("0")
    assert chain.status == "failed"
    assert chain.board.index.counts[TaskStatus.SKIPPED] == count - 1
    assert time.process_time() - began < 30


# Reviews that block


def test_a_blocked_review_is_tried_again_with_what_the_reviewers_said() -> None:
    one = Play(task("a"), reviewing=Reviewing(Route.FAST))
    one.begin()
    one.done("a")
    one.reviewed("a", "blocked", NO[:1], panel=False)
    assert (one.statuses["a"], one["a"].checked) == ("waiting", False)
    assert one["a"].feedback == Feedback(1, Failure.REVIEW, "x: names are unclear", notes=NO[:1])
    one.rested("a")
    assert one.done("a") == [Review("a", 2, Route.FAST)]
    one.reviewed("a", "passed", YES[:1], panel=False)
    assert one.statuses["a"] == "done"
    assert (one["a"].checked, one.kept("a").feedback) == (True, None)


def test_with_default_settings_a_panel_that_blocks_again_makes_a_dispute_and_pauses() -> None:
    run = Play(task("a"), task("b", "a"), task("c"), reviewing=PANEL, concurrency=1)
    run.begin()
    run.done("a")
    run.reviewed("a", "blocked", NO)
    run.done("c")
    run.reviewed("c", "passed", YES)
    run.rested("a")
    run.done("a")
    (tell,) = run.reviewed("a", "blocked", NO)
    assert isinstance(tell, Tell)
    assert run.statuses == {"a": "disputed", "b": "pending", "c": "done"}
    assert run.status == "paused"
    assert run.of(e.DisputeRaised) == [e.DisputeRaised("a", 2)]
    assert run["a"].tries[-1].outcome == "disputed"
    assert run.kept("a") == run["a"]


def test_reviews_of_one_reviewer_that_block_end_in_a_failure_and_not_in_a_dispute() -> None:
    one = Play(task("a"), reviewing=Reviewing(Route.FAST))
    one.begin()
    for _ in range(2):
        one.done("a")
        one.reviewed("a", "blocked", NO[:1], panel=False)
        one.rested("a")
    assert (one.statuses["a"], one["a"].failure) == ("failed", Failure.REVIEW)


@pytest.mark.parametrize(
    ("verdict", "status", "checked"), [("unrun", "failed", False), ("skipped", "done", None)]
)
def test_a_review_that_did_not_take_place_is_never_a_pass(
    verdict: str, status: str, checked: bool | None
) -> None:
    one = Play(task("a", retry=ONCE), reviewing=PANEL)
    one.begin()
    one.done("a")
    one.reviewed("a", verdict)
    assert (one.statuses["a"], one["a"].checked) == (status, checked)


def test_disputes_that_do_not_stop_the_convoy_let_it_go_on_to_where_it_waits_for_a_person() -> None:
    loose = evolve(PANEL, stop_on_dispute=False, panels=1)
    run = Play(task("a"), task("b", review=Route.NONE), task("c", "a"), reviewing=loose, concurrency=1)
    run.begin()
    run.done("a")
    assert started(run.reviewed("a", "blocked", NO)) == [("b", 1)]
    (tell,) = run.done("b")
    assert tell == Tell("test pauses: 1 disputed task waits for a person")
    assert run.status == "paused"
    assert run.ended("a", DONE) == []
