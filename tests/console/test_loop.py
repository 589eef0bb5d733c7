"""``loop``, ``finish`` and ``reconcile`` through ``main``: their JSON keys and exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from shells import Shell

PASS = '{"checked": "tests", "how": "pytest -q", "result": "pass"}'


@pytest.fixture
def shell(shell: Shell) -> Shell:
    """With a pair."""
    assert shell.run("pair", "t", "--manager", "m", "--worker", "w") == 0
    return shell


@pytest.fixture
def looping(shell: Shell) -> Shell:
    """With a loop of three iterations that wants evidence of tests."""
    assert shell.run("loop", "start", "t", "--max-iterations", "3", "--require-evidence", "tests") == 0
    return shell


def settle_everything(shell: Shell) -> None:
    for inbox in ("manager/m", "worker/w"):
        while shell.run("poll", inbox) == 0:
            id, fence = shell.out.split("\t")[:2]
            assert shell.run("ack", id, "--fence", fence) == 0


def test_status_always_answers_and_says_whether_all_are_well(shell: Shell) -> None:
    found = shell.json("loop", "status", "t")
    assert (found["ok"], found["manager"], found["worker"], found["dispatcher"]) == (
        False, "missing", "missing", "missing",
    )  # fmt: skip
    assert found["next_actions"] == ["start_dispatch", "wake_manager", "wake_worker"]
    assert "not reported" in shell.text("loop", "status", "t")
    assert shell.error("loop", "status", "nobody", code=1) == "refused"


def test_status_says_how_each_side_gets_its_mail(shell: Shell) -> None:
    line = ("pair", "t2", "--manager", "m", "--worker", "w2", "--thread-id", "worker=th-1")
    assert shell.run(*line) == 0
    sides = shell.json("loop", "status", "t2")["sessions"]
    told = {role: side["communication"] for role, side in sides.items()}
    assert (told["manager"]["receives"], told["manager"]["requires_polling"]) == ("polls", True)
    assert (told["worker"]["receives"], told["worker"]["requires_polling"]) == ("woken", False)
    assert "worker/w2 --wait 30" in told["worker"]["poll_command"]


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf", "1e99", "soon"])
def test_absurd_durations_are_bad_input(shell: Shell, seconds: str) -> None:
    assert shell.error("loop", "status", "t", "--stale", seconds, code=2) == "bad_input"
    assert shell.error("reconcile", "--stuck", seconds, code=2) == "bad_input"


def test_a_cycle_shows_what_there_is_to_decide_and_decides_on_it_once(shell: Shell) -> None:
    assert shell.run("send", "manager/m", "--type", "report", "--body", "{}") == 0
    found = shell.json("loop", "cycle", "t")
    assert "1 to read" in found["matters"]
    assert found["decisions"] == ["wait", "nudge", "escalate", "inspect"]
    assert "loop decide t" in shell.text("loop", "cycle", "t")
    line = ("loop", "decide", "t", "wait", "--reason", "it builds", "--seen", str(found["seen"]))
    assert shell.json(*line)["decision"] == "wait"
    assert shell.error(*line, code=3) == "conflict"


def test_a_cycle_without_anything_to_decide_is_exit_code_four(shell: Shell) -> None:
    for role in ("manager", "worker"):
        assert shell.run("heartbeat", "t", "--role", role) == 0
    assert shell.json("loop", "cycle", "t", "--wait", "0.01", code=4)["matters"] == []


def test_a_loop_goes_from_its_start_to_its_end(looping: Shell) -> None:
    shell = looping
    assert shell.error("loop", "continue", "t", "--iteration", "1", code=1) == "missing_evidence"
    on = ("loop", "continue", "t", "--iteration", "1", "--evidence")
    assert shell.json(*on, "-", stdin=PASS)["iteration"] == 2
    assert shell.json(*on, PASS)["already"] is True
    other = PASS.replace("pass", "fail")
    assert shell.error(*on, other, code=3) == "stale_requested_iteration"
    settle_everything(shell)
    assert shell.run("loop", "evidence", "t", "--iteration", "2", "--evidence", PASS) == 0
    assert shell.json("finish", "t")["finished"] is True
    assert shell.json("finish", "t")["already"] is True
    events = [event["event"] for event in shell.json("loop", "history", "t")["events"]]
    assert events == ["started", "continued", "evidence", "finished"]
    assert "continued" in shell.text("loop", "history", "t")


def test_past_the_last_iteration_the_loop_waits_for_an_answer(shell: Shell) -> None:
    assert shell.run("loop", "start", "t", "--max-iterations", "1") == 0
    on = ("loop", "continue", "t", "--iteration", "1", "--evidence", PASS)
    assert shell.error(*on, code=1) == "max_iterations_reached"
    assert shell.json("inbox", "show", "worker/w")["paused"] is True
    assert [m["type"] for m in shell.json("inbox", "peek", "manager/m")["messages"]] == ["budget_reached"]
    assert shell.error("loop", "resume", "t", code=3) == "conflict"
    assert shell.json("loop", "resume", "t", "--add", "iterations=1")["state"] == "running"
    assert shell.json(*on)["iteration"] == 2


def test_finish_lists_everything_that_is_missing(looping: Shell) -> None:
    assert looping.run("loop", "criterion", "add", "t", "it works", "--source", "user") == 0
    assert looping.run("send", "worker/w", "--type", "job", "--body", "1") == 0
    found = looping.json("finish", "t", code=1)
    assert [lack["kind"] for lack in found["missing"]] == ["criterion", "evidence", "mail"]
    assert found["error"]["code"] == "unfinished"
    assert (found["finished"], found["state"]) == (False, "active")
    assert "it works" in looping.text("finish", "t", code=1)
    assert looping.error("finish", "t", "--force", code=2) == "bad_input"
    assert looping.json("finish", "t", "--force", "--reason", "enough")["forced"] is True


def test_criteria_are_added_and_moved(shell: Shell) -> None:
    criterion = ("loop", "criterion")
    assert shell.json(*criterion, "add", "t", "it works")["criterion"] == "c1"
    assert shell.error(*criterion, "satisfy", "t", "c1", code=1) == "illegal_move"
    assert shell.json(*criterion, "accept", "t", "c1")["state"] == "accepted"
    assert shell.json(*criterion, "satisfy", "t", "c1", "--source", "audit")["state"] == "satisfied"
    assert shell.json(*criterion, "satisfy", "t", "c1")["already"] is True
    assert shell.error(*criterion, "accept", "t", "c9", code=1) == "refused"
    assert "satisfied" in shell.text("loop", "status", "t")


def test_the_sides_speak_to_each_other(shell: Shell) -> None:
    assert shell.json("loop", "nudge", "t", "how far?")["nudges_used"] == 1
    assert shell.json("loop", "nudge", "t", "how far?")["state"] == "duplicate"
    assert shell.json("loop", "notify", "t", "half way", "--key", "k")["already"] is False
    assert shell.json("loop", "notify", "t", "half way", "--key", "k")["already"] is True
    handoff = ("loop", "handoff", "t", "--role", "worker", "--summary", "half", "--next", "the rest")
    assert shell.json(*handoff)["to"] == "worker/w"
    types = [m["type"] for m in shell.json("inbox", "peek", "worker/w")["messages"]]
    assert sorted(types) == ["handoff", "nudge"]


def test_decisions_need_their_permission(shell: Shell) -> None:
    stop = ("loop", "decide", "t", "stop", "--reason", "it burns money")
    assert shell.error(*stop, code=1) == "permission_missing"
    assert shell.json("loop", "permit", "t", "worker_session.stop")["granted"] is True
    assert shell.json(*stop, "--key", "k")["decision"] == "stop"
    assert shell.json(*stop, "--key", "k")["already"] is True
    assert shell.json("loop", "forbid", "t", "worker_session.stop")["granted"] is False
    assert shell.error("loop", "decide", "t", "panic", "--reason", "x", code=2) == "bad_input"
    assert shell.error("loop", "permit", "t", "repo.burn", code=2) == "bad_input"


def test_tokens_are_reported_and_pause_when_they_are_spent(shell: Shell) -> None:
    assert shell.run("loop", "start", "t", "--max-iterations", "3", "--max-tokens", "10") == 0
    assert shell.json("loop", "spend", "t", "tokens", "4", "--key", "a")["used"] == 4
    assert shell.json("loop", "spend", "t", "tokens", "4", "--key", "a")["already"] is True
    assert shell.json("loop", "spend", "t", "tokens", "6")["state"] == "paused"
    assert shell.json("heartbeat", "t", "--role", "manager")["paused_by"] == "tokens"
    assert shell.error("loop", "spend", "t", "tokens", "-1", code=2) == "bad_input"
    assert shell.error("loop", "spend", "t", "turns", "1", code=2) == "bad_input"


def test_a_role_acknowledges_what_is_agreed(shell: Shell) -> None:
    assert shell.run("loop", "start", "t", "--max-iterations", "1", "--require-acks") == 0
    ack = ("loop", "ack", "t")
    assert shell.json(*ack, "blocked", "--role", "worker", "--text", "no access")["revision"] == 2
    status = shell.json("loop", "status", "t")
    assert status["acks"]["worker"]["text"] == "no access"
    assert "no access" in shell.text("loop", "status", "t")
    missing = shell.json("finish", "t", code=1)["missing"]
    assert "the worker says blocked: no access" in [lack["why"] for lack in missing]
    assert shell.error(*ack, "done", "--role", "worker", code=2) == "bad_input"
    assert shell.error(*ack, "accepted", "--role", "boss", code=2) == "bad_input"


def test_reconcile_reports_and_applies(shell: Shell) -> None:
    assert shell.json("reconcile") == {"ok": True, "apply": False, "findings": []}
    assert shell.run("loop", "start", "t", "--max-iterations", "3") == 0
    (found,) = shell.json("reconcile", "--stuck", "0")["findings"]
    assert (found["kind"], found["task"], found["applied"]) == ("stuck_task", "t", False)
    assert "stuck_task" in shell.text("reconcile", "--stuck", "0")
    done = shell.json("reconcile", "--stuck", "0", "--apply")
    assert (done["ok"], done["findings"][0]["applied"]) == (True, True)
    assert [m["type"] for m in shell.json("inbox", "peek", "manager/m")["messages"]] == ["task_stuck"]
    assert shell.text("reconcile").startswith("everything is as recorded")


BAD: tuple[tuple[str, ...], ...] = (
    ("continue", "t", "--iteration", "0", "--evidence", PASS),
    ("continue", "t", "--iteration", "x"),
    ("continue", "t", "--iteration", "1", "--evidence", "{"),
    ("start", "t"),
    ("start", "t", "--max-iterations", "0"),
    ("resume", "t", "--add", "iterations"),
    ("resume", "t", "--add", "x=1"),
    ("resume", "t", "--add", "tokens=-1"),
    ("nudge", "t", ""),
    ("criterion", "add", "t", ""),
    ("criterion", "add", "t", "x", "--source", "nobody"),
    ("evidence", "t", "--iteration", "1"),
    ("handoff", "t", "--role", "boss", "--summary", "s", "--next", "n"),
)


def test_bad_input_changes_nothing(looping: Shell) -> None:
    before = looping.json("loop", "history", "t")
    for words in BAD:
        assert looping.error("loop", *words, code=2) == "bad_input"
    assert looping.json("loop", "history", "t") == before


UNKNOWN: tuple[tuple[str, ...], ...] = (
    ("continue", "--iteration", "1", "--evidence", PASS),
    ("start", "--max-iterations", "1"),
    ("resume",),
    ("nudge", "x"),
    ("notify", "x"),
    ("status",),
    ("history",),
    ("spend", "tokens", "1"),
    ("permit", "loop.continue"),
    ("ack", "accepted", "--role", "worker"),
)


def test_an_unknown_task_is_refused(shell: Shell) -> None:
    for words in UNKNOWN:
        assert shell.error("loop", words[0], "nobody", *words[1:], code=1) == "refused"


HEAVY = {"trio", "anyio", "cattrs", "attrs", "prometheus_client", "rich", "starlette", "asyncio", "difflib"}


def test_none_of_these_loads_an_event_loop(shell: Shell) -> None:
    lines = (("heartbeat", "t", "--role", "worker"), ("loop", "status", "t"), ("reconcile",), ("finish", "t"))
    code = f"import sys; from postroom.console.main import main; [main([*w, '--json']) for w in {lines!r}]"
    tell = "; print(*{name.split('.')[0] for name in sys.modules})"
    ran = subprocess.run([sys.executable, "-c", code + tell], capture_output=True, text=True, check=True)
    assert len(ran.stdout.splitlines()) == len(lines) + 1
    assert not HEAVY & set(ran.stdout.splitlines()[-1].split())
