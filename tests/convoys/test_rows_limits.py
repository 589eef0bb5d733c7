"""What a convoy file may say at most, and at least: each bound is taken, and one beyond it is a fault."""

from __future__ import annotations

import pytest
from convoy_files import Folder

from postroom.actors.convoys.plan import Convoy

TASK = "[tasks.a]\ncommand = 'true'\n"
CONVOY, BUDGET, REVIEW = "[convoy]\n{}\n" + TASK, "[budget]\n{}\n" + TASK, "[review]\n{}\n" + TASK
AGENT = "[agents.dev]\ncommand = 'cat'\n{}\n" + TASK
OF_TASK, BLAST = TASK + "{}", TASK + "gates = [{{ builtin = 'blast_radius', {} }}]"
OF_GATE = TASK + "gates = [{{ command = 'true', {} }}]"
WEEK = 7 * 24 * 3600

BOUNDS: list[tuple[str, str, str, list[object], list[object]]] = [
    (CONVOY, "convoy", "concurrency", [1, 64, "'auto'"], [0, 65, -1, 1.5, "true", "'many'"]),
    (CONVOY, "convoy", "max_injections", [0, 1000], [-1, 1001]),
    (OF_TASK, "tasks.a", "retries", [0, 100], [-1, 101, 1.5]),
    (OF_TASK, "tasks.a", "backoff", [0, WEEK, "'500ms'"], [-1, WEEK + 1, "'soon'"]),
    (OF_TASK, "tasks.a", "longest_backoff", [0, WEEK], [-1, WEEK + 1]),
    (OF_TASK, "tasks.a", "factor", [1, 1.5, 10], [0.9, 10.1, "nan", "inf"]),
    (OF_TASK, "tasks.a", "jitter", [0, 0.3, 1], [-0.1, 1.1, "nan"]),
    (OF_TASK, "tasks.a", "timeout", [0.01, WEEK, "'1s'", "'30m'", "'2h'"], [0, WEEK + 1, "inf", "'2x'"]),
    (OF_TASK, "tasks.a", "priority", [-1_000_000, 1_000_000], [-1_000_001, 1_000_001]),
    (OF_TASK, "tasks.a", "on_exhausted", ["'dlq'", "'skip'", "'stop'"], ["'drop'", 1]),
    (OF_GATE, "tasks.a.gates[0]", "timeout", [0.01, WEEK], [0, WEEK + 1]),
    (BLAST, "tasks.a.gates[0]", "max_lines", [1, 2**53], [0, 2**53 + 1]),
    (BLAST, "tasks.a.gates[0]", "max_files", [1, 2**53], [0, 2**53 + 1]),
    (AGENT, "agents.dev", "threshold", [1, 1000], [0, 1001]),
    (AGENT, "agents.dev", "cooldown", [0.01, WEEK], [0, WEEK + 1]),
    (REVIEW, "review", "concurrency", [1, 64], [0, 65]),
    (REVIEW, "review", "disputed_after", [1, 1000], [0, 1001]),
    (REVIEW, "review", "panel_size", [2, 99], [0, 100]),
    (REVIEW, "review", "tokens", [0, 2**53], [-1, 2**53 + 1]),
    (BUDGET, "budget", "turns", [0, 2**53], [-1, 2**53 + 1]),
    (BUDGET, "budget", "tokens", [0, 2**53], [-1, 2**53 + 1]),
    (BUDGET, "budget", "seconds", [0, WEEK], [-1, WEEK + 1]),
]
NAMES = [f"{where}.{key}" for _, where, key, _, _ in BOUNDS]


@pytest.mark.parametrize(("text", "where", "key", "good", "bad"), BOUNDS, ids=NAMES)
def test_a_bound_is_taken_and_what_is_beyond_it_is_a_fault(
    folder: Folder, text: str, where: str, key: str, good: list[object], bad: list[object]
) -> None:
    for value in good:
        folder.read(text.format(f"{key} = {value}"))
    for value in bad:
        faults = folder.faults(text.format(f"{key} = {value}"))
        assert [fault.partition(": ")[0] for fault in faults] == [f"{where}.{key}"], value
        assert "must be" in faults[0]


def test_what_is_not_said_has_its_usual_value(folder: Folder) -> None:
    convoy: Convoy = folder.read(TASK + "[agents.dev]\ncommand = 'cat'\n")
    (task,), reviewing, agent = convoy.tasks, convoy.reviewing, convoy.agents[0]
    assert (task.retry.retries, task.timeout, task.retry.on_exhausted) == (1, 1800.0, "dlq")
    assert (agent.threshold, agent.cooldown, convoy.injections) == (3, 300.0, 10)
    assert (reviewing.concurrency, reviewing.on_budget, reviewing.panel_size) == (3, "skip", 3)
    assert (reviewing.blocks, reviewing.pass_lines, reviewing.pass_files) == (2, 10, 2)
    assert reviewing.panels <= 1 + task.retry.retries, "a dispute can be reached"


def test_fifty_outputs_of_all_tasks_together_are_taken(folder: Folder) -> None:
    tasks = "[tasks.t{n}]\ncommand = 'true'\noutputs = {{ {outputs} }}\n"
    halves = [tasks.format(n=n, outputs=", ".join(f"o{m} = 'json'" for m in range(25))) for n in range(2)]
    folder.read("".join(halves))
    one_more = tasks.format(n=2, outputs="o = 'json'")
    assert folder.faults("".join((*halves, one_more))) == [
        "tasks: have more than 50 outputs together (make fewer)"
    ]


@pytest.mark.parametrize("name", ["a" * 64, "A.b-c_1", "1"])
def test_a_name_of_a_task_is_taken(folder: Folder, name: str) -> None:
    assert folder.read(f"[tasks.'{name}']\ncommand = 'true'").tasks[0].id == name


@pytest.mark.parametrize("name", ["a" * 65, "a/b", "..", "-a", ".a", "a b", "ä", ""])
def test_a_name_that_could_lead_elsewhere_is_none(folder: Folder, name: str) -> None:
    (fault,) = folder.faults(f"[tasks.'{name}']\ncommand = 'true'")
    assert "a task's name is 1 to 64 letters" in fault
