"""One attempt: what it is told of the one before, what leaves it, and what it leaves alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from working import Bench, shell

from postroom.actors.convoys.plan import (
    Agent,
    Gate,
    GateKind,
    Hook,
    HookKind,
    HookPoint,
    Output,
    OutputKind,
    Step,
    Work,
)
from postroom.actors.convoys.rules.standing import Artifact, Failure, Feedback, Note
from postroom.actors.convoys.work.attempt import make
from postroom.actors.convoys.work.calls import Calls

KEY = "AKIA" + "Z7Q2M4X8K1P5R9T3"
WRITER = Agent("writer", ("sh", "-c", "cat > prompt; echo written"))
FEEDBACK = Feedback(
    1, Failure.GATE, "tests: exit 1", 0, "the end", (Note("tests", "blocked", "exit 1", 0.1, "two\nlines\n"),)
)
FEEDBACK_TEXT = """\
Attempt 1 failed (gate): tests: exit 1
Its exit status was 0.
- tests: blocked: exit 1
  two
  lines
The end of what it said:
the end"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def prompted(bench: Bench, prompt: str, attempt: int = 1, **job: Any) -> str:
    """What an agent is given."""
    result = await bench.make(work=Work(prompt=prompt), attempt=attempt, job={"agent": WRITER, **job})
    assert result.output == "written\n"
    return bench.text("prompt")


async def test_an_agent_is_given_its_prompt_with_the_blanks_filled(bench: Bench) -> None:
    inputs = {"who": Artifact("n", "text", 2, "", "", "you")}
    assert await prompted(bench, "greet {{input.who}} in {{convoy.folder}}", inputs=inputs) == (
        f"greet you in {bench.folder}"
    )


async def test_a_retry_is_told_what_was_wrong_where_its_prompt_says_so(bench: Bench) -> None:
    found = await prompted(bench, "do it. {{ feedback }} Now!", 2, feedback=FEEDBACK)
    assert found == f"do it. {FEEDBACK_TEXT} Now!"
    assert await prompted(bench, "do it. {{feedback}}Now!") == "do it. Now!"


async def test_a_retry_is_told_what_was_wrong_below_a_prompt_that_has_no_place_for_it(bench: Bench) -> None:
    found = await prompted(bench, "do it", 2, feedback=FEEDBACK)
    assert found == f"do it\n\n## What was wrong with the attempt before\n\n{FEEDBACK_TEXT}"


async def test_feedback_is_never_taken_for_a_blank_itself(bench: Bench) -> None:
    feedback = Feedback(1, Failure.ERROR, "{{input.x}} {{feedback}}")
    inputs = {"x": Artifact("x", "text", 1, "", "", "{{feedback}}")}
    found = await prompted(bench, "{{input.x}}: {{feedback}}", 2, feedback=feedback, inputs=inputs)
    assert found == "{{feedback}}: Attempt 1 failed (error): {{input.x}} {{feedback}}"


async def test_a_retry_is_told_the_words_of_the_gate_that_it_did_not_pass(bench: Bench) -> None:
    notes = (Note("tests", "blocked", "exit 1", output="FAILED test_a\nassert 1 == 2\n"),)
    feedback = Feedback(1, Failure.GATE, "tests: exit 1", notes=notes)
    found = await prompted(bench, "{{feedback}}", 2, feedback=feedback)
    assert found.endswith("- tests: blocked: exit 1\n  FAILED test_a\n  assert 1 == 2")


async def test_a_command_finds_what_was_wrong_in_a_file(bench: Bench) -> None:
    line = "cat $POSTROOM_FEEDBACK; cp $POSTROOM_FEEDBACK told"
    result = await bench.make(line, attempt=2, job={"feedback": FEEDBACK})
    assert result.failure is None
    told = json.loads(bench.text("told"))
    assert (told["attempt"], told["failure"], told["reason"]) == (1, "gate", "tests: exit 1")
    assert told["notes"][0]["output"] == "two\nlines\n"
    assert [file.name for file in bench.logs.iterdir()].count("t.2.feedback.json") == 1


