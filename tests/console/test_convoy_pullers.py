"""Workers and reviewers who pull by shell: the convoy file alone makes their inboxes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from convoy_shells import ConvoyShell, seen

CONVOY = """
    [tasks.a]
    prompt = "build it"
    agent = "ada"
    review = "fast"
    [agents.ada]
    inbox = "worker/ada"
    [[review.reviewers]]
    name = "bob"
    inbox = "reviewer/bob"
"""


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[ConvoyShell]:
    made = ConvoyShell(tmp_path)
    yield made
    made.end()


def pulled(shell: ConvoyShell, inbox: str, reply: dict[str, str]) -> dict[str, Any]:
    """Take one message, answer it, and say what was in it."""
    code, document = shell.do_json("poll", inbox, "--wait", "40")
    assert code == 0, document
    (mail,) = document["messages"]
    code, _, err = shell.do("ack", mail["id"], "--fence", str(mail["fence"]), "--reply", json.dumps(reply))
    assert code == 0, err
    body: dict[str, Any] = mail["body"]
    return body


def test_who_pulls_may_come_after_the_run_has_begun_and_needs_no_pairing(shell: ConvoyShell) -> None:
    shell.write(CONVOY)
    run = shell.start("run", "work.toml")
    seen(run, "a by ada")
    assert pulled(shell, "worker/ada", {"status": "done"})["prompt"] == "build it"
    assert pulled(shell, "reviewer/bob", {"verdict": "pass"})["task"] == "a"
    out, err = run.communicate(timeout=50)
    assert run.returncode == 0, out + err


def test_a_process_that_a_task_leaves_behind_is_told_in_one_line(shell: ConvoyShell) -> None:
    shell.write("[tasks.a]\ncommand = 'setsid sleep 60 & echo $! > left'")
    code, out, _ = shell.run()
    left = int((shell.folder / "left").read_text())
    os.kill(left, signal.SIGKILL)
    assert code == 1
    assert out.splitlines()[-1] == f"guard: leftovers: processes of it are left: {left}"
