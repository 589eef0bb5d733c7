"""Orders to a convoy that another process plays: each is obeyed at once, or refused and changes nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import closing
from typing import Any

import apsw
import pytest
from convoy_shells import ConvoyShell, outcome, seen

pytestmark = [pytest.mark.slow, pytest.mark.long]

HELD = """
    [convoy]
    concurrency = 2
    [defaults]
    retries = 0
    [tasks.hold]
    command = "until test -e go_on; do sleep 0.05; done"
    [tasks.bad]
    command = "test -e mended"
    [tasks.after]
    command = "echo after >> order"
    depends_on = ["bad"]
"""
"""One task holds the run open, one fails until it is mended."""


@pytest.fixture
def held(shell: ConvoyShell) -> subprocess.Popen[str]:
    """A run whose task ``bad`` has failed and whose task ``hold`` goes on."""
    shell.write(HELD)
    process = shell.start("run", "work.toml")
    seen(process, "skipped    after")
    return process


def stop_between_commits(shell: ConvoyShell, process: subprocess.Popen[str]) -> None:
    """SIGSTOP a process at a moment at which it does not hold the store's lock."""
    with closing(apsw.Connection(str(shell.folder / "store" / "work.db"))) as store:
        while True:
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            try:
                store.execute("BEGIN IMMEDIATE; ROLLBACK")
            except apsw.BusyError:
                process.send_signal(signal.SIGCONT)
            else:
                return


def order(shell: ConvoyShell, *words: str, code: int = 0) -> dict[str, Any]:
    found, document = shell.do_json(*words)
    assert found == code, document
    return document


def ends(shell: ConvoyShell, process: subprocess.Popen[str], code: int) -> dict[str, tuple[str, int]]:
    """Let a run end; where its tasks are then. No message of it is left, dead or unaccounted."""
    (shell.folder / "go_on").touch()
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (code, "")
    found = shell.verify()
    assert (found["ok"], found["dead"]) == (True, 0)
    return outcome(order(shell, "status", "work.toml"))


def test_a_task_that_failed_is_retried_with_what_was_lost_with_it(
    shell: ConvoyShell, held: subprocess.Popen[str]
) -> None:
    (shell.folder / "mended").touch()
    answer = order(shell, "retry", "work.toml")
    assert answer["tasks"] == ["bad", "after"]
    assert (answer["played"], answer["status"], answer["next"]) == (True, "running", [])
    seen(held, "done       after")
    assert ends(shell, held, 0) == {"hold": ("done", 1), "bad": ("done", 2), "after": ("done", 1)}


def test_what_runs_of_a_cancelled_task_is_ended(shell: ConvoyShell, held: subprocess.Popen[str]) -> None:
    assert order(shell, "cancel", "work.toml", "hold", "--reason", "not wanted")["tasks"] == ["hold"]
    held.wait(timeout=30)  # nobody has said go_on
    assert ends(shell, held, 1)["hold"] == ("cancelled", 1)
    tasks = order(shell, "status", "work.toml")["tasks"]
    assert tasks[0]["reason"] == "not wanted"


def test_a_whole_run_is_cancelled(shell: ConvoyShell, held: subprocess.Popen[str]) -> None:
    assert order(shell, "cancel", "work.toml")["tasks"] == ["hold"]
    assert held.wait(timeout=30) == 1


def test_an_injected_task_is_done_once_however_often_it_is_said(
    shell: ConvoyShell, held: subprocess.Popen[str]
) -> None:
    (shell.folder / "more.toml").write_text('[tasks.more]\ncommand = "echo more >> order"\n')
    for _ in range(2):
        assert order(shell, "inject", "work.toml", "more.toml")["tasks"] == ["more"]
    seen(held, "done       more")
    assert ends(shell, held, 1)["more"] == ("done", 1)
    assert shell.order() == ["more"]


def test_gates_of_the_convoy_are_asked_anew_if_a_task_was_added_while_they_ran(shell: ConvoyShell) -> None:
    first = "until test -e go_on; do sleep 0.05; done; touch over"
    second = "until test -e over; do sleep 0.05; done; sleep 0.2"
    wait = f"if test $(wc -l < looks) = 1; then {first}; else {second}; fi"
    gate = f"test -e made; was=$?; echo >> looks; {wait}; exit $was"
    shell.write(f"""
        [convoy]
        gates = [{{ name = "all", command = "{gate}" }}]
        [tasks.a]
        command = "true"
    """)
    process = shell.start("run", "work.toml")
    seen(process, "done       a")
    looks = shell.folder / "looks"
    while not looks.exists():  # waits for a process, which nothing here hears of
        order(shell, "status", "work.toml")
    (shell.folder / "more.toml").write_text('[tasks.b]\ncommand = "touch made"\n')
    order(shell, "inject", "work.toml", "more.toml")
    seen(process, "done       b")
    assert ends(shell, process, 0) == {"a": ("done", 1), "b": ("done", 1)}
    assert len(looks.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[tasks.x]\ncommand = "true"\ndepends_on = ["x"]', "need each other: x -> x"),
        ('[tasks.x]\ncommand = "true"\ndepends_on = ["hld"]', "did you mean hold?"),
        ('[tasks.x]\ncomand = "true"', "did you mean command?"),
        ('[tasks.x]\ncommand = "true"\n[tasks.y]\ncommand = "true"', "one is added at a time"),
        ('[convoy]\nname = "x"\n[tasks.x]\ncommand = "true"', "unknown key"),
    ],
)
def test_a_task_that_does_not_fit_the_run_is_refused(
    shell: ConvoyShell, held: subprocess.Popen[str], text: str, what: str
) -> None:
    (shell.folder / "more.toml").write_text(text)
    assert what in str(order(shell, "inject", "work.toml", "more.toml", code=2)["error"])
    assert ends(shell, held, 1).keys() == {"hold", "bad", "after"}


