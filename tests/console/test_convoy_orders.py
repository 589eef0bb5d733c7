"""Orders to runs that nobody plays: they are noted, and the run goes on from there once it is resumed."""

from __future__ import annotations

from pathlib import Path

import pytest
from convoy_shells import outcome
from shells import Shell

WORK = """
[budget]
turns = 2
[defaults]
retries = 0
[tasks.a]
command = "true"
[tasks.b]
command = "test -e mended"
depends_on = ["a"]
[tasks.c]
command = "true"
depends_on = ["b"]
"""

GATED = """
[convoy]
gates = ["echo gate >> looked; test -e mended"]
hooks = [{ name = "after", on = "post_convoy", command = "echo hook >> looked" }]
[tasks.a]
command = "true"
"""


@pytest.fixture
def failed(shell: Shell) -> Shell:
    """A run in which ``b`` has failed and ``c`` was left out."""
    Path("work.toml").write_text(WORK)
    shell.json("run", "work.toml", code=1)
    return shell


def run_of(shell: Shell) -> str:
    return str(shell.json("runs")["runs"][0]["run"])


def test_a_retry_makes_a_run_that_is_over_go_on(failed: Shell) -> None:
    Path("mended").touch()
    answer = failed.json("retry", "work.toml", "b")
    assert answer["tasks"] == ["b", "c"]
    assert (answer["played"], answer["status"]) == (False, "interrupted")
    assert answer["next"][0].startswith("postroom run ")
    assert "--resume" in answer["next"][0]
    assert not Path("order").exists()
    document = failed.json("run", "work.toml", "--resume", "--allow", "turns=2")
    assert outcome(document) == {"a": ("done", 1), "b": ("done", 2), "c": ("done", 1)}


def test_what_failed_is_done_again_by_the_run_itself(failed: Shell) -> None:
    run = run_of(failed)
    Path("mended").touch()
    document = failed.json("run", "work.toml", "--retry-failed", "b", "--allow", "turns=2")
    assert (document["run"], document["status"]) == (run, "done")
    assert failed.json("run", "work.toml", "--retry-failed")["status"] == "done"


def test_a_run_that_only_its_gates_failed_is_looked_at_again_and_its_tasks_stay_done(shell: Shell) -> None:
    Path("work.toml").write_text(GATED)
    document = shell.json("run", "work.toml", code=1)
    assert "--retry-failed" in document["next"][0]
    answer = shell.json("retry", "work.toml")
    assert (answer["tasks"], answer["reopened"], answer["status"]) == ([], True, "interrupted")
    assert "--resume" in answer["next"][0]
    assert shell.json("retry", "work.toml", code=4)["reopened"] is False, "it was reopened before"
    assert shell.json("run", "work.toml", "--resume", code=1)["status"] == "failed"
    Path("mended").touch()
    document = shell.json("run", "work.toml", "--retry-failed")
    assert outcome(document) == {"a": ("done", 1)}
    assert Path("looked").read_text() == "gate\ngate\ngate\nhook\n"
    assert "to be done again: nothing; it is done" in shell.text("retry", "work.toml", code=4)


def test_a_person_is_told_that_the_gates_of_the_convoy_are_to_look_again(shell: Shell) -> None:
    Path("work.toml").write_text(GATED)
    shell.json("run", "work.toml", code=1)
    told = shell.text("retry", "work.toml")
    assert "to be done again: what looks at the whole convoy; it is interrupted" in told


def test_retrying_what_never_ran_is_refused(shell: Shell) -> None:
    Path("work.toml").write_text(WORK)
    assert shell.error("run", "work.toml", "--retry-failed", code=1) == "unknown_run"
    assert shell.json("runs") == {"runs": []}


def test_nothing_to_retry_is_exit_code_4(failed: Shell) -> None:
    failed.json("retry", "work.toml")
    assert failed.json("dead", "retry", "--run", "work.toml", code=4)["tasks"] == []


