"""What has failed, however it did: it is over, it comes back, and a person's no is a failure like others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from boards import GATES, NO, PANEL, YES, Play, started, task

from postroom.actors.convoys import events as e
from postroom.actors.convoys.plan import Gate, GateKind, OnExhausted, Retry, Route, Step, Work
from postroom.actors.convoys.rules import orders
from postroom.actors.convoys.rules.standing import DeadLetter, Failure, Note

ONCE = Retry(retries=0)
AT_ONCE = evolve(PANEL, route=Route.NONE, panels=1)
"""Reviews are for those who ask, and the first panel that blocks makes a dispute."""


def settle(run: Play, id: str, resolution: str, text: str) -> None:
    run.then(orders.settle_dispute, id, resolution, "me", text, run.now)


def blocked_by_a_panel(run: Play) -> None:
    run.done("a")
    run.reviewed("a", "blocked", NO)


def blocked_by_one(run: Play) -> None:
    run.done("a")
    run.reviewed("a", "blocked", NO, panel=False)


def blocked_by_a_gate(run: Play) -> None:
    run.done("a")
    run.checked("a", Note("tests", "blocked", "exit 1"))


FAILURES: dict[str, tuple[dict[str, object], Callable[[Play], object], str]] = {
    "an error": ({}, lambda run: run.fails("a"), "failed"),
    "a timeout": ({}, lambda run: run.fails("a", Failure.TIMEOUT), "timed-out"),
    "nobody to ask": ({}, lambda run: run.fails("a", Failure.AGENT), "failed"),
    "a hook before it": ({}, lambda run: run.fails("a", Failure.HOOK), "failed"),
    "an input": ({}, lambda run: run.fails("a", Failure.INPUT), "failed"),
    "a gate": ({"gates": GATES}, blocked_by_a_gate, "failed"),
    "a reviewer": ({"review": Route.FAST}, blocked_by_one, "failed"),
    "a panel": ({"review": Route.PANEL}, blocked_by_a_panel, "disputed"),
}


@pytest.mark.parametrize("how", FAILURES)
def test_whatever_failed_is_done_again_without_being_named(how: str) -> None:
    parts, fails, status = FAILURES[how]
    run = Play(task("a", retry=ONCE, **parts), task("b", "a"), reviewing=AT_ONCE)
    run.begin()
    fails(run)
    assert run.statuses["a"] == status
    assert started(run.then(orders.again, [], "me")) == [("a", 2)]
    assert (run.status, run.statuses["b"]) == ("running", "pending")


@pytest.mark.parametrize("how", FAILURES)
def test_an_attempt_that_failed_is_over_and_its_place_and_files_are_free(how: str) -> None:
    parts, fails, _ = FAILURES[how]
    mine, other = task("a", retry=ONCE, files=("f",), **parts), task("b", files=("f",))
    run = Play(mine, other, reviewing=evolve(AT_ONCE, stop_on_dispute=False), concurrency=1)
    assert started(run.begin()) == [("a", 1)]
    actions = fails(run)
    (only,) = run["a"].tries
    assert (only.ended, bool(only.outcome)) == (run.now, True)
    assert run.board.index.active == {"b"}, actions
    assert run.statuses["b"] == "running"


@pytest.mark.parametrize("how", FAILURES)
def test_a_claim_that_was_refuted_is_told_from_an_attempt_that_claimed_nothing(how: str) -> None:
    parts, fails, _ = FAILURES[how]
    run = Play(task("a", retry=ONCE, **parts), reviewing=AT_ONCE)
    run.begin()
    fails(run)
    claimed = how in ("a gate", "a reviewer", "a panel")
    assert run.kept("a").tries[-1].claimed is claimed
    assert len(run.of(e.TaskClaimed)) == claimed


@pytest.mark.parametrize(
    ("policy", "status", "dead"),
    [("dlq", "failed", True), ("stop", "failed", True), ("skip", "skipped", False)],
)
def test_what_a_person_fails_goes_the_way_of_all_that_failed_for_good(
    policy: str, status: str, dead: bool
) -> None:
    own = Retry(on_exhausted=OnExhausted(policy))
    run = Play(
        task("a", retry=own, review=Route.PANEL), task("c"), task("d", "c"), reviewing=AT_ONCE, concurrency=2
    )
    run.begin()
    blocked_by_a_panel(run)
    assert run.status == "paused"
    settle(run, "a", "fail", "not like this")
    assert (run.statuses["a"], run["a"].reason) == (status, "not like this")
    letter = DeadLetter(run.now, Failure.REVIEW, "not like this")
    assert run.kept("a").dead == (letter if dead else None)
    assert run.of(e.DeadAdded) == ([e.DeadAdded("a", "review", "not like this", 1)] if dead else [])
    assert run.statuses["d"] == ("cancelled" if policy == "stop" else "pending")
    run.done("c")
    if policy != "stop":
        run.done("d")
    assert run.status == ("done" if policy == "skip" else "failed")


def test_a_dead_letter_of_a_dispute_is_resolved_once_its_task_is_done_again() -> None:
    run = Play(task("a", review=Route.PANEL), reviewing=AT_ONCE)
    run.begin()
    blocked_by_a_panel(run)
    settle(run, "a", "fail", "")
    dead = run.kept("a").dead
    assert dead is not None
    assert (dead.error, dead.by) == ("x: names are unclear", "")
    run.then(orders.again, ["a"], "me")
    run.done("a")
    run.reviewed("a", "passed", YES)
    dead = run.kept("a").dead
    assert dead is not None
    assert (dead.by, dead.resolution, run.status) == ("me", "done again", "done")


# Done, and nothing has changed

NO_OP = (Gate("no_op", GateKind.NO_OP),)
IDLE = Note("no_op", "skipped", "warning: it owns files and has changed none of them")


def noted(changed: int, **parts: Any) -> tuple[list[Note], list[e.GateSkipped]]:
    """What is noted of a task that is claimed to be done with so many files changed."""
    run = Play(task("a", **parts))
    run.begin()
    run.done("a", files=changed)
    return run.kept("a").notes, run.of(e.GateSkipped)


def test_who_owns_files_and_has_changed_none_is_done_and_that_is_noted() -> None:
    run = Play(task("a", files=("f",)))
    run.begin()
    run.done("a")
    assert (run.status, run["a"].checked) == ("done", None)
    assert run.kept("a").notes == [IDLE]
    assert run.of(e.GateSkipped) == [e.GateSkipped("a", 1, "no_op", IDLE.text)]


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        (1, {"files": ("f",)}),
        (-1, {"files": ("f",)}),
        (0, {}),
        (0, {"files": ("f",), "gates": NO_OP}),
        (0, {"files": ("f",), "steps": (Step("s", Work(), gates=NO_OP),)}),
    ],
)
def test_nothing_is_noted_of_who_has_changed_something_or_need_not_or_has_a_gate_for_it(
    changed: int, parts: dict[str, Any]
) -> None:
    assert noted(changed, **parts) == ([], [])


def test_what_an_earlier_attempt_has_changed_is_no_idling() -> None:
    run = Play(task("a", files=("f",), retry=Retry(retries=1)))
    run.begin()
    run.fails("a", lines=3, files=1, paths=("f",))
    run.rested("a")
    run.done("a")
    assert (run.status, run.kept("a").notes) == ("done", [])
