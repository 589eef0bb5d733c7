"""``search`` through ``main``: what it finds, in what order, and what it says when there is nothing."""

from __future__ import annotations

import pytest
from shells import Shell


@pytest.fixture
def shell(shell: Shell) -> Shell:
    """With a pair, whose worker has a thread, and some mail in every state of its life."""
    line = ("pair", "t", "--manager", "ada", "--worker", "bob", "--thread-title", "worker=Parser rewrite")
    assert shell.run(*line, "--thread-id", "worker=th-9") == 0
    return shell


def send(shell: Shell, body: str, *more: str) -> str:
    return str(shell.json("send", "worker/bob", "--type", "job", "--body", body, *more)["id"])


def found(shell: Shell, text: str, *more: str) -> list[str]:
    return [one["id"] for one in shell.json("search", text, *more)["messages"]]


def settle(shell: Shell, id: str) -> None:
    (message,) = shell.json("poll", "worker/bob")["messages"]
    assert message["id"] == id
    assert shell.run("ack", id, "--fence", str(message["fence"])) == 0


def test_messages_are_found_in_every_state_the_newest_first(shell: Shell) -> None:
    done = send(shell, '{"file": "Grammar.py"}')
    settle(shell, done)
    delayed = send(shell, '{"file": "grammar.txt"}', "--delay", "3600")
    ready = send(shell, '["GRAMMAR"]')
    send(shell, '{"file": "lexer.py"}')
    assert found(shell, "grammar") == [ready, delayed, done]
    assert found(shell, "grammar", "--max", "2") == [ready, delayed]


def test_a_message_is_found_by_its_envelope_too(shell: Shell) -> None:
    one = send(shell, "1", "--correlation", "release-4")
    send(shell, "2")
    assert found(shell, "RELEASE-4") == [one]
    assert found(shell, one) == [one]


@pytest.mark.parametrize("text", ['say "hi"', "Straße", "a\\b"])
def test_quotes_and_letters_beyond_ascii_are_found_as_they_are_written(shell: Shell, text: str) -> None:
    import json

    one = send(shell, json.dumps({"text": text}))
    assert found(shell, text) == [one]


def test_sessions_are_found_by_their_thread_and_by_their_address(shell: Shell) -> None:
    for text in ("th-9", "parser REWRITE", "worker/bob"):
        (side,) = shell.json("search", text)["sessions"]
        assert (side["task"], side["role"], side["thread_id"]) == ("t", "worker", "th-9")
    assert [side["role"] for side in shell.json("search", "ada")["sessions"]] == ["manager"]


def test_what_happened_to_a_task_is_found(shell: Shell) -> None:
    assert shell.run("loop", "decide", "t", "wait", "--reason", "the build is slow") == 0
    (event,) = shell.json("search", "build is SLOW")["events"]
    assert (event["task"], event["event"]) == ("t", "decided")
    assert "build is slow" in shell.text("search", "slow")


def test_within_one_inbox_only_its_messages_are_looked_at(shell: Shell) -> None:
    one = send(shell, '"ada"')
    document = shell.json("search", "ada", "--inbox", "worker/bob")
    assert ([m["id"] for m in document["messages"]], document["sessions"]) == ([one], [])
    assert shell.error("search", "ada", "--inbox", "worker/nobody", code=1) == "unknown_inbox"


def test_nothing_is_exit_code_four_and_no_text_is_bad_input(shell: Shell) -> None:
    nothing: dict[str, list[object]] = {"sessions": [], "messages": [], "events": []}
    assert shell.json("search", "no such word", code=4) == nothing
    assert shell.error("search", "", code=2) == "bad_input"
    assert shell.error("search", "x", "--max", "0", code=2) == "bad_input"