async def test_a_first_attempt_has_no_feedback(bench: Bench) -> None:
    assert (await bench.make("echo ${POSTROOM_FEEDBACK-none}")).output == "none\n"


async def test_a_secret_in_the_final_prompt_is_taken_out_and_noted(bench: Bench) -> None:
    inputs = {"x": Artifact("x", "text", 20, "", "", f"key {KEY}")}
    work = Work(prompt="use {{input.x}}")
    result = await bench.make(work=work, job={"agent": WRITER, "inputs": inputs})
    assert bench.text("prompt").startswith("use key [redacted: ")
    assert KEY not in bench.text("prompt")
    (note,) = result.notes
    assert (note.name, note.verdict) == ("secret", "redacted")
    assert f"[redacted: {note.text}]" in bench.text("prompt")


async def test_a_secret_that_only_the_filled_blank_makes_one_is_taken_out_too(bench: Bench) -> None:
    inputs = {"x": Artifact("x", "text", 20, "", "", KEY[8:])}
    work = Work(prompt=KEY[:8] + "{{input.x}}")
    await bench.make(work=work, job={"agent": WRITER, "inputs": inputs})
    assert bench.text("prompt").startswith("[redacted: ")


async def test_prompts_of_steps_and_hooks_are_looked_through_too(bench: Bench) -> None:
    steps = (Step("a", Work(prompt=KEY)),)
    hooks = (Hook("h", HookPoint.PRE_TASK, HookKind.AGENT, prompt=KEY, agent="scout"),)
    scout = Agent("scout", ("sh", "-c", "cat > scouted"))
    await bench.make(steps=steps, job={"agent": WRITER, "hooks": hooks, "agents": (scout,)})
    assert KEY not in bench.text("prompt") + bench.text("scouted")


async def test_no_secret_leaves_in_a_result(bench: Bench) -> None:
    line = f"echo {KEY} | tee out; echo {KEY}; exit 1"
    gate = Gate("g", command=("sh", "-c", f"echo gate {KEY}; exit 1"))
    result = await bench.make(line)
    assert "[redacted: " in result.reason
    assert KEY not in str(result)
    steps = (Step("a", shell(f"echo {KEY}"), gates=(gate,)),)
    result = await bench.make(steps=steps, outputs=(Output("out", OutputKind.SUMMARY),))
    assert KEY not in str(result)
    assert "[redacted: " in result.notes[0].output
    result = await bench.make(f"echo {KEY}", outputs=(Output("out", OutputKind.SUMMARY),))
    assert "[redacted: " in result.outputs[0].text


async def test_a_secret_that_begins_before_the_end_that_is_kept_does_not_leave(bench: Bench) -> None:
    result = await bench.make(f"printf {KEY}; head -c 4090 /dev/zero | tr '\\0' ' '")
    assert KEY[-6:] not in result.output


async def test_words_that_no_message_can_hold_are_replaced(bench: Bench) -> None:
    result = await bench.make("printf 'a\\000b\\377c'; exit 1")
    assert result.output == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"


async def test_a_task_that_owns_files_says_what_it_changed(bench: Bench) -> None:
    bench.write("src/a", "1\n2\n")
    result = await bench.make("echo 3 >> src/a; echo new > src/b; echo no > other", files=("src",))
    assert (result.lines, result.files, result.paths) == (2, 2, ("src/a", "src/b"))


async def test_a_gate_of_a_step_sees_what_was_changed_so_far(bench: Bench) -> None:
    gate = Gate("no op", GateKind.NO_OP)
    steps = (Step("a", shell("echo 1 > a"), gates=(gate,)), Step("b", shell("rm a"), gates=(gate,)))
    result = await bench.make(steps=steps)
    assert [note.verdict for note in result.notes] == ["passed", "blocked"]
    assert result.reason == "step b: no op: it has changed nothing"


