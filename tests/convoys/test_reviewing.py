"""The reviewing of a run: whom it asks, how many at once, what a budget lets happen, what it tells."""

from __future__ import annotations

import pytest
import trio
from attrs import evolve
from fleet import fleet
from reviews import RUN, Stage, declared, order
from trio.testing import MockClock

from postroom.actors.convoys.names import reviewing_of
from postroom.actors.convoys.plan import Hook, HookKind, HookPoint, OnBudget, Reviewing, Route
from postroom.testing import memory_store

SIX = ("ok-1", "ok-2", "ok-3", "ok-4", "ok-5", "ok-6")


async def tell(stage: Stage, *orders: object) -> list[str]:
    """Order reviews, all at once, and answer their verdicts in the order in which they were told."""
    async with fleet(memory_store()) as us:
        office = await stage.set_up(await us.join("p1"))
        for one in orders:
            await office.send(reviewing_of(RUN), one)
        told = await stage.answers(len(orders))
    return [one.verdict for one in told]


async def test_the_fast_route_asks_one_reviewer(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    assert await tell(stage, order(Reviewing(reviewers=declared("ok-1", "no-2")))) == ["passed"]
    assert stage.asked == ["a/ok-1"]
    assert not stage.told[0].panel


async def test_who_cannot_run_is_stood_in_for_by_the_next(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    rules = Reviewing(reviewers=declared("gone-1", "gone-2", "no-3", "ok-4"))
    assert await tell(stage, order(rules)) == ["blocked"]
    assert [note.verdict for note in stage.told[0].notes] == ["unrun", "unrun", "blocked"]
    assert not stage.told[0].panel


async def test_a_review_that_nobody_can_do_is_unrun(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    rules = Reviewing(reviewers=declared("gone-1", "gone-2"))
    assert await tell(stage, order(rules), order(Reviewing(), task="b")) == ["unrun", "unrun"]
    assert {note.text for told in stage.told for note in told.notes} >= {"no reviewer is declared"}


@pytest.mark.parametrize(
    ("names", "verdict"),
    [
        (("ok-1", "ok-2", "ok-3"), "passed"),
        (("ok-1", "ok-2", "no-3"), "passed"),
        (("ok-1", "no-2", "no-3"), "blocked"),
        (("ok-1", "ok-2", "gone-3"), "passed"),
        (("ok-1", "no-2", "gone-3"), "unrun"),
        (("ok-1", "gone-2", "gone-3"), "unrun"),
        (("gone-1", "no-2", "no-3"), "blocked"),
        (("ok-1", "gone-2", "no-3", "ok-4"), "passed"),
    ],
)
async def test_a_panel_blocks_with_two_votes_and_who_is_missing_passes_nothing(
    names: tuple[str, ...], verdict: str, autojump_clock: MockClock
) -> None:
    stage = Stage(autojump_clock)
    rules = Reviewing(reviewers=declared(*names))
    assert await tell(stage, order(rules, Route.PANEL)) == [verdict]
    assert stage.told[0].panel
    assert stage.most == 3


async def test_no_more_reviews_run_at_once_than_the_convoy_says(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    rules = Reviewing(reviewers=declared("ok-1"), concurrency=2)
    await tell(stage, *(order(rules, task=task) for task in "abcdefg"))
    assert stage.most == 2
    assert stage.asked == [f"{task}/ok-1" for task in "abcdefg"]


async def test_reviewers_who_pull_are_not_asked_more_than_that_either(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    rules = Reviewing(reviewers=declared("pull-1"), concurrency=1)
    orders = [order(rules, task=task) for task in "abc"]
    async with fleet(memory_store()) as us:
        office = await stage.set_up(await us.join("p1"))
        await office.start("critic/pull-1", stage.puller())
        await office.pause("critic/pull-1")
        for one in orders:
            await office.send(reviewing_of(RUN), one)
        await trio.sleep(1)
        counts = office.counts("critic/pull-1")
        assert counts is not None
        assert counts.ready == 1
        await office.resume("critic/pull-1")
        told = await stage.answers(3)
    assert [one.verdict for one in told] == ["blocked"] * 3


@pytest.mark.parametrize(
    ("policy", "route", "verdicts", "asked"),
    [
        (OnBudget.SKIP, Route.PANEL, ["passed", "skipped", "skipped"], 3),
        (OnBudget.DOWNGRADE, Route.PANEL, ["passed", "passed", "passed"], 5),
        (OnBudget.DOWNGRADE, Route.FAST, ["passed", "passed", "passed"], 3),
        (OnBudget.STOP, Route.PANEL, ["passed", "unrun", "unrun"], 3),
    ],
)
async def test_a_budget_of_tokens_that_is_used_up_skips_downgrades_or_stops(
    policy: OnBudget, route: Route, verdicts: list[str], asked: int, autojump_clock: MockClock
) -> None:
    stage = Stage(autojump_clock, tokens=40)
    rules = Reviewing(reviewers=declared(*SIX), concurrency=1, tokens=100, on_budget=policy)
    assert await tell(stage, *(order(rules, route, task) for task in "abc")) == verdicts
    assert len(stage.asked) == asked
    reasons = " ".join(note.text for told in stage.told[1:] for note in told.notes if note.name == "budget")
    assert ("used up, 120 of 100 tokens" in reasons) == (route is Route.PANEL)


async def test_one_reviewer_beyond_the_budget_is_skipped_though_panels_are_downgraded(
    autojump_clock: MockClock,
) -> None:
    stage = Stage(autojump_clock, tokens=40)
    rules = Reviewing(reviewers=declared(*SIX), tokens=100, on_budget=OnBudget.DOWNGRADE)
    assert await tell(stage, order(rules, used=100)) == ["skipped"]
    assert not stage.asked


async def test_what_votes_under_way_may_cost_counts_against_the_budget(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock, tokens=40)
    rules = Reviewing(reviewers=declared(*SIX), concurrency=2, tokens=100)
    async with fleet(memory_store()) as us:
        office = await stage.set_up(await us.join("p1"))
        await office.send(reviewing_of(RUN), order(rules, task="a"))
        await stage.answers(1)
        await office.send(reviewing_of(RUN), order(rules, Route.PANEL, task="b"))
        await office.send(reviewing_of(RUN), order(rules, task="c"))
        told = await stage.answers(3)
    assert [(one.task, one.verdict) for one in told] == [("a", "passed"), ("c", "skipped"), ("b", "passed")]


async def test_votes_that_nobody_counts_are_named_under_a_budget(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    rules = Reviewing(reviewers=declared("ok-1"), tokens=100)
    assert await tell(stage, order(rules)) == ["passed"]
    assert stage.told[0].notes[-1].text == "it does not say how many tokens it uses"


def hook(name: str, *command: str) -> Hook:
    return Hook(name, HookPoint.POST_TASK, HookKind.REVIEW, command)


async def test_a_hook_takes_one_more_reviewer(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    rules = Reviewing(reviewers=declared("ok-1", "no-2"))
    assert await tell(stage, order(rules, hooks=[hook("more")])) == ["blocked"]
    assert stage.asked == ["a/ok-1", "a/no-2"]


async def test_a_hook_with_a_command_is_a_reviewer_itself(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    rules = Reviewing(reviewers=declared("ok-1", "ok-2"))
    assert await tell(stage, order(rules, hooks=[hook("no-hook", "false")])) == ["blocked"]
    assert sorted(stage.asked) == ["a/no-hook", "a/ok-1"]


async def test_the_same_order_again_repeats_the_verdict_and_asks_nobody(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    rules = Reviewing(reviewers=declared("ok-1"))
    async with fleet(memory_store()) as us:
        office = await stage.set_up(await us.join("p1"))
        for count in (1, 2):
            await office.send(reviewing_of(RUN), order(rules))
            await stage.answers(count)
        await office.send(reviewing_of(RUN), order(rules, attempt=2))
        told = await stage.answers(3)
    assert told[0] == told[1]
    assert [one.attempt for one in told] == [1, 1, 2]
    assert len(stage.asked) == 2


async def test_another_result_of_the_same_attempt_is_looked_at_anew(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    first = order(Reviewing(reviewers=declared("ok-1")))
    async with fleet(memory_store()) as us:
        office = await stage.set_up(await us.join("p1"))
        await office.send(reviewing_of(RUN), first)
        await stage.answers(1)
        await office.send(reviewing_of(RUN), evolve(first, result=evolve(first.result, output="made again")))
        await stage.answers(2)
    assert len(stage.asked) == 2


async def test_a_vote_that_was_cut_short_holds_nobody_up_and_is_asked_for_again(
    autojump_clock: MockClock,
) -> None:
    stage = Stage(autojump_clock)
    stage.cut.add("ok-1")
    rules = Reviewing(reviewers=declared("ok-1"), concurrency=1)
    async with fleet(memory_store()) as us:
        office = await stage.set_up(await us.join("p1"))
        await office.send(reviewing_of(RUN), order(rules))
        await office.send(reviewing_of(RUN), order(rules, task="b"))
        await stage.answers(1)
        await office.send(reviewing_of(RUN), order(rules))
        told = await stage.answers(2)
    assert [(one.task, one.verdict) for one in told] == [("b", "passed"), ("a", "passed")]
    assert stage.asked == ["a/ok-1", "b/ok-1", "a/ok-1"]