def test_a_run_that_has_used_its_budget_goes_on_once_it_may_spend_more(shell: ConvoyShell) -> None:
    shell.write("[budget]\nturns = 2\n" + HELD)
    process = shell.start("run", "work.toml")
    (shell.folder / "mended").touch()
    seen(process, "paused")
    assert order(shell, "status", "work.toml")["budget"] == {"turns": {"used": 2, "bound": 2}}
    assert order(shell, "allow", "work.toml", "turns=1")["status"] == "running"
    seen(process, "done       after")
    assert ends(shell, process, 0)["after"] == ("done", 1)


def test_the_owner_of_a_budget_has_mail_when_a_run_pauses(shell: ConvoyShell) -> None:
    shell.write("[budget]\nturns = 1\n[tasks.a]\ncommand = 'true'\n[tasks.b]\ncommand = 'true'\n")
    code, document = shell.run_json()
    assert (code, document["status"]) == (130, "paused")
    assert "turns=1" in document["next"][0]
    (message,) = order(shell, "poll", "operator/cli")["messages"]
    assert "its budget is used up: 1 of 1 turns" in message["body"]["text"]


def test_dead_letters_are_listed_resolved_and_retried(
    shell: ConvoyShell, held: subprocess.Popen[str]
) -> None:
    (letter,) = order(shell, "dead", "list", "--run", "work.toml")["tasks"]
    assert (letter["task"], letter["failure"], letter["by"]) == ("bad", "error", None)
    (shell.folder / "mended").touch()
    assert order(shell, "dead", "retry", "--run", "work.toml")["tasks"] == ["bad", "after"]
    seen(held, "done       after")
    assert ends(shell, held, 0)["bad"] == ("done", 2)


def test_a_dead_letter_that_was_seen_to_is_not_retried_by_itself(
    shell: ConvoyShell, held: subprocess.Popen[str]
) -> None:
    order(shell, "dead", "resolve", "bad", "--run", "work.toml", "--text", "done by hand")
    (letter,) = order(shell, "dead", "list", "--run", "work.toml")["tasks"]
    assert (letter["by"], letter["resolution"]) == ("operator/cli", "done by hand")
    assert order(shell, "dead", "retry", "--run", "work.toml", code=4)["tasks"] == []
    assert ends(shell, held, 1)["bad"] == ("failed", 1)


def test_a_dispute_is_listed_and_settled_while_the_run_goes_on(shell: ConvoyShell) -> None:
    shell.write(
        """
        [defaults]
        retries = 0
        [review]
        route = "none"
        disputed_after = 1
        on_dispute = "continue"
        panel_size = 2
        [[review.reviewers]]
        name = "first"
        command = "echo too long; exit 1"
        [[review.reviewers]]
        name = "second"
        command = "exit 1"
        [tasks.hold]
        command = "until test -e go_on; do sleep 0.05; done"
        [tasks.hot]
        command = "true"
        review = "panel"
        [tasks.after]
        command = "true"
        depends_on = ["hot"]
        """
    )
    process = shell.start("run", "work.toml")
    seen(process, "disputed   hot")
    (dispute,) = order(shell, "dispute", "list", "work.toml")["disputes"]
    assert dispute["task"] == "hot"
    assert {one["verdict"] for one in dispute["said"]} == {"blocked"}
    answer = order(shell, "dispute", "resolve", "work.toml", "hot", "pass", "--text", "it is well")
    assert answer["status"] == "running"
    seen(process, "done       after")
    assert ends(shell, process, 0)["hot"] == ("done", 1)


def test_events_are_followed_until_the_run_is_over(shell: ConvoyShell, held: subprocess.Popen[str]) -> None:
    follower = shell.start("events", "work.toml", "--follow", "--ndjson")
    seen(follower, '"task.ended"')
    ends(shell, held, 1)
    out, err = follower.communicate(timeout=30)
    assert (follower.returncode, err) == (0, "")
    assert json.loads(out.splitlines()[-1])["type"] == "convoy.ended"


def test_a_player_that_hangs_is_told_of_and_the_order_taken_back(
    shell: ConvoyShell, held: subprocess.Popen[str]
) -> None:
    stop_between_commits(shell, held)
    try:
        answer = order(shell, "retry", "work.toml", code=1)
    finally:
        held.send_signal(signal.SIGCONT)
    assert answer["error"]["code"] == "no_answer"
    assert ends(shell, held, 1)["bad"] == ("failed", 1)