async def test_what_a_hook_changes_before_it_is_not_the_attempts(bench: Bench) -> None:
    hooks = (Hook("h", HookPoint.PRE_TASK, HookKind.COMMAND, ("touch", "a")),)
    result = await bench.make("touch b", job={"hooks": hooks, "measured": True})
    assert result.paths == ("b",)


async def test_an_attempt_that_is_made_again_begins_with_an_empty_log(bench: Bench) -> None:
    bench.log.write_text("from before\n")
    await bench.make("echo now")
    assert bench.log.read_text() == "now\n"


@pytest.fixture
def calls(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    (bench.folder / "calls_of_an_attempt.py").write_text(
        "def nothing():\n    pass\n\n"
        "def table():\n    return {'b': [1, True], 'a': None}\n\n"
        "def told(feedback):\n    return feedback and feedback.reason\n\n"
        "def echo(prompt):\n    return prompt\n\n"
        "def long():\n    return 'x' * 3_000_000\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(bench.folder)])
    yield bench
    sys.modules.pop("calls_of_an_attempt", None)


def bench_text(path: str) -> str:
    return Path(path).read_text()


def call(name: str, **arguments: Any) -> Work:
    return Work(call=f"calls_of_an_attempt:{name}", arguments=arguments)


TOUCHES_NOTHING = """
import sys, trio
from postroom.actors.convoys.plan import Agent, Task, Work
from postroom.actors.convoys.work.attempt import make
from postroom.actors.convoys.work.calls import Calls
from postroom.actors.convoys.work.jobs import Job

job = Job("r", Task("t", "/", Work(call="gc:enable")), 1, Agent("local"), "/nowhere/log", "/")
seen = []
events = ("open", "os.remove", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.symlink")
trio.run(make, job, Calls())  # what is imported once is there now
sys.addaudithook(lambda event, args: seen.append((event, args)) if event in events else None)
result = trio.run(make, job, Calls())
assert result.failure is None, result
assert not seen, seen
"""


async def test_a_call_that_answers_nothing_touches_no_file() -> None:
    await trio.run_process([sys.executable, "-c", TOUCHES_NOTHING])


async def test_a_call_that_is_made_again_after_a_kill_begins_with_an_empty_log(calls: Bench) -> None:
    calls.log.write_text("from before\n")
    await make(calls.job(calls.task(work=call("nothing"))), Calls(), again=True)
    assert not calls.log.exists()


async def test_what_a_call_answers_are_its_words_and_tables_are_json(calls: Bench) -> None:
    result = await calls.make(work=call("table"), outputs=(Output("out", OutputKind.JSON),))
    assert result.output == '{"a":null,"b":[1,true]}'
    assert calls.log.read_text() == result.output + "\n"
    assert bench_text(result.outputs[0].path) == result.output


async def test_a_call_is_told_what_was_wrong_if_it_asks(calls: Bench) -> None:
    result = await calls.make(work=call("told"), attempt=2, job={"feedback": FEEDBACK})
    assert result.output == "tests: exit 1"
    assert [file.name for file in calls.logs.iterdir()] == ["t.2.log"]


async def test_an_agent_may_be_a_call(calls: Bench) -> None:
    agent = Agent("a", call="calls_of_an_attempt:echo")
    result = await calls.make(work=Work(prompt="hello"), job={"agent": agent})
    assert result.output == "hello"


async def test_a_long_answer_is_bounded_in_its_log(calls: Bench) -> None:
    await calls.make(work=call("long"))
    assert calls.log.stat().st_size < (1 << 20) + 100


async def test_arguments_of_a_call_are_filled(calls: Bench) -> None:
    inputs = {"x": Artifact("x", "text", 1, "", "", "given")}
    result = await calls.make(work=call("echo", prompt="{{input.x}}"), job={"inputs": inputs})
    assert result.output == "given"


async def test_an_agent_that_pulls_is_not_asked_here(bench: Bench) -> None:
    result = await bench.make(work=Work(prompt="x"), job={"agent": Agent("far", inbox="worker/far")})
    assert (result.failure, result.reason) == (Failure.AGENT, "agent far is asked through its inbox")
