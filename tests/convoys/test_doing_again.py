"""What a person has done again begins as if it were new, and nothing of before holds it back."""

from __future__ import annotations

from attrs import evolve
from boards import NO, PANEL, Play, started, task

from postroom.actors.convoys.plan import Hook, HookKind, HookPoint, OnExhausted, Retry
from postroom.actors.convoys.rules import coming, orders
from postroom.actors.convoys.rules.actions import Action, CheckConvoy, Halt
from postroom.actors.convoys.rules.standing import Failure, Note


def again(run: Play, *ids: str) -> list[Action]:
    return run.then(orders.again, ids, "me")


def cancel(run: Play, *ids: str) -> list[Action]:
    return run.then(orders.cancel, ids, "not wanted", run.now)


def test_what_took_too_long_is_done_again_with_what_was_lost_with_it() -> None:
    run = Play(task("a", retry=Retry(retries=0)), task("b", "a"))
    run.begin()
    run.fails("a", Failure.TIMEOUT)
    assert run.statuses == {"a": "timed-out", "b": "skipped"}
    assert started(again(run)) == [("a", 2)]
    assert started(run.done("a")) == [("b", 1)]


def test_what_was_cancelled_while_it_rested_starts_when_it_is_done_again() -> None:
    run = Play(task("a"), task("b"))
    run.begin()
    run.fails("a")
    cancel(run, "a")
    assert started(again(run, "a")) == [("a", 2)]


def test_what_was_cancelled_with_nobody_there_is_halted_when_the_run_goes_on() -> None:
    run = Play(task("a"), task("b"))
    run.begin()
    run.killed()
    cancel(run, "a")
    run.killed()
    assert Halt("a", 1) in run.begin()


def test_what_is_done_again_after_a_dispute_has_all_its_panels_again() -> None:
    run = Play(task("a"), reviewing=evolve(PANEL, panels=2))
    run.begin()
    run.done("a")
    run.reviewed("a", "blocked", NO)
    run.rested("a")
    run.done("a")
    run.reviewed("a", "blocked", NO)
    assert run.statuses == {"a": "disputed"}
    run.then(orders.settle_dispute, "a", "again", "me", "", run.now)
    run.done("a")
    run.reviewed("a", "blocked", NO)
    assert run.statuses == {"a": "waiting"}


def test_a_task_that_is_done_again_in_the_last_checks_has_them_made_again() -> None:
    last = CheckConvoy(HookPoint.POST_CONVOY)
    skips = Retry(retries=0, on_exhausted=OnExhausted.SKIP)
    run = Play(task("a", retry=skips), hooks=(Hook("last", HookPoint.POST_CONVOY, HookKind.GUARD),))
    run.begin()
    assert run.fails("a") == [last]
    assert started(again(run, "a")) == [("a", 2)]
    run.then(coming.convoy_checked, HookPoint.POST_CONVOY, [Note("last", "passed")])
    assert run.status == "running", "what was checked then was not all of it"
    assert run.done("a") == [last]
