"""Tokens count in one way, whoever has used them: agents with their tasks, hooks, reviewers."""

from __future__ import annotations

from pathlib import Path

import pytest
from boards import GATES, Play, task
from convoy_shells import ConvoyShell, outcome
from working import Bench

from postroom.actors.convoys import events as e
from postroom.actors.convoys.plan import Agent, Budget, Hook, HookKind, HookPoint, Reviewing, Route, Work
from postroom.actors.convoys.review.saying import Opinion
from postroom.actors.convoys.rules import coming
from postroom.actors.convoys.rules.standing import Failure, Note
from postroom.actors.convoys.work.hooks import run_hooks

ASKS = Work(prompt="look")
SCOUTED = Note("scout-first", "passed", asked="scout", tokens=30)
SILENT = Note("scout-first", "passed", asked="scout")
TESTED = Note("tests", "passed")


def asking(**more: object) -> Play:
    """Two tasks that ask the agent ada, one after the other."""
    tasks = [task(id, work=ASKS, agent="ada", gates=GATES) for id in "ab"]
    return Play(*tasks, concurrency=1, budget=Budget(tokens=100), **more)


def uncounted(run: Play) -> list[str]:
    return [fact.agent for fact in run.of(e.BudgetUncounted)]


def test_tokens_count_when_they_are_said_and_one_who_does_not_say_is_named_once() -> None:
    run = asking()
    run.begin()
    run.done("a")
    run.checked("a", TESTED)
    run.killed()
    run.begin()
    run.done("b")
    assert uncounted(run) == ["ada"]
    run = asking()
    run.begin()
    run.done("a", tokens=120)
    run.checked("a", TESTED)
    assert (run.status, run.board.standing.spent.tokens) == ("paused", 120)


def test_a_task_without_a_prompt_has_nobody_who_could_tell_of_tokens() -> None:
    run = Play(task("a"), budget=Budget(tokens=100))
    run.begin()
    run.done("a")
    assert uncounted(run) == []


@pytest.mark.parametrize("failure", [Failure.HOOK, Failure.INPUT, Failure.AGENT])
def test_an_attempt_that_did_not_get_as_far_as_its_agent_names_nobody(failure: Failure) -> None:
    run = asking()
    run.begin()
    run.fails("a", failure)
    assert uncounted(run) == []


def test_what_an_agent_uses_for_a_hook_counts_for_its_task_before_and_after_it() -> None:
    run = asking()
    run.begin()
    run.done("a", tokens=10, notes=(SCOUTED,))
    run.checked("a", TESTED, SCOUTED)
    assert (run["a"].tokens, run["a"].tries[-1].tokens) == (70, 70)
    run.done("b", tokens=40)
    assert run.board.standing.spent.tokens == 110
    assert run.of(e.BudgetReached) == []
    assert uncounted(run) == []


def test_an_agent_of_a_hook_that_does_not_say_is_named_once() -> None:
    run = asking()
    run.begin()
    run.done("a", tokens=10, notes=(SILENT, SILENT))
    run.checked("a", TESTED, SILENT)
    assert uncounted(run) == ["scout"]


def test_what_hooks_of_the_whole_convoy_use_counts_for_no_task_and_may_hold_all_of_them() -> None:
    run = asking(hooks=(Hook("brief", HookPoint.PRE_CONVOY, HookKind.AGENT, agent="scout", prompt="x"),))
    run.begin()
    run.then(
        coming.convoy_checked, HookPoint.PRE_CONVOY, [Note("brief", "passed", asked="scout", tokens=100)]
    )
    standing = run.board.standing
    assert (run.status, standing.spent.tokens, standing.convoy_tokens) == ("paused", 100, 100)
    assert run["a"].attempts == 0


def test_what_reviewers_use_counts_against_the_budget_of_the_run_too() -> None:
    run = asking(reviewing=Reviewing(Route.FAST))
    run.begin()
    run.done("a", tokens=10)
    run.checked("a", TESTED)
    run.reviewed("a", "passed", (Note("x", "passed", asked="x", tokens=95), Note("y", "passed", asked="y")))
    assert (run.status, run.board.standing.spent.tokens, run["a"].tokens) == ("paused", 105, 105)
    assert uncounted(run) == ["y"]


def test_a_reviewer_that_could_not_review_is_not_named_for_what_it_does_not_tell() -> None:
    assert Opinion("unrun", "could not be started").noted("x", 1.0).asked == ""
    said = Opinion("passed", tokens=4).noted("x", 1.0)
    assert (said.asked, said.tokens) == ("x", 4)


async def test_an_agent_that_is_asked_by_a_hook_tells_its_tokens(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    tells = Agent("scout", ("sh", "-c", "echo all well; echo '{\"tokens\": 12}'"))
    hooks = [
        Hook("brief", HookPoint.PRE_TASK, HookKind.AGENT, prompt="look", agent="scout"),
        Hook("made", HookPoint.PRE_TASK, HookKind.COMMAND, ("echo", '{"tokens": 5}')),
    ]
    first, second = await run_hooks(hooks, (tells,), bench.setting())
    assert (first.asked, first.tokens) == ("scout", 12)
    assert (second.asked, second.tokens) == ("", None)


async def test_an_agent_that_a_hook_has_asked_for_too_long_has_not_told(tmp_path: Path) -> None:
    slow = Agent("scout", ("sleep", "60"))
    hook = Hook("brief", HookPoint.PRE_TASK, HookKind.AGENT, prompt="look", agent="scout", timeout=0.3)
    (note,) = await run_hooks([hook], (slow,), Bench(tmp_path).setting())
    assert (note.verdict, note.asked, note.tokens) == ("skipped", "scout", None)


WORK = """
[budget]
tokens = 1000
[convoy]
hooks = [{ name = "brief", on = "pre_convoy", type = "agent", agent = "ada", prompt = "all" }]
[agents.ada]
command = ["echo", '{"tokens": 5}']
[tasks.a]
agent = "ada"
prompt = "do it"
review = "fast"
hooks = [
    { name = "before", on = "pre_task", type = "agent", agent = "ada", prompt = "before" },
    { name = "after", on = "post_task", type = "agent", agent = "ada", prompt = "after" },
]
[tasks.b]
command = "true"
depends_on = ["a"]
[[review.reviewers]]
name = "second-look"
command = ["echo", '{"verdict": "pass", "tokens": 100}']
"""


def test_a_run_tells_all_tokens_that_were_used_in_it(shell: ConvoyShell) -> None:
    shell.write(WORK)
    code, document = shell.run_json()
    assert code == 0, document
    assert outcome(document) == {"a": ("done", 1), "b": ("done", 1)}
    assert document["budget"] == {"tokens": {"used": 120, "bound": 1000}}
    assert document["guard"] == []
