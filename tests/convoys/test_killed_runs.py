"""A run whose process is killed, anywhere: nothing is lost, and what was done is not done again."""

from __future__ import annotations

import json
import os
from collections import Counter
from random import Random

import pytest
from convoy_shells import ConvoyShell, outcome

pytestmark = [pytest.mark.slow, pytest.mark.long]

TASKS = 24
KILLS = 4


def graph(tasks: int) -> str:
    """Tasks in threes, each three after the one before."""
    lines = ["[convoy]\nconcurrency = 3\n"]
    for n in range(tasks):
        needs = [f"t{m}" for m in range(n - n % 3 - 3, n - n % 3) if m >= 0]
        lines.append(f"[tasks.t{n}]\ncommand = 'echo t{n} >> order'\ndepends_on = {needs}\n")
    return "".join(lines)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_killed_at_random_points_is_done_in_the_end(shell: ConvoyShell, seed: int) -> None:
    shell.write(graph(TASKS))
    chance = Random(seed)
    for _ in range(KILLS):
        process = shell.start("run", "work.toml", "--resume")
        assert process.stdout is not None
        for _ in range(chance.randint(1, 12)):
            process.stdout.readline()
        process.kill()
        process.communicate()
    code, document = shell.run_json("--resume")
    assert (code, document["status"]) == (0, "done")
    assert outcome(document) == {f"t{n}": ("done", 1) for n in range(TASKS)}
    done = Counter(shell.order())
    assert done.keys() == {f"t{n}" for n in range(TASKS)}
    _, record = shell.do_json("events", "work.toml")
    again = {event["task"] for event in record["events"] if event["type"] == "task.requeued"}
    assert {task for task, times in done.items() if times > 1} <= again
    assert shell.verify()["ok"]


def test_a_killed_run_is_interrupted_and_takes_orders_before_it_goes_on(
    shell: ConvoyShell,
) -> None:
    shell.write(
        "[defaults]\nretries = 0\n[tasks.a]\ncommand = 'test -e mended'\n[tasks.b]\ncommand = 'sleep 60'\n"
    )
    process = shell.start("run", "work.toml")
    assert process.stdout is not None
    while "failed     a" not in process.stdout.readline():
        assert process.poll() is None
    process.kill()
    process.wait()
    (run,) = shell.do_json("runs")[1]["runs"]
    assert (run["status"], run["played"]) == ("interrupted", False)
    (shell.folder / "mended").touch()
    assert shell.do_json("cancel", run["run"][:20], "b")[0] == 0
    code, answer = shell.do_json("retry", run["run"])
    assert (code, answer["tasks"], answer["status"]) == (0, ["a"], "interrupted")
    assert "--resume" in answer["next"][0]
    code, document = shell.run_json("--resume")
    assert code == 1
    assert outcome(document) == {"a": ("done", 2), "b": ("cancelled", 1)}


def test_however_often_a_run_is_killed_its_tasks_are_begun_side_by_side(shell: ConvoyShell) -> None:
    """Mail that a killed process had begun travels alone and dies after five times: here it must not."""
    os.mkfifo(shell.folder / "pipe")
    command = "echo $POSTROOM_TASK > pipe; test -e go_on || exec sleep 60"
    shell.write(f"[tasks.a]\ncommand = '{command}'\n[tasks.b]\ncommand = '{command}'\n")
    out = ""
    with (shell.folder / "pipe").open("r+b", buffering=0) as begun:
        for life in range(7):
            if life == 6:
                (shell.folder / "go_on").touch()
            process = shell.start("run", "work.toml", "--resume", "--json")
            assert {begun.readline(), begun.readline()} == {b"a\n", b"b\n"}
            if life < 6:
                process.kill()
            out, _ = process.communicate(timeout=30)
    assert outcome(json.loads(out)) == {"a": ("done", 1), "b": ("done", 1)}
    assert shell.verify()["ok"]
