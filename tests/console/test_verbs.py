"""The pull verbs through ``main``: their JSON keys and their exit codes."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from shells import Shell

from postroom.console.main import main
from postroom.mailbox.desk import Desk

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def paired(shell: Shell) -> Shell:
    assert shell.run("pair", "t1", "--manager", "m", "--worker", "w") == 0
    return shell


def send(shell: Shell, *more: str, body: str = '{"n":1}') -> str:
    sent = shell.json("send", "worker/w", "--type", "job", "--body", body, *more)
    assert sent["state"] == "accepted"
    return str(sent["id"])


def claim(shell: Shell, *more: str, inbox: str = "worker/w") -> Any:
    (message,) = shell.json("poll", inbox, *more)["messages"]
    return message


def settle(verb: str, message: Any, *more: str) -> tuple[str, ...]:
    return (verb, message["id"], "--fence", str(message["fence"]), *more)


def test_a_message_goes_from_send_to_done_with_the_keys_of_the_contract(paired: Shell) -> None:
    id = send(paired, "--from", "manager/m", "--correlation", "t1")
    message = claim(paired, "--lease", "30")
    assert message["id"] == id
    assert message["body"] == {"n": 1}
    assert message["type"] == "job"
    assert message["sender"] == "manager/m"
    assert message["recipient"] == "worker/w"
    assert message["correlation_id"] == "t1"
    assert message["attempt"] == 1
    assert message["lease_seconds"] == pytest.approx(30, abs=1)  # pyright: ignore[reportUnknownMemberType]
    acked = paired.json(*settle("ack", message, "--reply", '{"ok":true}'))
    assert acked["state"] == "done"
    assert claim(paired, inbox="manager/m")["body"] == {"ok": True}
    shown = paired.json("show", id)
    assert {"id", "state", "attempts", "recipient", "history"} <= set(shown)
    assert (shown["state"], shown["attempts"]) == ("done", 1)


def test_polling_an_empty_inbox_is_nothing_to_do(paired: Shell) -> None:
    assert paired.json("poll", "worker/w", code=4) == {"messages": []}
    assert paired.run("poll", "worker/w") == 4
    assert (paired.out, paired.err) == ("", "")


def test_polling_a_paused_inbox_is_nothing_to_do_until_it_is_resumed(paired: Shell) -> None:
    id = send(paired)
    assert paired.json("inbox", "pause", "worker/w")["paused"] is True
    assert paired.json("poll", "worker/w", code=4) == {"messages": []}
    assert paired.json("inbox", "resume", "worker/w")["paused"] is False
    assert claim(paired)["id"] == id


def test_polling_an_unknown_inbox_is_refused(paired: Shell) -> None:
    assert paired.error("poll", "worker/nobody", code=1) == "unknown_inbox"


def test_sending_to_an_unknown_recipient_is_refused_unless_it_is_held(paired: Shell) -> None:
    words = ("send", "worker/new", "--type", "job", "--body", "1")
    assert paired.error(*words, code=1) == "unknown_inbox"
    assert paired.json(*words, "--hold")["state"] == "held"


def test_repeating_a_send_with_its_id_is_a_duplicate_and_with_other_content_a_conflict(
    paired: Shell,
) -> None:
    id = send(paired)
    again = ("send", "worker/w", "--type", "job", "--id", id, "--body")
    assert paired.json(*again, '{"n": 1}') == {"id": id, "state": "duplicate"}
    assert paired.error(*again, '{"n": 2}', code=3) == "conflict"


def test_a_wrong_fence_is_a_lost_lease_and_a_repeated_ack_is_already_done(paired: Shell) -> None:
    send(paired)
    message = claim(paired)
    wrong = {**message, "fence": message["fence"] + 1}
    for verb in ("ack", "nack", "extend"):
        assert paired.error(*settle(verb, wrong), code=3) == "lost_lease"
    assert paired.json(*settle("ack", message))["already"] is False
    assert paired.json(*settle("ack", message))["already"] is True


def test_an_unknown_id_is_refused_and_a_malformed_one_is_bad_input(paired: Shell) -> None:
    assert paired.error("show", UNKNOWN_ID, code=1) == "unknown_message"
    assert paired.error("ack", UNKNOWN_ID, "--fence", "1", code=1) == "unknown_message"
    assert paired.error("show", "x", code=2) == "bad_input"


@pytest.mark.parametrize(
    ("flags", "state"), [(("--release",), "ready"), (("--delay", "5"), "delayed"), (("--dead",), "dead")]
)
def test_nack_leads_to_the_state_that_its_flag_asks_for(
    paired: Shell, flags: tuple[str, ...], state: str
) -> None:
    id = send(paired)
    assert paired.json(*settle("nack", claim(paired), *flags))["state"] == state
    assert paired.json("show", id)["attempts"] == (0 if state == "ready" else 1)


def test_extend_answers_how_long_the_lease_lasts(paired: Shell) -> None:
    send(paired)
    answer = paired.json(*settle("extend", claim(paired), "--lease", "120"))
    assert answer["lease_seconds"] == 120


@pytest.mark.parametrize(
    "body",
    ["{", "NaN", '{"a":1,"a":2}', '"\\u0000"', '"\\ud800"', "9223372036854775808", "[" * 65 + "]" * 65, ""],
)
def test_a_body_that_is_not_strict_json_is_bad_input_and_sends_nothing(paired: Shell, body: str) -> None:
    words = ("send", "worker/w", "--type", "job", "--body")
    assert paired.error(*words, body, code=2) == "bad_input"
    assert paired.error(*words, "-", code=2, stdin=body) == "bad_input"
    assert paired.json("inbox", "show", "worker/w")["accepted"] == 0


def test_a_body_from_standard_input_may_be_a_mebibyte_and_no_more(paired: Shell) -> None:
    words = ("send", "worker/w", "--type", "job", "--body", "-")
    fits = '"' + "x" * ((1 << 20) - 2) + '"'
    assert paired.json(*words, stdin=fits)["state"] == "accepted"
    assert paired.error(*words, code=2, stdin=fits + " ") == "bad_input"


def test_bytes_of_an_argument_that_are_no_utf_8_are_bad_input(paired: Shell) -> None:
    body = os.fsdecode(b'"\xff"')
    assert paired.error("send", "worker/w", "--type", "job", "--body", body, code=2) == "bad_input"
    assert "\\udcff" not in paired.out


def test_sends_commit_with_their_ack_or_not_at_all(paired: Shell) -> None:
    send(paired)
    message = claim(paired)
    good = '{"to":"manager/m","type":"note","body":1}\n'
    ack = settle("ack", message, "--send", "-")
    bad = '\n{"to":"manager/m","type":"note"\n'
    assert paired.error(*ack, code=2, stdin=good + bad) == "bad_input"
    assert "line 3" in paired.err
    unknown = '{"to":"manager/nobody","type":"note","body":1}\n'
    assert paired.error(*ack, code=1, stdin=good + unknown) == "unknown_inbox"
    assert paired.json("poll", "manager/m", code=4) == {"messages": []}
    assert len(paired.json(*ack, stdin=good + "\n" + good)["sent"]) == 2
    assert len(paired.json("poll", "manager/m", "--max", "5")["messages"]) == 2


def test_a_reply_and_sends_cannot_both_come_from_standard_input(paired: Shell) -> None:
    words = ("ack", UNKNOWN_ID, "--fence", "1", "--reply", "-", "--send", "-")
    assert paired.error(*words, code=2) == "bad_input"


def test_pairing_again_changes_nothing_and_pairing_otherwise_is_a_conflict(paired: Shell) -> None:
    again = paired.json("pair", "t1", "--manager", "m", "--worker", "w")
    assert (again["manager"], again["worker"], again["already"]) == ("manager/m", "worker/w", True)
    assert paired.error("pair", "t1", "--manager", "m", "--worker", "other", code=3) == "conflict"
    assert paired.error("pair", "t2", "--manager", "m", "--worker", "w", code=3) == "conflict"


def test_pair_prints_commands_that_work_from_any_folder(
    paired: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = paired.json("pair", "t1", "--manager", "m", "--worker", "w")["commands"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    poll = next(line for line in commands["worker"] if " poll " in line)
    assert paired.run(*poll.split()[1:], "--wait", "0") == 4


@pytest.mark.parametrize(
    "words",
    [
        ("send", "worker/w", "--type", "t", "--body", "1"),
        ("poll", "worker/w"),
        ("ack", UNKNOWN_ID, "--fence", "1"),
        ("nack", UNKNOWN_ID, "--fence", "1"),
        ("extend", UNKNOWN_ID, "--fence", "1"),
        ("show", UNKNOWN_ID),
        ("inbox", "list"),
        ("inbox", "pause", "worker/w"),
        ("dead", "list"),
        ("status",),
        ("verify",),
        ("backup", "copy.db"),
        ("metrics",),
    ],
)
def test_every_command_but_pair_needs_a_store_that_exists(
    shell: Shell, tmp_path: Path, words: tuple[str, ...]
) -> None:
    assert shell.error(*words, code=5) == "store_unavailable"
    assert list(tmp_path.iterdir()) == []


def test_a_claim_that_cannot_be_written_is_released_with_its_attempt(
    paired: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = send(paired)

    def broken(*args: object) -> None:
        raise BrokenPipeError

    with monkeypatch.context() as patched:
        patched.setattr("postroom.console.render.emit", broken)
        assert main(["poll", "worker/w", "--json"]) == 1
    shown = paired.json("show", id)
    assert (shown["state"], shown["attempts"]) == ("ready", 0)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_waiting_poll_with_its_own_exit_code(
    paired: Shell, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    def struck(*args: object, **options: object) -> None:
        signal.raise_signal(number)

    monkeypatch.setattr(Desk, "poll", struck)
    before = signal.getsignal(signal.SIGTERM)
    assert paired.run("poll", "worker/w", "--wait", "60") == code
    assert paired.err.count("\n") == 1
    assert f"{number.name} came" in paired.err
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_unforeseen_error_is_one_line_and_its_traceback_is_shown_only_on_request(
    paired: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flawed(*args: object, **options: object) -> None:
        raise RuntimeError("a flaw\x1b[31m")

    monkeypatch.setattr(Desk, "poll", flawed)
    assert paired.error("poll", "worker/w", code=1) == "internal"
    assert "\x1b" not in paired.err
    assert paired.run("poll", "worker/w", "--debug") == 1
    assert "Traceback" in paired.err


def test_a_piped_poll_writes_one_line_that_a_shell_can_split(paired: Shell) -> None:
    id = send(paired, body='{"text":"a\\tb\\n\\u009b31m"}')
    assert paired.run("poll", "worker/w") == 0
    columns = paired.out.removesuffix("\n").split("\t")
    assert columns[0] == id
    assert columns[2:5] == ["job", "operator/cli", "1"]
    assert msgspec.json.decode(columns[5]) == {"text": "a\tb\n\x9b31m"}
    assert "\x9b" not in paired.out


def test_dead_letters_are_listed_shown_requeued_and_dropped(paired: Shell) -> None:
    ids = [send(paired), send(paired)]
    for _ in ids:
        paired.json(*settle("nack", claim(paired), "--dead", "--reason", "no use"))
    listed = paired.json("dead", "list")["messages"]
    assert [message["id"] for message in listed] == ids
    assert {"id", "recipient", "reason", "attempts", "last_error"} <= set(listed[0])
    assert paired.json("dead", "show", ids[0])["reason"] == listed[0]["reason"]
    assert paired.json("dead", "requeue", ids[0])["changed"] == 1
    assert claim(paired)["id"] == ids[0]
    assert paired.error("dead", "requeue", ids[0], code=3) == "conflict"
    assert paired.json("dead", "drop", "--all")["ids"] == [ids[1]]
    assert paired.json("show", ids[1])["state"] == "cancelled"
    assert paired.error("dead", "drop", code=2) == "bad_input"


def test_inboxes_are_shown_with_the_keys_of_the_contract(paired: Shell) -> None:
    send(paired)
    shown = paired.json("inbox", "show", "worker/w")
    assert {
        "inbox", "ready", "delayed", "leased", "held", "done", "dead", "expired", "bounced",
        "cancelled", "oldest_ready_seconds", "paused",
    } <= set(shown)  # fmt: skip
    assert shown["ready"] == 1
    (peeked,) = paired.json("inbox", "peek", "worker/w")["messages"]
    assert peeked["state"] == "ready"
    names = [inbox["inbox"] for inbox in paired.json("inbox", "list")["inboxes"]]
    assert {"manager/m", "worker/w"} <= set(names)
    assert paired.json("inbox", "drain", "worker/w")["draining"] is True
    assert paired.json("inbox", "purge", "worker/w")["changed"] == 1
    assert paired.json("inbox", "show", "worker/w")["cancelled"] == 1


def test_verify_accounts_for_every_message_in_one_count_per_state(paired: Shell) -> None:
    send(paired)
    found = paired.json("verify", "--deep")
    assert (found["ok"], found["accepted"], found["unaccounted"], found["ready"]) == (True, 1, 0, 1)
    states = ("ready", "leased", "delayed", "held", "done", "dead", "expired", "bounced", "cancelled")
    assert sum(found[state] for state in states) == 1


def test_status_names_inboxes_sessions_activations_and_dead_letters(paired: Shell) -> None:
    document = paired.json("status")
    assert {"store", "inboxes", "sessions", "activations", "dead"} <= set(document)
    assert paired.run("status") == 0
    assert "worker/w" in paired.out


def test_a_backup_is_restored_only_by_force_and_voids_the_leases(paired: Shell) -> None:
    send(paired)
    message = claim(paired)
    assert paired.json("backup", "copy.db")["bytes"] > 0
    assert paired.run("restore", "copy.db") != 0
    assert paired.json("restore", "copy.db", "--force")["epoch"] > 0
    assert paired.error(*settle("ack", message), code=3) == "lost_lease"
    restored = paired.json("restore", "copy.db", "--store", "sqlite:///other/new.db")
    assert restored["store"] == "sqlite:///other/new.db"
    assert paired.json("verify", "--store", "sqlite:///other/new.db")["accepted"] == 1


def test_metrics_are_the_text_of_the_store_families(paired: Shell) -> None:
    assert paired.run("metrics") == 0
    assert "# TYPE postroom_messages gauge" in paired.out
    assert paired.json("metrics")["metrics"].startswith("# HELP")
