"""Hooks before and after work: what stops what it guards, and what is only noted."""

from __future__ import annotations

from pathlib import Path

import pytest
from working import Bench

from postroom.actors.convoys.plan import Agent, Hook, HookKind, HookPoint
from postroom.actors.convoys.rules.standing import Failure, Note
from postroom.actors.convoys.work.hooks import run_hooks

PRE = HookPoint.PRE_TASK


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def hook(kind: HookKind, line: str, name: str = "h", timeout: float = 30) -> Hook:
    return Hook(name, PRE, kind, ("sh", "-c", line), timeout=timeout)


async def noted(bench: Bench, *hooks: Hook, agents: tuple[Agent, ...] = ()) -> list[Note]:
    return await run_hooks(hooks, agents, bench.setting())


@pytest.mark.parametrize("line", ["exit 1", "sleep 60"])
async def test_a_command_that_fails_is_noted_and_stops_nothing(bench: Bench, line: str) -> None:
    first = hook(HookKind.COMMAND, f"echo said; {line}", timeout=0.3)
    notes = await noted(bench, first, hook(HookKind.COMMAND, "touch second"))
    assert [note.verdict for note in notes] == ["skipped", "passed"]
    assert notes[0].text.startswith("it failed, which stops nothing: ")
    assert (bench.folder / "second").exists()


async def test_a_command_that_cannot_be_started_stops_nothing(bench: Bench) -> None:
    (note,) = await noted(bench, Hook("h", PRE, HookKind.COMMAND, ("./gone",)))
    assert note.verdict == "skipped"


async def test_a_guard_that_fails_stops_what_comes_after(bench: Bench) -> None:
    notes = await noted(
        bench, hook(HookKind.GUARD, "echo no; exit 1"), hook(HookKind.COMMAND, "touch second")
    )
    assert [(note.verdict, note.text) for note in notes] == [("blocked", "exit 1: no")]
    assert not (bench.folder / "second").exists()


async def test_a_guard_that_cannot_be_started_has_not_passed(bench: Bench) -> None:
    (note,) = await noted(bench, Hook("h", PRE, HookKind.GUARD, ("./gone",)))
    assert note.verdict == "unrun"


@pytest.mark.parametrize(
    ("said", "verdict", "text"),
    [
        ('{"ok": true}', "passed", ""),
        ('{"ok": false}\n{"ok": true}\n', "passed", ""),
        ('{"ok": true}\nand that is all', "passed", ""),
        ('{"ok": true}\n{"ok": false, "reason": "no"}', "blocked", "no"),
        ('{"ok": 1}', "blocked", "it does not say that all is well"),
        ('{"fine": true}', "blocked", "it does not say that all is well"),
        ("all is well", "blocked", "it has said no line of JSON"),
        ("", "blocked", "it has said no line of JSON"),
    ],
)
async def test_a_validation_says_by_its_last_line_of_json(
    bench: Bench, said: str, verdict: str, text: str
) -> None:
    bench.write("said", said)
    (note,) = await noted(bench, hook(HookKind.VALIDATE, "cat said"))
    assert (note.verdict, note.text) == (verdict, text)


async def test_a_validation_that_fails_is_not_asked_what_it_says(bench: Bench) -> None:
    (note,) = await noted(bench, hook(HookKind.VALIDATE, """echo '{"ok": true}'; exit 1"""))
    assert note.verdict == "blocked"


async def test_an_agent_gets_the_prompt_of_its_hook(bench: Bench) -> None:
    asked = Hook("h", PRE, HookKind.AGENT, prompt="look around", agent="scout")
    (note,) = await noted(bench, asked, agents=(Agent("scout", ("sh", "-c", "cat > asked")),))
    assert (note.verdict, bench.text("asked")) == ("passed", "look around")


async def test_an_agent_that_nobody_knows_is_noted(bench: Bench) -> None:
    (note,) = await noted(bench, Hook("h", PRE, HookKind.AGENT, prompt="look", agent="scout"))
    assert note.verdict == "skipped"
    assert note.text.endswith("agent scout has neither a command nor a call")


async def test_a_review_is_no_hook_of_the_worker(bench: Bench) -> None:
    assert await noted(bench, hook(HookKind.REVIEW, "exit 1")) == []


async def test_hooks_come_before_the_attempt_and_a_guard_stops_it(bench: Bench) -> None:
    hooks = (hook(HookKind.COMMAND, "echo hook >> order", "a"), hook(HookKind.GUARD, "test -e go", "b"))
    result = await bench.make("echo task >> order", job={"hooks": hooks})
    assert (result.failure, result.reason) == (Failure.HOOK, "b: exit 1")
    assert bench.text("order") == "hook\n"
    bench.write("go", "")
    result = await bench.make("echo task >> order", job={"hooks": hooks})
    assert (result.failure, bench.text("order")) == (None, "hook\nhook\ntask\n")
    assert [(note.name, note.verdict) for note in result.notes] == [("a", "passed"), ("b", "passed")]
