"""Agents tell how many tokens they used: in the last line of their words, or in what their call returns."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from pullers import Puller
from trio.testing import MockClock
from working import Bench

from postroom.actors.convoys.plan import Agent, Budget, Output, OutputKind, Step, Work
from postroom.actors.convoys.rules.standing import Result
from postroom.actors.convoys.work.counting import of_answer, of_words

WEEK = 604_800.0
"""Virtual time passes while a process really runs, so it has plenty."""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def asked(bench: Bench, agent: Agent, **more: Any) -> Result:
    """What came of a prompt for this agent."""
    more = {"work": Work(prompt="{}"), **more}
    return await bench.make(job={"agent": agent}, **more)


def says(line: str) -> Agent:
    return Agent("a", ("sh", "-c", line))


@pytest.mark.parametrize(
    ("words", "said", "tokens"),
    [
        ('done\n{"tokens": 12}\n', "done\n", 12),
        ('{"tokens": 0}', "", 0),
        ('done\n  {"tokens": 12}  \n\n', "done\n", 12),
        ('{"tokens": 3, "answer": 1}\n', '{"tokens": 3, "answer": 1}\n', 3),
        *(
            (words, words, None)
            for words in (
                "", "done", '{"tokens": 12}\ndone', '{"tokens": true}', '{"tokens": -1}', '{"tokens": 1.0}',
                '{"tokens": "12"}', '{"tokens": 9007199254740992}', '{"tokens": 1', '[{"tokens": 1}]',
                '{"tokens": 1, "tokens": 2}', "{" * 5000,
            )
        ),
    ],
)  # fmt: skip
def test_the_last_line_that_is_a_table_with_whole_tokens_counts(
    words: str, said: str, tokens: int | None
) -> None:
    assert of_words(words) == (said, tokens)


@pytest.mark.parametrize(
    ("answer", "said", "tokens"),
    [
        ({"tokens": 5, "output": "done"}, "done", 5),
        ({"tokens": 5, "output": None}, None, 5),
        ({"tokens": 5}, {"tokens": 5}, 5),
        ({"tokens": "5", "output": "done"}, {"tokens": "5", "output": "done"}, None),
        ({"output": "done"}, {"output": "done"}, None),
        ('{"tokens": 5}', '{"tokens": 5}', None),
        (None, None, None),
    ],
)
def test_a_table_that_a_call_returns_counts(answer: object, said: object, tokens: int | None) -> None:
    assert of_answer(answer) == (said, tokens)


async def test_a_command_that_is_an_agent_tells_its_tokens(bench: Bench) -> None:
    result = await asked(bench, says("echo done; echo '{\"tokens\": 12}'"))
    assert (result.tokens, result.output) == (12, "done\n")
    assert bench.log.read_text() == 'done\n{"tokens": 12}\n'


async def test_an_agent_that_fails_has_used_tokens_too(bench: Bench) -> None:
    result = await asked(bench, says("echo no way; echo '{\"tokens\": 7}'; exit 3"))
    assert (result.tokens, result.reason) == (7, "exit 3: no way")


async def test_the_line_about_tokens_is_no_part_of_what_others_get(bench: Bench) -> None:
    result = await asked(
        bench, says("""echo '{"a": 1}'; echo '{"tokens": 2}'"""), outputs=(Output("x", OutputKind.JSON),)
    )
    assert result.failure is None
    assert (bench.logs / "artifacts" / "t.1" / "x").read_text() == '{"a":1}'


async def test_a_call_that_is_an_agent_tells_its_tokens(bench: Bench, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(str(bench.folder))
    bench.write(
        "asks_and_counts.py",
        "def answer(prompt):\n    return {'output': {'said': prompt}, 'tokens': len(prompt)}\n",
    )
    try:
        result = await asked(bench, Agent("a", call="asks_and_counts:answer"))
    finally:
        sys.modules.pop("asks_and_counts", None)
    assert (result.tokens, result.output) == (2, '{"said":"{}"}')


async def test_what_an_agent_tells_counts_for_the_budget(tmp_path: Path, autojump_clock: MockClock) -> None:
    puller = Puller(tmp_path, autojump_clock)
    counts = Agent("anna", command=("sh", "-c", "echo '{\"tokens\": 12}'"))
    tasks = (puller.task("a", timeout=WEEK), puller.task("b", timeout=WEEK, depends_on=("a",)))
    async with puller.plays(*tasks, agents=(counts,), budget=Budget(tokens=10)):
        pass
    last = puller.reports[-1]
    assert (last.status, last.standing.spent.tokens) == ("paused", 12)
    assert [puller.row(id).status for id in "ab"] == ["done", "waiting"]
    assert puller.row("a").state.tokens == 12


async def test_steps_add_up(bench: Bench) -> None:
    steps = (Step("1", Work(prompt="a")), Step("2", Work(("true",))), Step("3", Work(prompt="b")))
    result = await asked(bench, says("echo '{\"tokens\": 4}'"), work=Work(), steps=steps)
    assert result.tokens == 8


async def test_a_task_that_runs_a_command_or_a_call_itself_says_nothing_about_tokens(bench: Bench) -> None:
    line = "echo '{\"tokens\": 12}'"
    assert (await bench.make(line)).tokens is None
    result = await bench.make(work=Work(call="builtins:dict", arguments={"tokens": 12}))
    assert (result.tokens, result.output) == (None, '{"tokens":12}')