REFUSED = (
    (("retry", "work.toml", "zz"), 2, "bad_input"),
    (("retry", "work.toml", "a"), 3, "conflict"),
    (("cancel", "work.toml", "a"), 3, "conflict"),
    (("dispute", "resolve", "work.toml", "b", "pass", "--text", "x"), 3, "conflict"),
    (("dispute", "resolve", "work.toml", "b", "maybe", "--text", "x"), 2, "bad_input"),
    (("dead", "resolve", "a", "--run", "work.toml", "--text", "x"), 3, "conflict"),
    (("allow", "work.toml", "turns=0"), 2, "bad_input"),
    (("allow", "work.toml", "turns=1,turns=2"), 2, "bad_input"),
    (("allow", "work.toml", "wakes=1"), 2, "bad_input"),
    (("retry", "other.toml"), 1, "unknown_run"),
    (("retry", "nothing"), 1, "unknown_run"),
    (("dead", "list", "worker/w", "--run", "work.toml"), 2, "bad_input"),
)


def test_what_cannot_be_obeyed_is_refused_and_changes_nothing(failed: Shell) -> None:
    before = failed.json("status", "work.toml")
    for words, code, error in REFUSED:
        assert failed.error(*words, code=code) == error, words
    assert failed.json("status", "work.toml") == before


def test_a_run_that_pauses_says_what_to_allow_and_goes_on_with_it(shell: Shell) -> None:
    Path("work.toml").write_text(WORK)
    Path("mended").touch()
    document = shell.json("run", "work.toml", code=130)
    assert (document["status"], document["reason"]) == ("paused", "its budget is used up: 2 of 2 turns")
    assert document["budget"] == {"turns": {"used": 2, "bound": 2}}
    assert "--resume --allow turns=2" in document["next"][0]
    answer = shell.json("allow", "work.toml", "turns=1")
    assert answer["status"] == "interrupted"
    assert outcome(shell.json("run", "work.toml", "--resume"))["c"] == ("done", 1)


def test_the_first_run_of_a_file_may_be_allowed_more(shell: Shell) -> None:
    Path("work.toml").write_text(WORK)
    Path("mended").touch()
    document = shell.json("run", "work.toml", "--allow", "turns=5")
    assert document["budget"] == {"turns": {"used": 3, "bound": 7}}


def test_an_injected_task_waits_for_the_run_to_go_on(failed: Shell) -> None:
    Path("more.toml").write_text('[tasks.more]\ncommand = "echo more >> order"\ndepends_on = ["a"]\n')
    for _ in range(2):
        assert failed.json("inject", "work.toml", "more.toml")["tasks"] == ["more"]
    Path("more.toml").write_text('[tasks.more]\ncommand = "echo other >> order"\n')
    assert failed.error("inject", "work.toml", "more.toml", code=3) == "conflict"
    document = failed.json("run", "work.toml", "--resume", "--allow", "turns=2", code=1)
    assert outcome(document)["more"] == ("done", 1)
    assert Path("order").read_text() == "more\n"


def test_a_cancelled_run_is_over_without_anybody_playing_it(shell: Shell) -> None:
    Path("work.toml").write_text(WORK)
    Path("mended").touch()
    shell.json("run", "work.toml", code=130)
    answer = shell.json("cancel", "work.toml", "--reason", "out of time")
    assert (answer["tasks"], answer["status"], answer["next"]) == (["c"], "failed", [])


def test_one_task_of_several_is_cancelled_and_the_others_go_on(shell: Shell) -> None:
    Path("work.toml").write_text(WORK.replace("turns = 2", "turns = 1"))
    Path("mended").touch()
    shell.json("run", "work.toml", code=130)
    assert shell.json("cancel", "work.toml", "c", "--reason", "not wanted")["tasks"] == ["c"]
    document = shell.json("run", "work.toml", "--resume", "--allow", "turns=1", code=1)
    assert outcome(document) == {"a": ("done", 1), "b": ("done", 1), "c": ("cancelled", 0)}
