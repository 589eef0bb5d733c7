"""``wakeup`` and ``autopilot`` through ``main``: their JSON keys and their exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from shells import Shell as Plain

from postroom.console.settings import load
from postroom.mailbox import threads
from postroom.store.errors import BadInput
from postroom.store.records import Put
from postroom.store.transact import transact_one
from postroom.store.urls import open_store

URL = "sqlite:///post.db"
UNKNOWN = "00000000-0000-7000-8000-000000000000"
ACTION = ("role", "status", "send_ready", "thread_id", "prompt", "reason")


class Shell(Plain):
    """Runs command lines in this process on one store."""

    def run(self, *words: str, stdin: str = "") -> int:
        return super().run(*words, "--store", URL, stdin=stdin)

    def text(self, *words: str, code: int = 0) -> str:
        """What a person is shown; errors are one line."""
        assert self.run(*words) == code, self.out + self.err
        if code:
            assert self.out == ""
            assert self.err.count("\n") == 1
        return self.err if code else self.out

    def assign(self, address: str, thread_id: str) -> None:
        store = open_store(URL, create=False)
        try:
            _, write = threads.assign(store, address, thread_id)
            assert write is not None
            transact_one(store, Put((write,)))
        finally:
            store.close()

    def record(self, receipt: str, role: str, status: str, *more: str) -> tuple[str, ...]:
        line = ("wakeup", "record", "t1", "--receipt", receipt, "--role", role, "--status", status)
        return (*line, *more)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell with a pair, whose worker has a thread and mail."""
    monkeypatch.chdir(tmp_path)
    made = Shell(capsys, monkeypatch)
    made.text("pair", "t1", "--manager", "m", "--worker", "w")
    made.assign("worker/w", "thread-1")
    made.text("send", "worker/w", "--type", "job", "--body", "{}")
    return made


def test_a_role_that_joins_messages_is_ready_once_all_are_there(shell: Shell) -> None:
    join = ("wakeup", "join", "t1", "--role", "worker", "--messages")
    assert shell.json(*join, "2") == {
        "task": "t1", "role": "worker", "address": "worker/w", "messages": 2, "within_seconds": 300.0,
    }  # fmt: skip
    _, worker = shell.json("wakeup", "plan", "t1")["actions"]
    assert (worker["status"], worker["reason"]) == ("skipped_healthy", "joining")
    shell.text("send", "worker/w", "--type", "job", "--body", "{}")
    _, worker = shell.json("wakeup", "plan", "t1")["actions"]
    assert worker["status"] == "ready_to_send"
    assert "any message" in shell.text(*join, "0")
    assert shell.json(*join, "2000", code=2)["error"]["code"] == "bad_input"
    assert shell.json(*join, "2", "--within", "-1", code=2)["error"]["code"] == "bad_input"
    assert "unknown task" in shell.text("wakeup", "join", "t9", "--role", "worker", "--messages", "2", code=1)


def test_a_plan_has_the_keys_of_the_contract(shell: Shell) -> None:
    plan = shell.json("wakeup", "plan", "t1")
    manager, worker = plan["actions"]
    for action in (manager, worker):
        assert set(ACTION) <= set(action)
    assert [manager[key] for key in ACTION] == [
        "manager", "skipped_healthy", False, None, None, "no_mail",
    ]  # fmt: skip
    assert [worker[key] for key in ACTION if key != "prompt"] == [
        "worker", "ready_to_send", True, "thread-1", "mail",
    ]  # fmt: skip
    assert "postroom poll --store sqlite:////" in worker["prompt"]
    assert plan["summary"] == {
        "total": 2, "ready": 1, "skipped": 1, "blocked": 0, "dispatcher_required": True,
    }  # fmt: skip
    assert "receipt" not in plan


def test_a_dispatch_is_a_plan_with_a_receipt(shell: Shell) -> None:
    plan, dispatch = shell.json("wakeup", "plan", "t1"), shell.json("wakeup", "dispatch", "t1")
    assert dispatch.pop("receipt")
    assert dispatch == plan


def test_what_was_sent_is_recorded_once_and_then_pending(shell: Shell) -> None:
    receipt = shell.json("wakeup", "dispatch", "t1")["receipt"]
    line = shell.record(receipt, "worker", "sent", "--thread-id", "thread-1")
    said = shell.json(*line)
    assert (said["receipt"], said["role"], said["status"]) == (receipt, "worker", "sent")
    assert shell.json("wakeup", "plan", "t1")["actions"][1]["reason"] == "wake_pending"
    assert shell.error(*line, code=3) == "conflict"
    assert "manager of t1: skipped" in shell.text(*shell.record(receipt, "manager", "skipped"))


@pytest.mark.parametrize(
    ("role", "status", "more"),
    [
        ("worker", "sent", ("--thread-id", "thread-2")),
        ("worker", "skipped", ()),
        ("worker", "blocked", ()),
        ("manager", "sent", ("--thread-id", "thread-1")),
        ("manager", "blocked", ()),
    ],
)
def test_what_does_not_fit_the_receipt_is_exit_3(
    shell: Shell, role: str, status: str, more: tuple[str, ...]
) -> None:
    receipt = shell.json("wakeup", "dispatch", "t1")["receipt"]
    assert shell.error(*shell.record(receipt, role, status, *more), code=3) == "conflict"


