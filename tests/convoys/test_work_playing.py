"""Whole convoys whose tasks are checked: gates, hooks, steps, inputs, and what a retry is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from working import alive, gone, shell, words_in

from postroom import open_postroom
from postroom.actors.convoys.entering import RunRecord, enter
from postroom.actors.convoys.ledger import Report, Row
from postroom.actors.convoys.plan import (
    Agent,
    Condition,
    Convoy,
    Gate,
    GateKind,
    Hook,
    HookKind,
    HookPoint,
    Input,
    Output,
    OutputKind,
    Retry,
    Step,
    Task,
    Work,
)
from postroom.actors.convoys.playing import play
from postroom.actors.convoys.record.facts import facts
from postroom.actors.convoys.rules.standing import Failure
from postroom.actors.convoys.wires import convoy_wire
from postroom.actors.convoys.work import commands
from postroom.store.clock import SystemClock
from postroom.store.memory import MemoryStore

When = Callable[[Report], bool]


class Player:
    """Plays one convoy in one folder, with its logs in another."""

    def __init__(self, place: Path) -> None:
        self.folder, self.logs = place / "work", place / "logs"
        self.folder.mkdir()
        self.logs.mkdir()
        self.store = MemoryStore(SystemClock())
        self.entered = False

    def task(self, id: str, line: str = "true", *, retries: int = 0, **more: Any) -> Task:
        more.setdefault("work", shell(line))
        return Task(id, str(self.folder), retry=Retry(retries, backoff=0), **more)

    async def play(self, *tasks: Task, stop_when: When | None = None, **more: Any) -> Report:
        stop = trio.Event()

        def watch(report: Report) -> None:
            if stop_when is not None and stop_when(report):
                stop.set()

        convoy = Convoy("test", 2, tasks, str(self.folder), **more)
        async with open_postroom(self.store, wire=convoy_wire()) as office:
            if not self.entered:
                await enter(office, RunRecord("r1", "/work.toml", {}), convoy)
                self.entered = True
            with trio.fail_after(30):
                return await play(office, "r1", convoy, self.logs, stop=stop, watch=watch)

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()


@pytest.fixture
def player(tmp_path: Path) -> Player:
    return Player(tmp_path)


def row(report: Report, id: str) -> Row:
    return next(row for row in report.tasks if row.id == id)


def gate(line: str, name: str = "check", **more: Any) -> Gate:
    return Gate(name, command=("sh", "-c", line), **more)


async def test_a_retry_that_uses_the_feedback_of_its_gate_passes(player: Player) -> None:
    line = 'test -z "$POSTROOM_FEEDBACK" || grep -o "want [0-9]*" "$POSTROOM_FEEDBACK" | head -n 1 > made'
    checks = (gate('test "$(cat made)" = "want 42" || { echo "want 42"; exit 1; }'),)
    report = await player.play(player.task("a", line, retries=1, gates=checks))
    done = row(report, "a")
    assert (done.status, done.attempts, done.state.claimed, done.state.checked) == ("done", 2, True, True)
    assert player.text("made") == "want 42\n"
    assert [(made.outcome, made.failure) for made in done.state.tries] == [
        ("failed", Failure.GATE),
        ("done", None),
    ]


async def test_an_agent_is_told_in_its_prompt_what_its_gate_said(player: Player) -> None:
    writer = Agent("writer", ("sh", "-c", "cat > prompt"))
    task = player.task(
        "a",
        work=Work(prompt="write"),
        agent="writer",
        retries=1,
        gates=(gate("grep 'be [b]old' prompt || { echo 'be bold'; exit 1; }"),),
    )
    report = await player.play(task, agents=(writer,))
    assert row(report, "a").status == "done"
    assert "be bold" in player.text("prompt")


async def test_what_is_claimed_and_not_checked_is_not_done(player: Player) -> None:
    report = await player.play(player.task("a", gates=(Gate("check", command=("./gone",)),)))
    failed = row(report, "a")
    assert (failed.status, failed.state.claimed, failed.state.checked) == ("failed", True, False)
    assert failed.reason == "check: could not be started: No such file or directory"


async def test_a_gate_that_hangs_does_not_hang_the_convoy(
    player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "KILL_AFTER", 0.1)
    hang = "trap '' TERM; while :; do sleep 0.05; done"
    line = f"({hang}) & echo $! > pid; {hang}"
    report = await player.play(player.task("a", gates=(gate(line, timeout=0.5),)))
    assert (report.status.value, row(report, "a").reason) == ("failed", "check: took longer than 0.5 s")
    await gone(int(player.text("pid")))


async def test_a_convoy_that_is_stopped_in_a_gate_is_checked_again_when_it_goes_on(player: Player) -> None:
    line = "echo $$ > pid; echo checked >> checks; test -e go || sleep 60"
    task = player.task("a", "echo made >> made", gates=(gate(line),))

    def checking(report: Report) -> bool:
        return row(report, "a").status == "checking" and (player.folder / "pid").exists()

    report = await player.play(task, stop_when=checking)
    assert (report.status.value, row(report, "a").status) == ("interrupted", "checking")
    assert not alive(int((await words_in(player.folder / "pid", 1))[0]))
    (player.folder / "go").touch()
    report = await player.play(task)
    assert (report.status.value, row(report, "a").attempts) == ("done", 1)
    assert (player.text("made"), player.text("checks")) == ("made\n", "checked\nchecked\n")


async def test_outputs_of_one_task_are_the_inputs_of_another(player: Player) -> None:
    outputs = (
        Output("plan", OutputKind.FILE, "plan.md"),
        Output("numbers", OutputKind.JSON),
        Output("words", OutputKind.SUMMARY),
    )
    names = ("plan", "numbers", "words")
    report = await player.play(
        player.task("use", "printf '%s|' '{{input.plan}}' '{{input.numbers}}' '{{input.words}}' > used",
                    inputs=tuple(Input(name, "make", name) for name in names)),
        player.task("make", "echo '[1, 2]'; printf plan > plan.md", outputs=outputs),
    )  # fmt: skip
    assert report.status.value == "done"
    assert player.text("used") == "plan|[1,2]|[1, 2]|"


async def test_gates_and_hooks_see_inputs_too(player: Player) -> None:
    task = player.task(
        "use",
        inputs=(Input("x", "make", "x"),),
        env={"X": "{{input.x}}"},
        gates=(gate("test '{{input.x}}' = \"$X\""),),
        hooks=(Hook("after", HookPoint.POST_TASK, HookKind.GUARD, ("test", "{{input.x}}", "=", "words")),),
    )
    make = player.task("make", "echo words", outputs=(Output("x", OutputKind.SUMMARY),))
    report = await player.play(task, make)
    assert row(report, "use").reason == ""
    assert [note.name for note in row(report, "use").state.notes] == ["check", "after"]


async def test_hooks_that_come_after_run_only_if_the_gates_have_passed(player: Player) -> None:
    after = Hook("after", HookPoint.POST_TASK, HookKind.COMMAND, ("touch", "after"))
    await player.play(player.task("a", gates=(gate("exit 1"),), hooks=(after,)))
    assert not (player.folder / "after").exists()


async def test_a_task_that_owns_files_and_changed_nothing_is_a_no_op(player: Player) -> None:
    gates = (Gate("changed", GateKind.NO_OP),)
    report = await player.play(
        player.task("lazy", "true", files=("a",), gates=gates),
        player.task("busy", "echo x > b", files=("b",), gates=gates),
    )
    assert row(report, "lazy").reason == "changed: it has changed nothing of a"
    assert row(report, "busy").status == "done"


async def test_gates_of_the_convoy_have_the_last_word(player: Player) -> None:
    hooks = (
        Hook("before", HookPoint.PRE_CONVOY, HookKind.GUARD, ("touch", "before")),
        Hook("after", HookPoint.POST_CONVOY, HookKind.COMMAND, ("touch", "after")),
    )
    report = await player.play(
        player.task("a", "test -e before"), gates=(gate("echo incomplete; exit 1", "all"),), hooks=hooks
    )
    assert (row(report, "a").status, report.status.value) == ("done", "failed")
    assert report.standing.stopped == "post_convoy: all: exit 1: incomplete"
    assert not (player.folder / "after").exists()


async def test_an_agent_may_be_a_hook_of_the_convoy(player: Player) -> None:
    scout = Agent("scout", ("sh", "-c", "cat > scouted"))
    hook = Hook("look", HookPoint.PRE_CONVOY, HookKind.AGENT, prompt="look", agent="scout")
    report = await player.play(player.task("a", "test -e scouted"), hooks=(hook,), agents=(scout,))
    assert (report.status.value, player.text("scouted")) == ("done", "look")


async def test_steps_gates_and_secrets_are_on_record(player: Player) -> None:
    key = "AKIA" + "Z7Q2M4X8K1P5R9T3"
    writer = Agent("writer", ("cat",))
    steps = (
        Step("a", Work(prompt=key), gates=(gate("true", "first"),)),
        Step("b", shell("exit 3")),
        Step("c", shell("true"), Condition("b", "eq", 3)),
    )
    report = await player.play(player.task("t", work=Work(), steps=steps, agent="writer"), agents=(writer,))
    assert row(report, "t").status == "done"
    assert [(note.name, note.verdict) for note in row(report, "t").state.notes] == [("first", "passed")]
    assert key not in (player.logs / "t.1.log").read_text()
    seen = [(fact.type, fact.data) for fact in facts(player.store, "r1")]
    redacted = [data for type, data in seen if type == "secret.redacted"]
    assert [(data["task"], data["where"]) for data in redacted] == [("t", "prompt")]
    assert [data["gate"] for type, data in seen if type == "gate.passed"] == ["first"]
