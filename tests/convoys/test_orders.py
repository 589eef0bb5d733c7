"""What people do to a run: done again, cancelled, added to, settled; and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from boards import GATES, NO, PANEL, Play, started, task

from postroom.actors.convoys import events as e
from postroom.actors.convoys.plan import (
    Hook,
    HookKind,
    HookPoint,
    Input,
    OnExhausted,
    OnOverlap,
    Output,
    OutputKind,
    Retry,
    Task,
)
from postroom.actors.convoys.rules import coming, orders
from postroom.actors.convoys.rules.actions import Action, CheckConvoy, Halt
from postroom.actors.convoys.rules.standing import Failure, Note
from postroom.store.errors import BadInput, Conflict

ONCE = Retry(retries=0)
STOP = Retry(retries=0, on_exhausted=OnExhausted.STOP)


def again(run: Play, *ids: str) -> list[Action]:
    return run.then(orders.again, ids, "me")


def cancel(run: Play, *ids: str) -> list[Action]:
    return run.then(orders.cancel, ids, "caller_cancelled", run.now)


def settle(run: Play, id: str, resolution: str, text: str = "") -> list[Action]:
    return run.then(orders.settle_dispute, id, resolution, "me", text, run.now)


def inject(run: Play, one: Task, key: str = "k") -> list[Action]:
    return run.then(orders.inject, one, "me", key)


def disputed(**reviewing: Any) -> Play:
    run = Play(task("a"), task("b", "a"), reviewing=evolve(PANEL, panels=1, **reviewing))
    run.begin()
    run.done("a")
    run.reviewed("a", "blocked", NO)
    return run


def failed_chain() -> Play:
    run = Play(task("a", retry=Retry(retries=1)), task("b", "a"), task("c", "b"), task("d"))
    run.begin()
    run.fails("a")
    run.rested("a")
    run.fails("a")
    run.done("d")
    return run


# Done again


def test_what_failed_is_done_again_with_all_its_attempts_and_what_was_lost_with_it() -> None:
    run = failed_chain()
    assert run.status == "failed"
    assert started(again(run)) == [("a", 3)]
    assert run.statuses == {"a": "running", "b": "pending", "c": "pending", "d": "done"}
    assert run.of(e.ConvoyReopened) == [e.ConvoyReopened("me")]
    assert [fact.task for fact in run.of(e.TaskAgain)] == ["a", "b", "c"]
    assert run.of(e.DeadResolved) == [e.DeadResolved("a", "me", "done again")]
    run.fails("a")
    assert started(run.rested("a")) == [("a", 4)]
    for id in "abc":
        run.done(id)
    assert run.status == "done"


def test_the_next_attempt_still_knows_why_the_last_one_failed() -> None:
    run = failed_chain()
    again(run)
    assert run["a"].feedback is not None
    assert run["a"].feedback.reason == "exit 1"


def test_a_task_that_needs_two_lost_ones_comes_back_with_the_second() -> None:
    run = Play(task("a", retry=ONCE), task("b", retry=ONCE), task("c", "a", "b"))
    run.begin()
    run.fails("a")
    run.fails("b")
    again(run, "a")
    assert run.statuses == {"a": "running", "b": "failed", "c": "skipped"}
    again(run, "b")
    assert run.statuses["c"] == "pending"
    run.done("a")
    assert started(run.done("b")) == [("c", 1)]


def test_a_task_is_not_done_again_while_one_that_it_needs_is_lost() -> None:
    run = failed_chain()
    with pytest.raises(Conflict, match="b needs a"):
        orders.again(run.board, ["b"], "me")
    assert run.statuses["b"] == "skipped"
    again(run, "b", "a")
    assert run.statuses["b"] == "pending"


def test_what_a_stop_took_away_comes_back_with_what_stopped_it() -> None:
    run = Play(task("a", retry=STOP), task("b", "a"), task("c"), task("d", "c"), concurrency=1)
    run.begin()
    run.fails("a")
    assert run.statuses == {"a": "failed", "b": "skipped", "c": "cancelled", "d": "cancelled"}
    again(run)
    for id in "acbd":
        run.done(id)
    assert (run.status, run.board.standing.stopped) == ("done", "")


def test_what_a_stop_took_away_is_lost_again_if_what_it_needs_does_not_come_back() -> None:
    run = Play(task("a", retry=STOP), task("b", retry=ONCE), task("c", "b"), task("d"), concurrency=2)
    run.begin()
    run.fails("a")
    run.fails("b")
    again(run, "a")
    assert run.statuses == {"a": "running", "b": "failed", "c": "skipped", "d": "running"}


def test_what_nobody_wants_stays_cancelled_when_what_it_needs_is_done_again() -> None:
    run = Play(task("a", retry=ONCE), task("b", "a"), task("c", "b"))
    run.begin()
    cancel(run, "b")
    run.fails("a")
    again(run, "a")
    run.done("a")
    assert run.statuses == {"a": "done", "b": "cancelled", "c": "skipped"}
    assert started(again(run, "b")) == [("b", 1)]


def test_checks_of_the_convoy_that_failed_run_again_and_so_do_the_tasks_they_kept_away() -> None:
    hooks = tuple(Hook(p, p, HookKind.GUARD) for p in (HookPoint.PRE_CONVOY, HookPoint.POST_CONVOY))
    run = Play(task("a"), hooks=hooks)
    run.begin()
    run.then(coming.convoy_checked, HookPoint.PRE_CONVOY, [Note("x", "blocked")])
    assert again(run) == [CheckConvoy(HookPoint.PRE_CONVOY)]
    assert started(run.then(coming.convoy_checked, HookPoint.PRE_CONVOY, [])) == [("a", 1)]
    run.done("a")
    run.then(coming.convoy_checked, HookPoint.POST_CONVOY, [Note("x", "blocked")])
    assert run.status == "failed"
    assert again(run) == [CheckConvoy(HookPoint.POST_CONVOY)]
    run.then(coming.convoy_checked, HookPoint.POST_CONVOY, [Note("x", "passed")])
    assert run.status == "done"


# Cancelled


def test_a_cancelled_task_is_halted_and_what_it_says_later_is_not_heard() -> None:
    run = Play(task("a"), task("b", "a"), task("c"), concurrency=1)
    run.begin()
    assert cancel(run, "a")[0] == Halt("a", 1)
    assert run.statuses == {"a": "cancelled", "b": "skipped", "c": "running"}
    assert run["a"].tries[-1].outcome == "cancelled"
    assert run["a"].tries[-1].ended == run.now
    assert run.kept("a") == run["a"]
    assert run.done("a") == []
    run.done("c")
    assert run.status == "failed"
    assert run.of(e.TaskEnded)[0] == e.TaskEnded("a", "cancelled", "caller_cancelled", "cancelled", 1)


def test_without_names_all_is_cancelled_also_what_is_checked_or_disputed_and_the_convoy_is_over() -> None:
    run = Play(
        task("a"),
        task("b", gates=GATES),
        task("c", "b"),
        reviewing=evolve(PANEL, panels=1),
    )
    run.begin()
    run.done("a")
    run.reviewed("a", "blocked", NO)
    run.done("b")
    assert cancel(run) == [Halt("b", 1)]
    assert set(run.statuses.values()) == {"cancelled"}
    assert (run.status, run.board.standing.stopped) == ("failed", "cancelled: caller_cancelled")
    assert run.of(e.ConvoyStopped)


def test_a_task_that_is_cancelled_before_the_checks_of_its_convoy_does_not_start_after_them() -> None:
    run = Play(task("a"), task("b"), hooks=(Hook("x", HookPoint.PRE_CONVOY, HookKind.GUARD),))
    run.begin()
    cancel(run, "a")
    assert started(run.then(coming.convoy_checked, HookPoint.PRE_CONVOY, [])) == [("b", 1)]


# Added


def test_a_task_is_added_and_waits_for_what_it_needs() -> None:
    run = Play(task("a"))
    run.begin()
    assert inject(run, task("b", "a")) == []
    assert run.of(e.TaskInjected) == [e.TaskInjected("b", "me", "k")]
    assert run.board.plan["b"].source == "me"
    run.killed()
    run.begin()
    assert started(run.done("a")) == [("b", 1)]


def test_an_added_task_that_needs_what_is_done_starts_at_once() -> None:
    run = Play(task("a"), task("z"))
    run.begin()
    run.done("a")
    assert started(inject(run, task("b", "a"))) == [("b", 1)]


def test_the_same_key_again_changes_nothing_also_after_a_kill() -> None:
    run = Play(task("a"))
    run.begin()
    inject(run, task("b"))
    run.killed()
    assert inject(run, task("b")) == []
    assert inject(run, task("c")) == []
    assert list(run.statuses) == ["a", "b"]


def test_a_run_that_is_over_goes_on_with_a_task_that_is_added() -> None:
    run = Play(task("a"))
    run.begin()
    run.done("a")
    assert started(inject(run, task("b", "a"))) == [("b", 1)]
    run.done("b")
    assert run.status == "done"


def test_a_task_that_is_added_while_the_convoy_is_checked_at_its_end_has_it_checked_again() -> None:
    run = Play(task("a"), hooks=(Hook("x", HookPoint.POST_CONVOY, HookKind.GUARD),))
    run.begin()
    run.done("a")
    inject(run, task("b"))
    run.then(coming.convoy_checked, HookPoint.POST_CONVOY, [Note("x", "passed")])
    assert (run.status, run.statuses["b"]) == ("running", "running")
    assert run.done("b") == [CheckConvoy(HookPoint.POST_CONVOY)]


# Disputes and dead letters


def test_a_person_passes_what_is_disputed_and_the_run_goes_on() -> None:
    run = disputed()
    assert run.status == "paused"
    assert started(settle(run, "a", "pass", "it is fine")) == [("b", 1)]
    assert run.of(e.DisputeResolved) == [e.DisputeResolved("a", "pass", "me", "it is fine")]
    assert (run["a"].checked, run.status) == (True, "running")


def test_a_person_fails_what_is_disputed_and_what_needs_it_is_left_out() -> None:
    run = disputed()
    settle(run, "a", "fail", "no")
    assert run.statuses == {"a": "failed", "b": "skipped"}
    assert run["a"].reason == "no"
    assert run.status == "failed"


def test_a_person_has_it_done_again_and_the_next_attempt_is_told_what_all_have_said() -> None:
    run = disputed()
    assert started(settle(run, "a", "again", "use longer names")) == [("a", 2)]
    told = run["a"].feedback
    assert told is not None
    assert told.reason == "use longer names"
    assert told.notes == (*NO, Note("me", "blocked", "use longer names"))
    run.done("a")
    run.reviewed("a", "blocked", NO)
    assert run.statuses["a"] == "disputed"


def test_a_run_with_two_disputes_goes_on_when_the_second_is_settled() -> None:
    run = Play(task("a"), task("b"), task("c"), reviewing=evolve(PANEL, panels=1), concurrency=2)
    run.begin()
    for id in "ab":
        run.done(id)
        run.reviewed(id, "blocked", NO)
    assert settle(run, "a", "pass", "") == []
    assert run.board.standing.paused == "1 disputed task waits for a person"
    assert started(settle(run, "b", "pass", "")) == [("c", 1)]


def test_a_dead_letter_is_resolved_once_and_its_task_stays_as_it_is() -> None:
    run = failed_chain()
    run.then(orders.resolve_dead, "a", "me", "done by hand")
    dead = run.kept("a").dead
    assert dead is not None
    assert (dead.by, dead.resolution, run.statuses["a"]) == ("me", "done by hand", "failed")
    with pytest.raises(Conflict):
        orders.resolve_dead(run.board, "a", "me", "twice")


# What is refused changes nothing

OUT = Output("x", OutputKind.SUMMARY)
REFUSED: list[tuple[type[Exception], str, Callable[[Play], object]]] = [
    (BadInput, "no task is named z", lambda run: orders.again(run.board, ["a", "z"], "me")),
    (Conflict, "d is done", lambda run: orders.again(run.board, ["a", "d"], "me")),
    (BadInput, "no task is named z", lambda run: orders.cancel(run.board, ["e", "z"], "no", run.now)),
    (Conflict, "a is failed", lambda run: orders.cancel(run.board, ["e", "a"], "no", run.now)),
    (BadInput, "n needs z", lambda run: orders.inject(run.board, task("n", "z"), "me", "k")),
    (BadInput, "n needs n", lambda run: orders.inject(run.board, task("n", "n"), "me", "k")),
    (Conflict, "n needs a", lambda run: orders.inject(run.board, task("n", "a"), "me", "k")),
    (Conflict, "there is a task a already", lambda run: orders.inject(run.board, task("a"), "me", "k")),
    (
        BadInput,
        "n takes x of d",
        lambda run: orders.inject(run.board, task("n", inputs=(Input("x", "d", "x"),)), "me", "k"),
    ),
    (BadInput, "n owns f/g", lambda run: orders.inject(run.board, task("n", files=("f/g",)), "me", "k")),
    (Conflict, "a is failed", lambda run: orders.settle_dispute(run.board, "a", "pass", "me", "", run.now)),
    (
        BadInput,
        "no task is named z",
        lambda run: orders.settle_dispute(run.board, "z", "pass", "me", "", run.now),
    ),
    (Conflict, "d is no open dead letter", lambda run: orders.resolve_dead(run.board, "d", "me", "")),
]


@pytest.mark.parametrize(("kind", "text", "order"), REFUSED)
def test_an_order_that_is_refused_changes_nothing(
    kind: type[Exception], text: str, order: Callable[[Play], object]
) -> None:
    run = Play(
        task("a", retry=ONCE), task("d"), task("e", files=("f",), outputs=(OUT,)), on_overlap=OnOverlap.REFUSE
    )
    run.begin()
    run.fails("a")
    run.done("d")
    before = (repr(run.board.standing), repr(run.board.tasks), list(run.board.plan))
    with pytest.raises(kind, match=text):
        order(run)
    assert before == (repr(run.board.standing), repr(run.board.tasks), list(run.board.plan))
    assert run.board.taken() == ([], [], [], [])


def test_a_resolution_that_nobody_knows_is_refused() -> None:
    run = disputed()
    with pytest.raises(BadInput, match="resolution maybe"):
        orders.settle_dispute(run.board, "a", "maybe", "me", "", run.now)
    assert run.statuses["a"] == "disputed"


def test_a_file_may_be_shared_with_a_task_that_comes_before() -> None:
    run = Play(task("a", files=("f",)), on_overlap=OnOverlap.REFUSE)
    run.begin()
    inject(run, task("b", "a", files=("f/g",)))
    assert run.statuses["b"] == "pending"


def test_a_run_takes_so_many_tasks_and_no_more() -> None:
    run = Play(task("a"), injections=1)
    run.begin()
    inject(run, task("b"), "1")
    with pytest.raises(Conflict, match="c is one too many"):
        orders.inject(run.board, task("c"), "me", "2")


def test_a_stopped_run_takes_no_task_until_it_is_over() -> None:
    run = Play(task("a", retry=STOP), task("b"))
    run.begin()
    run.fails("a")
    with pytest.raises(Conflict, match="the convoy was stopped"):
        orders.inject(run.board, task("c"), "me", "k")


def test_a_convoy_that_is_over_is_not_cancelled() -> None:
    run = Play(task("a"))
    run.begin()
    run.done("a")
    with pytest.raises(Conflict, match="the convoy is done"):
        orders.cancel(run.board, [], "no", run.now)
    assert run.board.standing.stopped == ""


def test_a_lost_task_keeps_its_reason_when_it_is_lost_again() -> None:
    run = failed_chain()
    again(run)
    run.fails("a", Failure.INPUT, "no such file")
    assert run["b"].reason == "a did not get done"
    assert run["a"].reason == "no such file"