def test_the_receipt_of_another_task_is_exit_3(shell: Shell) -> None:
    shell.text("pair", "t2", "--manager", "m", "--worker", "v")
    receipt = shell.json("wakeup", "dispatch", "t2")["receipt"]
    assert shell.error(*shell.record(receipt, "manager", "skipped"), code=3) == "conflict"


def test_unknown_tasks_and_receipts_are_exit_1(shell: Shell) -> None:
    for line in (("wakeup", "plan", "x"), ("wakeup", "dispatch", "x"), ("autopilot", "start", "x")):
        assert shell.error(*line, code=1) == "refused"
    assert shell.error(*shell.record(UNKNOWN, "worker", "skipped"), code=1) == "refused"


def test_what_makes_no_sense_is_exit_2(shell: Shell) -> None:
    receipt = shell.json("wakeup", "dispatch", "t1")["receipt"]
    for line in (
        shell.record(receipt, "reviewer", "sent"),
        shell.record(receipt, "worker", "done"),
        shell.record("nonsense", "worker", "sent"),
        ("wakeup",),
        ("wakeup", "drive"),
        ("autopilot", "start", "t1", "--quiet-after", "0"),
    ):
        assert shell.error(*line, code=2) == "bad_input"


def test_for_a_missing_thread_a_person_is_told_to_open_one(shell: Shell) -> None:
    shell.text("send", "manager/m", "--type", "report", "--body", "{}")
    assert "for a new thread:" in shell.text("wakeup", "dispatch", "t1")


def test_rotating_needs_the_old_thread(shell: Shell) -> None:
    line = ("wakeup", "rotate", "t1", "--role", "worker", "--from", "thread-1", "--to", "thread-2")
    assert shell.json(*line, "--title", "second")["thread_id"] == "thread-2"
    assert shell.error(*line, code=3) == "conflict"
    assert shell.json("wakeup", "plan", "t1")["actions"][1]["thread_id"] == "thread-2"


def test_the_autopilot_is_started_stopped_and_shown(shell: Shell) -> None:
    assert shell.json("autopilot", "status", "t1")["state"] == "off"
    assert shell.json("autopilot", "start", "t1", "--quiet-after", "5")["already"] is False
    assert shell.json("autopilot", "start", "t1")["already"] is True
    shown = shell.json("autopilot", "status", "t1")
    assert (shown["state"], shown["quiet_after"]) == ("running", 5)
    assert shown["idle_heartbeats"] == {"manager": 0, "worker": 0}
    assert "notice" not in shell.json("wakeup", "plan", "t1")
    assert "stopped" in shell.text("autopilot", "stop", "t1")
    assert "autopilot start t1" in shell.json("wakeup", "plan", "t1")["notice"]
    assert "autopilot start t1" in shell.text("wakeup", "plan", "t1")


# Settings


def settings(tmp_path: Path, text: str) -> Any:
    (tmp_path / "postroom.toml").write_text(text)
    return load(environ={}, folder=tmp_path).wakeups


def test_drivers_are_named_in_the_settings(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        '[wakeups]\nautopilot = "all"\ntimeout = 5\n[wakeups.command]\nworker = ["tmux", "{prompt}"]\n'
        '[wakeups.webhook]\nmanager = "https://example.org/wake"\n',
    )
    assert (found.autopilot, found.timeout, found.command["worker"]) == ("all", 5, ("tmux", "{prompt}"))
    assert found.webhook == {"manager": "https://example.org/wake"}


@pytest.mark.parametrize(
    "line",
    [
        'autopilot = "yes"',
        "timeout = 0",
        "timeout = 500",
        "timeout = nan",
        "debounce = -1",
        "timeot = 3",
        "command = { reviewer = ['x'] }",
        "command = { worker = [] }",
        "command = { worker = 'x y' }",
        "webhook = { worker = 3 }",
    ],
)
def test_settings_that_make_no_sense_are_bad_input(line: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        settings(tmp_path, f"[wakeups]\n{line}\n")


# The real thing


@pytest.mark.slow
def test_a_driver_really_wakes_and_its_process_ends_in_order(shell: Shell, tmp_path: Path) -> None:
    woken = tmp_path / "woken"
    os.mkfifo(woken)
    script = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
    command = [sys.executable, "-c", script, str(woken), "{thread_id} {role}"]
    (tmp_path / "postroom.toml").write_text(
        f"[wakeups]\ndebounce = 0\n[wakeups.command]\nworker = {msgspec.json.encode(command).decode()}\n"
    )
    shell.text("autopilot", "start", "t1")
    argv = [sys.executable, "-m", "postroom", "wakeup", "drive", "--store", URL, "--json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=tmp_path) as driving:
        assert woken.read_text() == "thread-1 worker"
        driving.send_signal(signal.SIGTERM)
        said, _ = driving.communicate(timeout=20)
    assert driving.returncode == 0
    assert msgspec.json.decode(said)["roles"] == ["worker"]


@pytest.mark.slow
def test_planning_loads_no_event_loop(shell: Shell, tmp_path: Path) -> None:
    script = (
        "import sys; from postroom.console.main import main\n"
        f"main(['wakeup', 'dispatch', 't1', '--json', '--store', {URL!r}])\n"
        "print(sorted({'trio', 'cattrs', 'prometheus_client', 'starlette', 'anyio'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=20
    )
    assert done.stdout.splitlines()[-1] == "[]"
