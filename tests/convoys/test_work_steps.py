"""Tasks of several steps: their conditions, and the gates that come right after each."""

from __future__ import annotations

from pathlib import Path

import pytest
from working import Bench, shell

from postroom.actors.convoys.plan import Condition, Gate, Step
from postroom.actors.convoys.rules.standing import Failure, Result
from postroom.actors.convoys.rules.states import TaskStatus


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def step(id: str, line: str, when: Condition | None = None, *gates: str) -> Step:
    return Step(
        id, shell(f"echo {id} >> order; {line}"), when, tuple(Gate(g, command=("sh", "-c", g)) for g in gates)
    )


async def done_by(bench: Bench, *steps: Step) -> tuple[Result, str]:
    result = await bench.make(steps=steps)
    return result, " ".join(bench.text("order").split())


async def test_steps_are_done_in_order_and_all_their_words_are_kept(bench: Bench) -> None:
    result, order = await done_by(bench, step("a", "echo one"), step("b", "echo two"))
    assert (result.status, order, result.output) == (TaskStatus.DONE, "a b", "one\ntwo\n")
    assert bench.log.read_text() == "one\ntwo\n"


async def test_a_step_that_fails_ends_the_attempt(bench: Bench) -> None:
    result, order = await done_by(bench, step("a", "echo no; exit 3"), step("b", "true"))
    assert order == "a"
    assert (result.status, result.failure, result.code) == (TaskStatus.FAILED, Failure.ERROR, 3)
    assert result.reason == "step a: exit 3: no"


@pytest.mark.parametrize(
    ("compare", "code", "runs"),
    [
        ("eq", 3, True),
        ("eq", 2, False),
        ("ne", 0, True),
        ("ne", 3, False),
        ("lt", 4, True),
        ("lt", 3, False),
        ("gt", 2, True),
        ("gt", 3, False),
    ],
)
async def test_a_step_runs_by_the_exit_code_of_an_earlier_one(
    bench: Bench, compare: str, code: int, runs: bool
) -> None:
    result, order = await done_by(
        bench, step("a", "exit 3"), step("b", "true", Condition("a", compare, code)), step("c", "true")
    )
    assert order == ("a b c" if runs else "a c")
    assert (result.failure is None) is runs


async def test_a_failure_that_nothing_has_answered_fails_the_attempt(bench: Bench) -> None:
    publish = step("publish", "true", Condition("tests", "eq", 0))
    result, order = await done_by(bench, step("tests", "exit 1"), publish)
    assert (order, result.reason) == ("tests", "step tests: exit 1")


async def test_a_step_that_mends_and_fails_itself_fails_the_attempt(bench: Bench) -> None:
    mend = step("mend", "exit 9", Condition("tests", "ne", 0))
    result, _ = await done_by(bench, step("tests", "exit 1"), mend)
    assert result.reason == "step mend: exit 9"


async def test_a_step_that_was_left_out_lets_no_condition_hold(bench: Bench) -> None:
    result, order = await done_by(
        bench,
        step("a", "true"),
        step("b", "true", Condition("a", "eq", 5)),
        step("c", "true", Condition("b", "eq", 0)),
        step("d", "true", Condition("b", "ne", 0)),
    )
    assert (order, result.failure) == ("a", None)


async def test_a_step_runs_if_a_file_is_there(bench: Bench) -> None:
    result, order = await done_by(
        bench,
        step("no", "true", Condition(file="made/here")),
        step("make", "mkdir made; touch made/here"),
        step("yes", "true", Condition(file="made/here")),
        step("folder", "true", Condition(file="made")),
        step("through", "true", Condition(file="made/here/deeper")),
    )
    assert (order, result.failure) == ("make yes folder", None)


@pytest.mark.parametrize(
    "path", ["link", "folder/inside", "../outside", "/etc/passwd", "a/../../outside", ""]
)
async def test_a_condition_does_not_look_outside_nor_through_links(bench: Bench, path: str) -> None:
    outside = bench.folder.parent / "outside"
    outside.mkdir()
    (outside / "inside").touch()
    (bench.folder / "a").mkdir()
    (bench.folder / "link").symlink_to(outside / "inside")
    (bench.folder / "folder").symlink_to(outside)
    steps = (step("a", "true"), step("b", "true", Condition(file=path, step="" if path else "never")))
    result, order = await done_by(bench, *steps)
    assert order == "a"
    if path:
        assert (result.failure, result.reason.partition(":")[0]) == (Failure.ERROR, "step b")


async def test_the_gates_of_a_step_come_right_after_it(bench: Bench) -> None:
    result, order = await done_by(
        bench, step("a", "true", None, "echo gate >> order"), step("b", "true", None, "test -s order")
    )
    assert (order, result.failure) == ("a gate b", None)
    assert [(note.name, note.verdict) for note in result.notes] == [
        ("echo gate >> order", "passed"),
        ("test -s order", "passed"),
    ]


async def test_a_gate_of_a_step_that_does_not_pass_fails_the_attempt_there(bench: Bench) -> None:
    gate = "echo 3 are wrong; exit 1"
    ask = Condition("a", "eq", 0)
    result, order = await done_by(bench, step("a", "true", None, gate), step("b", "true", ask))
    assert (order, result.failure) == ("a", Failure.GATE)
    assert result.reason == f"step a: {gate}: exit 1: 3 are wrong"
    assert result.notes[0].output == "3 are wrong\n"


async def test_the_gates_of_a_step_that_fails_are_not_tried(bench: Bench) -> None:
    _, order = await done_by(bench, step("a", "exit 1", None, "echo gate >> order"))
    assert order == "a"
