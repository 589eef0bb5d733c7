"""Who reviews a task: by size, path and agent."""

from __future__ import annotations

import pytest
from attrs import evolve
from boards import DONE, Play, task

from postroom.actors.convoys import events as e
from postroom.actors.convoys.plan import Agent, Hook, HookKind, HookPoint, Reviewing, Route
from postroom.actors.convoys.rules.actions import Review
from postroom.actors.convoys.rules.routing import routed

AUTO = Reviewing(Route.AUTO)


@pytest.mark.parametrize(
    ("lines", "files", "route"),
    [
        (10, 2, Route.NONE),
        (11, 2, Route.FAST),
        (10, 3, Route.FAST),
        (0, 0, Route.NONE),
        (-1, -1, Route.FAST),
    ],
)
def test_a_small_change_passes_and_a_larger_or_unknown_one_is_reviewed(
    lines: int, files: int, route: Route
) -> None:
    found, why = routed(AUTO, task("a"), evolve(DONE, lines=lines, files=files))
    assert found is route
    assert why


@pytest.mark.parametrize("path", ["auth/x.py", "src/auth/x.py", "AUTH/x.py", "auth", "db/migrations/1.sql"])
def test_a_panel_looks_at_what_lies_in_a_guarded_folder_however_small(path: str) -> None:
    assert routed(AUTO, task("a"), evolve(DONE, paths=(path,)))[0] is Route.PANEL
    assert routed(AUTO, task("a", files=(path,)), DONE)[0] is Route.PANEL


@pytest.mark.parametrize("path", ["author/x.py", "src/oauth/x.py", "x/auth.py"])
def test_a_name_that_only_looks_like_a_guarded_folder_takes_no_panel(path: str) -> None:
    assert routed(AUTO, task("a"), evolve(DONE, paths=(path,)))[0] is Route.NONE


def test_a_panel_looks_at_the_work_of_guarded_agents_also_when_they_stand_for_another() -> None:
    assert routed(AUTO, task("a", agent="db"), DONE) == (Route.PANEL, "agent db takes a panel")
    assert routed(AUTO, task("a", agent="x"), DONE, "security")[0] is Route.PANEL
    assert routed(AUTO, task("a", agent="x"), DONE, "y")[0] is Route.NONE


def test_a_task_that_names_its_route_takes_it() -> None:
    big = evolve(DONE, lines=1000, files=50, paths=("auth/x",))
    assert routed(AUTO, task("a", review=Route.NONE), big) == (Route.NONE, "")
    assert routed(Reviewing(), task("a", review=Route.PANEL), DONE)[0] is Route.PANEL
    assert routed(Reviewing(Route.FAST), task("a"), DONE)[0] is Route.FAST


def test_the_run_says_why_it_was_reviewed_or_not() -> None:
    run = Play(task("a"), task("b"), reviewing=AUTO)
    run.begin()
    run.done("a", lines=3, files=1)
    assert run.of(e.ReviewEnded) == [e.ReviewEnded("a", 1, "passed: 3 lines in 1 files are few")]
    assert run.done("b", lines=30, files=1) == [Review("b", 1, Route.FAST)]
    assert run.of(e.ReviewStarted) == [e.ReviewStarted("b", 1, "fast", "30 lines in 1 files")]


def test_a_panel_looks_at_what_a_guarded_fallback_has_done() -> None:
    team = (Agent("x", threshold=1, fallback="db"), Agent("db"))
    run = Play(task("a", agent="x"), reviewing=AUTO, agents=team)
    run.begin()
    run.fails("a")
    run.rested("a")
    assert run.done("a") == [Review("a", 2, Route.PANEL)]


def test_a_hook_that_asks_for_a_review_has_one_where_the_route_has_none() -> None:
    hook = Hook("look", HookPoint.POST_TASK, HookKind.REVIEW)
    run = Play(task("a", hooks=(hook,)))
    run.begin()
    assert run.done("a") == [Review("a", 1, Route.FAST)]
