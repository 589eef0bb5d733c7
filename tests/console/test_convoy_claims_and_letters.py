"""What a run tells of refuted claims, of dead letters, and of an interruption that nobody goes on after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from convoy_shells import outcome
from shells import Shell

AGENT = """
[agents.writer]
command = "echo '{\\"tokens\\": 40}'"
[tasks.a]
prompt = "write"
agent = "writer"
retries = 1
backoff = 0
gates = ["test -e good"]
[tasks.b]
command = "true"
"""


def task_of(document: dict[str, Any], id: str) -> dict[str, Any]:
    return next(task for task in document["tasks"] if task["id"] == id)


def test_claims_and_those_that_were_refuted_are_counted(shell: Shell) -> None:
    Path("work.toml").write_text(AGENT)
    assert shell.json("run", "work.toml", code=1)["claims"] == {"made": 3, "refuted": 2}
    assert "postroom_convoy_claims_refuted_total 2.0" in shell.text("metrics")
    assert "2 of 3 claims to be done were refuted" in shell.text("status", "work.toml")
    Path("good").touch()
    document = shell.json("run", "work.toml", "--retry-failed")
    assert document["claims"] == {"made": 4, "refuted": 2}
    assert (task_of(document, "a")["claimed"], task_of(document, "a")["checked"]) == (True, True)
    assert (task_of(document, "b")["claimed"], task_of(document, "b")["checked"]) == (True, None)


def test_where_no_claim_was_refuted_nothing_is_said_of_it(shell: Shell) -> None:
    Path("work.toml").write_text('[tasks.a]\ncommand = "true"\n[tasks.b]\ncommand = "false"\nretries = 0\n')
    assert shell.json("run", "work.toml", code=1)["claims"] == {"made": 1, "refuted": 0}
    assert "refuted" not in shell.text("status", "work.toml")


def test_a_dead_letter_says_who_failed_at_what_how_often_and_for_how_many_tokens(shell: Shell) -> None:
    Path("work.toml").write_text(AGENT)
    run = shell.json("run", "work.toml", code=1)["run"]
    listed = shell.json("dead", "list", "--run", run)
    (letter,) = listed["tasks"]
    assert listed["run"] == run
    assert {key: letter[key] for key in ("task", "agent", "failure", "attempts", "tokens")} == {
        "task": "a", "agent": "writer", "failure": "gate", "attempts": 2, "tokens": 80,
    }  # fmt: skip
    assert (letter["error"], letter["by"], letter["resolution"]) == ("test: exit 1", None, None)
    shell.json("dead", "resolve", "a", "--run", run, "--text", "written by hand")
    (letter,) = shell.json("dead", "list", "--run", "work.toml")["tasks"]
    assert (letter["by"], letter["resolution"]) == ("operator/cli", "written by hand")


@pytest.fixture
def interrupted(shell: Shell) -> Shell:
    """A run with one task done and one that could go on, and nobody who plays it."""
    Path("work.toml").write_text(
        '[tasks.a]\ncommand = "echo a >> order"\n'
        '[tasks.b]\ncommand = "test -e good"\ndepends_on = ["a"]\nretries = 0\n'
    )
    shell.json("run", "work.toml", code=1)
    shell.json("retry", "work.toml", "b")
    return shell


def test_what_is_kept_of_an_interrupted_run_is_told_before_anybody_goes_on(interrupted: Shell) -> None:
    document = interrupted.json("status", "work.toml")
    assert (document["status"], document["played"]) == ("interrupted", False)
    assert outcome(document) == {"a": ("done", 1), "b": ("waiting", 1)}
    events = interrupted.json("events", "work.toml")["events"]
    assert document["events"] == events[-1]["seq"]
    assert ["--resume" in step for step in document["next"]] == [True]


def test_an_interrupted_run_that_nobody_wants_is_cancelled_with_the_reason(interrupted: Shell) -> None:
    reason = "interrupted-not-resumed"
    assert interrupted.json("cancel", "work.toml", "--reason", reason)["tasks"] == ["b"]
    document = interrupted.json("run", "work.toml", "--resume", code=1)
    assert (document["status"], document["reason"]) == ("failed", f"cancelled: {reason}")
    assert task_of(document, "b")["reason"] == reason
    assert Path("order").read_text() == "a\n"
    assert interrupted.json("runs", "--unfinished") == {"runs": []}


def test_without_a_reason_it_was_the_caller_who_cancelled(interrupted: Shell) -> None:
    interrupted.json("cancel", "work.toml", "b")
    told = task_of(interrupted.json("status", "work.toml"), "b")
    assert (told["status"], told["failure"], told["reason"]) == ("cancelled", "cancelled", "caller_cancelled")


BAD = {
    "no TOML": "[tasks.x",
    "an unknown key": '[tasks.x]\ncomand = "true"',
    "a need that nobody has": '[tasks.x]\ncommand = "true"\ndepends_on = ["z"]',
    "a circle": '[tasks.x]\ncommand = "true"\ndepends_on = ["x"]',
    "a name that leads elsewhere": '[tasks."../x"]\ncommand = "true"',
}


@pytest.mark.parametrize("what", BAD)
def test_a_task_file_that_is_refused_stays_as_it_was_and_so_does_the_run(
    interrupted: Shell, what: str
) -> None:
    Path("more.toml").write_text(BAD[what])
    before = interrupted.json("status", "work.toml")
    error = interrupted.json("inject", "work.toml", "more.toml", code=2)["error"]
    assert (error["code"], bool(error["faults"])) == ("bad_input", True)
    assert Path("more.toml").read_text() == BAD[what]
    assert interrupted.json("status", "work.toml") == before


def test_a_task_that_was_added_comes_after_what_it_needs_and_says_who_added_it(interrupted: Shell) -> None:
    Path("more.toml").write_text('[tasks.x]\ncommand = "echo x >> order"\ndepends_on = ["b"]\n')
    Path("good").touch()
    interrupted.json("inject", "work.toml", "more.toml", "--key", "mine")
    assert Path("more.toml").is_file()
    assert outcome(interrupted.json("status", "work.toml"))["x"] == ("pending", 0)
    document = interrupted.json("run", "work.toml", "--resume")
    assert outcome(document) == {"a": ("done", 1), "b": ("done", 2), "x": ("done", 1)}
    events = interrupted.json("events", "work.toml")["events"]
    (added,) = [event for event in events if event["type"] == "task.injected"]
    assert (added["task"], added["by"], added["key"]) == ("x", "operator/cli", "mine")
    done = [event["task"] for event in events if event["type"] == "task.done"]
    assert done == ["a", "b", "x"]
