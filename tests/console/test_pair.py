"""``pair`` and ``heartbeat`` through ``main``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest
from shells import Shell

PAIR = ("pair", "t", "--manager", "m", "--worker", "w")


@pytest.fixture
def paired(shell: Shell) -> Shell:
    assert shell.run(*PAIR) == 0
    return shell


def test_both_sides_are_told_what_to_run_next_and_when_to_stop(shell: Shell) -> None:
    made = shell.json(*PAIR, "--disposable")
    assert (made["task"], made["manager"], made["worker"], made["state"], made["already"]) == (
        "t", "manager/m", "worker/w", "active", False,
    )  # fmt: skip
    for side in ("manager", "worker"):
        assert made["next"][side][0].startswith("postroom heartbeat --store sqlite:////")
        assert made["next"][side][0] in made["handoff"][side]
        assert "never a reason to stop" in made["handoff"][side]
    assert made["heartbeat"]["every_seconds"] == 120
    assert made["teardown"].startswith("An empty poll is never a reason to stop")
    assert made["disposable"] is True
    assert shell.json(*PAIR)["already"] is True


def test_people_read_the_same(shell: Shell) -> None:
    text = shell.text(*PAIR)
    assert "worker, run next:" in text
    assert "You are the manager of task t." in text
    assert "An empty poll is never a reason to stop" in text


def test_every_command_that_is_printed_is_understood(paired: Shell) -> None:
    """What a side types is run as it stands, with the ids that a poll has given."""
    made = paired.json(*PAIR)
    message: dict[str, Any] = {"id": "", "fence": 0}
    for side in ("manager", "worker"):
        for line in [*made["next"][side], *made["commands"][side]]:
            line = line.replace(" ID ", f" {message['id']} ").replace(" F", f" {message['fence']}")
            words = shlex.split(line)[1:]
            if words[0] == "poll":
                words = [word for word in words if word not in ("--wait", "30")]
                if paired.run(*words, "--json") == 0:
                    (message,) = msgspec.json.decode(paired.out)["messages"]
            elif words[0] in ("ack", "extend", "nack"):
                if not message["id"]:
                    continue
                assert paired.run(*words) in (0, 3), paired.err
            elif words[0] == "finish":
                assert paired.run(*words) == 1
            else:
                assert paired.run(*words) == 0, paired.err


def test_threads_are_assigned_and_another_one_is_a_conflict(paired: Shell) -> None:
    threads = ("--thread-id", "worker=w-1", "--thread-title", "worker=Worker one")
    made = paired.json(*PAIR, *threads)
    assert made["threads"] == {"worker": {"thread_id": "w-1", "title": "Worker one"}}
    assert paired.json(*PAIR, *threads)["already"] is True
    assert paired.error(*PAIR, "--thread-id", "worker=w-2", code=3) == "conflict"
    assert paired.json("loop", "status", "t")["sessions"]["worker"]["thread_id"] == "w-1"


@pytest.mark.parametrize(
    "wrong",
    [
        ("--thread-id", "worker"), ("--thread-id", "boss=1"), ("--thread-id", "worker="),
        ("--thread-id", "worker=1", "--thread-id", "worker=2"), ("--thread-title", "worker=x"),
        ("--max-iterations", "0"), ("--max-iterations", "-3"), ("--max-iterations", "many"),
        ("--max-tokens", "0"), ("--nudge-seconds", "nan"), ("--require-evidence", ""),
    ],
)  # fmt: skip
def test_bad_input_makes_no_store(shell: Shell, wrong: tuple[str, ...]) -> None:
    assert shell.error(*PAIR, *wrong, code=2) == "bad_input"
    assert shell.error("pair", "a b", "--manager", "m", "--worker", "w", code=2) == "bad_input"
    assert not Path(".postroom").exists()


def test_a_second_active_binding_is_refused(paired: Shell) -> None:
    for words in (("t", "--manager", "m", "--worker", "w2"), ("t2", "--manager", "m", "--worker", "w")):
        assert paired.error("pair", *words, code=3) == "conflict"


def test_a_pair_can_begin_its_loop_at_once(shell: Shell) -> None:
    made = shell.json(*PAIR, "--max-iterations", "3", "--require-evidence", "tests")
    assert (made["loop"], made["iteration"], made["max_iterations"]) == ("running", 1, 3)


def test_a_heartbeat_answers_with_what_to_run_next(paired: Shell) -> None:
    beat = ("heartbeat", "t", "--role", "worker")
    found = paired.json(*beat)
    assert {"task", "role", "health", "mail", "leased", "next", "iteration", "budget", "paused"} <= set(found)
    assert (found["mail"], found["next"][0]) == (0, "sleep 120")
    assert paired.run("send", "worker/w", "--type", "job", "--body", "1") == 0
    (poll, again) = paired.json(*beat)["next"]
    (message,) = paired.json(*shlex.split(poll)[1:])["messages"]
    assert shlex.split(again)[1:2] == ["heartbeat"]
    settle = paired.json(*beat)["next"][0]
    assert settle.endswith(f"{message['id']} --fence {message['fence']}")
    assert paired.run(*shlex.split(settle)[1:]) == 0
    assert "0 to take, 0 in hand" in paired.text(*beat)


def test_heartbeats_that_do_not_fit_are_refused(paired: Shell) -> None:
    assert paired.error("heartbeat", "nobody", "--role", "worker", code=1) == "refused"
    assert paired.error("heartbeat", "t", "--role", "boss", code=2) == "bad_input"
    assert paired.run(*PAIR, "--thread-id", "worker=w-1") == 0
    words = ("heartbeat", "t", "--role", "worker", "--thread-id", "w-2")
    assert paired.error(*words, code=3) == "conflict"
    assert paired.run("finish", "t") == 0
    assert paired.error("heartbeat", "t", "--role", "worker", code=1) == "refused"


def test_without_a_store_there_is_no_heartbeat(shell: Shell) -> None:
    assert shell.error("heartbeat", "t", "--role", "worker", code=5) == "store_unavailable"
